//! Signing keys that follow from a seed and a name.

use std::fmt;
use std::sync::Arc;

use device_pki::{FileKey, KeyAlgorithm, KeyPair, SeededEntropy, SigningKey as _};
use metadata_schema::envelope::Signature;
use metadata_schema::key::PublicKey;

/// The algorithm of a simulated key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// Ed25519 (RFC 8032). The only one whose signatures, too, follow from the seed.
    #[default]
    Ed25519,
}

/// A key that signs, by name.
#[derive(Clone)]
pub struct Key {
    name: Arc<str>,
    public: PublicKey,
    secret: Arc<FileKey>,
}

impl Key {
    /// The key of that kind which follows from seed and name.
    pub fn new(kind: KeyKind, seed: &str, name: &str) -> Self {
        let mut entropy = SeededEntropy::new(format!("{seed}/{name}").as_bytes());
        let KeyKind::Ed25519 = kind;
        let pair = KeyPair::generate(KeyAlgorithm::Ed25519, &mut entropy).unwrap();
        let secret = pair.into_tuf_signer().unwrap();
        Self {
            name: name.into(),
            public: secret.public_key().clone(),
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

    /// The pair, to have it certified; none for a kind that people do not hold.
    pub fn pair(&self) -> Option<&KeyPair> {
        Some(self.secret.key_pair())
    }

    /// The signature over the canonical form of what is signed.
    pub fn sign(&self, payload: &[u8]) -> Signature {
        Signature {
            key: self.public.id().clone(),
            bytes: self.secret.sign(payload).unwrap(),
        }
    }
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
