//! Signed files: `{"signed": ..., "signatures": [...]}` (TUF 1.0.34, section 4.2).

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::error::MetadataError;
use crate::gate::{Holder, SignerGate, When};
use crate::json::{Fields, Json, ShapeError};
use crate::key::KeyId;
use crate::name::RoleName;
use crate::roles::Role;
use crate::threshold::{self, Authority};

/// Most signatures that one file may carry.
pub const MAX_SIGNATURES: usize = 256;

/// A signature as the file carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key that the signer names.
    pub key: KeyId,
    /// The signature's bytes.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// As JSON.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("keyid", Json::from(self.key.clone())),
            ("sig", Json::String(hex::encode(&self.bytes))),
        ])
    }
}

/// The parts of a signed file: what is signed, and by whom it claims to be. For tools that sign; a device goes by
/// [`Unverified`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the signatures cover, by its canonical form.
    pub signed: Json,
    /// Signatures in the order of the file.
    pub signatures: Vec<Signature>,
}

impl Envelope {
    /// Reads a signed file. Signatures that are not hex are left out: a bad one does not harm the good ones beside it.
    ///
    /// # Errors
    /// If it is not JSON, not of this form, or has two signatures under one key id.
    pub fn read(role: &RoleName, bytes: &[u8]) -> Result<Self, MetadataError> {
        let json = Json::read(bytes).map_err(|source| MetadataError::Json {
            role: role.clone(),
            source,
        })?;
        Self::from_json(json).map_err(|source| MetadataError::Shape {
            role: role.clone(),
            source,
        })
    }

    fn from_json(json: Json) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, "file")?;
        let signed = fields.required("signed")?;
        let entries = fields.take("signatures", Json::into_array)?;
        if entries.len() > MAX_SIGNATURES {
            let expected = format!("at most {MAX_SIGNATURES} signatures");
            return Err(ShapeError::new(
                "file.signatures",
                expected,
                entries.len().to_string(),
            ));
        }
        let mut signatures = Vec::new();
        let mut signers = BTreeSet::new();
        for entry in entries {
            let mut entry = Fields::of(entry, "file.signatures")?;
            let key = KeyId::claimed(entry.take("keyid", Json::into_string)?);
            let sig = entry.take("sig", Json::into_string)?;
            // Section 4.2: the keyid MUST be unique in the array.
            if !signers.insert(key.clone()) {
                let expected = "one signature of each key";
                let found = format!("two of {key}");
                return Err(ShapeError::new("file.signatures", expected, found));
            }
            if let Ok(bytes) = hex::decode(sig) {
                signatures.push(Signature { key, bytes });
            }
        }
        Ok(Self { signed, signatures })
    }

    /// The bytes that a signature covers.
    pub fn payload(&self) -> Vec<u8> {
        self.signed.canonical()
    }

    /// The file: readable JSON, signatures in the order of their key ids.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut signatures = self.signatures.clone();
        signatures.sort_by(|a, b| a.key.cmp(&b.key));
        let signatures: Vec<Json> = signatures.iter().map(Signature::to_json).collect();
        Json::object([
            ("signed", self.signed.clone()),
            ("signatures", Json::Array(signatures)),
        ])
        .pretty()
    }
}

/// Metadata that nobody has vouched for yet. It can be verified, and nothing else: it has no accessors.
#[derive(Debug)]
pub struct Unverified<T> {
    role: RoleName,
    evidence: Evidence,
    signed: Json,
    kind: PhantomData<T>,
}

/// What the signatures of a file prove, kept so that they can be counted again under other rules.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) payload: Vec<u8>,
    pub(crate) signatures: Vec<Signature>,
}

impl<T: Role> Unverified<T> {
    /// Reads the file of `role`. Bounding its length is the caller's part.
    ///
    /// # Errors
    /// If it is not a signed file.
    pub fn read(role: &RoleName, bytes: &[u8]) -> Result<Self, MetadataError> {
        let Envelope { signed, signatures } = Envelope::read(role, bytes)?;
        let evidence = Evidence {
            payload: signed.canonical(),
            signatures,
        };
        Ok(Self {
            role: role.clone(),
            evidence,
            signed,
            kind: PhantomData,
        })
    }

    /// Counts the signatures, then reads what they cover.
    pub(crate) fn verify(
        self,
        authority: &Authority<'_>,
        gate: &dyn SignerGate,
        when: When,
    ) -> Result<Verified<T>, MetadataError> {
        let holders = threshold::count(&self.role, &self.evidence, authority, gate, when)?;
        let (value, role, evidence) = self.parse()?;
        Ok(Verified {
            value,
            role,
            holders,
            evidence,
        })
    }

    /// Verifies metadata that names its own signers: root.
    pub(crate) fn verify_by_itself<'t>(
        self,
        authority: impl Fn(&T) -> Authority<'_> + 't,
        gate: &dyn SignerGate,
        when: When,
    ) -> Result<Verified<T>, MetadataError> {
        let (value, role, evidence) = self.parse()?;
        let holders = threshold::count(&role, &evidence, &authority(&value), gate, when)?;
        Ok(Verified {
            value,
            role,
            holders,
            evidence,
        })
    }

    fn parse(self) -> Result<(T, RoleName, Evidence), MetadataError> {
        let Self {
            role,
            evidence,
            signed,
            ..
        } = self;
        match T::parse(signed, "signed") {
            Ok(value) => Ok((value, role, evidence)),
            Err(source) => Err(MetadataError::Shape { role, source }),
        }
    }
}

/// Metadata with a threshold of counted signatures. Read-only; only this module builds one.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    role: RoleName,
    holders: Vec<Holder>,
    evidence: Evidence,
}

impl<T> Verified<T> {
    /// The role that signed.
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// Who signed: the holders of the keys that counted when they were last counted.
    pub fn holders(&self) -> &[Holder] {
        &self.holders
    }

    /// Counts the signatures again, by another authority or at another time.
    pub(crate) fn recount(
        &self,
        authority: &Authority<'_>,
        gate: &dyn SignerGate,
        when: When,
    ) -> Result<Vec<Holder>, MetadataError> {
        Ok(threshold::count(
            &self.role,
            &self.evidence,
            authority,
            gate,
            when,
        )?)
    }

    /// With the holders of a later count.
    pub(crate) fn counted(self, holders: Vec<Holder>) -> Self {
        Self { holders, ..self }
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
