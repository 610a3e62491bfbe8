//! Whether an offered release is for this device, and if not, why not. Pure.

use std::fmt;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{
    Channel, FirmwareVersion, HardwareId, Product, ReleaseManifest, SlotClass,
};
use metadata_schema::time::ReferenceTime;

/// What a device is and runs.
#[derive(Clone, Debug)]
pub struct Device<'a> {
    /// Product line.
    pub product: &'a Product,
    /// Hardware revision.
    pub hardware: &'a HardwareId,
    /// Channel that it follows.
    pub channel: &'a Channel,
    /// Version that it runs and has committed.
    pub version: &'a FirmwareVersion,
    /// Highest security version that it has committed.
    pub security_version: u64,
    /// What decides its place in a rollout: stable for the device, different between devices.
    pub seed: &'a str,
    /// Slot classes and their capacities in bytes.
    pub slots: &'a [(SlotClass, u64)],
    /// Firmware that failed here, by the digests of its images, and why.
    pub failed: &'a [(Vec<Sha256Digest>, String)],
}

/// What to do about a release.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Install it.
    Install,
    /// It is what runs already.
    UpToDate,
    /// Not for this device, or not now.
    NotTaken(Reason),
}

/// Why a release is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The manifest is of another product or channel than the path at which it stands.
    Misplaced {
        /// Product and channel of the device.
        expected: String,
        /// Product and channel in the manifest.
        found: String,
    },
    /// The firmware does not fit the hardware.
    Hardware {
        /// Revision of the device.
        device: HardwareId,
        /// Revisions that the release fits.
        fits: Vec<HardwareId>,
    },
    /// Older than what runs.
    OlderVersion {
        /// Version that runs.
        running: FirmwareVersion,
        /// Version that is offered.
        offered: FirmwareVersion,
    },
    /// Its security version is lower than one that was committed here.
    SecurityVersion {
        /// Highest committed.
        committed: u64,
        /// Offered.
        offered: u64,
    },
    /// Another version must be installed first.
    SteppingStone {
        /// Version that runs.
        running: FirmwareVersion,
        /// Least version that may update directly.
        requires: FirmwareVersion,
    },
    /// The rollout has not reached this device.
    Wave,
    /// The rollout is paused.
    Paused,
    /// Its publisher took it back.
    Withdrawn {
        /// Why.
        why: String,
    },
    /// It was tried here and failed.
    FailedBefore {
        /// What went wrong then.
        why: String,
    },
    /// It has an image for which the device has no slot, or the device has a slot for which it has no image.
    Slots {
        /// Slot classes of the device.
        device: Vec<SlotClass>,
        /// Slot classes of the release.
        release: Vec<SlotClass>,
    },
    /// An image is larger than its slot.
    TooLarge {
        /// The slot class.
        class: SlotClass,
        /// Length of the image in bytes.
        image: u64,
        /// Capacity of the slot in bytes.
        slot: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| names.join(", ");
        match self {
            Self::Misplaced { expected, found } => {
                write!(f, "the manifest is of {found}, not of {expected}")
            }
            Self::Hardware { device, fits } => {
                let fits: Vec<String> = fits.iter().map(ToString::to_string).collect();
                write!(f, "it fits hardware {}, this is {device}", list(&fits))
            }
            Self::OlderVersion { running, offered } => {
                write!(f, "{offered} is older than the running {running}")
            }
            Self::SecurityVersion { committed, offered } => {
                write!(
                    f,
                    "its security version {offered} is below {committed}, which was committed here"
                )
            }
            Self::SteppingStone { running, requires } => {
                write!(
                    f,
                    "it requires at least {requires} to update from, and {running} runs"
                )
            }
            Self::Wave => f.write_str("its rollout has not reached this device"),
            Self::Paused => f.write_str("its rollout is paused"),
            Self::Withdrawn { why } => write!(f, "its publisher withdrew it: {why}"),
            Self::FailedBefore { why } => write!(f, "it failed here before: {why}"),
            Self::Slots { device, release } => {
                let device: Vec<String> = device.iter().map(ToString::to_string).collect();
                let release: Vec<String> = release.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "it has images for {}, this device has slots for {}",
                    list(&release),
                    list(&device)
                )
            }
            Self::TooLarge { class, image, slot } => {
                write!(
                    f,
                    "its {class} image has {image} bytes, the slot holds {slot}"
                )
            }
        }
    }
}

/// Decides about a release.
pub fn decide(device: &Device<'_>, manifest: &ReleaseManifest, now: ReferenceTime) -> Decision {
    if (&manifest.product, &manifest.channel) != (device.product, device.channel) {
        return Decision::NotTaken(Reason::Misplaced {
            expected: format!("{}/{}", device.product, device.channel),
            found: format!("{}/{}", manifest.product, manifest.channel),
        });
    }
    if manifest.version == *device.version {
        return Decision::UpToDate;
    }
    refusal(device, manifest, now).map_or(Decision::Install, Decision::NotTaken)
}

fn refusal(device: &Device<'_>, manifest: &ReleaseManifest, now: ReferenceTime) -> Option<Reason> {
    if manifest.version < *device.version {
        let (running, offered) = (device.version.clone(), manifest.version.clone());
        return Some(Reason::OlderVersion { running, offered });
    }
    if manifest.security_version < device.security_version {
        let (committed, offered) = (device.security_version, manifest.security_version);
        return Some(Reason::SecurityVersion { committed, offered });
    }
    if let Some(entry) = manifest.withdrawal(&manifest.version) {
        let why = entry.reason.clone();
        return Some(Reason::Withdrawn { why });
    }
    if !manifest.hardware.contains(device.hardware) {
        return Some(Reason::Hardware {
            device: device.hardware.clone(),
            fits: manifest.hardware.clone(),
        });
    }
    if let Some(requires) = manifest
        .requires
        .as_ref()
        .filter(|requires| device.version < requires)
    {
        return Some(Reason::SteppingStone {
            running: device.version.clone(),
            requires: requires.clone(),
        });
    }
    // Known again by its images: what failed does not become better by another manifest around it.
    let images: Vec<Sha256Digest> = manifest.images.values().map(|image| image.sha256).collect();
    if let Some((_, why)) = device.failed.iter().find(|(failed, _)| *failed == images) {
        return Some(Reason::FailedBefore { why: why.clone() });
    }
    slots(device, manifest).or_else(|| turn(device, manifest, now))
}

/// Whether it is this device's turn. One that runs a release which was withdrawn does not wait for its wave.
fn turn(device: &Device<'_>, manifest: &ReleaseManifest, now: ReferenceTime) -> Option<Reason> {
    if manifest.rollout.paused {
        return Some(Reason::Paused);
    }
    let urgent = manifest.withdrawal(device.version).is_some();
    let admitted = manifest
        .rollout
        .admits(device.seed, &manifest.version.to_string(), now);
    (!urgent && !admitted).then_some(Reason::Wave)
}

fn slots(device: &Device<'_>, manifest: &ReleaseManifest) -> Option<Reason> {
    let mut classes: Vec<SlotClass> = device
        .slots
        .iter()
        .map(|(class, _)| class.clone())
        .collect();
    classes.sort();
    let release: Vec<SlotClass> = manifest.images.keys().cloned().collect();
    if classes != release {
        return Some(Reason::Slots {
            device: classes,
            release,
        });
    }
    device.slots.iter().find_map(|(class, slot)| {
        let image = manifest.images.get(class)?.length;
        (image > *slot).then(|| Reason::TooLarge {
            class: class.clone(),
            image,
            slot: *slot,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metadata_schema::json::Object;
    use metadata_schema::name::TargetPath;
    use metadata_schema::release::{Image, Payload, Rollout, Wave, Withdrawn};
    use metadata_schema::time::Timestamp;

    use super::*;

    fn manifest(version: &str, change: impl FnOnce(&mut ReleaseManifest)) -> ReleaseManifest {
        let digest = Sha256Digest::of(b"image");
        let path = TargetPath::new("router-x/rootfs.full").unwrap();
        let image = Image {
            length: 100,
            sha256: digest,
            full: Payload {
                path,
                length: 50,
                head: digest,
            },
            deltas: BTreeMap::new(),
        };
        let mut manifest = ReleaseManifest {
            product: "router-x".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            version: version.parse().unwrap(),
            security_version: 5,
            hardware: vec!["rev-a".parse().unwrap()],
            requires: None,
            released: Timestamp::EPOCH,
            images: [("rootfs".parse().unwrap(), image)].into(),
            rollout: Rollout::default(),
            notes: String::new(),
            withdrawn: Vec::new(),
            custom: Object::new(),
            extra: Object::new(),
        };
        change(&mut manifest);
        manifest
    }

    fn withdrawal(version: &str) -> Withdrawn {
        Withdrawn {
            version: version.parse().unwrap(),
            reason: "it eats batteries".to_owned(),
            since: Timestamp::EPOCH,
        }
    }

    fn decided(manifest: &ReleaseManifest, failed: &[(Vec<Sha256Digest>, String)]) -> String {
        let device = Device {
            product: &"router-x".parse().unwrap(),
            hardware: &"rev-a".parse().unwrap(),
            channel: &"stable".parse().unwrap(),
            version: &"1.1.0".parse().unwrap(),
            security_version: 5,
            seed: "device",
            slots: &[("rootfs".parse().unwrap(), 100)],
            failed,
        };
        match decide(&device, manifest, Timestamp::EPOCH) {
            Decision::NotTaken(reason) => reason.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn says_what_and_why() {
        type Change = fn(&mut ReleaseManifest);
        let cases: [(&str, Change, &str); 15] = [
            ("1.2.0", |_| {}, "Install"),
            ("1.1.0", |_| {}, "UpToDate"),
            ("1.0.0", |_| {}, "1.0.0 is older than the running 1.1.0"),
            ("1.2.0-rc.1", |_| {}, "Install"),
            (
                "1.2.0",
                |m| m.security_version = 4,
                "its security version 4 is below 5, which was committed here",
            ),
            (
                "1.2.0",
                |m| m.hardware = vec!["rev-b".parse().unwrap()],
                "it fits hardware rev-b, this is rev-a",
            ),
            (
                "2.0.0",
                |m| m.requires = Some("1.5.0".parse().unwrap()),
                "it requires at least 1.5.0 to update from, and 1.1.0 runs",
            ),
            (
                "1.2.0",
                |m| m.product = "lamp".parse().unwrap(),
                "the manifest is of lamp/stable, not of router-x/stable",
            ),
            (
                "1.2.0",
                |m| m.rollout.paused = true,
                "its rollout is paused",
            ),
            (
                "1.2.0",
                |m| m.withdrawn = vec![withdrawal("1.2.0")],
                "its publisher withdrew it: it eats batteries",
            ),
            // What runs was withdrawn: no waiting for a wave, but for nothing less.
            (
                "1.2.0",
                |m| {
                    m.withdrawn = vec![withdrawal("1.1.0")];
                    m.rollout.waves = vec![Wave {
                        start: Timestamp::MAX,
                        percent: 100,
                    }];
                },
                "Install",
            ),
            (
                "1.2.0",
                |m| {
                    m.withdrawn = vec![withdrawal("1.1.0")];
                    m.rollout.paused = true;
                },
                "its rollout is paused",
            ),
            (
                "1.0.0",
                |m| m.withdrawn = vec![withdrawal("1.1.0")],
                "1.0.0 is older than the running 1.1.0",
            ),
            (
                "1.2.0",
                |m| {
                    m.rollout.waves = vec![Wave {
                        start: Timestamp::MAX,
                        percent: 100,
                    }];
                },
                "its rollout has not reached this device",
            ),
            (
                "1.2.0",
                |m| m.images.values_mut().for_each(|i| i.length = 101),
                "its rootfs image has 101 bytes, the slot holds 100",
            ),
        ];
        for (version, change, expected) in cases {
            assert_eq!(decided(&manifest(version, change), &[]), expected);
        }
        let failed = [(vec![Sha256Digest::of(b"image")], "no network".to_owned())];
        assert_eq!(
            decided(&manifest("1.2.0", |_| {}), &failed),
            "it failed here before: no network"
        );
    }

    proptest::proptest! {
        #[test]
        fn never_goes_back(major in 0_u64..3, minor in 0_u64..3, security in 3_u64..8) {
            let version = format!("{major}.{minor}.0");
            let offered = manifest(&version, |m| m.security_version = security);
            if decided(&offered, &[]) == "Install" {
                proptest::prop_assert!((major, minor) > (1, 1) && security >= 5);
            }
        }
    }
}
