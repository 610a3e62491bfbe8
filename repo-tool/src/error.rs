//! What can go wrong, and what helps.

mod hint;
mod kind;

use std::io;
use std::path::{Path, PathBuf};

use firmware_delta::{DiffError, PatchError};
use metadata_schema::MetadataError;
use metadata_schema::digest::ContentError;
use metadata_schema::json::ShapeError;
use metadata_schema::name::{NameError, RoleName};

pub use kind::Kind;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step on a file or folder failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was tried, such as "read".
        step: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Keys, certificates or files.
    #[error(transparent)]
    Pki(#[from] device_pki::Error),
    /// Metadata that a device would refuse.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A metadata file in the keepers' folder cannot be used.
    #[error("{} cannot be used", path.display())]
    MetadataFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<MetadataError>,
    },
    /// A name is not acceptable.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A key or another value has not the form it should have.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// An argument cannot be used.
    #[error("{what} {found:?}: expected {expected}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// What was given.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// `repo.toml` cannot be used.
    #[error("{} is not a usable configuration", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The configuration could not be written.
    #[error("the settings cannot be written as TOML")]
    WriteSettings {
        /// Why.
        #[source]
        source: Box<toml::ser::Error>,
    },
    /// The folder is none that `init` made.
    #[error("{} is not a keepers' folder: there is no repo.toml in it", path.display())]
    NotARepository {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds no published repository.
    #[error("{} holds no published repository: there is no folder `metadata` in it", path.display())]
    NotPublished {
        /// The folder.
        path: PathBuf,
    },
    /// `init` would overwrite a repository.
    #[error("{} exists already", path.display())]
    Exists {
        /// What exists.
        path: PathBuf,
    },
    /// Another process changes the same repository.
    #[error("another repo-tool is at work in {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A set-up that would lock its keepers out, or let fewer people decide than it seems.
    #[error("the signers of {role} cannot be set up so: {why}")]
    LockOut {
        /// The role.
        role: RoleName,
        /// What is wrong with it.
        why: String,
    },
    /// Several things at once.
    #[error("{}", reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several {
        /// Each of them; at least two.
        reasons: Vec<Self>,
    },
    /// Somebody is named who does not sign a role.
    #[error("{name:?} does not sign {role}, but {people} do")]
    NotThere {
        /// The name or key id.
        name: String,
        /// The role.
        role: RoleName,
        /// Who signs it.
        people: String,
    },
    /// A person's certificate does not let them sign for a role.
    #[error("{holder} may not sign for {role}: {reason}")]
    NotBound {
        /// Whose certificate.
        holder: String,
        /// The role.
        role: RoleName,
        /// Why not.
        reason: String,
    },
    /// The key has nothing to sign.
    #[error("key {key} is not among the signers of anything that is staged")]
    NotASigner {
        /// Id of the key.
        key: String,
    },
    /// No online key is the one that the metadata lists.
    #[error("{role} is to be signed by key {listed}; found {tried}")]
    OnlineKey {
        /// The role.
        role: RoleName,
        /// Short ids of the keys that the metadata lists.
        listed: String,
        /// Which keys were found, and where.
        tried: String,
    },
    /// Nothing is staged.
    #[error("nothing is staged in {}", path.display())]
    NothingStaged {
        /// The folder.
        path: PathBuf,
    },
    /// The audit log is not whole.
    #[error("{}: line {line} does not fit: {why}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Which line; 0 if it is the last.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// What was offered as signatures cannot be used.
    #[error("{what} is no source of signatures: {why}")]
    Offer {
        /// What was offered.
        what: String,
        /// Why not.
        why: String,
    },
    /// A set-up that cannot be meant so, with everything that is wrong with it.
    #[error("this set-up is refused:\n- {}", problems.join("\n- "))]
    Setup {
        /// All that is wrong.
        problems: Vec<String>,
    },
    /// What is published cannot be verified: there is nothing to compare an event with.
    #[error("what is published in this copy cannot be verified")]
    Baseline {
        /// What a device would refuse.
        #[source]
        source: Box<Self>,
    },
    /// A copy is not what its signer remembers.
    #[error("this copy does not follow upon what you saw: {what}")]
    Remembered {
        /// What is wrong.
        what: String,
    },
    /// A signature that was made elsewhere does not fit.
    #[error(
        "this is no signature of key {key} over {role}, sha256 {sha256}, in any form that is known"
    )]
    WrongSignature {
        /// The role.
        role: RoleName,
        /// Short id of the key.
        key: String,
        /// Digest of what is staged.
        sha256: metadata_schema::digest::Sha256Digest,
    },
    /// A document that was edited by hand cannot be staged.
    #[error("{what} cannot be staged: {why}")]
    Document {
        /// The document.
        what: String,
        /// Why not.
        why: String,
    },
    /// Some of what was offered to a merge was not taken.
    #[error("not everything was taken: {count} refused, as listed above")]
    NotMerged {
        /// How many signatures or copies.
        count: usize,
    },
    /// Work of people would be thrown away.
    #[error("this would throw away signatures: {}", whose.join(", "))]
    Signed {
        /// Whose signature over which role.
        whose: Vec<String>,
    },
    /// The event is another than the one that was to be signed.
    #[error("event {asked:?} was to be signed; what is staged is event {found}")]
    AnotherEvent {
        /// The id that was given.
        asked: String,
        /// What is staged.
        found: String,
    },
    /// Nobody said that they want to sign what was shown.
    #[error("nothing was signed: nobody agreed to event {event}")]
    NotAgreed {
        /// What is staged.
        event: String,
    },
    /// The repository has no such role.
    #[error("there is no product {product:?} in this repository")]
    NoSuchProduct {
        /// The name.
        product: String,
    },
    /// Something that must be there is not.
    #[error("{} is missing; {needed_by} needs it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Who needs it.
        needed_by: String,
    },
    /// A metadata file that a device would ask for is not there.
    #[error("metadata file {name} is missing")]
    MissingMetadata {
        /// Its name.
        name: String,
    },
    /// A bundle holds what one channel offers, and it is not clear which.
    #[error(
        "{}",
        if offered.is_empty() { "nothing is offered yet".to_owned() }
        else { format!("a bundle holds what one channel of one product offers; there is: {}", offered.join(", ")) }
    )]
    Unclear {
        /// What is offered.
        offered: Vec<String>,
    },
    /// A bundle would not be good for as long as it says.
    #[error("a device would refuse this bundle before it ends, at {expires}")]
    EndsEarly {
        /// When it was to end.
        expires: metadata_schema::time::Timestamp,
        /// Why a device would refuse it then.
        #[source]
        source: Box<Self>,
    },
    /// Somebody else published in the meantime.
    #[error(
        "{role} is staged as v{staged}, but v{published} is published: the event is out of date"
    )]
    Overtaken {
        /// The role.
        role: RoleName,
        /// The version that is staged.
        staged: u64,
        /// The version that is published.
        published: u64,
    },
    /// A number that may only rise would fall.
    #[error("{what} of {product} in channel {channel} would fall from {current} to {offered}")]
    Falls {
        /// `version`, `security version` or `revocation list number`.
        what: &'static str,
        /// The product.
        product: String,
        /// The channel.
        channel: String,
        /// What is published or staged now.
        current: String,
        /// What was offered.
        offered: String,
    },
    /// Two different images under one name.
    #[error("version {version} of {product} exists already with another {slot} image ({existing})")]
    SameVersion {
        /// The product.
        product: String,
        /// The version.
        version: String,
        /// The slot class.
        slot: String,
        /// Digest of the image that exists.
        existing: String,
    },
    /// A release cannot be made from what was given.
    #[error("this release cannot be made: {why}")]
    Release {
        /// What is wrong.
        why: String,
    },
    /// A file is not the one that the metadata names.
    #[error("{} is not the file that {role} metadata names", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The role that names it.
        role: RoleName,
        /// What differs.
        #[source]
        source: ContentError,
    },
    /// A payload is not the one that the manifest names, or cannot be applied.
    #[error("payload {} is refused", path.display())]
    Payload {
        /// The payload.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<PatchError>,
    },
    /// A payload says something else than the manifest that names it.
    #[error("payload {path} has {what} {found}, its manifest says {expected}")]
    PayloadDiffers {
        /// Target path of the payload.
        path: String,
        /// What differs.
        what: &'static str,
        /// What the manifest says.
        expected: String,
        /// What the payload says.
        found: String,
    },
    /// A payload could not be made.
    #[error("cannot make the payload {path}")]
    Diff {
        /// Target path of the payload.
        path: String,
        /// Why.
        #[source]
        source: Box<DiffError>,
    },
    /// A repository of another tool has something that we cannot carry on.
    #[error("this repository cannot be carried on: {why}")]
    CannotImport {
        /// What it has.
        why: String,
    },
    /// Nothing is published.
    #[error("nothing is published yet in {}", path.display())]
    NothingPublished {
        /// The folder.
        path: PathBuf,
    },
    /// A place that devices are served from cannot be reached, or refuses.
    #[error("cannot {step} {path:?} at {remote}")]
    Remote {
        /// The place.
        remote: String,
        /// What was tried, such as "read".
        step: &'static str,
        /// Which file; empty if it is about the place itself.
        path: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody published there from another folder.
    #[error(
        "{remote} has {role} v{theirs}, this folder v{ours}: somebody published from elsewhere"
    )]
    RemoteAhead {
        /// The place.
        remote: String,
        /// The role.
        role: RoleName,
        /// The version there.
        theirs: u64,
        /// The version here, 0 if there is none.
        ours: u64,
    },
    /// Another file has the name of one of ours.
    #[error("{remote} has another file {path} than this folder")]
    RemoteDiffers {
        /// The place.
        remote: String,
        /// The file.
        path: String,
    },
    /// Somebody wrote there in the meantime.
    #[error("{path} changed at {remote} while this push was under way")]
    RemoteChanged {
        /// The place.
        remote: String,
        /// The file.
        path: String,
    },
    /// A file that was sent is not what was sent.
    #[error("{path} at {remote} is not the file that was sent")]
    RemoteContent {
        /// The place.
        remote: String,
        /// The file.
        path: String,
        /// What differs.
        #[source]
        source: ContentError,
    },
    /// `doctor` found something that has to be done.
    #[error("{}", attention(*critical, *warnings))]
    NeedsAttention {
        /// How much of it holds devices up now, or leaves a secret open.
        critical: usize,
        /// How much of it has to be done before long.
        warnings: usize,
    },
    /// A target that a manifest or a caller names is not in the repository.
    #[error("no role that may speak about {path} names it")]
    Absent {
        /// The target path.
        path: String,
    },
}

fn attention(critical: usize, warnings: usize) -> String {
    let mut parts = Vec::new();
    for (count, what) in [(critical, "critical"), (warnings, "to be done before long")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("this repository needs attention: {}", parts.join(", "))
}

impl Error {
    /// Nothing, the one problem, or all of them.
    pub(crate) fn all(mut problems: Vec<Self>) -> Result<()> {
        match (problems.pop(), problems.is_empty()) {
            (None, _) => Ok(()),
            (Some(one), true) => Err(one),
            (Some(last), false) => {
                problems.push(last);
                Err(Self::Several { reasons: problems })
            }
        }
    }

    pub(crate) fn io(step: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            step,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn in_file(path: &Path) -> impl FnOnce(MetadataError) -> Self + '_ {
        move |source| Self::MetadataFile {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }

    pub(crate) fn argument(what: &'static str, found: &str, expected: &'static str) -> Self {
        Self::Argument {
            what,
            found: found.to_owned(),
            expected,
        }
    }

    pub(crate) fn release(why: impl Into<String>) -> Self {
        Self::Release { why: why.into() }
    }
}
