use std::path::PathBuf;

use clap::Args;
use repo_tool::show::Event;
use repo_tool::{Repository, Result};

use crate::Context;
use crate::table::listed;

/// Describe what is staged: what a signer reads before signing
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Folder of the repository
    folder: PathBuf,
}

impl ShowArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        answer(&Repository::open(&self.folder)?.show()?, context);
        Ok(())
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
    }
    lines
}
