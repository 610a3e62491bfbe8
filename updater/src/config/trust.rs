//! What a device believes, and the least that it asks of signatures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use device_pki::{Roles, Thresholds};
use metadata_schema::key::Family;
use metadata_schema::name::{RoleName, Version};
use serde::Deserialize;

/// What the device believes.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Stated")]
pub struct TrustConfig {
    /// The X.509 root CA that it left the factory with, PEM.
    pub anchor: PathBuf,
    /// Where its first TUF root metadata comes from.
    pub first_root: FirstRoot,
    /// The least thresholds that it accepts, whatever metadata says.
    pub minimum_thresholds: MinimumThresholds,
    /// The families of signature algorithms that it insists on, whatever metadata says.
    pub required_algorithms: RequiredAlgorithms,
}

/// Where the first root metadata comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FirstRoot {
    /// From this file, which comes with the firmware (`trust.root`).
    Factory(PathBuf),
    /// From the network, beginning with this version (`trust.bootstrap.minimum_root_version`): see [`crate::bootstrap`].
    Network(Version),
}

/// `[trust]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    anchor: PathBuf,
    root: Option<PathBuf>,
    bootstrap: Option<Bootstrap>,
    #[serde(default)]
    minimum_thresholds: MinimumThresholds,
    #[serde(default)]
    required_algorithms: RequiredAlgorithms,
}

/// `[trust.bootstrap]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bootstrap {
    minimum_root_version: u64,
}

/// The least thresholds that a device accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinimumThresholds {
    /// For root.
    #[serde(default = "two")]
    pub root: u32,
    /// For the top-level targets.
    #[serde(default = "two")]
    pub targets: u32,
    /// For delegated roles.
    #[serde(default = "two")]
    pub delegated: u32,
}

/// By roles, how many different holders must have signed with each family of algorithms: so a repository that is signed with
/// an old and a post-quantum algorithm survives the fall of either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, BTreeMap<String, u32>>")]
pub struct RequiredAlgorithms(Vec<(Roles, Family, u32)>);

impl TrustConfig {
    /// The least that signatures must come to.
    pub fn thresholds(&self) -> Thresholds {
        let MinimumThresholds {
            root,
            targets,
            delegated,
        } = self.minimum_thresholds;
        self.required_algorithms.0.iter().fold(
            Thresholds::new(root, targets, delegated),
            |thresholds, (roles, family, holders)| thresholds.requiring(roles, *family, *holders),
        )
    }
}

impl TryFrom<Stated> for TrustConfig {
    type Error = String;

    fn try_from(stated: Stated) -> Result<Self, String> {
        let first_root = match (stated.root, stated.bootstrap) {
            (Some(root), None) => FirstRoot::Factory(root),
            (None, Some(bootstrap)) => FirstRoot::Network(
                Version::new(bootstrap.minimum_root_version)
                    .ok_or("minimum_root_version is 0: expected 1 or more")?,
            ),
            (None, None) => {
                let why = "there is no root metadata: give `root`, the file that comes with the firmware, or \
                           [trust.bootstrap] with `minimum_root_version`";
                return Err(why.to_owned());
            }
            (Some(_), Some(_)) => {
                let why = "there are both `root` and `bootstrap`: a device that has root metadata from its firmware \
                           never asks the network for its first";
                return Err(why.to_owned());
            }
        };
        Ok(Self {
            anchor: stated.anchor,
            first_root,
            minimum_thresholds: stated.minimum_thresholds,
            required_algorithms: stated.required_algorithms,
        })
    }
}

impl Default for MinimumThresholds {
    fn default() -> Self {
        Self {
            root: two(),
            targets: two(),
            delegated: two(),
        }
    }
}

impl TryFrom<BTreeMap<String, BTreeMap<String, u32>>> for RequiredAlgorithms {
    type Error = String;

    fn try_from(table: BTreeMap<String, BTreeMap<String, u32>>) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (name, families) in table {
            let at = |why: String| format!("required_algorithms.{name}: {why}");
            let roles = roles(&name).map_err(at)?;
            if families.is_empty() {
                let why =
                    "requires nothing: name an algorithm, such as { ed25519 = 1 }, or leave it out";
                return Err(at(why.to_owned()));
            }
            for (family, holders) in families {
                let family: Family = family
                    .parse()
                    .map_err(|e: metadata_schema::key::UnknownFamily| at(e.to_string()))?;
                if holders == 0 {
                    let why = format!("{family} = 0 requires nothing: expected 1 or more signers");
                    return Err(at(why));
                }
                rules.push((roles.clone(), family, holders));
            }
        }
        Ok(Self(rules))
    }
}

fn roles(name: &str) -> Result<Roles, String> {
    match name {
        "root" => Ok(Roles::Root),
        "targets" => Ok(Roles::Targets),
        "delegated" => Ok(Roles::Delegated),
        "timestamp" | "snapshot" | device_pki::crl::ROLE => Err(
            "is signed by online keys, of which no algorithms can be required: expected root, targets, delegated, or the \
             name of a delegated role"
                .to_owned(),
        ),
        name => RoleName::delegated(name)
            .map(Roles::Named)
            .map_err(|e| e.to_string()),
    }
}

fn two() -> u32 {
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TrustConfig, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    fn required(text: &str) -> Result<TrustConfig, String> {
        read(&format!(
            "anchor = 'a'\nroot = 'r'\n[required_algorithms]\n{text}"
        ))
    }

    #[test]
    fn the_first_root_comes_from_one_place() {
        let factory = read("anchor = 'a'\nroot = 'r'").unwrap();
        assert_eq!(factory.first_root, FirstRoot::Factory("r".into()));
        let network = read("anchor = 'a'\nbootstrap = { minimum_root_version = 3 }").unwrap();
        let from = FirstRoot::Network(Version::new(3).unwrap());
        assert_eq!(network.first_root, from);
        for (text, expected) in [
            ("", "there is no root metadata"),
            (
                "root = 'r'\nbootstrap = { minimum_root_version = 3 }",
                "both `root` and `bootstrap`",
            ),
            ("bootstrap = {}", "missing field `minimum_root_version`"),
            (
                "bootstrap = { minimum_root_version = 0 }",
                "expected 1 or more",
            ),
        ] {
            let error = read(&format!("anchor = 'a'\n{text}")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn required_algorithms_are_rules_for_roles() {
        let config = required(
            "root = { ed25519 = 1, ml-dsa = 2 }\ndelegated = { ecdsa = 1 }\nrouter-x = { rsa = 1 }",
        );
        let expected = Thresholds::new(2, 2, 2)
            .requiring(&Roles::Root, Family::Ed25519, 1)
            .requiring(&Roles::Root, Family::MlDsa, 2)
            .requiring(&Roles::Delegated, Family::Ecdsa, 1)
            .requiring(
                &Roles::Named(RoleName::delegated("router-x").unwrap()),
                Family::Rsa,
                1,
            );
        assert_eq!(config.unwrap().thresholds(), expected);
    }

    #[test]
    fn says_what_is_wrong_with_required_algorithms() {
        for (text, expected) in [
            (
                "root = { dilithium = 1 }",
                "required_algorithms.root: unknown signature algorithm \"dilithium\"; known are ed25519",
            ),
            ("root = {}", "required_algorithms.root: requires nothing"),
            (
                "targets = { rsa = 0 }",
                "required_algorithms.targets: rsa = 0 requires nothing: expected 1 or more signers",
            ),
            (
                "timestamp = { rsa = 1 }",
                "required_algorithms.timestamp: is signed by online keys",
            ),
            (
                "pki = { rsa = 1 }",
                "required_algorithms.pki: is signed by online keys",
            ),
            ("'' = { rsa = 1 }", "required_algorithms.: "),
            ("root = { rsa = -1 }", "expected u32"),
        ] {
            let error = required(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
