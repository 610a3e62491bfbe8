//! Where a passphrase or a PIN comes from: a file, the environment, or a person.

use std::path::PathBuf;

use clap::Args;
use device_pki::{KeySource, Passphrase, SecretOf, SigningKey};
use repo_tool::{Error, Result};

/// The variable that holds a passphrase.
const VARIABLE: &str = "REPO_TOOL_PASSPHRASE";

/// A key to sign with, and what opens it.
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    /// The private key: a file, env:NAME, or pkcs11:token=...;object=... (RFC 7512)
    ///
    /// env:NAME is a variable of the environment with PKCS#8 in PEM or base64. `repo-tool keys list` shows tokens and their keys.
    #[arg(long, value_name = "KEY")]
    key: KeySource,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl KeyArgs {
    pub(crate) fn open(&self) -> Result<Box<dyn SigningKey>> {
        self.passphrase.open(&self.key)
    }
}

#[derive(Args, Debug)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase of the key, or the PIN of the token, from the first line of a file
    ///
    /// Without it, the variable REPO_TOOL_PASSPHRASE counts, and without that a person is asked.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Opens a key.
    pub(crate) fn open(&self, key: &KeySource) -> Result<Box<dyn SigningKey>> {
        Ok(key.open(&|secret| self.secret(secret))?)
    }

    /// What opens a key that exists.
    pub(crate) fn secret(&self, of: SecretOf<'_>) -> device_pki::Result<Passphrase> {
        if let Some(given) = self.given() {
            return given;
        }
        let (prompt, what) = match of {
            SecretOf::Token(token) => (format!("PIN of token {token}: "), token),
            SecretOf::Key(key) => (format!("Passphrase of {key}: "), key),
            _ => ("Passphrase: ".to_owned(), "the key"),
        };
        let typed = rpassword::prompt_password(prompt);
        typed
            .map(Passphrase::new)
            .map_err(|_| device_pki::Error::PassphraseNeeded {
                what: what.to_owned(),
            })
    }

    /// The passphrase of a new key, typed twice if it is typed.
    pub(crate) fn of_new_key(&self) -> Result<Passphrase> {
        if let Some(given) = self.given() {
            return Ok(given?);
        }
        let first = typed("Passphrase of the new key: ")?;
        if first.is_empty() {
            return Err(unusable("nothing", "a passphrase"));
        }
        if typed("The same again: ")? != first {
            return Err(unusable("two different ones", "the same passphrase twice"));
        }
        Ok(Passphrase::new(first))
    }

    fn given(&self) -> Option<device_pki::Result<Passphrase>> {
        if let Some(path) = &self.passphrase_file {
            return Some(Passphrase::read(path));
        }
        std::env::var(VARIABLE)
            .ok()
            .map(|text| Ok(Passphrase::new(text)))
    }
}

fn typed(prompt: &str) -> Result<String> {
    rpassword::prompt_password(prompt).map_err(|source| Error::Io {
        step: "ask for the passphrase on",
        path: "the terminal".into(),
        source,
    })
}

fn unusable(found: &str, expected: &'static str) -> Error {
    Error::Argument {
        what: "passphrase",
        found: found.to_owned(),
        expected,
    }
}
