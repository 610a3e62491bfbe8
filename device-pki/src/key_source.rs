//! Where a signing key comes from, in one word that people type and settings hold.
//!
//! | source | the key |
//! |---|---|
//! | `alice.key`, `file:alice.key` | PKCS#8 in a file, encrypted or not |
//! | `env:NAME` | PKCS#8 in a variable of the environment, as PEM or as base64 of DER or PEM: for CI |
//! | `pkcs11:token=...;object=...` | a key that never leaves its token (RFC 7512) |
//!
//! ```
//! use device_pki::{KeyAlgorithm, KeyPair, KeySource, Protection, SigningKey as _, SystemEntropy};
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("a.key");
//! KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy)?.save(&path, Protection::FileMode, &mut SystemEntropy)?;
//! let source: KeySource = path.to_str().unwrap().parse()?;
//! let key = source.open_unattended()?;
//! assert!(key.public_key().verify(b"x", &key.sign(b"x")?).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::{KeyPair, SigningKey};
use crate::passphrase::Passphrase;
use crate::token::{self, TokenUri};

/// Where a signing key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// A file with PKCS#8 in PEM.
    File(PathBuf),
    /// A variable of the environment with PKCS#8 in PEM, or in base64.
    Environment(String),
    /// A key on a PKCS#11 token.
    Token(Box<TokenUri>),
}

/// A secret that a person, a file or the environment has to supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretOf<'a> {
    /// The passphrase of an encrypted key, by the name of its file or variable.
    Key(&'a str),
    /// The PIN of a token, by its label.
    Token(&'a str),
}

/// Asks for a secret.
pub type AskSecret<'a> = &'a dyn Fn(SecretOf<'_>) -> Result<Passphrase>;

impl KeySource {
    /// Opens the key. `ask` is called only if a secret is needed that the source does not name itself.
    ///
    /// # Errors
    /// If there is no such key, or it does not open; [`Error::Token`] for everything about tokens.
    pub fn open(&self, ask: AskSecret<'_>) -> Result<Box<dyn SigningKey>> {
        match self {
            Self::File(_) | Self::Environment(_) => {
                Ok(Box::new(self.open_pair(ask)?.into_tuf_signer()?))
            }
            Self::Token(uri) => token::open(uri, ask),
        }
    }

    /// Opens a key that is in memory then; one on a token never is.
    pub(crate) fn open_pair(&self, ask: AskSecret<'_>) -> Result<KeyPair> {
        match self {
            Self::File(path) => {
                open_pem(&path.display().to_string(), &KeyPair::read_text(path)?, ask)
            }
            Self::Environment(name) => open_pem(&self.to_string(), &variable(name)?, ask),
            Self::Token(_) => Err(Error::malformed(
                self.to_string(),
                "a key in memory",
                "it never leaves its token",
            )),
        }
    }

    /// Opens the key of a program that runs without a person: the key is not encrypted, or its URI names the source of the PIN.
    ///
    /// # Errors
    /// As [`KeySource::open`], and if somebody would have to be asked for a secret.
    pub fn open_unattended(&self) -> Result<Box<dyn SigningKey>> {
        self.open(&|secret| {
            Err(match secret {
                SecretOf::Key(what) => Error::PassphraseNeeded {
                    what: what.to_owned(),
                },
                SecretOf::Token(token) => token::TokenError::PinNeeded {
                    token: token.to_owned(),
                }
                .into(),
            })
        })
    }

    /// The same source with a relative path taken from `folder`.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            other => other,
        }
    }
}

fn open_pem(what: &str, text: &[u8], ask: AskSecret<'_>) -> Result<KeyPair> {
    if KeyPair::is_encrypted_pem(what, text)? {
        let passphrase = ask(SecretOf::Key(what))?;
        return KeyPair::from_pem(what, text, Some(&passphrase));
    }
    KeyPair::from_pem(what, text, None)
}

/// The PEM text that a variable holds, as it is or in base64: CI systems like their secrets on one line.
fn variable(name: &str) -> Result<Zeroizing<Vec<u8>>> {
    let missing = || Error::Variable {
        name: name.to_owned(),
    };
    let value = Zeroizing::new(std::env::var(name).map_err(|_| missing())?);
    if value.trim().is_empty() {
        return Err(missing());
    }
    if value.contains("-----BEGIN") {
        return Ok(Zeroizing::new(value.as_bytes().to_vec()));
    }
    let joined: Zeroizing<String> = Zeroizing::new(value.split_whitespace().collect());
    // A PEM reader is a base64 reader: one that is here already.
    let armoured = |label: &str| {
        Zeroizing::new(format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            joined.as_str()
        ))
    };
    let bad = |reason: String| {
        Error::malformed(
            format!("env:{name}"),
            "a private key in PEM or base64",
            reason,
        )
    };
    let text = armoured("PRIVATE KEY");
    let (_, content) = crate::pem_text::first(name, text.as_bytes())
        .map_err(|_| bad("neither PEM nor base64".to_owned()))?;
    let content = Zeroizing::new(content);
    if content.starts_with(b"-----BEGIN") {
        return Ok(content);
    }
    let encrypted = crate::key::is_encrypted_der(&content);
    let label = if encrypted {
        "ENCRYPTED PRIVATE KEY"
    } else {
        "PRIVATE KEY"
    };
    Ok(Zeroizing::new(armoured(label).as_bytes().to_vec()))
}

impl From<PathBuf> for KeySource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl FromStr for KeySource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unusable = |why| Error::Name {
            what: "key",
            found: text.chars().take(80).collect(),
            why,
        };
        if text.starts_with("pkcs11:") {
            return Ok(Self::Token(Box::new(text.parse()?)));
        }
        if let Some(name) = text.strip_prefix("env:") {
            let usable = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(usable) {
                return Err(unusable("is no name of an environment variable after env:"));
            }
            return Ok(Self::Environment(name.to_owned()));
        }
        let path = text.strip_prefix("file:").unwrap_or(text);
        if path.is_empty() {
            return Err(unusable("names no file"));
        }
        Ok(Self::File(path.into()))
    }
}

/// As it is typed; a PIN in it is left out.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Token(uri) => uri.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::key::{KeyAlgorithm, Protection, ScryptCost};

    #[test]
    fn sources_are_told_apart() {
        for (text, expected) in [
            ("a.key", KeySource::File("a.key".into())),
            ("file:/b/a.key", KeySource::File("/b/a.key".into())),
            ("env:KEY_1", KeySource::Environment("KEY_1".to_owned())),
        ] {
            assert_eq!(text.parse::<KeySource>().unwrap(), expected);
        }
        for bad in ["", "file:", "env:", "env:a b", "pkcs11:nothing"] {
            assert!(bad.parse::<KeySource>().is_err(), "{bad}");
        }
        let below = KeySource::File("a".into()).below(Path::new("/x"));
        assert_eq!(below, KeySource::File("/x/a".into()));
    }

    #[test]
    fn a_file_asks_for_its_passphrase_only_if_it_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let source = KeySource::File(path.clone());
        let key = KeyPair::generate(KeyAlgorithm::P384, &mut SystemEntropy).unwrap();
        key.save(&path, Protection::FileMode, &mut SystemEntropy)
            .unwrap();
        source.open_unattended().unwrap();
        let passphrase = Passphrase::new("x");
        let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
        key.save(&path, protection, &mut SystemEntropy).unwrap();
        let error = source.open_unattended().err().unwrap();
        assert!(matches!(error, Error::PassphraseNeeded { .. }), "{error}");
        let opened = source.open(&|_| Ok(Passphrase::new("x"))).unwrap();
        assert_eq!(
            opened.public_key().spki_der(),
            Some(key.public_key_der().as_slice())
        );
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let source: KeySource = "env:DEVICE_PKI_NO_SUCH_VARIABLE".parse().unwrap();
        let error = source.open_unattended().err().unwrap();
        assert!(
            error.to_string().contains("DEVICE_PKI_NO_SUCH_VARIABLE"),
            "{error}"
        );
    }
}
