use std::path::PathBuf;

use clap::Args;
use metadata_schema::time::Timestamp;
use repo_tool::Result;
use repo_tool::status::{Expiry, Group, Signed, Signer, Status};

use crate::Context;

/// Say who has signed, who is missing, what expires when, and what to do next
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Folder of the repository
    folder: PathBuf,
}

impl StatusArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let status = context.open(&self.folder)?.status(context.now)?;
        context.output.answer(&status, || lines(&status));
        Ok(())
    }
}

fn lines(status: &Status) -> Vec<String> {
    let mut lines = vec![match &status.event {
        Some(event) => format!("Staged: event {}", event.short()),
        None => "Staged:".to_owned(),
    }];
    for role in &status.staged {
        if role.groups.is_empty() {
            lines.push(format!(
                "  {} v{}: signed at publishing",
                role.role, role.version
            ));
        }
        for group in &role.groups {
            let verdict = if group.reached {
                "enough"
            } else {
                "not enough"
            };
            lines.push(format!(
                "  {} v{}, by {}: {} of {} signatures, {verdict}",
                role.role,
                role.version,
                group.by,
                counted(group),
                group.threshold
            ));
            lines.extend(group.signers.iter().map(signer));
        }
    }
    if status.staged.is_empty() {
        lines.push("  nothing".to_owned());
    }
    lines.push("Published:".to_owned());
    lines.extend(status.published.iter().map(expiry));
    if status.published.is_empty() {
        lines.push("  nothing".to_owned());
    }
    if let Some(head) = &status.audit {
        let digest: String = head.sha256.to_string().chars().take(16).collect();
        lines.push(format!("Audit log: {} lines, head {digest}", head.lines));
    }
    lines.push("Next:".to_owned());
    lines.extend(status.next.iter().map(|step| format!("  {step}")));
    if status.next.is_empty() {
        lines.push("  nothing to do".to_owned());
    }
    lines
}

fn counted(group: &Group) -> usize {
    let counts = |signer: &&Signer| signer.state == Signed::Counts;
    group.signers.iter().filter(counts).count()
}

fn signer(signer: &Signer) -> String {
    let state = match &signer.state {
        Signed::Counts => "has signed".to_owned(),
        Signed::Refused(why) => format!("has signed, but does not count: {why}"),
        Signed::Earlier(_) => "signed an earlier draft, has to sign again".to_owned(),
        _ => "has not signed".to_owned(),
    };
    let barred = match (&signer.state, &signer.barred) {
        (Signed::Refused(_), _) | (_, None) => String::new(),
        (_, Some(why)) => format!("; would not count: {why}"),
    };
    let key: String = signer.key.chars().take(8).collect();
    format!("    {:<24} {key}  {state}{barred}", signer.name)
}

fn expiry(expiry: &Expiry) -> String {
    let days = expiry.seconds_left.div_euclid(24 * 60 * 60);
    let left = match expiry.seconds_left {
        ..=0 => "EXPIRED".to_owned(),
        1..86_400 => "in less than a day".to_owned(),
        _ => format!("in {days} days"),
    };
    let due = if expiry.due && expiry.seconds_left > 0 {
        ", due to be signed again".to_owned()
    } else if expiry.due {
        String::new()
    } else {
        format!(", to be signed again from {} on", day(expiry.begin))
    };
    let role = format!("{} v{}", expiry.role, expiry.version);
    format!("  {role:<24} expires {}  {left}{due}", expiry.expires)
}

/// The date alone.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// What to do after a command that changed the event.
pub(crate) fn say_next(status: &Status, context: &Context) {
    let mut lines = Vec::new();
    if status.ready {
        lines.push("Everything is signed. Next: `repo-tool publish`.".to_owned());
    } else {
        lines.extend(missing(status));
    }
    context.output.say_lines(&lines);
}

/// Who may still sign, by role.
fn missing(status: &Status) -> Vec<String> {
    let mut lines = vec!["Still needed:".to_owned()];
    for role in &status.staged {
        for group in role.groups.iter().filter(|group| !group.reached) {
            let names = group.signers.iter().filter(|signer| {
                matches!(signer.state, Signed::Missing | Signed::Earlier(_))
                    && signer.barred.is_none()
            });
            let names: Vec<&str> = names.map(|signer| signer.name.as_str()).collect();
            lines.push(format!(
                "  {}, by {}: {} of {}",
                role.role,
                group.by,
                group.missing,
                names.join(", ")
            ));
        }
    }
    lines
}
