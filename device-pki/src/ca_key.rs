//! The key of a CA: in memory, from a file, or on a PKCS#11 token that it never leaves.
//!
//! A CA on a token signs through a session that may end at any time: the token is pulled, its module restarts, a network HSM is
//! away. A signature that fails so is tried once more over a new session with the PIN that was given at first. A PIN that is
//! refused then is never given again, for tokens count the wrong ones, and another key under the same name is refused.

use std::cell::RefCell;
use std::fmt;

use rcgen::PublicKeyData;

use crate::error::{Error, Result};
use crate::key::KeyPair;
use crate::key_source::{AskSecret, KeySource};
#[cfg(feature = "pkcs11")]
use crate::token::RenewedKey;

/// The key that a CA signs with.
pub struct CaKey(Secret);

enum Secret {
    Pair(Box<KeyPair>),
    #[cfg(feature = "pkcs11")]
    Token(Box<RenewedKey>),
}

impl CaKey {
    /// Opens a CA's key. `ask` is called once at most, and only if a secret is needed that the source does not name itself.
    ///
    /// # Errors
    /// If there is no such key, it does not open, or TLS stacks do not know its type; [`Error::Token`] for everything about
    /// tokens.
    pub fn open(source: &KeySource, ask: AskSecret<'_>) -> Result<Self> {
        match source {
            KeySource::File(_) | KeySource::Environment(_) => Ok(source.open_pair(ask)?.into()),
            #[cfg(feature = "pkcs11")]
            KeySource::Token(uri) => {
                let key = RenewedKey::open(uri, ask)?;
                if key.public().in_tls() {
                    return Ok(Self(Secret::Token(Box::new(key))));
                }
                Err(Error::Algorithm {
                    purpose: "a CA",
                    expected: "Ed25519, P-256 or P-384",
                    found: key.public().algorithm().to_owned(),
                })
            }
            #[cfg(not(feature = "pkcs11"))]
            KeySource::Token(_) => Err(crate::token::TokenError::NotBuilt.into()),
        }
    }

    /// The public key: DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    pub fn public_key_der(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }

    /// The pair, if it is in memory; none if the secret is on a token.
    pub fn pair(&self) -> Option<&KeyPair> {
        match &self.0 {
            Secret::Pair(pair) => Some(pair),
            #[cfg(feature = "pkcs11")]
            Secret::Token(_) => None,
        }
    }

    fn data(&self) -> &dyn PublicKeyData {
        match &self.0 {
            Secret::Pair(pair) => pair.as_ref(),
            #[cfg(feature = "pkcs11")]
            Secret::Token(key) => key.public(),
        }
    }
}

impl From<KeyPair> for CaKey {
    fn from(pair: KeyPair) -> Self {
        Self(Secret::Pair(Box::new(pair)))
    }
}

/// The secret stays out of logs.
impl fmt::Debug for CaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Secret::Pair(pair) => pair.fmt(f),
            #[cfg(feature = "pkcs11")]
            Secret::Token(key) => write!(f, "CaKey({}, on a token)", key.public().algorithm()),
        }
    }
}

impl PublicKeyData for CaKey {
    fn der_bytes(&self) -> &[u8] {
        self.data().der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.data().algorithm()
    }
}

/// Of a token's failure only that there was one; `Signer` keeps the rest.
impl rcgen::SigningKey for CaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        rcgen::SigningKey::sign(&Signer::new(self), message)
    }
}

/// A CA's key at work, which remembers why it did not sign: the library that writes certificates has no room for that.
pub(crate) struct Signer<'a> {
    key: &'a CaKey,
    failed: RefCell<Option<Error>>,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(key: &'a CaKey) -> Self {
        let failed = RefCell::new(None);
        Self { key, failed }
    }

    /// The reason of the last failure, or else what the library made of it.
    pub(crate) fn reason(&self, subject: &str, source: rcgen::Error) -> Error {
        self.failed.take().unwrap_or_else(|| Error::Issue {
            subject: subject.to_owned(),
            source,
        })
    }
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        PublicKeyData::algorithm(self.key)
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.key.0 {
            Secret::Pair(pair) => rcgen::SigningKey::sign(pair.as_ref(), message),
            #[cfg(feature = "pkcs11")]
            Secret::Token(key) => key.sign(message).map_err(|error| {
                self.failed.replace(Some(error));
                rcgen::Error::RemoteKeyError
            }),
        }
    }
}
