//! How CA keys are opened: options that all commands with CA keys share.

use std::path::PathBuf;

use clap::Args;
use device_pki::folder::{Ceremony, PkiFolder};
use device_pki::{Clock, Error, Passphrase, Protection, Result, ScryptCost, SystemEntropy};
use metadata_schema::time::Timestamp;

/// Set instead of a file or a prompt.
const VARIABLE: &str = "DEVICE_PKI_PASSPHRASE";

#[derive(Debug, Args)]
pub(super) struct PassphraseArgs {
    /// File whose first line is the passphrase of the CA keys [default: $DEVICE_PKI_PASSPHRASE, or ask]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Take this for the current time, such as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    at: Option<Timestamp>,
}

impl PassphraseArgs {
    /// The passphrase for keys that exist.
    fn read(&self) -> Result<Passphrase> {
        match self.unasked()? {
            Some(passphrase) => Ok(passphrase),
            None => ask("Passphrase of the CA keys: "),
        }
    }

    /// A new passphrase, which a person types twice.
    pub(super) fn choose(&self) -> Result<Passphrase> {
        if let Some(passphrase) = self.unasked()? {
            return Ok(passphrase);
        }
        let text = prompt("New passphrase for the CA keys: ")?;
        if text.is_empty() || text != prompt("Once more: ")? {
            let why = "is empty, or the two are not the same";
            return Err(Error::Name {
                what: "passphrase",
                found: String::new(),
                why,
            });
        }
        Ok(Passphrase::new(text))
    }

    /// The time that certificates and lists are dated from.
    pub(super) fn now(&self) -> Timestamp {
        self.at.unwrap_or_else(|| Clock::System.now())
    }

    fn unasked(&self) -> Result<Option<Passphrase>> {
        match (&self.passphrase_file, std::env::var(VARIABLE)) {
            (Some(path), _) => Passphrase::read(path).map(Some),
            (None, Ok(text)) if !text.is_empty() => Ok(Some(Passphrase::new(text))),
            _ => Ok(None),
        }
    }

    /// Works on a PKI with its CA keys.
    pub(super) fn ceremony<T>(
        &self,
        pki: &PkiFolder,
        work: impl FnOnce(&mut Ceremony<'_>) -> Result<T>,
    ) -> Result<T> {
        self.ceremony_of(pki, true, work)
    }

    /// The same for a person, who brings a key (`given`), or gets one that a passphrase protects even if all CA keys are on tokens.
    pub(super) fn ceremony_of<T>(
        &self,
        pki: &PkiFolder,
        given: bool,
        work: impl FnOnce(&mut Ceremony<'_>) -> Result<T>,
    ) -> Result<T> {
        let passphrase = match pki.is_encrypted()? {
            true => Some(self.read()?),
            false if !given && pki.has_tokens()? => Some(self.choose()?),
            false => None,
        };
        let protection = passphrase
            .as_ref()
            .map_or(Protection::FileMode, |passphrase| {
                Protection::Passphrase(passphrase, ScryptCost::STANDARD)
            });
        work(&mut Ceremony {
            now: self.now(),
            protection,
            entropy: &mut SystemEntropy,
        })
    }
}

fn ask(question: &str) -> Result<Passphrase> {
    prompt(question).map(Passphrase::new)
}

fn prompt(question: &str) -> Result<String> {
    rpassword::prompt_password(question).map_err(|_| Error::PassphraseNeeded {
        what: "the PKI".to_owned(),
    })
}
