//! What can go wrong on a device. Each error names the file or URL, what was expected and what was found; [`Error::hint`] says
//! what to do.

mod beginning;
mod enrolment;
mod storage;
mod transport;

use std::path::PathBuf;

use firmware_delta::PatchError;
use metadata_schema::MetadataError;
use metadata_schema::digest::ContentError;
use metadata_schema::name::Version;

use crate::lifecycle::{NoWayBack, OutOfOrder};
use crate::slot::SlotName;
pub use beginning::{BootstrapError, ConfigError};
pub use enrolment::EnrolmentError;
pub use storage::{BootError, SlotError, StoreError};
pub use transport::TransportError;

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
    /// The device gets no certificate.
    #[error(transparent)]
    Enrolment(EnrolmentError),
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
    /// The server, or the bundle, does not have a file that metadata names.
    #[error("{what} is missing: the server or the bundle does not have it")]
    Missing {
        /// The file.
        what: String,
    },
    /// A bundle was made for other devices.
    #[error("the bundle is for {found}; this device takes {expected}")]
    OtherBundle {
        /// Product and channel of the device.
        expected: String,
        /// Product and channel that the bundle was made for.
        found: String,
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
    #[error("cannot read {path}, which holds the running image")]
    Running {
        /// Device or file.
        path: PathBuf,
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
    HealthChecks(#[source] crate::hooks::Unusable),
    /// A hook says no.
    #[error("{folder}/{hook} says no ({how})")]
    Hook {
        /// Its folder.
        folder: &'static str,
        /// Its file name.
        hook: String,
        /// How it ended.
        how: String,
    },
    /// The run was asked to stop, and can be gone on with.
    #[error("stopped; the next run goes on where this one was")]
    Stopped,
    /// The device cannot go back to the firmware before.
    #[error("this device does not go back")]
    NoWayBack(#[from] NoWayBack),
    /// Things that an update needs are not in order.
    #[error("{wrong} of these things keep this device from updates")]
    Unwell {
        /// How many.
        wrong: usize,
    },
    /// What is asked for cannot be done now.
    #[error("{what}")]
    NotNow {
        /// What and why.
        what: String,
    },
    /// The updater that runs as a service said no, or said nothing that makes sense.
    #[error("the updater that runs here answers: {error}")]
    Service {
        /// What it said.
        error: String,
        /// The exit code that it gives this.
        exit_code: u8,
    },
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
            Self::Enrolment(e) => e.may_pass(),
            Self::Transport(e) => !matches!(
                e,
                TransportError::NotAccepted { .. }
                    | TransportError::ServerRefused { .. }
                    | TransportError::OtherTls { .. }
                    | TransportError::Url { .. }
                    | TransportError::Unusable { .. }
                    | TransportError::TooLong { .. }
                    | TransportError::NoBundle { .. }
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
            Self::Hook { .. } => {
                "what the hook said is in the log; the running firmware is untouched"
            }
            Self::Stopped | Self::NotNow { .. } | Self::Service { .. } | Self::Unwell { .. } => {
                return None;
            }
            Self::NoWayBack(_) => "an update to a newer release is the way to another firmware",
            Self::HealthChecks(_) => "make the check executable, or take it out of the folder",
            Self::OtherBundle { .. } => {
                "take the bundle that was made for this device's product and channel: `repo-tool bundle`"
            }
            Self::Config(_) => "mend the configuration; `updater --help` names its files",
            Self::Identity(_) => "provision the device's certificate, key and trust anchor again",
            Self::Transport(e) => e.hint(),
            Self::Enrolment(e) => e.hint(),
            Self::Metadata(e) => e.hint(),
            Self::WalkCut { .. } => "run again: the next run goes on from there",
            Self::Missing { .. } => {
                "check the URLs in [server] and the mirror; if they are right, publish again, or have the bundle made again"
            }
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
            Self::Slot(SlotError::BootPartition { .. }) => {
                "`mmc extcsd read DEVICE` shows PARTITION_CONFIG, and `mmc bootpart enable 1 0 DEVICE` puts boot0 in force"
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
            Self::Store(StoreError::Newer { .. }) => {
                "install the updater that wrote it, or a newer one; an older one would not understand what it finds"
            }
            Self::Store(_) => "check that the state folder can be written and has room",
            Self::Boot(BootError::Unreadable { repair, .. }) => repair,
            Self::Boot(BootError::Configuration { .. }) => "mend [boot] in the configuration",
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
