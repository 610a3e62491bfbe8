//! The modules that reach tokens, and the tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Failure, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::{MODULE_VARIABLE, TokenError, TokenUri};
use crate::error::Result;
use crate::key_source::{AskSecret, SecretOf};
use crate::passphrase::Passphrase;

/// Modules that are loaded. A module may be initialised once in a process (PKCS#11 3.1, section 5.4), so it stays.
static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// A token in its slot.
pub(super) struct Token {
    module: Pkcs11,
    slot: Slot,
    pub(super) info: TokenInfo,
}

/// The module that `path`, or else the environment, names.
pub(super) fn module(path: Option<&Path>) -> Result<(PathBuf, Pkcs11), TokenError> {
    let named = std::env::var_os(MODULE_VARIABLE).filter(|path| !path.is_empty());
    let path = path
        .map(Path::to_owned)
        .or_else(|| named.map(PathBuf::from))
        .ok_or(TokenError::NoModule)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(&path) {
        return Ok((path, module.clone()));
    }
    let unusable = |reason: String| TokenError::Module {
        path: path.clone(),
        reason,
    };
    if !path.is_file() {
        return Err(unusable("there is no such file".to_owned()));
    }
    let module = Pkcs11::new(&path).map_err(|e| unusable(e.to_string()))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(e) => return Err(unusable(e.to_string())),
    }
    loaded.insert(path.clone(), module.clone());
    Ok((path, module))
}

/// All tokens that a module reaches.
pub(super) fn tokens(path: &Path, module: &Pkcs11) -> Result<Vec<Token>, TokenError> {
    let failed = |e: Failure| TokenError::Module {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    let mut tokens = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(failed)? {
        let info = module.get_token_info(slot).map_err(failed)?;
        tokens.push(Token {
            module: module.clone(),
            slot,
            info,
        });
    }
    Ok(tokens)
}

/// The one token that a URI names.
pub(super) fn token(uri: &TokenUri) -> Result<Token, TokenError> {
    let (path, module) = module(uri.module.as_deref())?;
    let all = tokens(&path, &module)?;
    let names = |tokens: &[Token]| -> String {
        let names: Vec<String> = tokens
            .iter()
            .map(|token| format!("{:?}", token.label()))
            .collect();
        names.join(", ")
    };
    let found = match all.is_empty() {
        true => format!("{} sees none", path.display()),
        false => format!("{} sees {}", path.display(), names(&all)),
    };
    let mut matching: Vec<Token> = all.into_iter().filter(|token| token.is(uri)).collect();
    match (matching.pop(), matching.is_empty()) {
        (Some(token), true) => Ok(token),
        (None, _) => Err(TokenError::NoToken {
            wanted: uri.wanted_token(),
            found,
        }),
        (Some(last), false) => {
            matching.push(last);
            Err(TokenError::ManyTokens {
                wanted: uri.wanted_token(),
                found: names(&matching),
            })
        }
    }
}

impl Token {
    pub(super) fn label(&self) -> &str {
        self.info.label()
    }

    fn is(&self, uri: &TokenUri) -> bool {
        let same = |wanted: &Option<String>, found: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted == found.trim_end())
        };
        same(&uri.token, self.info.label())
            && same(&uri.manufacturer, self.info.manufacturer_id())
            && same(&uri.model, self.info.model())
            && same(&uri.serial, self.info.serial_number())
            && uri.slot.is_none_or(|slot| slot == self.slot.id())
    }

    /// Opens a session: nobody is logged in.
    pub(super) fn session(&self, writes: bool) -> Result<Session, TokenError> {
        let opened = if writes {
            self.module.open_rw_session(self.slot)
        } else {
            self.module.open_ro_session(self.slot)
        };
        opened.map_err(|e| self.failed("open a session", &e))
    }

    /// Logs the user in, and returns the PIN that did it (none if the token has a keypad of its own). A wrong PIN is not tried
    /// again: tokens count.
    pub(super) fn log_in(
        &self,
        session: &Session,
        uri: &TokenUri,
        ask: AskSecret<'_>,
    ) -> Result<Option<AuthPin>> {
        if self.info.user_pin_locked() {
            let token = self.label().to_owned();
            return Err(TokenError::PinLocked { token }.into());
        }
        let pin = if self.info.protected_authentication_path() {
            None
        } else {
            let given = match uri.named_pin()? {
                Some(pin) => pin,
                None => ask(SecretOf::Token(self.label()))?,
            };
            Some(self.pin(&given)?)
        };
        match session.login(UserType::User, pin.as_ref()) {
            Ok(()) | Err(Failure::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(pin),
            Err(e) => Err(self.failed("log in", &e).into()),
        }
    }

    fn pin(&self, given: &Passphrase) -> Result<AuthPin, TokenError> {
        let text = std::str::from_utf8(given.as_bytes()).map_err(|_| TokenError::Step {
            token: self.label().to_owned(),
            step: "log in",
            reason: "the PIN is not UTF-8".to_owned(),
        })?;
        Ok(AuthPin::new(text.into()))
    }

    /// What the module says went wrong.
    pub(super) fn failed(&self, step: &'static str, failure: &Failure) -> TokenError {
        let token = self.label().to_owned();
        match failure {
            Failure::Pkcs11(
                RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid,
                _,
            ) => TokenError::WrongPin {
                token,
                left: self.tries_left(),
            },
            Failure::Pkcs11(RvError::PinLocked, _) => TokenError::PinLocked { token },
            other => TokenError::Step {
                token,
                step,
                reason: other.to_string(),
            },
        }
    }

    fn tries_left(&self) -> &'static str {
        match self.module.get_token_info(self.slot) {
            Ok(info) if info.user_pin_locked() => ": it is locked now",
            Ok(info) if info.user_pin_final_try() => ": one try is left",
            Ok(info) if info.user_pin_count_low() => ": few tries are left",
            _ => "",
        }
    }
}
