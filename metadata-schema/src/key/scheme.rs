//! Signature schemes: which keys we can verify with, and what each of them signs.
//!
//! | keytype | scheme | public key | signature |
//! |---|---|---|---|
//! | `ed25519` | `ed25519` | 32 bytes in hex | 64 bytes (RFC 8032) |
//! | `ecdsa` | `ecdsa-sha2-nistp256`, `ecdsa-sha2-nistp384` | PEM | ECDSA-Sig-Value in DER (RFC 3279) |
//! | `rsa` | `rsassa-pss-sha256`, `-sha384`, `-sha512` | PEM, 2048 to 8192 bits | salt as long as the digest (RFC 8017) |
//! | `ml-dsa` | `ml-dsa-44/1`, `ml-dsa-65/1`, `ml-dsa-87/1` | PEM (RFC 9881) | FIPS 204, over a digest (TAP 21) |
//!
//! The old key types `ecdsa-sha2-nistp256` and `ecdsa-sha2-nistp384` are read like `ecdsa`; their public key may also be the
//! uncompressed point in hex. PEM means a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};

/// The SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410, section 4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// What stands before the SHA-512 digest that an ML-DSA key signs (TAP 21).
const ML_DSA_DOMAIN: &[u8] = b"tuf\x01";
/// Longest public key that is read, in bytes of its text: an ML-DSA-87 key in PEM takes 3.6 KB.
const MAX_PUBLIC: usize = 8 * 1024;

/// A family of signature algorithms: what one mathematical break takes down together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 or P-384 (FIPS 186-5).
    Ecdsa,
    /// RSASSA-PSS (RFC 8017).
    Rsa,
    /// ML-DSA (FIPS 204), which a quantum computer does not break.
    MlDsa,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::Ecdsa, Self::Rsa, Self::MlDsa];

    /// Its name, as the TUF key type has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
            Self::MlDsa => "ml-dsa",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a [`Family`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown signature algorithm {0:?}; known are ed25519, ecdsa, rsa and ml-dsa")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        let named = Self::ALL.into_iter().find(|family| family.name() == text);
        named.ok_or_else(|| UnknownFamily(crate::json::shortened(text)))
    }
}

/// A public key that signatures can be verified with.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    family: Family,
    /// SubjectPublicKeyInfo in DER: the same for every way to write the key down.
    spki: Arc<[u8]>,
    key: Key,
}

#[derive(Clone, Debug)]
enum Key {
    Ed25519(VerifyingKey),
    /// A key that signs the message itself.
    Message(Arc<ParsedPublicKey>),
    /// A key that signs a digest of the message: TAP 21.
    MlDsa(Arc<ParsedPublicKey>),
}

impl Verifier {
    /// The key that a TUF key object describes.
    ///
    /// # Errors
    /// Why it will never verify anything, in words.
    pub(super) fn new(keytype: &str, scheme: &str, public: &str) -> Result<Self, String> {
        if public.len() > MAX_PUBLIC {
            return Err(format!("public key of {} characters", public.len()));
        }
        let wrap = |family, key: fn(Arc<ParsedPublicKey>) -> Key, algorithm, bytes: &[u8]| {
            let malformed = |e: &dyn fmt::Display| format!("malformed {scheme} key: {e}");
            let parsed = ParsedPublicKey::new(algorithm, bytes).map_err(|e| malformed(&e))?;
            let spki: PublicKeyX509Der<'_> = parsed.as_der().map_err(|e| malformed(&e))?;
            Ok(Self {
                family,
                spki: spki.as_ref().into(),
                key: key(Arc::new(parsed)),
            })
        };
        let p256: &'static dyn VerificationAlgorithm = &aws::ECDSA_P256_SHA256_ASN1;
        let p384: &'static dyn VerificationAlgorithm = &aws::ECDSA_P384_SHA384_ASN1;
        match (keytype, scheme) {
            ("ed25519", "ed25519") => Self::ed25519(public),
            ("ecdsa", "ecdsa-sha2-nistp256") => {
                wrap(Family::Ecdsa, Key::Message, p256, &der(public)?)
            }
            ("ecdsa", "ecdsa-sha2-nistp384") => {
                wrap(Family::Ecdsa, Key::Message, p384, &der(public)?)
            }
            ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
                wrap(Family::Ecdsa, Key::Message, p256, &der_or_point(public)?)
            }
            ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384") => {
                wrap(Family::Ecdsa, Key::Message, p384, &der_or_point(public)?)
            }
            ("rsa", "rsassa-pss-sha256") => {
                let algorithm = &aws::RSA_PSS_2048_8192_SHA256;
                wrap(Family::Rsa, Key::Message, algorithm, &der(public)?)
            }
            ("rsa", "rsassa-pss-sha384") => {
                let algorithm = &aws::RSA_PSS_2048_8192_SHA384;
                wrap(Family::Rsa, Key::Message, algorithm, &der(public)?)
            }
            ("rsa", "rsassa-pss-sha512") => {
                let algorithm = &aws::RSA_PSS_2048_8192_SHA512;
                wrap(Family::Rsa, Key::Message, algorithm, &der(public)?)
            }
            ("ml-dsa", "ml-dsa-44/1") => {
                wrap(Family::MlDsa, Key::MlDsa, &aws::ML_DSA_44, &der(public)?)
            }
            ("ml-dsa", "ml-dsa-65/1") => {
                wrap(Family::MlDsa, Key::MlDsa, &aws::ML_DSA_65, &der(public)?)
            }
            ("ml-dsa", "ml-dsa-87/1") => {
                wrap(Family::MlDsa, Key::MlDsa, &aws::ML_DSA_87, &der(public)?)
            }
            _ => {
                let (keytype, scheme) = (
                    crate::json::shortened(keytype),
                    crate::json::shortened(scheme),
                );
                Err(format!("unknown key type {keytype:?}/{scheme:?}"))
            }
        }
    }

    fn ed25519(public: &str) -> Result<Self, String> {
        let malformed = || "malformed ed25519 key".to_owned();
        let mut bytes = [0; 32];
        hex::decode_to_slice(public, &mut bytes).map_err(|_| malformed())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| malformed())?;
        Ok(Self {
            family: Family::Ed25519,
            spki: [&ED25519_SPKI[..], &bytes].concat().into(),
            key: Key::Ed25519(key),
        })
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub(super) fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match &self.key {
            Key::Ed25519(key) => Some(key.as_bytes()),
            Key::Message(_) | Key::MlDsa(_) => None,
        }
    }

    /// Whether `signature` over `message` is this key's.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), String> {
        let wrong = || "wrong signature".to_owned();
        match &self.key {
            Key::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature)
                    .map_err(|_| format!("signature of {} bytes, expected 64", signature.len()))?;
                // Strict: refuses keys and signatures of small order, for which one signature fits many messages.
                key.verify_strict(message, &signature).map_err(|_| wrong())
            }
            Key::Message(key) => key.verify_sig(message, signature).map_err(|_| wrong()),
            Key::MlDsa(key) => {
                let signed = ml_dsa_message(message);
                key.verify_sig(&signed, signature).map_err(|_| wrong())
            }
        }
    }
}

/// What an ML-DSA key signs for `message`: `"tuf"`, the byte 1, and the SHA-512 digest of the message (TAP 21).
pub fn ml_dsa_message(message: &[u8]) -> Vec<u8> {
    [ML_DSA_DOMAIN, Sha512::digest(message).as_slice()].concat()
}

/// The content of the PEM block `PUBLIC KEY`, which must be the only one.
fn der(public: &str) -> Result<Vec<u8>, String> {
    let blocks = pem::parse_many(public).map_err(|e| format!("malformed PEM: {e}"))?;
    match <[pem::Pem; 1]>::try_from(blocks) {
        Ok([block]) if block.tag() == "PUBLIC KEY" => Ok(block.into_contents()),
        Ok([block]) => Err(format!(
            "PEM block {:?}, expected \"PUBLIC KEY\"",
            crate::json::shortened(block.tag())
        )),
        Err(blocks) => Err(format!("{} PEM blocks, expected one", blocks.len())),
    }
}

fn der_or_point(public: &str) -> Result<Vec<u8>, String> {
    hex::decode(public).or_else(|_not_hex| der(public))
}

#[cfg(test)]
mod tests;
