//! Answers of commands with `--json`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::audit::Trail;
use crate::bundle::Bundled;
use crate::crls::StagedCrl;
use crate::doctor::Diagnosis;
use crate::elsewhere::{self, ToSign};
use crate::files::AddedFiles;
use crate::import::Imported;
use crate::loss::LossPlan;
use crate::merge::MergeReport;
use crate::prune::Pruned;
use crate::publish::Publication;
use crate::push::Pushed;
use crate::reading::{Difference, History, Node, Offer};
use crate::release::{ChannelChange, Forecast};
use crate::rotation::OnlineRotation;
use crate::show::Event;
use crate::sign::SignedRole;
use crate::signers::ListedRole;
use crate::status::Status;
use crate::unstage::Dropped;
use crate::verify::Report;

/// What was published, and what was pushed: the answer of `publish` and `refresh`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PublishAnswer {
    /// What was published.
    #[serde(flatten)]
    pub publication: Publication,
    /// What was pushed, if there is a place for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Pushed>,
}

/// Answers, by the command that gives them.
pub(super) const DOCUMENTS: &[Document] = &[
    Document::new::<Forecast>(
        "answer-add-release",
        "repo-tool --json add-release, forecast",
    ),
    Document::new::<AddedFiles>("answer-add-files", "repo-tool --json add-files"),
    Document::new::<Vec<StagedCrl>>("answer-add-crl", "repo-tool --json add-crl"),
    Document::new::<ChannelChange>(
        "answer-channel",
        "repo-tool --json promote, rollout, pause, resume, withdraw, yank",
    ),
    Document::new::<Bundled>("answer-bundle", "repo-tool --json bundle"),
    Document::new::<Event>("answer-show", "repo-tool --json show"),
    Document::new::<Vec<SignedRole>>("answer-sign", "repo-tool --json sign"),
    Document::new::<Status>("answer-status", "repo-tool --json status"),
    Document::new::<MergeReport>("answer-merge", "repo-tool --json merge"),
    Document::new::<Vec<ToSign>>("answer-export-to-sign", "repo-tool --json export-to-sign"),
    Document::new::<elsewhere::Imported>(
        "answer-import-signature",
        "repo-tool --json import-signature",
    ),
    Document::new::<Dropped>("answer-unstage", "repo-tool --json unstage"),
    Document::new::<PublishAnswer>("answer-publish", "repo-tool --json publish, refresh"),
    Document::new::<Pushed>("answer-push", "repo-tool --json push"),
    Document::new::<Pruned>("answer-prune", "repo-tool --json prune"),
    Document::new::<Report>("answer-verify", "repo-tool --json verify"),
    Document::new::<Diagnosis>("answer-doctor", "repo-tool --json doctor"),
    Document::new::<Trail>("answer-audit", "repo-tool --json audit"),
    Document::new::<Vec<ListedRole>>("answer-signers", "repo-tool --json signers list"),
    Document::new::<Vec<OnlineRotation>>("answer-rotate-online", "repo-tool --json rotate-online"),
    Document::new::<LossPlan>("answer-plan-loss", "repo-tool --json plan-loss"),
    Document::new::<Imported>("answer-import", "repo-tool --json import"),
    Document::new::<Vec<Offer>>("answer-releases", "repo-tool --json releases"),
    Document::new::<Node>("answer-tree", "repo-tool --json tree"),
    Document::new::<History>("answer-history", "repo-tool --json history"),
    Document::new::<Difference>("answer-diff", "repo-tool --json diff"),
];
