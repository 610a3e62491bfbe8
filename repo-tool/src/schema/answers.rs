//! Answers of commands with `--json`.

use super::Document;
use crate::reading::{Difference, History, Node, Offer};

/// Answers, by the command that gives them.
pub(super) const DOCUMENTS: &[Document] = &[
    Document::new::<Vec<Offer>>("answer-releases", "repo-tool --json releases"),
    Document::new::<Node>("answer-tree", "repo-tool --json tree"),
    Document::new::<History>("answer-history", "repo-tool --json history"),
    Document::new::<Difference>("answer-diff", "repo-tool --json diff"),
];
