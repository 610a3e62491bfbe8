//! Narrowing TUF: which of the keys that TUF authorises count on this device.
//!
//! TUF says which keys may sign for a role. A device with a PKI trust anchor asks more: the key's holder must have a
//! certificate that leads to that anchor, names the role, is valid and not revoked. The rules for certificates live in
//! the crate `device-pki`, which implements [`SignerGate`]; this crate asks it inside its one threshold check.

use std::collections::BTreeMap;

use crate::json::{Fields, Json, ShapeError};
use crate::key::{Family, KeyId, PublicKey};
use crate::name::RoleName;
use crate::time::ReferenceTime;

/// The member of `signed` that carries certificates, in root and in targets metadata that delegates.
pub const CERTIFICATES_MEMBER: &str = "x-pki";
/// The version of that member which this crate knows.
pub const CERTIFICATES_VERSION: u64 = 1;
/// Most certificates in one chain: leaf and intermediates.
pub const MAX_CHAIN: usize = 4;

/// Certificates of signers: by key id a chain of PEM certificates (RFC 7468), the leaf first, without the root CA.
///
/// They stand inside `signed`, so signatures cover them, and clients that do not know them ignore them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    by_key: BTreeMap<KeyId, Vec<String>>,
}

impl Certificates {
    /// Adds the chain of one key.
    pub fn insert(&mut self, key: KeyId, chain: Vec<String>) {
        self.by_key.insert(key, chain);
    }

    /// The chain of a key, leaf first; empty if there is none.
    pub fn chain(&self, key: &KeyId) -> &[String] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// All chains.
    pub fn iter(&self) -> impl Iterator<Item = (&KeyId, &[String])> {
        self.by_key
            .iter()
            .map(|(key, chain)| (key, chain.as_slice()))
    }

    /// Whether there is no chain at all.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Reads the member that stands at the path `at`.
    ///
    /// A version that we do not know reads as no certificates: keys then do not count where a certificate is needed.
    ///
    /// # Errors
    /// If version 1 has not the shape it should.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        if fields.take("version", Json::into_u64)? != CERTIFICATES_VERSION {
            return Ok(Self::default());
        }
        let certs = fields.take("certs", Json::into_object)?;
        let mut by_key = BTreeMap::new();
        for (key, chain) in certs {
            let at = format!("{at}.certs");
            let chain = chain.into_strings(&at)?;
            if chain.len() > MAX_CHAIN {
                return Err(ShapeError::new(
                    &at,
                    format!("at most {MAX_CHAIN} certificates"),
                    chain.len().to_string(),
                ));
            }
            by_key.insert(KeyId::claimed(key), chain);
        }
        Ok(Self { by_key })
    }

    /// As JSON.
    pub fn to_json(&self) -> Json {
        let certs = self
            .by_key
            .iter()
            .map(|(key, chain)| (key.as_str(), Json::from(chain.clone())));
        Json::object([
            ("version", Json::from(CERTIFICATES_VERSION)),
            ("certs", Json::object(certs)),
        ])
    }
}

/// A key that TUF authorises for a role, whose signature is right, and which asks to be counted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// The role that it signs for.
    pub role: &'a RoleName,
    /// Certificates that the delegating metadata carries for this key: PEM, leaf first; may be empty.
    pub chain: &'a [String],
    /// When the certificate has to be valid.
    pub when: When,
}

/// The time at which a signer's certificate has to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// At the chain's own latest notBefore: a step of the root walk. A device that slept for two years must be able to
    /// walk over roots whose signers' certificates have expired since.
    Walk,
    /// At the reference time: everything that is in force now.
    At(ReferenceTime),
}

/// Who holds a key, as its certificate names them. Two keys of one holder count once towards a threshold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder(pub String);

/// Why a gate does not count a key, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Decides which authorised keys count.
pub trait SignerGate {
    /// Admits a signer, and names its holder.
    ///
    /// # Errors
    /// Why its signature does not count.
    fn admit(&self, signer: &Signer<'_>) -> Result<Holder, Refusal>;

    /// What the signatures of a role must come to on this device, whatever the metadata says: stolen keys cannot lower it.
    fn requirement(&self, role: &RoleName) -> Requirement;
}

/// The least that a device asks of a role's signatures.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Requirement {
    /// The least threshold: so many different holders.
    pub holders: u32,
    /// By family of signature algorithms, how many different holders must have signed with it. Where a role needs both an
    /// old and a post-quantum family, a forger has to break both. A holder may have a key of each family: towards the
    /// threshold they count once, towards their families each.
    pub families: BTreeMap<Family, u32>,
}

impl Requirement {
    /// So many different holders, by whatever algorithm.
    pub fn holders(holders: u32) -> Self {
        Self {
            holders,
            families: BTreeMap::new(),
        }
    }
}

/// Plain TUF: every authorised key counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainTuf;

impl SignerGate for PlainTuf {
    fn admit(&self, signer: &Signer<'_>) -> Result<Holder, Refusal> {
        Ok(Holder(signer.key.id().to_string()))
    }

    fn requirement(&self, _role: &RoleName) -> Requirement {
        Requirement::holders(1)
    }
}
