//! Where a passphrase comes from: a file, the environment, or a person.

use std::path::{Path, PathBuf};

use clap::Args;
use device_pki::{KeyPair, Passphrase};
use repo_tool::{Error, Result};

/// The variable that holds a passphrase.
const VARIABLE: &str = "REPO_TOOL_PASSPHRASE";

#[derive(Args, Debug)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from the first line of a file
    ///
    /// Without it, the variable REPO_TOOL_PASSPHRASE counts, and without that a person is asked.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase of an existing key; none if the key is not encrypted.
    pub(crate) fn of_key(&self, key: &Path) -> Result<Option<Passphrase>> {
        if !KeyPair::is_encrypted(key)? {
            return Ok(None);
        }
        let prompt = format!("Passphrase of {}: ", key.display());
        self.given().unwrap_or_else(|| ask(&prompt)).map(Some)
    }

    /// The passphrase of a new key, typed twice if it is typed.
    pub(crate) fn of_new_key(&self) -> Result<Passphrase> {
        if let Some(given) = self.given() {
            return given;
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

    fn given(&self) -> Option<Result<Passphrase>> {
        if let Some(path) = &self.passphrase_file {
            return Some(Passphrase::read(path).map_err(Error::from));
        }
        std::env::var(VARIABLE)
            .ok()
            .map(|text| Ok(Passphrase::new(text)))
    }
}

fn ask(prompt: &str) -> Result<Passphrase> {
    Ok(Passphrase::new(typed(prompt)?))
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
