use std::path::PathBuf;

use clap::Args;
use repo_tool::status::{Signed, Status};
use repo_tool::{Repository, Result};

use crate::Context;

/// Say who has signed, who is missing, and what expires when
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Folder of the repository
    folder: PathBuf,
}

impl StatusArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let status = Repository::open(&self.folder)?.status(context.now)?;
        context.output.answer(&status, || lines(&status));
        Ok(())
    }
}

fn lines(status: &Status) -> Vec<String> {
    let mut lines = vec!["Staged:".to_owned()];
    for role in &status.staged {
        if role.groups.is_empty() {
            lines.push(format!(
                "  {} v{}: signed at publishing",
                role.role, role.version
            ));
        }
        for group in &role.groups {
            let counted = group
                .signers
                .iter()
                .filter(|s| s.state == Signed::Counts)
                .count();
            let verdict = if group.reached {
                "enough"
            } else {
                "not enough"
            };
            lines.push(format!(
                "  {} v{}, by {}: {counted} of {} signatures, {verdict}",
                role.role, role.version, group.by, group.threshold
            ));
            for signer in &group.signers {
                let state = match &signer.state {
                    Signed::Counts => "has signed".to_owned(),
                    Signed::Refused(why) => format!("has signed, but does not count: {why}"),
                    _ => "has not signed".to_owned(),
                };
                let key: String = signer.key.chars().take(8).collect();
                lines.push(format!("    {:<24} {key}  {state}", signer.name));
            }
        }
    }
    if status.staged.is_empty() {
        lines.push("  nothing".to_owned());
    }
    lines.push("Published:".to_owned());
    for expiry in &status.published {
        let days = expiry.seconds_left.div_euclid(24 * 60 * 60);
        let left = if expiry.seconds_left > 0 {
            format!("in {days} days")
        } else {
            "EXPIRED".to_owned()
        };
        let role = format!("{} v{}", expiry.role, expiry.version);
        lines.push(format!("  {role:<24} expires {}  {left}", expiry.expires));
    }
    if status.published.is_empty() {
        lines.push("  nothing".to_owned());
    }
    lines
}

/// Who may still sign, by role.
pub(crate) fn missing(status: &Status) -> Vec<String> {
    let mut lines = vec!["Still needed:".to_owned()];
    for role in &status.staged {
        for group in role.groups.iter().filter(|group| !group.reached) {
            let counted = group
                .signers
                .iter()
                .filter(|s| s.state == Signed::Counts)
                .count();
            let threshold = usize::try_from(group.threshold).unwrap_or(usize::MAX);
            let names = group
                .signers
                .iter()
                .filter(|signer| signer.state == Signed::Missing);
            let names: Vec<&str> = names.map(|signer| signer.name.as_str()).collect();
            lines.push(format!(
                "  {}, by {}: {} of {}",
                role.role,
                group.by,
                threshold.saturating_sub(counted),
                names.join(", ")
            ));
        }
    }
    lines
}
