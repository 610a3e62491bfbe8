//! What time it is, for a device whose clock may be wrong.
//!
//! The reference time of a run is the later of the system clock and a *floor*, the latest time that has certainly passed. The
//! floor remembers on whose word each of its parts stands:
//!
//! | part | rises to | falls |
//! |---|---|---|
//! | build time | that of newer firmware | never |
//! | root, targets | when they were issued (`x-issued`), as far as the timestamp that leads to them was issued no earlier | when their own keys (targets) or a timestamp key are retired |
//! | timestamp | when it was issued, at most [`ONLINE_STEP`] beyond all of the above | when a timestamp key is retired |
//!
//! Two clocks that do not know of each other must agree before the word of people counts, so one person's wrong clock does no
//! harm; and whoever steals online keys cannot expire everything. Whoever steals both, a threshold of targets and the online
//! keys, can push the floor as far as he likes, until root retires the keys that he did it with: what stood on them then falls
//! to the time of issue of the root that says so, at most. So the floor stands on keys in force, and root's keyholders can always
//! bring a device back. Without such a rotation it never falls, and never behind the dates of certificates and revocation lists,
//! which only CAs can make.
//!
//! The system clock never raises the floor: a clock that was years ahead and is corrected again does no lasting harm.

use std::fmt;

use metadata_schema::name::RoleName;
use metadata_schema::time::{ReferenceTime, Timestamp};
use metadata_schema::trusted::Retired;
use serde::{Deserialize, Serialize};

/// How far beyond the word of people the floor follows online keys alone, in seconds: a week.
pub const ONLINE_STEP: i64 = 7 * 24 * 3600;

/// A time that has certainly passed, part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct TimeFloor {
    build: Timestamp,
    root: Option<Timestamp>,
    targets: Option<Timestamp>,
    online: Option<Timestamp>,
}

/// On whose word a time stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Word {
    /// The firmware's build time.
    BuildTime,
    /// Those who sign root.
    Root,
    /// Those who sign targets.
    Targets,
    /// The timestamp's online key.
    Timestamp,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuildTime => "the firmware's build time",
            Self::Root => "signed root metadata",
            Self::Targets => "signed targets metadata",
            Self::Timestamp => "the signed timestamp",
        })
    }
}

/// Where the reference time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The system clock, which is not before the floor.
    SystemClock,
    /// The floor, on this word: the system clock says something earlier, and is not trusted.
    Floor(Word),
}

/// When metadata says that it was issued (`x-issued`), as far as it is verified and says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// Root.
    pub root: Option<Timestamp>,
    /// The top-level targets.
    pub targets: Option<Timestamp>,
    /// The timestamp that leads to them.
    pub timestamp: Option<Timestamp>,
}

impl TimeFloor {
    /// The floor of a device that knows nothing but the build time of its firmware.
    pub fn factory(build_time: Timestamp) -> Self {
        Self {
            build: build_time,
            root: None,
            targets: None,
            online: None,
        }
    }

    /// The same floor under newer firmware.
    #[must_use]
    pub fn at_least(self, build_time: Timestamp) -> Self {
        let build = self.build.max(build_time);
        Self { build, ..self }
    }

    /// The time itself.
    pub fn time(self) -> Timestamp {
        self.latest().0
    }

    /// The time itself, and on whose word it stands.
    pub fn latest(self) -> (Timestamp, Word) {
        let (people, word) = self.people();
        // A file that says more than the step is not taken at its word.
        match self.online.map(|online| online.min(step_beyond(people))) {
            Some(online) if online > people => (online, Word::Timestamp),
            _ => (people, word),
        }
    }

    fn people(self) -> (Timestamp, Word) {
        let mut latest = (self.build, Word::BuildTime);
        for (part, word) in [(self.root, Word::Root), (self.targets, Word::Targets)] {
            if let Some(part) = part.filter(|part| *part > latest.0) {
                latest = (part, word);
            }
        }
        latest
    }

    /// The reference time of a run that begins when the system clock says `system`.
    pub fn reference(self, system: Timestamp) -> (ReferenceTime, Source) {
        match self.latest() {
            (floor, word) if floor > system => (floor, Source::Floor(word)),
            _ => (system, Source::SystemClock),
        }
    }

    /// Raises the floor to what was issued.
    #[must_use]
    pub fn raised(self, issued: Issued) -> Self {
        let Some(timestamp) = issued.timestamp else {
            return self;
        };
        let borne_out = |part: Option<Timestamp>, issued: Option<Timestamp>| {
            part.max(issued.map(|issued| issued.min(timestamp)))
        };
        let raised = Self {
            root: borne_out(self.root, issued.root),
            targets: borne_out(self.targets, issued.targets),
            ..self
        };
        let online = timestamp.min(step_beyond(raised.people().0));
        Self {
            online: raised.online.max(Some(online)),
            ..raised
        }
    }

    /// What is left of the floor when a root that was issued at `issued` has taken keys out of force.
    ///
    /// People's word counted because a timestamp bore it out, so all of it falls with a timestamp key. Nothing falls below
    /// the build time, nothing below the new root's own word, and nothing below what CAs have `witnessed` with dates of their
    /// own: certificates and revocation lists. Else whoever holds keys of root that have run out could sign a root that takes
    /// the time back to when they had not.
    #[must_use]
    pub fn without(
        self,
        retired: Retired,
        issued: Option<Timestamp>,
        witnessed: Option<Timestamp>,
    ) -> Self {
        let least = witnessed.map_or(self.build, |witnessed| witnessed.min(self.time()));
        let most = issued.unwrap_or(self.build).max(self.build).max(least);
        let lowered = |part: Option<Timestamp>, lower: bool| {
            part.map(|part| if lower { part.min(most) } else { part })
        };
        let lowered = Self {
            build: self.build,
            root: lowered(self.root, retired.timestamp),
            targets: lowered(self.targets, retired.targets || retired.timestamp),
            online: lowered(self.online, retired.timestamp),
        };
        let cap = step_beyond(lowered.people().0);
        Self {
            online: lowered.online.map(|online| online.min(cap)),
            ..lowered
        }
    }
}

fn step_beyond(people: Timestamp) -> Timestamp {
    people.plus_seconds(ONLINE_STEP)
}

/// What files say: today's form, or the former one, which did not tell root's word from that of targets. The time that it
/// gives to people then stands on targets' word, which falls sooner.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Parts(Parts),
    Former(Former),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    build: Timestamp,
    root: Option<Timestamp>,
    targets: Option<Timestamp>,
    online: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Former {
    people: Timestamp,
    online: Timestamp,
}

impl From<Stored> for TimeFloor {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Parts(parts) => Self {
                build: parts.build,
                root: parts.root,
                targets: parts.targets,
                online: parts.online,
            },
            Stored::Former(former) => Self {
                targets: Some(former.people),
                online: Some(former.online),
                ..Self::factory(Timestamp::EPOCH)
            },
        }
    }
}

/// What a device knows that a right clock agrees with, besides the floor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When the newest certificate in trusted metadata became valid, and whose it is.
    pub newest_certificate: Option<(Timestamp, String)>,
    /// When trusted metadata that people sign expires.
    pub expiry: Vec<(RoleName, Timestamp)>,
}

/// Why the system clock is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Doubt {
    /// It says what has passed.
    BeforeFloor {
        /// What has passed.
        floor: Timestamp,
        /// On whose word.
        word: Word,
    },
    /// It says what was before a certificate was made.
    BeforeCertificate {
        /// When that certificate became valid.
        not_before: Timestamp,
        /// Whose it is.
        subject: String,
    },
    /// It says that trusted metadata has expired.
    AfterExpiry {
        /// The role.
        role: String,
        /// When it expired.
        expires: Timestamp,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeFloor { floor, word } => {
                write!(f, "it is behind: {floor} has passed by {word}")
            }
            Self::BeforeCertificate {
                not_before,
                subject,
            } => write!(
                f,
                "it is behind: the certificate of {subject} in trusted metadata is valid from {not_before}"
            ),
            Self::AfterExpiry { role, expires } => write!(
                f,
                "it is ahead, or nothing newer has come for long: trusted {role} metadata expired at {expires}"
            ),
        }
    }
}

/// What speaks against a system clock that says `system`; nothing, if it is plausible.
pub fn doubts(system: Timestamp, floor: TimeFloor, known: &Known) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if let (floor, Source::Floor(word)) = floor.reference(system) {
        doubts.push(Doubt::BeforeFloor { floor, word });
    }
    if let Some((not_before, subject)) = &known.newest_certificate
        && system < *not_before
    {
        doubts.push(Doubt::BeforeCertificate {
            not_before: *not_before,
            subject: subject.clone(),
        });
    }
    for (role, expires) in &known.expiry {
        if system >= *expires {
            doubts.push(Doubt::AfterExpiry {
                role: role.to_string(),
                expires: *expires,
            });
        }
    }
    doubts
}

#[cfg(test)]
mod tests;
