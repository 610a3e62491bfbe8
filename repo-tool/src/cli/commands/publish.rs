use std::path::PathBuf;

use clap::Args;
use repo_tool::schema::PublishAnswer;
use repo_tool::{Place, Publication, PushOptions, Repository, Result};

use crate::Context;

/// Publish what is staged, if enough people have signed
///
/// The result is read as a device would read it before anything is written. Payloads are written first, the timestamp
/// last, so that a device sees the old state or the new one.
#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Then push it there (see `push`); if nothing is given, `to` in `[publish]` of repo.toml
    #[arg(long, value_name = "FOLDER|URL")]
    to: Option<Place>,
}

impl PublishArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let to = repository.destination_if_any(self.to)?;
        let publication = repository.publish(context.now)?;
        answer_and_push(&repository, &publication, to.as_ref(), context)
    }
}

/// Pushes what is published, if there is a place for it, and prints both.
pub(crate) fn answer_and_push(
    repository: &Repository,
    publication: &Publication,
    to: Option<&Place>,
    context: &Context,
) -> Result<()> {
    let options = PushOptions::default();
    let push = |place| super::push::push(repository, place, &options, context);
    let pushed = match to.map(push).transpose() {
        Ok(pushed) => pushed,
        Err(error) => {
            // What was done here has been done.
            context.output.say_lines(&lines(publication));
            return Err(error);
        }
    };
    let answer = PublishAnswer {
        publication: publication.clone(),
        pushed,
    };
    context.output.answer(&answer, || {
        let mut lines = lines(publication);
        lines.extend(answer.pushed.iter().flat_map(super::push::lines));
        lines
    });
    Ok(())
}

fn lines(publication: &Publication) -> Vec<String> {
    if publication.roles.is_empty() {
        return vec!["Nothing to do.".to_owned()];
    }
    let roles = publication.roles.iter();
    let roles = roles.map(|(role, version)| format!("{role} v{version}"));
    let files = publication.files.iter();
    let files = files.map(|file| format!("targets/{file}"));
    files
        .chain(roles)
        .map(|line| format!("published {line}"))
        .collect()
}
