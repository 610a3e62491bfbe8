use std::path::PathBuf;

use clap::Args;
use repo_tool::{Place, PruneOptions, Pruned, Result, remote};

use crate::Context;
use crate::output::bytes;

/// Remove what no trusted metadata leads to any more
///
/// Payloads of releases that are gone, and metadata that was replaced: at the place that is published to, if there is one, and
/// then in this folder. A file goes only when its grace time is over, which begins when the first snapshot was issued that does
/// not lead to it. Roots are never removed, nor files that repo-tool did not publish.
#[derive(Args, Debug)]
pub(crate) struct PruneArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// For how many days a file stays that nothing leads to: longer than caches keep metadata and downloads take
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    grace: u32,

    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Where else to remove it; if nothing is given, `to` in `[publish]` of repo.toml
    #[arg(long, value_name = "FOLDER|URL")]
    to: Option<Place>,
}

impl PruneArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let place = repository.destination_if_any(self.to)?;
        let remote = place.as_ref().map(remote::open).transpose()?;
        let options = PruneOptions {
            grace_days: self.grace,
            dry_run: self.dry_run,
        };
        let pruned = repository.prune(remote.as_deref(), &options, context.now)?;
        context.output.answer(&pruned, || lines(&pruned));
        Ok(())
    }
}

fn lines(pruned: &Pruned) -> Vec<String> {
    let verb = if pruned.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let mut lines: Vec<String> = pruned
        .removed
        .iter()
        .map(|file| {
            let (size, place, path) = (bytes(file.bytes), &file.place, &file.path);
            format!(
                "{verb} {size:>10}  {place}/{path}  (unused since {})",
                file.since
            )
        })
        .collect();
    let what = if pruned.removed.is_empty() {
        "Nothing to remove".to_owned()
    } else {
        format!("{} files, {}", pruned.removed.len(), bytes(pruned.bytes))
    };
    let waiting = match pruned.next {
        Some(next) => format!("; {} more wait, the first until {next}", pruned.waiting),
        None => String::new(),
    };
    lines.push(format!("{what}{waiting}."));
    lines
}
