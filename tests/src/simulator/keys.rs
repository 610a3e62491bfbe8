//! Signing keys of every kind that metadata can name, by seed and name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self as aws, KeyPair as _, PqdsaKeyPair, PqdsaSigningAlgorithm, RsaEncoding, RsaKeyPair,
};
use device_pki::{Entropy as _, KeyAlgorithm, KeyPair, SeededEntropy, SubjectKey};
use metadata_schema::envelope::Signature;
use metadata_schema::key::{PublicKey, ml_dsa_message};

/// The kind of a simulated key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Ed25519. The only kind whose signatures, too, follow from the seed: those of the others are randomised.
    #[default]
    Ed25519,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSASSA-PSS of 2048 bits with SHA-256. RSA keys are random; within one process a name keeps its key.
    RsaSha256,
    /// With SHA-384.
    RsaSha384,
    /// With SHA-512.
    RsaSha512,
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// Key type and scheme, as metadata names them.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ed25519 => ("ed25519", "ed25519"),
            Self::EcdsaP256 => ("ecdsa", "ecdsa-sha2-nistp256"),
            Self::EcdsaP384 => ("ecdsa", "ecdsa-sha2-nistp384"),
            Self::RsaSha256 => ("rsa", "rsassa-pss-sha256"),
            Self::RsaSha384 => ("rsa", "rsassa-pss-sha384"),
            Self::RsaSha512 => ("rsa", "rsassa-pss-sha512"),
            Self::MlDsa44 => ("ml-dsa", "ml-dsa-44/1"),
            Self::MlDsa65 => ("ml-dsa", "ml-dsa-65/1"),
            Self::MlDsa87 => ("ml-dsa", "ml-dsa-87/1"),
        }
    }
}

/// A key that signs, by name.
#[derive(Clone)]
pub struct Key {
    name: Arc<str>,
    public: PublicKey,
    secret: Arc<Secret>,
}

enum Secret {
    /// Ed25519 and ECDSA.
    Pair(KeyPair),
    Rsa(Arc<RsaKeyPair>, &'static dyn RsaEncoding),
    MlDsa(PqdsaKeyPair),
}

impl Key {
    /// The key of that kind which follows from seed and name.
    pub fn new(kind: KeyKind, seed: &str, name: &str) -> Self {
        let secret = Secret::new(kind, &format!("{seed}/{name}"));
        let (keytype, scheme) = kind.names();
        let public = PublicKey::known(keytype, scheme, secret.public()).unwrap();
        Self {
            name: name.into(),
            public,
            secret: Arc::new(secret),
        }
    }

    /// The name that it was made from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key, as TUF names it.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The pair; none for RSA and ML-DSA.
    pub fn pair(&self) -> Option<&KeyPair> {
        match &*self.secret {
            Secret::Pair(pair) => Some(pair),
            _ => None,
        }
    }

    /// The public key, to have it certified.
    pub fn subject(&self) -> SubjectKey {
        match &*self.secret {
            Secret::Pair(pair) => SubjectKey::of(pair),
            other => SubjectKey::from_public_key_pem(&self.name, other.public().as_bytes()),
        }
        .unwrap()
    }

    /// The signature over the canonical form of what is signed.
    pub fn sign(&self, payload: &[u8]) -> Signature {
        Signature {
            key: self.public.id().clone(),
            bytes: self.secret.sign(payload),
        }
    }
}

impl Secret {
    fn new(kind: KeyKind, seed: &str) -> Self {
        let mut entropy = SeededEntropy::new(seed.as_bytes());
        let mut pair = |algorithm| Self::Pair(KeyPair::generate(algorithm, &mut entropy).unwrap());
        match kind {
            KeyKind::Ed25519 => pair(KeyAlgorithm::Ed25519),
            KeyKind::EcdsaP256 => pair(KeyAlgorithm::P256),
            KeyKind::EcdsaP384 => pair(KeyAlgorithm::P384),
            KeyKind::RsaSha256 => Self::Rsa(rsa(seed), &aws::RSA_PSS_SHA256),
            KeyKind::RsaSha384 => Self::Rsa(rsa(seed), &aws::RSA_PSS_SHA384),
            KeyKind::RsaSha512 => Self::Rsa(rsa(seed), &aws::RSA_PSS_SHA512),
            KeyKind::MlDsa44 => Self::ml_dsa(&aws::ML_DSA_44_SIGNING, &mut entropy),
            KeyKind::MlDsa65 => Self::ml_dsa(&aws::ML_DSA_65_SIGNING, &mut entropy),
            KeyKind::MlDsa87 => Self::ml_dsa(&aws::ML_DSA_87_SIGNING, &mut entropy),
        }
    }

    fn ml_dsa(algorithm: &'static PqdsaSigningAlgorithm, entropy: &mut SeededEntropy) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed).unwrap();
        Self::MlDsa(PqdsaKeyPair::from_seed(algorithm, &seed).unwrap())
    }

    /// The public key as metadata writes it.
    fn public(&self) -> String {
        match self {
            Self::Pair(pair) if pair.algorithm() == KeyAlgorithm::Ed25519 => {
                // RFC 8410: the last 32 bytes of the SubjectPublicKeyInfo.
                let der = pair.public_key_der();
                hex::encode(&der[der.len() - 32..])
            }
            Self::Pair(pair) => pair.public_key_pem(),
            Self::Rsa(pair, _) => pem(pair.public_key().as_der().unwrap().as_ref()),
            Self::MlDsa(pair) => pem(pair.public_key().as_der().unwrap().as_ref()),
        }
    }

    fn sign(&self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Pair(pair) => rcgen::SigningKey::sign(pair, payload).unwrap(),
            Self::Rsa(pair, encoding) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), payload, &mut bytes)
                    .unwrap();
                bytes
            }
            Self::MlDsa(pair) => {
                let mut bytes = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(&ml_dsa_message(payload), &mut bytes).unwrap();
                bytes.truncate(length);
                bytes
            }
        }
    }
}

/// The RSA key of a seed in this process.
fn rsa(seed: &str) -> Arc<RsaKeyPair> {
    static MADE: Mutex<BTreeMap<String, Arc<RsaKeyPair>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    let make = || Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    Arc::clone(made.entry(seed.to_owned()).or_insert_with(make))
}

fn pem(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("PUBLIC KEY", der))
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.name, self.public.id().short())
    }
}
