use std::path::PathBuf;

use clap::Args;
use repo_tool::reading::{Bins, Node};
use repo_tool::{Archive, Result};

use crate::Context;
use crate::table::{count, expiry};

/// Draw who may speak about what: all roles, their signers, and when they expire
#[derive(Args, Debug)]
pub(crate) struct TreeArgs {
    /// The published folder, or the repository's
    folder: PathBuf,
}

impl TreeArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let tree = Archive::open(&self.folder)?.tree()?;
        context.output.answer(&tree, || {
            let mut lines = Vec::new();
            draw(&tree, "", "", context, &mut lines);
            lines
        });
        Ok(())
    }
}

/// A node after `head`, and what is below it after `body`.
fn draw(node: &Node, head: &str, body: &str, context: &Context, lines: &mut Vec<String>) {
    let version = match node.version {
        Some(version) => format!(" v{version}"),
        None => " (nothing published)".to_owned(),
    };
    let expires = node
        .expires
        .map(|expires| format!(", expires {}", expiry(expires, context.now)));
    lines.push(format!(
        "{head}{}{version}{}",
        node.role,
        expires.unwrap_or_default()
    ));
    let below = if node.children.is_empty() && node.bins.is_none() {
        "   "
    } else {
        "│  "
    };
    lines.push(format!(
        "{body}{below}{}",
        signers(node.threshold.get(), &node.signers)
    ));
    if !node.paths.is_empty() {
        let end = if node.terminating {
            ""
        } else {
            ", not terminating"
        };
        lines.push(format!("{body}{below}{}{end}", node.paths.join(", ")));
    }
    if node.files > 0 {
        lines.push(format!("{body}{below}{}", count(node.files, "file")));
    }
    if let Some(bins) = &node.bins {
        let last = node.children.is_empty();
        let (corner, side) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        draw_bins(
            bins,
            &format!("{body}{corner}"),
            &format!("{body}{side}"),
            context,
            lines,
        );
    }
    for (index, child) in node.children.iter().enumerate() {
        let last = index.saturating_add(1) == node.children.len();
        let (corner, side) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        draw(
            child,
            &format!("{body}{corner}"),
            &format!("{body}{side}"),
            context,
            lines,
        );
    }
}

fn draw_bins(bins: &Bins, head: &str, body: &str, context: &Context, lines: &mut Vec<String>) {
    let versions = if bins.oldest_version == bins.newest_version {
        format!("v{}", bins.newest_version)
    } else {
        format!("v{} to v{}", bins.oldest_version, bins.newest_version)
    };
    let expires = bins
        .expires
        .map(|expires| format!(", the first expires {}", expiry(expires, context.now)));
    lines.push(format!(
        "{head}{} {} ... {} {versions}{}",
        count(bins.count, "bin"),
        bins.first,
        bins.last,
        expires.unwrap_or_default()
    ));
    let signers = signers(bins.threshold.get(), &bins.signers);
    lines.push(format!("{body}   {signers}"));
    lines.push(format!("{body}   {}", count(bins.files, "file")));
}

fn signers(threshold: u32, signers: &[String]) -> String {
    match signers {
        [only] if threshold == 1 => format!("signed by {only}"),
        _ => format!("signed by {threshold} of {}", signers.join(", ")),
    }
}
