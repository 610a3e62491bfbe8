//! The certificate extension that says which TUF roles a firmware signer may sign.
//!
//! It stands under [`crate::oid::SIGNER_ROLES`], is not critical (other software may pass over it), and holds a
//! `SEQUENCE OF UTF8String`: `root`, `targets`, `delegated:<name>`.

use std::fmt;
use std::str::FromStr;

use metadata_schema::name::RoleName;

use crate::der;
use crate::error::{Error, Result};

/// Most roles in one certificate.
pub const MAX_ROLES: usize = 64;

/// A TUF role that a person may sign.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SignerRole {
    /// The top-level root role.
    Root,
    /// The top-level targets role.
    Targets,
    /// A delegated role, such as a product line.
    Delegated(RoleName),
}

impl SignerRole {
    /// The role as its certificate would have to name it; none for snapshot and timestamp, which need no certificate.
    pub fn of(role: &RoleName) -> Option<Self> {
        match role.as_str() {
            "root" => Some(Self::Root),
            "targets" => Some(Self::Targets),
            "snapshot" | "timestamp" => None,
            _ => Some(Self::Delegated(role.clone())),
        }
    }
}

impl fmt::Display for SignerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Targets => f.write_str("targets"),
            Self::Delegated(name) => write!(f, "delegated:{name}"),
        }
    }
}

impl FromStr for SignerRole {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why| Error::Name {
            what: "signer role",
            found: text.chars().take(80).collect(),
            why,
        };
        match (text, text.strip_prefix("delegated:")) {
            ("root", _) => Ok(Self::Root),
            ("targets", _) => Ok(Self::Targets),
            (_, Some(name)) => RoleName::delegated(name)
                .map(Self::Delegated)
                .map_err(|_| refuse("is no name of a delegated role")),
            _ => Err(refuse("is none of root, targets, delegated:<name>")),
        }
    }
}

/// The extension's value.
pub(crate) fn encode(roles: &[SignerRole]) -> Vec<u8> {
    let names = roles
        .iter()
        .map(|role| der::write(der::UTF8_STRING, role.to_string().as_bytes()));
    der::write(der::SEQUENCE, &names.collect::<Vec<_>>().concat())
}

/// Reads the extension's value. A role that we do not know is passed over: it never matches.
pub(crate) fn decode(value: &[u8]) -> Result<Vec<SignerRole>> {
    let bad = |reason| Error::malformed("signer roles", "a SEQUENCE OF UTF8String", reason);
    let mut outer = der::Reader::new(value);
    let content = outer
        .content(der::SEQUENCE)
        .ok_or_else(|| bad("no SEQUENCE"))?;
    if !outer.is_empty() {
        return Err(bad("bytes after it"));
    }
    let mut names = der::Reader::new(content);
    let mut roles = Vec::new();
    for _ in 0..MAX_ROLES {
        if names.is_empty() {
            return Ok(roles);
        }
        let name = names
            .content(der::UTF8_STRING)
            .ok_or_else(|| bad("no UTF8String"))?;
        let name = std::str::from_utf8(name).map_err(|_| bad("not UTF-8"))?;
        roles.extend(name.parse());
    }
    if names.is_empty() {
        Ok(roles)
    } else {
        Err(bad("more than 64 roles"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_survive_the_extension() {
        let roles: Vec<SignerRole> = ["root", "targets", "delegated:router-x"]
            .iter()
            .map(|role| role.parse().unwrap())
            .collect();
        assert_eq!(decode(&encode(&roles)).unwrap(), roles);
        assert_eq!(decode(&encode(&[])).unwrap(), []);
    }

    #[test]
    fn only_known_roles_parse() {
        for bad in [
            "",
            "Root",
            "snapshot",
            "timestamp",
            "delegated:",
            "delegated:root",
            "router-x",
        ] {
            assert!(bad.parse::<SignerRole>().is_err(), "{bad}");
        }
        let unknown = der::write(der::SEQUENCE, &der::write(der::UTF8_STRING, b"emperor"));
        assert_eq!(decode(&unknown).unwrap(), []);
    }

    #[test]
    fn too_many_roles_are_refused() {
        let roles = vec![SignerRole::Root; MAX_ROLES];
        assert_eq!(decode(&encode(&roles)).unwrap().len(), MAX_ROLES);
        assert!(decode(&encode(&vec![SignerRole::Root; MAX_ROLES + 1])).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            drop(decode(&bytes));
        }
    }
}
