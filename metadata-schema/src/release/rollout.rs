//! Signed rollout waves: which share of the fleet may install a release from when. Each device decides by itself.

use crate::digest::Sha256Digest;
use crate::json::{Fields, Json, ShapeError};
use crate::time::{ReferenceTime, Timestamp};

/// Most waves of one release.
const MAX_WAVES: usize = 64;

/// From `start` on, `percent` of the fleet may install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// When the wave begins.
    pub start: Timestamp,
    /// Share of the fleet, 0 to 100.
    pub percent: u8,
}

/// The waves of a release in the order of their start. None at all means everybody, at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The waves.
    pub waves: Vec<Wave>,
    /// Nobody installs while this is set.
    pub paused: bool,
}

impl Rollout {
    /// Whether the device with this `seed` may install `release` (its version, so that not the same devices come first
    /// every time) at `now`.
    pub fn admits(&self, seed: &str, release: &str, now: ReferenceTime) -> bool {
        if self.paused {
            return false;
        }
        let open = self
            .waves
            .iter()
            .filter(|wave| wave.start <= now)
            .map(|wave| wave.percent)
            .max();
        match open {
            Some(percent) => position(seed, release) < u64::from(percent),
            None => self.waves.is_empty(),
        }
    }

    pub(super) fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let paused = fields
            .take_optional("paused", Json::into_bool)?
            .unwrap_or(false);
        let waves = fields.take("waves", |json, at| {
            let items = json.into_array(at)?;
            if items.len() > MAX_WAVES {
                return Err(ShapeError::new(
                    at,
                    format!("at most {MAX_WAVES} waves"),
                    items.len().to_string(),
                ));
            }
            items
                .into_iter()
                .map(|item| Wave::from_json(item, at))
                .collect()
        })?;
        Ok(Self { waves, paused })
    }

    pub(super) fn to_json(&self) -> Json {
        let waves = self.waves.iter().map(|wave| {
            Json::object([
                ("start", Json::from(wave.start)),
                ("percent", Json::from(u64::from(wave.percent))),
            ])
        });
        Json::object([
            ("waves", Json::Array(waves.collect())),
            ("paused", Json::from(self.paused)),
        ])
    }
}

impl Wave {
    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let start = fields.take("start", Timestamp::from_json)?;
        let percent = fields.take("percent", |json, at| {
            let number = json.into_u64(at)?;
            let percent = u8::try_from(number).ok().filter(|p| *p <= 100);
            percent.ok_or_else(|| {
                ShapeError::new(at, "a percentage from 0 to 100", number.to_string())
            })
        })?;
        Ok(Self { start, percent })
    }
}

/// Where a device stands in the queue for a release, 0 to 99.
fn position(seed: &str, release: &str) -> u64 {
    let digest = Sha256Digest::of(format!("rollout:{release}:{seed}").as_bytes());
    let head = digest
        .as_bytes()
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    head.checked_rem(100).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_by_waves() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let rollout = Rollout {
            waves: vec![
                Wave {
                    start: time("2030-01-01T00:00:00Z"),
                    percent: 10,
                },
                Wave {
                    start: time("2030-01-02T00:00:00Z"),
                    percent: 100,
                },
            ],
            paused: false,
        };
        let admitted = |now: &str| {
            (0..1000)
                .filter(|n| rollout.admits(&format!("device {n}"), "1.0.0", time(now)))
                .count()
        };
        assert_eq!(admitted("2029-12-31T23:59:59Z"), 0);
        let first = admitted("2030-01-01T00:00:00Z");
        assert!((60..140).contains(&first), "{first}");
        assert_eq!(admitted("2030-01-02T00:00:00Z"), 1000);
        assert!(
            !Rollout {
                paused: true,
                ..Rollout::default()
            }
            .admits("a", "1.0.0", time("2030-01-01T00:00:00Z"))
        );
    }
}
