//! What can go wrong on a device. Each error names the file or URL, what was expected and what was found; [`Error::hint`] says
//! what to do.

use std::path::PathBuf;
use std::time::Duration;

use firmware_delta::PatchError;
use metadata_schema::MetadataError;
use metadata_schema::digest::ContentError;
use metadata_schema::name::Version;
use metadata_schema::release::SlotClass;
use metadata_schema::time::Timestamp;

use crate::lifecycle::OutOfOrder;
use crate::slot::SlotName;

/// Any failure of the updater.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Trust anchor, certificates or keys cannot be used.
    #[error("the device's identity or trust anchor cannot be used")]
    Identity(#[source] device_pki::Error),
    /// The network, or the server.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The repository's metadata is refused.
    #[error("the repository's metadata is refused")]
    Metadata(#[from] MetadataError),
    /// The walk over root versions ended at its limit, and the root that it came to does not hold by itself.
    #[error("root v{version}, to which {steps} steps led, is not the last and does not hold")]
    WalkCut {
        /// Steps that one run takes.
        steps: u32,
        /// The version that it came to.
        version: Version,
        /// Why it does not hold.
        #[source]
        source: MetadataError,
    },
    /// A device that trusts nothing yet cannot begin to.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The server does not have a file that metadata names.
    #[error("{what} is not on the server, although metadata names it")]
    Missing {
        /// The file.
        what: String,
    },
    /// A revocation list is refused.
    #[error("the revocation list {path} is refused")]
    RevocationList {
        /// Its target path.
        path: String,
        /// Why.
        #[source]
        source: device_pki::Error,
    },
    /// A revocation list is older than the one that the device has.
    #[error(
        "the revocation list {path} has number {found}, older than {trusted} that this device has"
    )]
    RevocationListRollback {
        /// Its target path.
        path: String,
        /// Number of the one that is stored.
        trusted: String,
        /// Number of the one that came.
        found: String,
    },
    /// A target that is fetched whole is not the one that metadata names.
    #[error("the target {path} is not the one that was signed")]
    Target {
        /// Its path.
        path: String,
        /// What differs.
        #[source]
        source: ContentError,
    },
    /// A path that a manifest names is not under the manifest's own delegation, or says something else there.
    #[error("the manifest names {path}, which {found}; expected {expected}")]
    ManifestPath {
        /// The path.
        path: String,
        /// What is expected of it.
        expected: String,
        /// What is the case.
        found: String,
    },
    /// A payload is refused.
    #[error("the payload {path} is refused")]
    Payload {
        /// Its target path.
        path: String,
        /// Why.
        #[source]
        source: Box<PatchError>,
    },
    /// The running image, which a delta starts from, cannot be read.
    #[error("the running image cannot be read")]
    Running {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A slot cannot be read or written.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The state folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The boot loader's state cannot be read or changed.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The firmware on trial was not well; the next start is of the old one.
    #[error("firmware {version} in slot {slot} was not kept: {why}")]
    TrialFailed {
        /// Its version.
        version: String,
        /// Its slot.
        slot: SlotName,
        /// Why.
        why: String,
    },
    /// A health check could not be run if it had to be: nothing is installed.
    #[error("nothing is installed: the health checks are not in order")]
    HealthChecks(#[source] crate::health::Unhealthy),
    /// The lifecycle met an event that makes no sense.
    #[error(transparent)]
    Lifecycle(#[from] OutOfOrder),
    /// Another updater is at work.
    #[error("another updater is at work: {lock} is locked")]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The device is to be restarted, and could not be.
    #[error("the command that restarts the device failed: {why}")]
    Restart {
        /// Why.
        why: String,
    },
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: device_pki::Error,
    },
    /// A file does not say what it should.
    #[error("{path} is not a valid configuration: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
}

/// A device that trusts nothing yet cannot begin to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// There is nothing that the first root could be held against.
    #[error("the first root metadata cannot come over the network without a trust anchor")]
    NoAnchor,
    /// The repository does not have the version that the firmware names.
    #[error("root metadata v{version}, which a blank device begins with, is not on the server")]
    NoRoot {
        /// The version.
        version: Version,
    },
    /// A CA that certified signers has no list.
    #[error(
        "no revocation list of {issuer} is published, and who begins, or begins again, needs a current one of every CA that certified signers"
    )]
    NoRevocationList {
        /// The CA.
        issuer: String,
    },
    /// A list is overdue.
    #[error(
        "the revocation list of {issuer} was due to be replaced at {next_update}; it is {now} or later, and who begins, or begins again, needs a current one"
    )]
    StaleRevocationList {
        /// The CA.
        issuer: String,
        /// When the next list was due.
        next_update: Timestamp,
        /// The latest time that the clock or anything verified speaks of.
        now: Timestamp,
    },
    /// The device has begun before.
    #[error("this device has had trusted metadata since {since} and does not begin anew by itself")]
    NotBlank {
        /// Since when.
        since: Timestamp,
    },
}

/// The network, or the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No answer.
    #[error("no answer from {url}")]
    NoAnswer {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that is neither the file nor "not there".
    #[error(
        "{url} answered with status {status}; expected 200, or 404 if it is not there{}",
        left_alone(*.retry_after)
    )]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The answer broke off.
    #[error("the answer of {url} broke off after {received} bytes")]
    BrokeOff {
        /// What was asked for.
        url: String,
        /// Bytes that had come.
        received: u64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The device does not accept the server's certificate.
    #[error("{url}: the server's certificate is not accepted: {why}")]
    ServerRefused {
        /// What was asked for.
        url: String,
        /// Why.
        why: String,
    },
    /// The server does not accept the device's certificate.
    #[error("{url}: the server does not accept this device's certificate ({alert})")]
    NotAccepted {
        /// What was asked for.
        url: String,
        /// The TLS alert that it sent (RFC 8446, section 6.2).
        alert: String,
    },
    /// The answer trickles.
    #[error(
        "the answer of {url} comes too slowly: {received} bytes in {seconds} s, expected at least {least}"
    )]
    TooSlow {
        /// What was asked for.
        url: String,
        /// Bytes that came within the window.
        received: u64,
        /// Bytes that should have come.
        least: u64,
        /// Length of the window, in seconds.
        seconds: f32,
    },
    /// The file takes longer than any file of its length may.
    #[error("{url} did not come whole within the {seconds} s that it may take")]
    TooLate {
        /// What was asked for.
        url: String,
        /// Seconds at most.
        seconds: u64,
    },
    /// The answer is longer than it may be.
    #[error(
        "the answer of {url} is longer than the {limit} bytes that it may have{}",
        as_announced(*.announced)
    )]
    TooLong {
        /// What was asked for.
        url: String,
        /// Bytes at most.
        limit: u64,
        /// Bytes that the server announced, if that was enough to refuse it.
        announced: Option<u64>,
    },
    /// What should be metadata is something else.
    #[error(
        "{url} answered with what does not look like metadata: expected a JSON object, found {begins:?}"
    )]
    NotMetadata {
        /// What was asked for.
        url: String,
        /// How it begins.
        begins: String,
    },
    /// The file is sent in another form than it has.
    #[error("{url} is sent compressed ({encoding}); expected as it is")]
    Encoded {
        /// What was asked for.
        url: String,
        /// The content coding (RFC 9110, section 8.4).
        encoding: String,
    },
    /// A part of the file that was not asked for.
    #[error("{url} answered with the part {found:?}; expected one that begins at byte {offset}")]
    WrongRange {
        /// What was asked for.
        url: String,
        /// The first byte that was asked for.
        offset: u64,
        /// The range that the answer says it has.
        found: String,
    },
    /// A redirect that is not followed.
    #[error("{url} leads to {to:?}, which is not followed: {why}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it leads.
        to: String,
        /// Why not there.
        why: String,
    },
    /// A URL cannot be used.
    #[error("the {what} {url:?} cannot be used: {why}")]
    Url {
        /// Which one it is.
        what: &'static str,
        /// The text, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS or HTTP cannot be set up at all.
    #[error("the settings for TLS and HTTP cannot be used")]
    Unusable {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn left_alone(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| {
        format!(
            "; the server asks to be left alone for {} s",
            time.as_secs()
        )
    })
}

fn as_announced(length: Option<u64>) -> String {
    length.map_or_else(String::new, |length| format!(": it announces {length}"))
}

/// A slot cannot be read or written. The running firmware is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The storage fails.
    #[error("cannot {step} {path}")]
    Io {
        /// Device or file.
        path: PathBuf,
        /// What was done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The image does not fit.
    #[error("the {class} image has {image} bytes, and {path} holds {capacity}")]
    TooLarge {
        /// Device or file.
        path: PathBuf,
        /// Its class.
        class: SlotClass,
        /// Length of the image.
        image: u64,
        /// Capacity of the place.
        capacity: u64,
    },
    /// Two places are one.
    #[error("{one} and {other} are the same, and one of them runs")]
    Same {
        /// A place.
        one: PathBuf,
        /// Another.
        other: PathBuf,
    },
    /// No place is configured.
    #[error("slot {slot} has no place for {class}")]
    NoPlace {
        /// The slot.
        slot: SlotName,
        /// The class.
        class: SlotClass,
    },
    /// What was read back is not what was to be written.
    #[error("{path} does not hold the image that was written")]
    Differs {
        /// Device or file.
        path: PathBuf,
        /// What differs.
        #[source]
        source: ContentError,
    },
    /// An image is missing.
    #[error("slot {slot} lacks its {class} image")]
    Incomplete {
        /// The slot.
        slot: SlotName,
        /// The class.
        class: SlotClass,
    },
}

/// The state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage fails.
    #[error("the state folder cannot be used")]
    Storage(#[source] device_pki::Error),
    /// What the device trusted is gone.
    #[error("the trusted metadata in {folder} is gone; this device has had it since {since}")]
    Lost {
        /// Where it was.
        folder: PathBuf,
        /// Since when.
        since: Timestamp,
    },
    /// A file is there and is not what the updater wrote.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The boot loader's state cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// It cannot be read.
    #[error("the boot loader's state in {path} cannot be read: {why}")]
    Unreadable {
        /// Where it is kept.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It cannot be written.
    #[error("the boot loader's state in {path} cannot be changed: {why}")]
    Unwritable {
        /// Where it is kept.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The running slot would be made unbootable.
    #[error("slot {slot} runs and cannot be overwritten")]
    Running {
        /// The slot.
        slot: SlotName,
    },
    /// A slot would be committed that does not run.
    #[error("slot {slot} does not run and cannot be committed")]
    NotRunning {
        /// The slot.
        slot: SlotName,
    },
    /// No slot can start.
    #[error("no slot has starts left")]
    NothingBootable,
}

impl TransportError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAccepted { .. } | Self::Status { status: 401, .. } => {
                "the device's certificate was revoked, has expired, or is of another PKI: give it a new one"
            }
            Self::ServerRefused { .. } => {
                "check the server's certificate; if there is none like it, something stands between: a captive portal, or a proxy that opens TLS"
            }
            Self::Status {
                status: 300..=399, ..
            }
            | Self::Redirect { .. } => {
                "make the server answer with the file itself, or configure the URL that it leads to"
            }
            Self::TooSlow { .. } | Self::TooLate { .. } => {
                "try another network; where networks are slow, lower network.minimum_rate"
            }
            Self::TooLong { .. } => "check the mirror: it sends more than was signed",
            Self::NotMetadata { .. } => {
                "check server.metadata; a captive portal or a gateway may answer in the server's place"
            }
            Self::Encoded { .. } => {
                "switch compression off for the repository's files on the server"
            }
            Self::WrongRange { .. } => {
                "check the server or the cache before it: ranges are mixed up"
            }
            Self::Url { .. } => "mend the configuration",
            Self::Unusable { .. } => "check the device's certificate and key",
            Self::NoAnswer { .. } | Self::Status { .. } | Self::BrokeOff { .. } => {
                "check the network, the proxy and the server; the next run goes on where this one stopped"
            }
        }
    }
}

impl Error {
    /// What lies behind it, the nearest first.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let text = cause.to_string();
            // A transparent error says the same as what it wraps.
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        causes
    }

    /// Whether another run may well succeed where nobody does anything: the network failed, or there was more to do than one
    /// run does.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::WalkCut { .. } => true,
            Self::Transport(e) => !matches!(
                e,
                TransportError::NotAccepted { .. }
                    | TransportError::ServerRefused { .. }
                    | TransportError::Url { .. }
                    | TransportError::Unusable { .. }
                    | TransportError::TooLong { .. }
            ),
            _ => false,
        }
    }

    /// The error and its causes in one line, for logs and reports.
    pub fn in_one_line(&self) -> String {
        let mut parts = vec![self.to_string()];
        parts.extend(self.causes());
        parts.join(": ")
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::HealthChecks(_) => "make the check executable, or take it out of the folder",
            Self::Config(_) => "mend the configuration; `updater --help` names its files",
            Self::Identity(_) => "provision the device's certificate, key and trust anchor again",
            Self::Transport(e) => e.hint(),
            Self::Metadata(e) => e.hint(),
            Self::WalkCut { .. } => "run again: the next run goes on from there",
            Self::Missing { .. } => "the mirror is incomplete: publish again, or check the mirror",
            Self::RevocationList { .. } | Self::RevocationListRollback { .. } => {
                "publish the current revocation list of that CA"
            }
            Self::Target { .. } | Self::Payload { .. } => {
                "the file was changed on its way: check the mirror; nothing of it was used"
            }
            Self::ManifestPath { .. } => "make the release again with repo-tool and have it signed",
            Self::Slot(SlotError::TooLarge { .. }) => "make the image smaller; nothing was written",
            Self::Slot(SlotError::Same { .. }) => {
                "give each slot a place of its own in the configuration"
            }
            Self::Slot(_) | Self::Running { .. } => {
                "check the storage; the running firmware is untouched"
            }
            Self::Bootstrap(BootstrapError::NoAnchor) => "give [trust] an anchor",
            Self::Bootstrap(BootstrapError::NoRoot { .. }) => {
                "publish every version of root from there on, or check the mirror"
            }
            Self::Bootstrap(
                BootstrapError::NoRevocationList { .. }
                | BootstrapError::StaleRevocationList { .. },
            ) => {
                "publish the current revocation list of that CA; if the time is wrong, set the clock"
            }
            Self::Bootstrap(BootstrapError::NotBlank { .. }) => {
                "`updater bootstrap --again` forgets what it trusts, the rollback floor of metadata with it, and begins anew"
            }
            Self::Store(StoreError::Lost { .. }) => {
                "restore it from a backup, or run `updater bootstrap --again`, knowing that its rollback floor is lost"
            }
            Self::Store(StoreError::Damaged { .. }) => {
                "restore the file from a backup; where all of metadata may be forgotten, with its rollback floor, \
                 `updater bootstrap --again` begins anew"
            }
            Self::Store(_) => "check that the state folder can be written and has room",
            Self::Boot(BootError::Unreadable { .. }) => {
                "restore the boot loader's environment; `updater simulate init` makes one for a simulated device"
            }
            Self::Boot(_) => "check the boot loader's environment",
            Self::TrialFailed { .. } => {
                "the device goes back by itself; look at the failed health check"
            }
            Self::Locked { .. } => "wait for the other updater, or stop it",
            Self::Restart { .. } => "restart the device by hand",
            Self::Lifecycle(_) => return None,
        })
    }
}
