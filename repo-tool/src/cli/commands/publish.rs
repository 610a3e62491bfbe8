use std::path::PathBuf;

use clap::Args;
use repo_tool::{Publication, Result};

use crate::Context;

/// Publish what is staged, if enough people have signed
///
/// The result is read as a device would read it before anything is written. Payloads are written first, the timestamp
/// last, so that a device sees the old state or the new one.
#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// Folder of the repository
    folder: PathBuf,
}

impl PublishArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let publication = context.open(&self.folder)?.publish(context.now)?;
        answer(&publication, context);
        Ok(())
    }
}

/// Prints what was published.
pub(crate) fn answer(publication: &Publication, context: &Context) {
    context.output.answer(publication, || {
        if publication.roles.is_empty() {
            return vec!["Nothing to do.".to_owned()];
        }
        let roles = publication
            .roles
            .iter()
            .map(|(role, version)| format!("{role} v{version}"));
        let files = publication
            .files
            .iter()
            .map(|file| format!("targets/{file}"));
        files
            .chain(roles)
            .map(|line| format!("published {line}"))
            .collect()
    });
}
