use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;
use repo_tool::audit::{Action, Line, RoleLine, SignerLine, Trail};

use crate::Context;

/// Show the audit log, and check that it is whole
///
/// Each line holds the digest of the one before. Note the last line's number and digest now and then, somewhere else: who has
/// them can tell later whether anything before was changed. Whoever can write the folder can write the whole log anew.
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Folder of the repository
    folder: PathBuf,
}

impl AuditArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let trail = context.open(&self.folder)?.audit()?;
        context.output.answer(&trail, || lines(&trail));
        Ok(())
    }
}

fn lines(trail: &Trail) -> Vec<String> {
    let mut lines: Vec<String> = trail.lines.iter().flat_map(|line| said(line, "")).collect();
    for (file, joined) in &trail.joined {
        lines.push(format!("Joined from another copy ({file}):"));
        lines.extend(joined.iter().flat_map(|line| said(line, "  ")));
    }
    if trail.torn > 0 {
        lines.push(format!(
            "The last {} bytes are no whole line, as after a power cut: the next command drops them.",
            trail.torn
        ));
    }
    lines.push(match &trail.head {
        Some(head) => format!(
            "The chain holds. Head: line {}, sha256 {}",
            head.lines, head.sha256
        ),
        None => "There is no audit log yet.".to_owned(),
    });
    lines
}

fn said(line: &Line, indent: &str) -> Vec<String> {
    let what = match line.action {
        Action::Stage => "staged",
        Action::Unstage => "threw away",
        Action::Sign => "signed",
        Action::Merge => "took signatures over",
        Action::Publish => "published",
        Action::Refresh => "refreshed",
        Action::Bundle => "bundled",
        Action::Join => "joined another log",
        Action::Repair => "repaired the log",
        _ => "did what this version does not know",
    };
    let roles: Vec<String> = line.roles.iter().map(role).collect();
    let by = line
        .operator
        .as_deref()
        .map(|name| format!("  [{name}]"))
        .unwrap_or_default();
    let event = line
        .event
        .as_deref()
        .map(|event| event.chars().take(12).collect::<String>());
    let event = event
        .map(|event| format!("  event {event}"))
        .unwrap_or_default();
    let mut lines = vec![format!(
        "{indent}{:>4}  {}  {what} {}{event}{by}",
        line.n,
        line.at,
        roles.join(", ")
    )];
    let mut signers: Vec<(String, String)> = Vec::new();
    for role in &line.roles {
        for signer in &role.signers {
            let text = certificate(signer);
            match signers.iter_mut().find(|(known, _)| *known == text) {
                Some((_, roles)) => roles.push_str(&format!(", {}", role.role)),
                None => signers.push((text, role.role.clone())),
            }
        }
    }
    for (text, roles) in signers {
        lines.push(format!("{indent}        {text}: {roles}"));
    }
    if let Some(more) = line.more {
        lines.push(format!("{indent}        and {more} roles more"));
    }
    if let Some(fork) = &line.fork {
        let (after, count) = (fork.after, fork.lines);
        lines.push(format!("{indent}        {count} lines after line {after}"));
    }
    lines.extend(
        line.note
            .iter()
            .map(|note| format!("{indent}        {note}")),
    );
    lines
}

fn role(role: &RoleLine) -> String {
    format!("{} v{}", role.role, role.version)
}

fn certificate(signer: &SignerLine) -> String {
    let serial = signer.serial.as_deref().unwrap_or("none");
    let serial: String = serial.chars().take(16).collect();
    format!("{} (certificate {serial})", signer.name())
}
