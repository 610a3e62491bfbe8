//! CA keys on tokens: options, and where PINs come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use device_pki::folder::{CaTokens, PkiFolder};
use device_pki::token::TokenUri;
use device_pki::{CaKind, Error, Passphrase, Result, SecretOf};

/// Set instead of `pin-source` in a URI, or a prompt.
const VARIABLE: &str = "DEVICE_PKI_PIN";

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Put CA keys on a PKCS#11 token: pkcs11:token=NAME for all, CA=pkcs11:token=NAME for one; may be repeated
    ///
    /// The key is made there, with the name of the CA's folder as its label. A URI for one CA may name a key with object= or id=:
    /// that key is used if it is there. The PIN is read from the file of ?pin-source=file:/..., or from $DEVICE_PKI_PIN, or asked
    /// for.
    #[arg(long = "key", value_name = "[CA=]URI", value_parser = parse)]
    keys: Vec<(Option<CaKind>, TokenUri)>,
}

impl TokenArgs {
    /// The tokens that were named, and the way to PINs.
    pub(super) fn tokens(&self) -> Result<CaTokens> {
        let tokens = CaTokens::asking(pins());
        self.keys.iter().try_fold(tokens, |tokens, (kind, uri)| {
            tokens.with(*kind, uri.clone())
        })
    }

    /// The same, where only one CA is meant.
    pub(super) fn tokens_of(&self, kind: CaKind) -> Result<CaTokens> {
        let mut tokens = CaTokens::asking(pins());
        for (named, uri) in &self.keys {
            if named.is_some_and(|named| named != kind) {
                return Err(Error::Name {
                    what: "CA",
                    found: named.map_or("", CaKind::folder).to_owned(),
                    why: "is not the one that gets a new key",
                });
            }
            tokens = tokens.with(Some(kind), uri.clone())?;
        }
        Ok(tokens)
    }
}

/// Opens a PKI whose CA keys may be on tokens.
pub(super) fn open(dir: &Path) -> Result<PkiFolder> {
    Ok(PkiFolder::open(dir)?.with_tokens(CaTokens::asking(pins())))
}

fn parse(text: &str) -> Result<(Option<CaKind>, TokenUri)> {
    if text.starts_with("pkcs11:") {
        return Ok((None, text.parse()?));
    }
    let (name, uri) = text.split_once('=').unwrap_or((text, ""));
    let kind = CaKind::ALL.into_iter().find(|kind| kind.folder() == name);
    let kind = kind.ok_or_else(|| Error::Name {
        what: "CA",
        found: name.chars().take(80).collect(),
        why: "is none of root-ca, firmware-signing-ca, device-issuing-ca, server-ca, factory-ca, operator-ca, and no pkcs11: URI",
    })?;
    Ok((Some(kind), uri.parse()?))
}

/// Each token's PIN is asked for once in a run.
fn pins() -> impl Fn(SecretOf<'_>) -> Result<Passphrase> + Send + Sync + 'static {
    let known: Mutex<BTreeMap<String, Passphrase>> = Mutex::default();
    move |secret| {
        let (SecretOf::Token(token) | SecretOf::Key(token)) = secret else {
            return Err(Error::PassphraseNeeded {
                what: "the PKI".to_owned(),
            });
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pin) = known.get(token) {
            return Ok(pin.clone());
        }
        let pin = match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Passphrase::new(text),
            _ => {
                let prompt = format!("PIN of token {token}: ");
                let typed = rpassword::prompt_password(prompt);
                Passphrase::new(typed.map_err(|_| device_pki::token::TokenError::PinNeeded {
                    token: token.to_owned(),
                })?)
            }
        };
        known.insert(token.to_owned(), pin.clone());
        Ok(pin)
    }
}
