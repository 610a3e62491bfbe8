//! `repo.toml`: the policy of a repository. Who may sign stands in the metadata itself, not here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_pki::{KeySource, durable};
use metadata_schema::name::{RoleName, Version};
use metadata_schema::release::{HardwareId, Product, SlotClass};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::online::OnlineKeys;

/// Longest `repo.toml`.
const LIMIT: u64 = 64 * 1024;

/// The settings of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Folder of raw images that deltas are made from, relative to the keepers' folder.
    pub images: PathBuf,
    /// Folder that a web server serves, relative to the keepers' folder.
    pub published: PathBuf,
    /// From how many earlier versions a new release gets deltas.
    pub deltas: u32,
    /// Zstandard level of payloads, 1 to 22.
    pub compression_level: i32,
    /// Longest image that is accepted. Old and new image are held in memory while a delta is made.
    pub max_image_bytes: u64,
    /// How long metadata lasts.
    pub expiry_days: Periods,
    /// How long before that people begin to sign the next version.
    #[serde(
        default = "SigningPeriods::unset",
        skip_serializing_if = "SigningPeriods::is_unset"
    )]
    pub signing_days: SigningPeriods,
    /// Thresholds that the devices have built in: `publish` counts as they do.
    pub device_minimum: Minimums,
    /// Sizes of slots in bytes, by product, hardware revision and slot class: what exceeds its slot is not released.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>")]
    pub slots: BTreeMap<Product, BTreeMap<HardwareId, BTreeMap<SlotClass, u64>>>,
    /// Where the online keys are.
    #[serde(skip_serializing_if = "OnlineKeys::is_default")]
    pub online: OnlineKeys,
    /// The oldest root that devices have in their firmware: after `import` the first that the old tool did not make.
    #[serde(skip_serializing_if = "is_first")]
    pub first_root: u64,
    /// Where devices are served from, if that is not this folder.
    #[serde(skip_serializing_if = "Publish::is_default")]
    pub publish: Publish,
}

/// Where devices are served from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Publish {
    /// A folder (relative to the keepers' folder) or URL that `publish` and `refresh` push to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For how many seconds caches may keep the timestamp: how much later devices hear of a release.
    pub timestamp_max_age: u32,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            to: None,
            timestamp_max_age: 60,
        }
    }
}

fn is_first(version: &u64) -> bool {
    *version == 1
}

impl Publish {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// For how many days each role is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Periods {
    /// Root.
    pub root: u32,
    /// Targets and the products' roles.
    pub targets: u32,
    /// The role that publishes certificate revocation lists.
    pub pki: u32,
    /// Snapshot.
    pub snapshot: u32,
    /// Timestamp: how long a mirror can hide a newer state.
    pub timestamp: u32,
}

/// How many days before a role expires its people begin to sign the next version: time for holidays and broken tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SigningPeriods {
    /// Root; 60, or half of its expiry period if that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<u32>,
    /// Targets and the products' roles; 30, or half of their expiry period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
}

/// The least thresholds on a device, whatever the metadata says: two of each, unless a device is set up otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Minimums {
    /// Root.
    pub root: u32,
    /// Targets.
    pub targets: u32,
    /// Every product.
    pub delegated: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            images: "images".into(),
            published: "published".into(),
            deltas: 3,
            compression_level: 19,
            max_image_bytes: 4 << 30,
            expiry_days: Periods::default(),
            signing_days: SigningPeriods::default(),
            device_minimum: Minimums::default(),
            slots: BTreeMap::new(),
            online: OnlineKeys::default(),
            first_root: 1,
            publish: Publish::default(),
        }
    }
}

impl Default for SigningPeriods {
    fn default() -> Self {
        Self {
            root: Some(60),
            targets: Some(30),
        }
    }
}

impl SigningPeriods {
    fn unset() -> Self {
        Self {
            root: None,
            targets: None,
        }
    }

    fn is_unset(&self) -> bool {
        *self == Self::unset()
    }
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            root: 365,
            targets: 180,
            pki: 30,
            snapshot: 14,
            timestamp: 3,
        }
    }
}

impl Default for Minimums {
    fn default() -> Self {
        Self {
            root: 2,
            targets: 2,
            delegated: 2,
        }
    }
}

impl Periods {
    /// When a file of `role` that is issued at `now` expires.
    pub fn expiry(&self, role: &RoleName, now: Timestamp) -> Timestamp {
        now.plus_seconds(i64::from(self.days(role)).saturating_mul(24 * 60 * 60))
    }

    /// For how many days `role` is signed.
    pub fn days(&self, role: &RoleName) -> u32 {
        match role.as_str() {
            "root" => self.root,
            "snapshot" => self.snapshot,
            "timestamp" => self.timestamp,
            crate::layout::PKI_ROLE => self.pki,
            _ => self.targets,
        }
    }
}

impl Settings {
    /// When work on the next version of a role begins that expires at `expires`: people sign before it does, by
    /// [`Settings::signing_days`]; the online keys from the middle of their period on.
    pub fn begin_signing(&self, role: &RoleName, expires: Timestamp) -> Timestamp {
        let day = 24 * 60 * 60;
        let period = i64::from(self.expiry_days.days(role)).saturating_mul(day);
        let half = period.checked_div(2).unwrap_or(0);
        let (set, usual) = match role.as_str() {
            "root" => (self.signing_days.root, 60 * day),
            "snapshot" | "timestamp" | crate::layout::PKI_ROLE => (None, period),
            _ => (self.signing_days.targets, 30 * day),
        };
        let before = set.map_or(usual.min(half), |days| i64::from(days).saturating_mul(day));
        expires.plus_seconds(before.saturating_neg())
    }

    /// The oldest root that devices have in their firmware.
    pub fn first_root(&self) -> Version {
        Version::new(self.first_root).unwrap_or(Version::FIRST)
    }

    /// Reads the settings from a file.
    ///
    /// # Errors
    /// If it cannot be read, or has anything that is not a setting.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = durable::read_bounded(path, LIMIT)?;
        let text = String::from_utf8_lossy(&bytes);
        let settings: Self = toml::from_str(&text).map_err(|e| Error::Settings {
            path: path.to_owned(),
            source: Box::new(e),
        })?;
        settings.check(path)?;
        Ok(settings)
    }

    /// The settings as a file.
    ///
    /// # Errors
    /// Never for settings that `read` accepts.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string_pretty(self).map_err(|e| Error::WriteSettings {
            source: Box::new(e),
        })?;
        Ok(format!(
            "# Settings of this repository: see OPERATIONS.md.\n\n{text}"
        ))
    }

    /// Roles that would expire before their people have begun to sign.
    pub(crate) fn short_periods(&self) -> Vec<String> {
        let (expiry, signing) = (&self.expiry_days, &self.signing_days);
        let pairs = [
            ("root", expiry.root, signing.root),
            ("targets", expiry.targets, signing.targets),
        ];
        let short = pairs.into_iter().filter_map(|(role, expiry, signing)| {
            let signing = signing.filter(|signing| *signing >= expiry)?;
            Some(format!(
                "signing-days: {role} expires after {expiry} days, signing would begin {signing} days before that: \
                 expected fewer days than expiry-days has"
            ))
        });
        short.collect()
    }

    /// Numbers that make no sense.
    pub(crate) fn check_ranges(&self) -> Result<(), String> {
        let periods = &self.expiry_days;
        let days = [
            periods.root,
            periods.targets,
            periods.pki,
            periods.snapshot,
            periods.timestamp,
        ];
        if days.iter().any(|days| !(1..=3650).contains(days)) {
            return Err("expiry-days: expected 1 to 3650 days for every role".to_owned());
        }
        if !(1..=22).contains(&self.compression_level) {
            return Err("compression-level: expected 1 to 22".to_owned());
        }
        Ok(())
    }

    fn check(&self, path: &Path) -> Result<()> {
        use serde::de::Error as _;
        let refuse = |why: &str| {
            let source = Box::new(toml::de::Error::custom(why));
            Err(Error::Settings {
                path: path.to_owned(),
                source,
            })
        };
        if let Err(why) = self.check_ranges() {
            return refuse(&why);
        }
        for source in [
            &self.online.snapshot,
            &self.online.timestamp,
            &self.online.pki,
        ]
        .into_iter()
        .flatten()
        {
            // This file is shared with everybody who signs.
            if matches!(source, KeySource::Token(uri) if uri.pin.is_some()) {
                return refuse("online: a PIN does not belong here, name a file with pin-source");
            }
        }
        if let Some(why) = self.short_periods().first() {
            return refuse(why);
        }
        if self.first_root == 0 {
            return refuse("first-root: expected the version of a root, 1 or more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_file_and_refuses_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repo.toml");
        let settings = Settings {
            deltas: 7,
            ..Settings::default()
        };
        std::fs::write(&path, settings.to_toml().unwrap()).unwrap();
        assert_eq!(Settings::read(&path).unwrap(), settings);
        std::fs::write(&path, "[slots.router-x.rev-a]\nrootfs = 300\n").unwrap();
        let slots = Settings::read(&path).unwrap();
        let text = slots.to_toml().unwrap();
        assert!(
            text.contains("[slots.router-x.rev-a]\nrootfs = 300"),
            "{text}"
        );
        std::fs::write(&path, "[expiry-days]\nroot = 30\n").unwrap();
        assert_eq!(Settings::read(&path).unwrap().expiry_days.root, 30);
        let online = "[online]\ntimestamp = [\"pkcs11:token=a\", \"k\"]\npki = \"env:PKI\"\n";
        std::fs::write(&path, online).unwrap();
        let online = Settings::read(&path).unwrap();
        assert_eq!(online.online.timestamp.len(), 2);
        std::fs::write(&path, online.to_toml().unwrap()).unwrap();
        assert_eq!(Settings::read(&path).unwrap().online, online.online);
        for bad in [
            "[online]\npki = \"pkcs11:token=a?pin-value=1\"",
            "[online]\npki = \"env:\"",
            "expiry-dais = 1",
            "[expiry-days]\nroot = 0",
            "compression-level = 90",
            "x",
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(
                matches!(Settings::read(&path), Err(Error::Settings { .. })),
                "{bad}"
            );
        }
    }
}
