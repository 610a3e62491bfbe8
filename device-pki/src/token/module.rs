//! The modules that reach tokens, and the tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
static LOADED: Mutex<BTreeMap<PathBuf, Module>> = Mutex::new(BTreeMap::new());

/// A module, and who uses it: as long as anybody does, it is not initialised anew.
#[derive(Clone)]
pub(super) struct Module {
    library: Pkcs11,
    users: Arc<()>,
}

/// A token in its slot.
pub(super) struct Token {
    module: Module,
    slot: Slot,
    pub(super) info: TokenInfo,
}

/// The module that `path`, or else the environment, names.
pub(super) fn module(path: Option<&Path>) -> Result<(PathBuf, Module), TokenError> {
    let path = path_of(path)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(&path) {
        return Ok((path, module.clone()));
    }
    if !path.is_file() {
        return Err(unusable(&path, "there is no such file"));
    }
    let library = Pkcs11::new(&path).map_err(|e| unusable(&path, &e.to_string()))?;
    initialise(&path, &library)?;
    let users = Arc::default();
    let module = Module { library, users };
    loaded.insert(path.clone(), module.clone());
    Ok((path, module))
}

/// Initialises a module anew if nothing of this process uses it: many do not find a token again that was away. Says whether it
/// did.
pub(super) fn restart(uri: &TokenUri) -> Result<bool, TokenError> {
    let path = path_of(uri.module.as_deref())?;
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(module) = loaded.get(&path) else {
        return Ok(false);
    };
    // To end a module while another thread is in it is undefined (PKCS#11 3.1, section 5.4.2). New users wait for the lock.
    if Arc::strong_count(&module.users) > 1 {
        return Ok(false);
    }
    // One that had ended before says so, and that is no fault.
    module.library.clone().finalize().ok();
    initialise(&path, &module.library)?;
    Ok(true)
}

fn path_of(path: Option<&Path>) -> Result<PathBuf, TokenError> {
    let named = std::env::var_os(MODULE_VARIABLE).filter(|path| !path.is_empty());
    path.map(Path::to_owned)
        .or_else(|| named.map(PathBuf::from))
        .ok_or(TokenError::NoModule)
}

fn initialise(path: &Path, library: &Pkcs11) -> Result<(), TokenError> {
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(e) => Err(unusable(path, &e.to_string())),
    }
}

fn unusable(path: &Path, reason: &str) -> TokenError {
    TokenError::Module {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// All tokens that a module reaches.
pub(super) fn tokens(path: &Path, module: &Module) -> Result<Vec<Token>, TokenError> {
    let failed = |e: Failure| unusable(path, &e.to_string());
    let mut tokens = Vec::new();
    for slot in module
        .library
        .get_slots_with_initialized_token()
        .map_err(failed)?
    {
        let info = module.library.get_token_info(slot).map_err(failed)?;
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

/// Whether the token that `uri` names is plugged in. Nobody is asked for a PIN, and whether it has the key is not looked at.
///
/// # Errors
/// If the module cannot be used, or several tokens match.
pub fn is_present(uri: &TokenUri) -> Result<bool> {
    match token(uri) {
        Ok(_) => Ok(true),
        Err(TokenError::NoToken { .. }) => Ok(false),
        Err(error) => Err(error.into()),
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
            self.module.library.open_rw_session(self.slot)
        } else {
            self.module.library.open_ro_session(self.slot)
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
        match self.module.library.get_token_info(self.slot) {
            Ok(info) if info.user_pin_locked() => ": it is locked now",
            Ok(info) if info.user_pin_final_try() => ": one try is left",
            Ok(info) if info.user_pin_count_low() => ": few tries are left",
            _ => "",
        }
    }
}
