//! The device's configuration: TOML, with drop-ins.
//!
//! `updater.toml` is read first, then `updater.d/*.toml` beside it in the order of their names; a later value replaces an earlier
//! one, tables are merged. Members that are not known are refused. `docs/INTEGRATION.md` shows a complete file.

mod boot;
mod identity;
mod network;
mod policy;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{Channel, FirmwareVersion, HardwareId, Product, SlotClass};
use metadata_schema::time::Timestamp;
use serde::Deserialize;

use crate::error::ConfigError;
pub use boot::{BootBackend, BootConfig, BootSlots, EmmcBootConfig};
pub use identity::{CertificateFiles, EnrolmentConfig, IdentityConfig};
pub use network::NetworkConfig;
pub use policy::PolicyConfig;
pub use trust::{FirstRoot, MinimumThresholds, RequiredAlgorithms, TrustConfig};

/// Longest configuration file, in bytes.
const MAX_LENGTH: u64 = 1024 * 1024;

/// Everything that is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the device is.
    pub device: DeviceConfig,
    /// Where it asks.
    pub server: ServerConfig,
    /// How it gets there, and its patience.
    #[serde(default)]
    pub network: NetworkConfig,
    /// What it believes.
    pub trust: TrustConfig,
    /// Who it is.
    pub identity: IdentityConfig,
    /// Folder of everything that it remembers.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Slots by class.
    pub slots: BTreeMap<SlotClass, SlotPaths>,
    /// Boot partitions of an eMMC that hold the boot loader's own image.
    pub emmc_boot: Option<EmmcBootConfig>,
    /// Its boot loader.
    pub boot: BootConfig,
    /// The firmware that it left the factory with.
    pub factory: FactoryConfig,
    /// What its owner wants.
    #[serde(default)]
    pub policy: PolicyConfig,
    /// Folder of hooks: see [`crate::hooks`].
    #[serde(default = "default_hooks")]
    pub hooks: PathBuf,
    /// Seconds that a health check may take.
    #[serde(default = "default_health_deadline")]
    pub health_deadline: u64,
    /// Seconds that any other hook may take.
    #[serde(default = "default_health_deadline")]
    pub hook_deadline: u64,
    /// Where `updater run` listens; `socket` in the state folder, if it is not configured.
    #[serde(default)]
    pub socket: PathBuf,
    /// A file of measurements for Prometheus, written after each run.
    pub metrics: Option<PathBuf>,
    /// Seconds between polls of `updater run`.
    #[serde(default = "default_poll")]
    pub poll_interval: u64,
}

/// What the device is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// Its product line.
    pub product: Product,
    /// Its hardware revision.
    pub hardware: HardwareId,
    /// The channel that it follows.
    pub channel: Channel,
}

/// Where the device asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Base URL of the metadata.
    pub metadata: String,
    /// Base URL of the targets.
    pub targets: String,
    /// URL that takes reports; none are sent without.
    pub reports: Option<String>,
}

/// The places of a class in both slots.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotPaths {
    /// Block device or file of slot A.
    pub a: PathBuf,
    /// Block device or file of slot B.
    pub b: PathBuf,
}

/// The firmware that the device left the factory with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactoryConfig {
    /// Its version.
    pub version: FirmwareVersion,
    /// Its anti-rollback number.
    #[serde(default)]
    pub security_version: u64,
    /// When it was built: the floor of the clock.
    pub build_time: Timestamp,
    /// Its images, where they are known: then the first update can be a delta.
    #[serde(default)]
    pub images: BTreeMap<SlotClass, FactoryImage>,
}

/// An image that the factory wrote.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactoryImage {
    /// Length in bytes.
    pub length: u64,
    /// Digest.
    pub sha256: Sha256Digest,
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/updater")
}

fn default_hooks() -> PathBuf {
    PathBuf::from("/etc/updater/hooks")
}

fn default_health_deadline() -> u64 {
    120
}

fn default_poll() -> u64 {
    3600
}

impl Config {
    /// Reads `file` and its drop-ins. Paths in them are relative to the folder of `file`.
    ///
    /// # Errors
    /// If a file cannot be read, is not TOML, or has a member that is not known, missing or malformed.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut table = read(file)?;
        for drop_in in drop_ins(&file.with_extension("d")) {
            merge(&mut table, read(&drop_in)?);
        }
        let invalid = |why: String| ConfigError::Invalid {
            path: file.to_owned(),
            why,
        };
        let mut config: Self = table
            .try_into()
            .map_err(|e: toml::de::Error| invalid(crate::suggest::suggested(&e.to_string())))?;
        if config.slots.is_empty() {
            return Err(invalid("no slots are configured".to_owned()));
        }
        if config.socket.as_os_str().is_empty() {
            config.socket = config.state.join("socket");
        }
        config.resolve(folder);
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let Self {
            trust,
            identity,
            state,
            slots,
            boot,
            hooks,
            policy,
            socket,
            metrics,
            ..
        } = self;
        boot.resolve(folder);
        let first_root = match &mut trust.first_root {
            FirstRoot::Factory(path) => Some(path),
            FirstRoot::Network(_) => None,
        };
        let slots = slots
            .values_mut()
            .flat_map(|slot| [&mut slot.a, &mut slot.b]);
        identity.resolve(folder);
        let single = [&mut trust.anchor, state, hooks, socket, &mut policy.inhibit];
        let optional = [metrics, &mut policy.metered_file];
        let optional = optional.into_iter().flatten();
        for path in single
            .into_iter()
            .chain(slots)
            .chain(first_root)
            .chain(optional)
        {
            *path = folder.join(&*path);
        }
    }
}

fn read(path: &Path) -> Result<toml::Table, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let bytes = durable::read_bounded(path, MAX_LENGTH).map_err(unreadable)?;
    let invalid = |why: String| ConfigError::Invalid {
        path: path.to_owned(),
        why,
    };
    let text = String::from_utf8(bytes).map_err(|e| invalid(e.to_string()))?;
    text.parse()
        .map_err(|e: toml::de::Error| invalid(e.to_string()))
}

fn drop_ins(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
        [device]
        product = "router-x"
        hardware = "rev-a"
        channel = "stable"
        [server]
        metadata = "https://api.example/metadata"
        targets = "https://api.example/targets"
        [trust]
        anchor = "anchor.pem"
        root = "/usr/share/updater/root.json"
        [identity]
        certificate = "device.pem"
        key = "device.key"
        [slots.rootfs]
        a = "/dev/mmcblk0p2"
        b = "/dev/mmcblk0p3"
        [boot]
        backend = "simulated"
        path = "boot.json"
        [factory]
        version = "0.9.0"
        build_time = "2026-01-01T00:00:00Z"
    "#;

    fn loaded(base: &str, drop_ins: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("updater.toml");
        std::fs::write(&file, base).unwrap();
        std::fs::create_dir(folder.path().join("updater.d")).unwrap();
        for (name, text) in drop_ins {
            std::fs::write(folder.path().join("updater.d").join(name), text).unwrap();
        }
        Config::load(&file).map_err(|e| e.to_string())
    }

    #[test]
    fn merges_drop_ins_in_the_order_of_their_names() {
        let drop_ins = [
            ("20-beta.toml", "[device]\nchannel = 'beta'"),
            (
                "10-other.toml",
                "[device]\nchannel = 'other'\nhardware = 'rev-b'",
            ),
            ("30-ignored.txt", "nonsense"),
        ];
        let config = loaded(BASE, &drop_ins).unwrap();
        assert_eq!(
            (
                config.device.channel.as_str(),
                config.device.hardware.as_str()
            ),
            ("beta", "rev-b")
        );
        assert_eq!(
            config.trust.minimum_thresholds,
            MinimumThresholds {
                root: 2,
                targets: 2,
                delegated: 2
            }
        );
        assert!(
            config.trust.anchor.is_absolute()
                && config.trust.first_root
                    == FirstRoot::Factory("/usr/share/updater/root.json".into())
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let error = loaded(BASE, &[("10.toml", "[device]\nchanel = 'beta'")]).unwrap_err();
        assert!(error.contains("unknown field `chanel`"), "{error}");
        assert!(error.ends_with("did you mean `channel`?"), "{error}");
        let error =
            loaded(&BASE.replace("[slots.rootfs]", "[slots.\"Root FS\"]"), &[]).unwrap_err();
        assert!(error.contains("slot class"), "{error}");
        assert!(loaded("", &[]).unwrap_err().contains("missing field"));
    }
}
