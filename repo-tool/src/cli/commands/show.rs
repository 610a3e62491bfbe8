use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;
use repo_tool::show::{Change, Event};

use crate::Context;
use crate::baseline::{self, BaselineArgs};
use crate::table::listed;

/// Describe what is staged: what a signer reads before signing
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Folder of the repository
    folder: PathBuf,

    #[command(flatten)]
    baseline: BaselineArgs,
}

impl ShowArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let baseline = self.baseline.verified(&repository, None, context)?;
        answer(&repository.show()?, context);
        match &baseline {
            Some(baseline) => baseline::remember(&repository, None, baseline, context),
            None => Ok(()),
        }
    }
}

/// Prints a staged event.
pub(crate) fn answer(event: &Event, context: &Context) {
    context.output.answer(event, || lines(event));
}

/// A staged event in lines.
pub(crate) fn lines(event: &Event) -> Vec<String> {
    if event.changes.is_empty() {
        return vec!["Nothing is staged.".to_owned()];
    }
    let mut lines = Vec::new();
    for change in &event.changes {
        let version = match change.from_version {
            Some(from) => format!("v{from} -> v{}", change.to_version),
            None => format!("v{} (new)", change.to_version),
        };
        lines.push(format!(
            "{} {version}, expires {}",
            change.role, change.expires
        ));
        lines.push(format!("  to sign: sha256 {}", change.sha256));
        lines.extend(listed(&change.lines));
        lines.extend(voided(change));
    }
    lines.extend(event.id.map(|id| format!("event {id}")));
    lines
}

/// Who has to sign a role again.
fn voided(change: &Change) -> Option<String> {
    let people = change.voided.join(", ");
    (!people.is_empty()).then(|| {
        format!("  ! replaces a draft that was signed: signatures no longer count of {people}")
    })
}

/// After staging: says whose signatures were voided.
pub(crate) fn say_voided(event: &Event, context: &Context) {
    for change in &event.changes {
        if let Some(line) = voided(change) {
            context
                .output
                .say(&format!("{}:{}", change.role, line.trim_start()));
        }
    }
}
