use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use repo_tool::audit::Joined;
use repo_tool::merge::{Difference, Draft, MergeReport, OtherEvent, Taken};
use repo_tool::{Error, Offer, Result};

use crate::Context;

/// Most bytes that are read from standard input.
const STDIN_LIMIT: u64 = 4 << 20;

/// Join signatures that were made elsewhere
///
/// Each is verified against what is staged here and against the keys that may sign it. If another copy of the repository
/// holds another event, nothing is taken from it, and the difference is told.
#[derive(Args, Debug)]
pub(crate) struct MergeArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Where the signatures are: another copy of the repository, its staged/signatures, files from there, or - for standard
    /// input
    #[arg(required = true)]
    sources: Vec<PathBuf>,
}

impl MergeArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let mut offers = Vec::new();
        for source in self.sources {
            offers.push(if source.as_os_str() == "-" {
                Offer::Text("standard input".to_owned(), standard_input()?)
            } else {
                Offer::Path(source)
            });
        }
        let report = repository.merge(&offers, context.now)?;
        context.output.answer(&report, || lines(&report));
        let status = repository.status(context.now)?;
        super::status::say_next(&status, context);
        match report
            .refused
            .len()
            .saturating_add(report.other_events.len())
        {
            0 => Ok(()),
            count => Err(Error::NotMerged { count }),
        }
    }
}

fn standard_input() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin()
        .take(STDIN_LIMIT)
        .read_to_end(&mut text)
        .map_err(|source| Error::Io {
            step: "read",
            path: "standard input".into(),
            source,
        })?;
    Ok(text)
}

fn lines(report: &MergeReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(event) = &report.event {
        lines.push(format!("Event {}", event.short()));
    }
    let taken = |what: &str, taken: &Taken| {
        let Taken { role, name, key } = taken;
        let key: String = key.chars().take(8).collect();
        format!("  {what:<9} {role:<16} {name} (key {key})")
    };
    lines.extend(report.added.iter().map(|t| taken("added", t)));
    lines.extend(report.already.iter().map(|t| taken("was here", t)));
    for refused in &report.refused {
        let role = refused.role.as_deref().unwrap_or("?");
        lines.push(format!("  {:<9} {role:<16} {}", "REFUSED", refused.name));
        lines.push(format!("            {} ({})", refused.why, refused.source));
    }
    lines.extend(report.other_events.iter().flat_map(other_event));
    for log in &report.logs {
        match log {
            Joined::Continued { lines: more } => {
                lines.push(format!("  audit log: {more} lines of the other copy appended"));
            }
            Joined::Forked { at, ours, theirs, .. } => lines.push(format!(
                "  audit log: went on apart after line {at} ({ours} lines here, {theirs} there); both are kept"
            )),
            _ => {}
        }
    }
    lines
}

fn other_event(other: &OtherEvent) -> Vec<String> {
    let event = other.event.map_or_else(
        || "nothing is staged".to_owned(),
        |event| format!("it holds another event, {}", event.short()),
    );
    let mut lines = vec![format!("  NOTHING TAKEN from {}: {event}", other.source)];
    for Difference { role, here, there } in &other.differences {
        lines.push(format!("    {role}"));
        lines.push(format!("      here   {}", draft(here.as_ref())));
        lines.push(format!("      there  {}", draft(there.as_ref())));
    }
    lines.extend(other.base.iter().map(|base| format!("    {base}")));
    lines.extend(other.advice.iter().map(|advice| format!("    -> {advice}")));
    lines
}

fn draft(draft: Option<&Draft>) -> String {
    let Some(draft) = draft else {
        return "not staged".to_owned();
    };
    let signed = if draft.signed_by.is_empty() {
        "nobody has signed".to_owned()
    } else {
        format!("signed by {}", draft.signed_by.join(", "))
    };
    format!("v{} sha256 {}, {signed}", draft.version, draft.sha256)
}
