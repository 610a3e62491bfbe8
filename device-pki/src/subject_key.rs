//! The public keys that certificates are for: which types there are, and one form for each key.
//!
//! | key | AlgorithmIdentifier | TUF key type and scheme |
//! |---|---|---|
//! | Ed25519 | id-Ed25519, no parameters (RFC 8410) | `ed25519`, `ed25519` |
//! | P-256, P-384 | id-ecPublicKey, named curve; the point compressed or not (RFC 5480) | `ecdsa`, `ecdsa-sha2-nistp256`, `-nistp384` |
//! | RSA, 2048 to 8192 bits | rsaEncryption, NULL (RFC 4055) | `rsa`, `rsassa-pss-sha256` |
//! | ML-DSA-44, -65, -87 | id-ml-dsa-44, -65, -87, no parameters (RFC 9881) | `ml-dsa`, `ml-dsa-44/1`, `-65/1`, `-87/1` |
//!
//! An RSA key under id-RSASSA-PSS without parameters is the same key, and is read as if rsaEncryption stood there. With
//! parameters it is bound to one digest, which a TUF key cannot say: such a key is refused. Our CAs write rsaEncryption.

use metadata_schema::key::PublicKey;
use rcgen::SignatureAlgorithm;
use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use crate::der::{self, Reader};
use crate::error::{Error, Result};
use crate::key::KeyPair;
use crate::pem_text;

const EXPECTED: &str = "a public key for Ed25519, P-256, P-384, RSA or ML-DSA";
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
/// Sizes of RSA keys that signatures are verified with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// id-RSASSA-PSS (RFC 4055)
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

/// A type of key.
struct Kind {
    name: &'static str,
    /// The content of the AlgorithmIdentifier.
    algorithm: AlgorithmIdentifier,
    keytype: &'static str,
    scheme: &'static str,
    rcgen: &'static SignatureAlgorithm,
    /// Whether TLS stacks, ours among them, authenticate with it.
    in_tls: bool,
}

static KINDS: [Kind; 7] = [
    Kind {
        name: "Ed25519",
        algorithm: alg_id::ED25519,
        keytype: "ed25519",
        scheme: "ed25519",
        rcgen: &rcgen::PKCS_ED25519,
        in_tls: true,
    },
    Kind {
        name: "ECDSA P-256",
        algorithm: alg_id::ECDSA_P256,
        keytype: "ecdsa",
        scheme: "ecdsa-sha2-nistp256",
        rcgen: &rcgen::PKCS_ECDSA_P256_SHA256,
        in_tls: true,
    },
    Kind {
        name: "ECDSA P-384",
        algorithm: alg_id::ECDSA_P384,
        keytype: "ecdsa",
        scheme: "ecdsa-sha2-nistp384",
        rcgen: &rcgen::PKCS_ECDSA_P384_SHA384,
        in_tls: true,
    },
    Kind {
        name: "RSA",
        algorithm: alg_id::RSA_ENCRYPTION,
        keytype: "rsa",
        scheme: "rsassa-pss-sha256",
        rcgen: &rcgen::PKCS_RSA_SHA256,
        in_tls: false,
    },
    Kind {
        name: "ML-DSA-44",
        algorithm: alg_id::ML_DSA_44,
        keytype: "ml-dsa",
        scheme: "ml-dsa-44/1",
        rcgen: &rcgen::PKCS_ML_DSA_44,
        in_tls: false,
    },
    Kind {
        name: "ML-DSA-65",
        algorithm: alg_id::ML_DSA_65,
        keytype: "ml-dsa",
        scheme: "ml-dsa-65/1",
        rcgen: &rcgen::PKCS_ML_DSA_65,
        in_tls: false,
    },
    Kind {
        name: "ML-DSA-87",
        algorithm: alg_id::ML_DSA_87,
        keytype: "ml-dsa",
        scheme: "ml-dsa-87/1",
        rcgen: &rcgen::PKCS_ML_DSA_87,
        in_tls: false,
    },
];

/// A public key that somebody wants certified, or that a certificate is for.
#[derive(Clone)]
pub struct SubjectKey {
    kind: &'static Kind,
    public: Box<PublicKey>,
    /// The content of subjectPublicKey.
    bits: Vec<u8>,
}

impl SubjectKey {
    /// A key in PEM. Nothing proves that whoever brings it holds it.
    ///
    /// # Errors
    /// If it is no key of a type that we know.
    pub fn from_public_key_pem(what: &str, text: &[u8]) -> Result<Self> {
        Self::from_der(what, &pem_text::only(what, text, "PUBLIC KEY")?)
    }

    /// A SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// If it is no key of a type that we know.
    pub fn from_der(what: &str, der: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::malformed(what, EXPECTED, reason);
        let (algorithm, bits) = parts(der).ok_or_else(|| bad("malformed".to_owned()))?;
        let kind = Kind::of(algorithm).map_err(|reason| bad(reason.to_owned()))?;
        let public = if kind.keytype == "ed25519" {
            hex::encode(bits)
        } else {
            pem_text::encode("PUBLIC KEY", &kind.spki(bits))
        };
        let public =
            PublicKey::known(kind.keytype, kind.scheme, public).map_err(|e| bad(e.to_string()))?;
        // The same key in the form that all others have.
        let (_, bits) = public
            .spki_der()
            .and_then(parts)
            .ok_or_else(|| bad("malformed".to_owned()))?;
        if kind.keytype == "rsa" && !rsa_bits(bits).is_some_and(|n| RSA_BITS.contains(&n)) {
            let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
            return Err(bad(format!("RSA of other than {least} to {most} bits")));
        }
        let bits = bits.to_vec();
        let public = Box::new(public);
        Ok(Self { kind, public, bits })
    }

    /// The public key of a pair that we hold ourselves.
    ///
    /// # Errors
    /// Never for a pair that was read or made by this crate.
    pub fn of(pair: &KeyPair) -> Result<Self> {
        Self::from_der("key pair", &pair.public_key_der())
    }

    /// The key: DER SubjectPublicKeyInfo, the same for every way to write the key down.
    pub fn der(&self) -> Vec<u8> {
        self.kind.spki(&self.bits)
    }

    /// The key in PEM (RFC 7468, section 13).
    pub fn pem(&self) -> String {
        pem_text::encode("PUBLIC KEY", &self.der())
    }

    /// The key as TUF names it. RSA keys get the scheme with SHA-256; a repository may list them with another one.
    pub fn tuf_key(&self) -> &PublicKey {
        &self.public
    }

    /// The type of the key, for people.
    pub fn algorithm(&self) -> &'static str {
        self.kind.name
    }

    /// Whether servers and devices can have it.
    pub fn in_tls(&self) -> bool {
        self.kind.in_tls
    }
}

impl Kind {
    /// The type that the content of an AlgorithmIdentifier names.
    fn of(algorithm: &[u8]) -> Result<&'static Self, &'static str> {
        let known = |wanted: &[u8]| KINDS.iter().find(|kind| kind.algorithm.as_ref() == wanted);
        if let Some(kind) = known(algorithm) {
            return Ok(kind);
        }
        let mut reader = Reader::new(algorithm);
        match (reader.content(OID), reader.is_empty()) {
            (Some(RSASSA_PSS), true) => known(&alg_id::RSA_ENCRYPTION).ok_or("unknown algorithm"),
            (Some(RSASSA_PSS), false) => {
                Err("RSA for one digest only (RSASSA-PSS with parameters)")
            }
            _ => Err("another algorithm, or parameters that it should not have"),
        }
    }

    fn spki(&self, bits: &[u8]) -> Vec<u8> {
        let algorithm = der::write(der::SEQUENCE, &self.algorithm);
        let bits = der::write(der::BIT_STRING, &[&[0], bits].concat());
        der::write(der::SEQUENCE, &[algorithm, bits].concat())
    }
}

/// Content of the AlgorithmIdentifier, and the key's bytes.
fn parts(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader::new(spki);
    let mut inner = Reader::new(outer.content(der::SEQUENCE)?);
    let algorithm = inner.content(der::SEQUENCE)?;
    let bits = inner.content(der::BIT_STRING)?.strip_prefix(&[0])?;
    (outer.is_empty() && inner.is_empty()).then_some((algorithm, bits))
}

/// The length of the modulus in an RSAPublicKey (RFC 8017, section A.1.1), in bits.
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut members = Reader::new(Reader::new(key).content(der::SEQUENCE)?);
    let modulus = members.content(INTEGER)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let leading = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    modulus.len().checked_mul(8)?.checked_sub(leading)
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectKey({}, {})", self.kind.name, self.public.id())
    }
}

impl rcgen::PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.kind.rcgen
    }
}

#[cfg(test)]
mod tests;
