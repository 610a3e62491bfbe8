//! What the owner of a device wants: when firmware is installed, by which network, and at whose word. Pure.
//!
//! [`crate::select`] says whether a release is for this device at all; [`hold`] whether it is for now. A person who asks for an
//! installation is past windows, postponement, consent and what was refused before, and not past a pin, an inhibit file or a
//! metered link.

pub mod pause;
pub mod rate;
pub mod window;

use std::fmt;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::FirmwareVersion;
use metadata_schema::time::{ReferenceTime, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::PolicyConfig;

/// Most polls that pass by a refused release before it is fetched once more.
const MOST_PASSED_BY: u32 = 63;

/// Which releases are installed without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Automatic {
    /// All.
    #[default]
    All,
    /// Those that raise the security version, or replace firmware that was withdrawn.
    Security,
    /// None: the owner has opted out of automatic security updates.
    None,
}

/// What may be done by a metered link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Metered {
    /// As by any other.
    #[default]
    Full,
    /// Deltas are downloaded, never a full image.
    DeltaOnly,
    /// Metadata is looked at, and nothing is downloaded.
    None,
}

/// Which versions a device is held at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Pin {
    /// At what runs.
    Stay,
    /// This one, and nothing else.
    Version(FirmwareVersion),
}

impl TryFrom<String> for Pin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "stay" {
            return Ok(Self::Stay);
        }
        let version = text.parse::<FirmwareVersion>().map_err(|e| e.to_string());
        version
            .map(Self::Version)
            .map_err(|e| format!("{e}, or `stay`"))
    }
}

/// What people have said to this device, besides its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// Nothing is installed before.
    pub postponed_until: Option<Timestamp>,
    /// This version may be installed.
    pub consent: Option<FirmwareVersion>,
}

/// A release that could not be installed for a reason that lies with itself or with what serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its manifest.
    pub manifest: Sha256Digest,
    /// What was wrong.
    pub why: String,
    /// How often it was tried.
    pub times: u32,
    /// Polls that are still to pass by. Counted, not timed: a device may have no clock.
    pub pass_by: u32,
}

impl Refused {
    /// One time more: 0, 1, 3, 7 and so on polls pass by before the next attempt, 63 at most.
    #[must_use]
    pub fn again(before: Option<&Self>, manifest: Sha256Digest, why: String) -> Self {
        let same = before.filter(|before| before.manifest == manifest);
        let times = same.map_or(0, |before| before.times).saturating_add(1);
        let doubled = 1_u32.checked_shl(times.saturating_sub(1).min(6));
        let pass_by = doubled.unwrap_or(u32::MAX).saturating_sub(1);
        Self {
            manifest,
            why,
            times,
            pass_by: pass_by.min(MOST_PASSED_BY),
        }
    }
}

/// What there is to decide about.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its version.
    pub version: &'a FirmwareVersion,
    /// Its manifest.
    pub manifest: Sha256Digest,
    /// Whether it raises the security version, or what runs was withdrawn.
    pub security: bool,
    /// Whether an image of it comes by no delta from what runs.
    pub full: bool,
}

/// How things are.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The time.
    pub now: ReferenceTime,
    /// Seconds that the device's clock on the wall is ahead of UTC.
    pub offset: i32,
    /// A file that forbids it, and what it says.
    pub inhibited: Option<(String, String)>,
    /// Whether the link is metered.
    pub metered: bool,
    /// What people have said.
    pub wishes: &'a Wishes,
    /// What was refused before.
    pub refused: Option<&'a Refused>,
    /// Whether a person asks for it now.
    pub by_person: bool,
}

/// Why a release that is for this device is not installed now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// The configuration names another version, or that nothing is to change.
    Pinned(Pin),
    /// A file forbids it.
    Inhibited {
        /// Its name.
        by: String,
        /// What it says.
        why: String,
    },
    /// A person put it off.
    Postponed {
        /// Until then.
        until: Timestamp,
    },
    /// Nobody has consented to it.
    Consent(Automatic),
    /// No maintenance window is open.
    Window {
        /// When one opens.
        opens: Option<Timestamp>,
    },
    /// The link is metered, and nothing may be downloaded.
    Metered,
    /// The link is metered, and there is no delta.
    MeteredFull,
    /// It was refused before, and is tried again later.
    RefusedBefore {
        /// What was wrong.
        why: String,
        /// Polls until then, this one included.
        polls: u32,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(Pin::Stay) => f.write_str("policy.pin says that this device stays at what runs"),
            Self::Pinned(Pin::Version(version)) => write!(f, "policy.pin holds this device at {version}"),
            Self::Inhibited { by, why } if why.is_empty() => write!(f, "{by} forbids it"),
            Self::Inhibited { by, why } => write!(f, "{by} forbids it: {why}"),
            Self::Postponed { until } => write!(f, "it was put off until {until}"),
            Self::Consent(Automatic::None) => f.write_str(
                "nobody has consented to it, and policy.automatic lets nothing be installed unasked",
            ),
            Self::Consent(_) => f.write_str(
                "nobody has consented to it, and policy.automatic lets only security releases be installed unasked",
            ),
            Self::Window { opens: Some(opens) } => {
                write!(f, "no maintenance window is open; the next one opens at {opens}")
            }
            Self::Window { opens: None } => f.write_str("no maintenance window is open"),
            Self::Metered => f.write_str("the link is metered, and policy.metered is none"),
            Self::MeteredFull => f.write_str(
                "the link is metered, policy.metered is delta-only, and no delta leads from what runs to every image",
            ),
            Self::RefusedBefore { why, polls } => {
                write!(f, "it was refused before ({why}); it is tried again after {polls} more polls")
            }
        }
    }
}

/// Whether a release has to wait, and for what.
pub fn hold(
    policy: &PolicyConfig,
    release: &Candidate<'_>,
    how: &Circumstances<'_>,
) -> Option<Hold> {
    match &policy.pin {
        Some(Pin::Version(version)) if version == release.version => {}
        Some(pin) => return Some(Hold::Pinned(pin.clone())),
        None => {}
    }
    if let Some((by, why)) = how.inhibited.clone() {
        return Some(Hold::Inhibited { by, why });
    }
    if how.metered && policy.metered == Metered::None {
        return Some(Hold::Metered);
    }
    if how.metered && policy.metered == Metered::DeltaOnly && release.full {
        return Some(Hold::MeteredFull);
    }
    if how.by_person {
        return None;
    }
    let consented = how.wishes.consent.as_ref() == Some(release.version);
    let unasked = match policy.automatic {
        Automatic::All => true,
        Automatic::Security => release.security,
        Automatic::None => false,
    };
    if !unasked && !consented {
        return Some(Hold::Consent(policy.automatic));
    }
    if let Some(until) = how.wishes.postponed_until.filter(|until| how.now < *until) {
        return Some(Hold::Postponed { until });
    }
    if !window::is_open(&policy.windows, how.now, how.offset) {
        let opens = window::opens(&policy.windows, how.now, how.offset);
        return Some(Hold::Window { opens });
    }
    let refused = how
        .refused
        .filter(|refused| refused.manifest == release.manifest && refused.pass_by > 0);
    refused.map(|refused| Hold::RefusedBefore {
        why: refused.why.clone(),
        polls: refused.pass_by,
    })
}

#[cfg(test)]
mod tests;
