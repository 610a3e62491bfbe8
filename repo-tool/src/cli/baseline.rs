//! What is published, verified for somebody who reads or signs, against their anchor and their memory.

use std::path::{Path, PathBuf};

use clap::Args;
use device_pki::{TrustAnchor, durable};
use metadata_schema::key::KeyId;
use repo_tool::baseline::Baseline;
use repo_tool::memory::Memory;
use repo_tool::{Error, Repository, Result};

use crate::Context;

/// Longest PEM file of an anchor.
const ANCHOR_LIMIT: u64 = 64 * 1024;

/// What a signer knows by themselves.
#[derive(Args, Debug)]
pub(crate) struct BaselineArgs {
    /// The root CA that you know the devices trust; without it, the copy's own anchor.pem counts
    #[arg(long, value_name = "PEM")]
    anchor: Option<PathBuf>,

    /// Forget what you saw here before: for a repository that was begun anew, or a copy that is knowingly older
    #[arg(long)]
    forget: bool,

    /// Go on although devices would refuse what is published here: for the way back after somebody with the online keys
    /// published it. Nothing is compared and nothing remembered: read what is staged as if it were all new
    #[arg(long)]
    repair: bool,
}

impl BaselineArgs {
    /// Verifies what is published, holds it against what was seen before, and says what it came to; none if it cannot be
    /// verified and is to be repaired.
    pub(crate) fn verified(
        &self,
        repository: &Repository,
        key: Option<&KeyId>,
        context: &Context,
    ) -> Result<Option<Baseline>> {
        let anchor = match &self.anchor {
            Some(path) => Some(TrustAnchor::from_pem(&durable::read_bounded(
                path,
                ANCHOR_LIMIT,
            )?)?),
            None => None,
        };
        let baseline = match repository.baseline(anchor.as_ref(), context.now) {
            Err(Error::Baseline { source, .. }) if self.repair => {
                context.output.say(&format!(
                    "WARNING: devices would refuse what is published here ({source}): nothing is compared with it."
                ));
                return Ok(None);
            }
            other => other?,
        };
        context.output.say_lines(&said(&baseline));
        match memory_file() {
            Some(path) => {
                let folder = place(repository.layout().folder());
                let mut memory = Memory::read(&path)?;
                if self.forget {
                    memory.forget(&folder, key, &baseline);
                    memory.write(&path)?;
                }
                memory.check(&folder, key, &baseline)?;
            }
            None => context.output.say(
                "Note: neither XDG_STATE_HOME nor HOME is set: nothing is remembered of what you see here.",
            ),
        }
        Ok(Some(baseline))
    }
}

/// Notes what was read or signed.
pub(crate) fn remember(
    repository: &Repository,
    key: Option<&KeyId>,
    baseline: &Baseline,
    context: &Context,
) -> Result<()> {
    if let Some(path) = memory_file() {
        let mut memory = Memory::read(&path)?;
        let folder = place(repository.layout().folder());
        memory.remember(&folder, key, baseline, context.now);
        memory.write(&path)?;
    }
    Ok(())
}

fn said(baseline: &Baseline) -> Vec<String> {
    let digest: String = baseline.anchor.to_string().chars().take(16).collect();
    let anchor = format!("{} (sha256 {digest})", baseline.anchor_subject);
    let mut lines = vec![match (baseline.first_root, baseline.own_anchor) {
        (None, true) => format!("Nothing is published yet. The anchor here is {anchor}."),
        (None, false) => format!("Nothing is published yet. Your anchor is {anchor}."),
        (Some(_), true) => format!("What is published leads to the anchor of this copy, {anchor}."),
        (Some(_), false) => format!("What is published leads to your anchor, {anchor}."),
    }];
    if baseline.own_anchor {
        lines.push(
            "  Nobody but this copy says that it is the right one: give yours with --anchor."
                .to_owned(),
        );
    }
    if let Some((at, why)) = &baseline.earlier {
        lines.push(format!("  It held on {at}, and does not now: {why}"));
    }
    lines
}

/// Where a person's state belongs (XDG Base Directory Specification).
fn memory_file() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let state = folder("XDG_STATE_HOME");
    let state = state.or_else(|| folder("HOME").map(|home| home.join(".local").join("state")))?;
    Some(state.join("repo-tool").join("seen.json"))
}

/// The same folder by whatever way it is named.
fn place(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}
