//! Private keys: Ed25519 (RFC 8032), ECDSA P-256 and P-384 (FIPS 186-5) and ML-DSA-65 (FIPS 204) for those who sign firmware;
//! ECDSA for CAs, servers and devices.

pub(crate) mod pkcs8;
mod store;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair,
};
use ed25519_dalek::Signer as _;
use metadata_schema::key::{PublicKey, ml_dsa_message};
use rcgen::PublicKeyData as _;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::subject_key::SubjectKey;

pub(crate) use store::is_encrypted_der;
pub use store::{Protection, ScryptCost};

/// The algorithm of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// Ed25519. Its signatures follow from key and message alone.
    Ed25519,
    /// ECDSA on P-256 with SHA-256: what a TPM has.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// ML-DSA-65: for people who sign metadata, beside a key of another family. Neither CAs nor TLS use it.
    #[serde(rename = "ml-dsa-65")]
    MlDsa65,
}

impl KeyAlgorithm {
    /// All of them, each by the name that commands take.
    pub const ALL: [(&'static str, Self); 4] = [
        ("ed25519", Self::Ed25519),
        ("p256", Self::P256),
        ("p384", Self::P384),
        ("ml-dsa-65", Self::MlDsa65),
    ];
}

impl std::str::FromStr for KeyAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|(name, _)| *name == text);
        named
            .map(|(_, algorithm)| algorithm)
            .ok_or_else(|| Error::Name {
                what: "algorithm",
                found: text.chars().take(40).collect(),
                why: "is none of ed25519, p256, p384, ml-dsa-65",
            })
    }
}

impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::P256 => "ECDSA P-256",
            Self::P384 => "ECDSA P-384",
            Self::MlDsa65 => "ML-DSA-65",
        })
    }
}

/// Signs TUF metadata: a key from a file or from the environment, or one that never leaves its token. Where a key comes from
/// is said by a [`crate::KeySource`].
pub trait SigningKey {
    /// The public key, as TUF names it.
    fn public_key(&self) -> &PublicKey;

    /// The signature over `message`.
    ///
    /// # Errors
    /// If the key cannot be reached or refuses.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// A private key and its public key.
///
/// ```
/// use device_pki::{KeyAlgorithm, KeyPair, SigningKey, SystemEntropy};
/// let signer = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy)?.into_tuf_signer()?;
/// let signature = signer.sign(b"metadata")?;
/// assert!(signer.public_key().verify(b"metadata", &signature).is_ok());
/// # Ok::<(), device_pki::Error>(())
/// ```
pub struct KeyPair {
    secret: Secret,
    public: Vec<u8>,
    /// PKCS#8 version 1 (RFC 5208).
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Ecdsa(KeyAlgorithm, EcdsaKeyPair),
    MlDsa(Box<PqdsaKeyPair>),
}

impl KeyPair {
    /// Makes a new key from random bytes.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn generate(algorithm: KeyAlgorithm, entropy: &mut dyn Entropy) -> Result<Self> {
        let length = if algorithm == KeyAlgorithm::P384 {
            48
        } else {
            32
        };
        let mut candidate = Zeroizing::new(vec![0_u8; length]);
        let mut last = None;
        // For ECDSA a candidate above the group's order is drawn again (FIPS 186-5, A.2.2): one in 2^32 for P-256.
        for _ in 0..16 {
            entropy.fill(&mut candidate)?;
            match Self::from_secret(algorithm, &candidate) {
                Ok(key) => return Ok(key),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or(Error::Entropy {
            reason: "no usable key".to_owned(),
        }))
    }

    /// The key whose secret scalar (RFC 5915) or seed (RFC 8032) this is.
    fn from_secret(algorithm: KeyAlgorithm, secret: &[u8]) -> Result<Self> {
        match algorithm {
            KeyAlgorithm::Ed25519 => {
                let seed = <[u8; 32]>::try_from(secret)
                    .map_err(|_| Error::malformed("key", "an Ed25519 seed", "not 32 bytes"))?;
                let seed = Zeroizing::new(seed);
                Ok(Self::ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => {
                let der = pkcs8::ec_private_key(secret);
                let key = EcdsaKeyPair::from_private_key_der(ecdsa(algorithm), &der)
                    .map_err(|e| Error::malformed("key", "an ECDSA private key", e))?;
                Self::ecdsa(algorithm, key)
            }
            KeyAlgorithm::MlDsa65 => {
                let key = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, secret)
                    .map_err(|e| Error::malformed("key", "an ML-DSA seed", e))?;
                Self::ml_dsa(key)
            }
        }
    }

    pub(crate) fn ed25519(key: ed25519_dalek::SigningKey) -> Self {
        Self {
            public: key.verifying_key().as_bytes().to_vec(),
            pkcs8: pkcs8::ed25519(key.as_bytes()),
            secret: Secret::Ed25519(Box::new(key)),
        }
    }

    pub(crate) fn ecdsa(algorithm: KeyAlgorithm, key: EcdsaKeyPair) -> Result<Self> {
        let pkcs8 = key
            .to_pkcs8v1()
            .map_err(|_| Error::malformed("key", "an ECDSA private key", "cannot be written"))?;
        Ok(Self {
            public: key.public_key().as_ref().to_vec(),
            pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()),
            secret: Secret::Ecdsa(algorithm, key),
        })
    }

    /// The seed is what is kept (RFC 9881, section 6): the key follows from it, and OpenSSL reads it.
    pub(crate) fn ml_dsa(key: PqdsaKeyPair) -> Result<Self> {
        let pkcs8 = key.to_pkcs8v1().map_err(|_| {
            Error::malformed("key", "an ML-DSA private key", "its seed is not in it")
        })?;
        Ok(Self {
            public: key.public_key().as_ref().to_vec(),
            pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()),
            secret: Secret::MlDsa(Box::new(key)),
        })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.secret {
            Secret::Ed25519(_) => KeyAlgorithm::Ed25519,
            Secret::Ecdsa(algorithm, _) => *algorithm,
            Secret::MlDsa(_) => KeyAlgorithm::MlDsa65,
        }
    }

    /// The public key: DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    pub fn public_key_der(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }

    /// The public key in PEM.
    pub fn public_key_pem(&self) -> String {
        crate::pem_text::encode("PUBLIC KEY", &self.public_key_der())
    }

    /// This key as one that signs TUF metadata.
    ///
    /// # Errors
    /// Never for a pair that was read or made by this crate.
    pub fn into_tuf_signer(self) -> Result<FileKey> {
        let public = SubjectKey::of(&self)?.tuf_key().clone();
        Ok(FileKey { pair: self, public })
    }

    pub(crate) fn pkcs8_der(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }
}

/// The private key's parts stay out of logs.
impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KeyPair({}, {})",
            self.algorithm(),
            hex::encode(&self.public)
        )
    }
}

impl rcgen::PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.algorithm() {
            KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
            KeyAlgorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
        }
    }
}

impl rcgen::SigningKey for KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.secret {
            Secret::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
            Secret::Ecdsa(_, key) => key
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| rcgen::Error::RingUnspecified),
            Secret::MlDsa(key) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                key.sign(message, &mut signature)
                    .map_err(|_| rcgen::Error::RingUnspecified)?;
                Ok(signature)
            }
        }
    }
}

/// A key whose secret is in memory, from a file or from the environment, which signs TUF metadata.
#[derive(Debug)]
pub struct FileKey {
    pair: KeyPair,
    public: PublicKey,
}

impl FileKey {
    /// The key pair, to save it or to ask for a certificate.
    pub fn key_pair(&self) -> &KeyPair {
        &self.pair
    }
}

impl SigningKey for FileKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signed = match self.pair.algorithm() {
            // TAP 21: a digest, so that a token need not be given the whole file.
            KeyAlgorithm::MlDsa65 => rcgen::SigningKey::sign(&self.pair, &ml_dsa_message(message)),
            _ => rcgen::SigningKey::sign(&self.pair, message),
        };
        signed.map_err(|source| Error::Issue {
            subject: self.public.id().to_string(),
            source,
        })
    }
}

fn ecdsa(algorithm: KeyAlgorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        KeyAlgorithm::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => &ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{SeededEntropy, SystemEntropy};

    #[test]
    fn a_seed_makes_the_same_keys() {
        for (_, algorithm) in KeyAlgorithm::ALL {
            let make =
                |seed: &[u8]| KeyPair::generate(algorithm, &mut SeededEntropy::new(seed)).unwrap();
            assert_eq!(
                make(b"a").pkcs8_der(),
                make(b"a").pkcs8_der(),
                "{algorithm}"
            );
            assert_ne!(make(b"a").public_key_der(), make(b"b").public_key_der());
        }
    }

    #[test]
    fn every_algorithm_signs_metadata() {
        for (name, algorithm) in KeyAlgorithm::ALL {
            assert_eq!(name.parse::<KeyAlgorithm>().unwrap(), algorithm);
            let key = KeyPair::generate(algorithm, &mut SystemEntropy).unwrap();
            let der = key.public_key_der();
            let signer = key.into_tuf_signer().unwrap();
            let public = signer.public_key();
            assert_eq!(public.spki_der(), Some(der.as_slice()), "{name}");
            let signature = signer.sign(b"metadata").unwrap();
            public.verify(b"metadata", &signature).unwrap();
            assert!(public.verify(b"other", &signature).is_err(), "{name}");
        }
        assert!("rsa".parse::<KeyAlgorithm>().is_err());
    }

    #[test]
    fn a_debug_print_has_no_secret() {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SeededEntropy::new(b"x")).unwrap();
        let seed = hex::encode(&key.pkcs8_der()[16..]);
        assert!(!format!("{key:?}").contains(&seed));
    }
}
