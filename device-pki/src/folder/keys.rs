//! Where the CAs of a PKI have their keys: in `ca.key.pem`, or on a token that `ca.key.uri` names.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::generations::Place;
use super::{Ceremony, PkiFolder, passphrase};
use crate::ca_key::CaKey;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::{KeyAlgorithm, KeyPair, Protection};
use crate::key_source::{KeySource, SecretOf};
use crate::passphrase::Passphrase;
use crate::profile::CaKind;
use crate::token::{TokenError, TokenUri};

/// Longest URI that is read.
const URI_LIMIT: u64 = 8 * 1024;

type Ask = dyn Fn(SecretOf<'_>) -> Result<Passphrase> + Send + Sync;

/// On which tokens new CA keys are made, and who knows the PINs.
///
/// A URI that names a key means that key, if it is there, or a new one by that label. One that names a token only means a new
/// key there, labelled like the CA's folder, from its second generation on with `-g2` behind.
#[derive(Clone)]
pub struct CaTokens {
    /// For CAs that `of` has no token for.
    every: Option<TokenUri>,
    of: Vec<(CaKind, TokenUri)>,
    ask: Arc<Ask>,
}

/// No token for new keys, and nobody to ask: for keys in files, and for URIs with a `pin-source`.
impl Default for CaTokens {
    fn default() -> Self {
        Self::asking(|secret| {
            let (SecretOf::Token(token) | SecretOf::Key(token)) = secret;
            let token = token.to_owned();
            Err(TokenError::PinNeeded { token }.into())
        })
    }
}

impl CaTokens {
    /// No token for new keys; `ask` is asked for PINs that no URI names the source of, for each key anew.
    pub fn asking(
        ask: impl Fn(SecretOf<'_>) -> Result<Passphrase> + Send + Sync + 'static,
    ) -> Self {
        Self {
            every: None,
            of: Vec::new(),
            ask: Arc::new(ask),
        }
    }

    /// The same, with a token for new keys of one CA, or of every one that has none of its own.
    ///
    /// # Errors
    /// If one key would be that of every CA.
    pub fn with(mut self, kind: Option<CaKind>, uri: TokenUri) -> Result<Self> {
        match kind {
            Some(kind) => self.of.push((kind, uri)),
            None if uri.object.is_none() && uri.id.is_none() => self.every = Some(uri),
            None => {
                let reason = "every CA has a key of its own: name the token only, or the CA before the URI, such as root-ca=pkcs11:...";
                return Err(TokenError::Uri {
                    uri: uri.to_string(),
                    reason: reason.to_owned(),
                }
                .into());
            }
        }
        Ok(self)
    }

    /// Whether all new keys are on tokens, so that no passphrase protects any.
    pub fn for_all(&self) -> bool {
        self.every.is_some()
    }

    fn of(&self, kind: CaKind) -> Option<&TokenUri> {
        let own = self.of.iter().rev().find(|(of, _)| *of == kind);
        own.map(|(_, uri)| uri).or(self.every.as_ref())
    }
}

impl fmt::Debug for CaTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaTokens({:?}, {:?})", self.every, self.of)
    }
}

impl Place {
    /// The token that has the key, if none of our files has it.
    pub(super) fn token(&self) -> Result<Option<TokenUri>> {
        let path = self.path.join("ca.key.uri");
        if self.path.join("ca.key.pem").exists() || !path.exists() {
            return Ok(None);
        }
        let what = path.display().to_string();
        let text = String::from_utf8(durable::read_bounded(&path, URI_LIMIT)?)
            .map_err(|e| Error::malformed(what, "the URI of a key", e))?;
        text.trim().parse().map(Some)
    }

    /// Whether the key can be had now: its file is here, or its token is plugged in. What cannot be found out is taken for a
    /// yes, so that opening the key tells what is wrong.
    pub(super) fn has_key(&self) -> bool {
        match self.token() {
            Ok(None) => self.path.join("ca.key.pem").exists(),
            Ok(Some(uri)) => is_present(&uri),
            Err(_) => true,
        }
    }

    pub(super) fn key(&self, pki: &PkiFolder, protection: Protection<'_>) -> Result<CaKey> {
        match self.token()? {
            Some(uri) => pki.open_token(uri),
            None => {
                let path = self.path.join("ca.key.pem");
                Ok(KeyPair::load(&path, passphrase(protection))?.into())
            }
        }
    }
}

#[cfg(feature = "pkcs11")]
fn is_present(uri: &TokenUri) -> bool {
    crate::token::is_present(uri).unwrap_or(true)
}

#[cfg(not(feature = "pkcs11"))]
fn is_present(_uri: &TokenUri) -> bool {
    true
}

/// A new CA's key, and the token that it is on, if it is on one.
pub(super) struct NewKey {
    pub(super) key: CaKey,
    pub(super) token: Option<TokenUri>,
}

impl PkiFolder {
    fn open_token(&self, uri: TokenUri) -> Result<CaKey> {
        CaKey::open(&KeySource::Token(Box::new(uri)), self.tokens.ask.as_ref())
    }

    /// A key for a new CA: where [`CaTokens`] says, or else on the token `beside`, or else in a file.
    pub(super) fn new_key(
        &self,
        kind: CaKind,
        beside: Option<TokenUri>,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<NewKey> {
        let algorithm = match kind {
            CaKind::Root => self.config.algorithms.root,
            _ => self.config.algorithms.issuing,
        };
        // Another key of its label or id would be the one that is there.
        let beside = beside.map(|uri| TokenUri {
            object: None,
            id: None,
            ..uri
        });
        let Some(mut uri) = self.tokens.of(kind).cloned().or(beside) else {
            let key = KeyPair::generate(algorithm, ceremony.entropy)?.into();
            return Ok(NewKey { key, token: None });
        };
        let generations = self.places_of(kind).len();
        if uri.object.is_none() && uri.id.is_none() {
            let suffix = match generations {
                0 => String::new(),
                former => format!("-g{}", former.saturating_add(1)),
            };
            uri.object = Some(format!("{}{suffix}", kind.folder()));
            uri = self.make_on_token(&uri, algorithm, ceremony)?;
        } else {
            match self.open_token(uri.clone()) {
                Ok(_) => {}
                Err(Error::Token(TokenError::NoKey { .. })) if uri.object.is_some() => {
                    uri = self.make_on_token(&uri, algorithm, ceremony)?;
                }
                Err(error) => return Err(error),
            }
        }
        let key = self.open_token(uri.clone())?;
        for (_, other) in self.ca_certificates()? {
            if other.public_key_der() == key.public_key_der() {
                let reason = format!("it is the key of {} already", other.subject());
                return Err(TokenError::Key {
                    token: uri.wanted_token(),
                    key: uri.key(),
                    reason,
                }
                .into());
            }
        }
        let token = Some(uri);
        Ok(NewKey { key, token })
    }

    #[cfg(feature = "pkcs11")]
    fn make_on_token(
        &self,
        uri: &TokenUri,
        algorithm: KeyAlgorithm,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<TokenUri> {
        use crate::token::TokenAlgorithm;
        let algorithm = match algorithm {
            KeyAlgorithm::Ed25519 => TokenAlgorithm::Ed25519,
            KeyAlgorithm::P256 => TokenAlgorithm::P256,
            KeyAlgorithm::P384 => TokenAlgorithm::P384,
            KeyAlgorithm::MlDsa65 => {
                return Err(Error::Algorithm {
                    purpose: "a CA",
                    expected: "Ed25519, P-256 or P-384",
                    found: algorithm.to_string(),
                });
            }
        };
        let ask = self.tokens.ask.as_ref();
        let (_, found_by) = crate::token::generate(uri, algorithm, ask, ceremony.entropy)?;
        let pin = uri.pin.clone();
        Ok(TokenUri { pin, ..found_by })
    }

    #[cfg(not(feature = "pkcs11"))]
    fn make_on_token(
        &self,
        _uri: &TokenUri,
        _algorithm: KeyAlgorithm,
        _ceremony: &mut Ceremony<'_>,
    ) -> Result<TokenUri> {
        Err(TokenError::NotBuilt.into())
    }
}

/// Writes a new CA's key, or where it is; a PIN is never written.
pub(super) fn keep(
    path: &Path,
    key: &CaKey,
    token: Option<&TokenUri>,
    ceremony: &mut Ceremony<'_>,
) -> Result<()> {
    if let Some(uri) = token {
        let text = format!("{uri}\n");
        return durable::write(&path.join("ca.key.uri"), text.as_bytes(), durable::SECRET);
    }
    match key.pair() {
        Some(pair) => {
            let path = path.join("ca.key.pem");
            pair.save(&path, ceremony.protection, ceremony.entropy)
        }
        None => Err(Error::malformed(
            "the key of a CA",
            "one that can be written to a file",
            "it is on a token",
        )),
    }
}
