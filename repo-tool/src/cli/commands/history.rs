use std::path::PathBuf;

use clap::Args;
use metadata_schema::name::RoleName;
use repo_tool::reading::{Entry, History};
use repo_tool::{Archive, Error, Result};

use crate::Context;
use crate::table::day;

/// Lines of one version that are shown without `--all`.
const LINES: usize = 12;

/// Tell what changed, when, and who signed it: every published version, oldest first
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    /// The published folder, or the repository's
    folder: PathBuf,

    /// Only this role, such as root or the name of a product
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,

    /// Only the last N versions
    #[arg(long, value_name = "N")]
    last: Option<usize>,

    /// Every line of each version, however many there are
    #[arg(long)]
    all: bool,
}

impl HistoryArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let role = self.role.as_deref().map(role).transpose()?;
        let mut history = Archive::open(&self.folder)?.history(role.as_ref())?;
        if let (Some(role), true) = (&role, history.entries.is_empty()) {
            let product = role.to_string();
            return Err(Error::NoSuchProduct { product });
        }
        if let Some(last) = self.last {
            let first = history.entries.len().saturating_sub(last);
            history.entries.drain(..first);
        }
        context
            .output
            .answer(&history, || lines(&history, self.all));
        Ok(())
    }
}

fn role(name: &str) -> Result<RoleName> {
    Ok(match name {
        "root" => RoleName::root(),
        "targets" => RoleName::targets(),
        name => RoleName::delegated(name)?,
    })
}

fn lines(history: &History, all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in &history.entries {
        lines.push(head(entry));
        let shown = if all { usize::MAX } else { LINES };
        lines.extend(
            entry
                .lines
                .iter()
                .take(shown)
                .map(|line| format!("  {line}")),
        );
        let more = entry.lines.len().saturating_sub(shown);
        if more > 0 {
            lines.push(format!("  ... and {more} more (--all shows them)"));
        }
    }
    if lines.is_empty() {
        lines.push("Nothing is published yet.".to_owned());
    }
    lines
}

fn head(entry: &Entry) -> String {
    let issued = entry.issued.map_or_else(|| "(no date)".to_owned(), day);
    let signers = if entry.signers.is_empty() {
        "no valid signature".to_owned()
    } else {
        format!("signed by {}", entry.signers.join(", "))
    };
    format!("{issued}  {} v{}, {signers}", entry.role, entry.version)
}
