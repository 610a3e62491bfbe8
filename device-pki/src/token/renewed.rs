//! A key on a token whose session is renewed when it has ended: for programs that run for months.

use std::sync::{Mutex, PoisonError};

use super::{TokenError, TokenUri, key, module};
use crate::error::{Error, Result};
use crate::key_source::{AskSecret, SecretOf};
use crate::passphrase::Passphrase;
use crate::subject_key::SubjectKey;

/// The key, and what opens it again. Calls take turns: a session does one thing at a time (PKCS#11 3.1, section 5.6).
pub(crate) struct RenewedKey {
    /// With the PIN, wherever it came from at first: nobody is asked twice.
    uri: TokenUri,
    public: SubjectKey,
    state: Mutex<State>,
}

enum State {
    Open(Box<key::TokenKey>),
    /// The next signature opens it anew.
    Away,
    /// The PIN that was good is refused: it is not given again, for tokens count.
    Refused,
}

impl RenewedKey {
    pub(crate) fn open(uri: &TokenUri, ask: AskSecret<'_>) -> Result<Self> {
        let mut uri = uri.clone();
        if let Some(pin) = uri.named_pin()? {
            uri.pin = Some(pin);
        }
        let given = std::cell::RefCell::new(None);
        let remember = |secret: SecretOf<'_>| -> Result<Passphrase> {
            let pin = ask(secret)?;
            *given.borrow_mut() = Some(pin.clone());
            Ok(pin)
        };
        let opened = key::open_key(&uri, &remember)?;
        if let Some(pin) = given.take() {
            uri.pin = Some(pin);
        }
        Ok(Self {
            public: opened.subject().clone(),
            state: Mutex::new(State::Open(Box::new(opened))),
            uri,
        })
    }

    pub(crate) fn public(&self) -> &SubjectKey {
        &self.public
    }

    /// Signs, over a new session if the old one has ended.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(key) = &*state
            && let Ok(signature) = crate::key::SigningKey::sign(key.as_ref(), message)
        {
            return Ok(signature);
        }
        if let State::Refused = &*state {
            return Err(TokenError::NotTriedAgain {
                token: self.uri.wanted_token(),
            }
            .into());
        }
        // The old session goes first: some modules log in once for all sessions of a program.
        *state = State::Away;
        let key = match self.reopen() {
            Ok(key) => key,
            Err(error) => {
                if let Error::Token(TokenError::WrongPin { .. } | TokenError::PinLocked { .. }) =
                    &error
                {
                    *state = State::Refused;
                }
                return Err(error);
            }
        };
        let signature = crate::key::SigningKey::sign(&key, message)?;
        *state = State::Open(Box::new(key));
        Ok(signature)
    }

    /// Opens the key again; if it is not to be found, once more by a module that begins anew. A PIN that is refused ends it.
    fn reopen(&self) -> Result<key::TokenKey> {
        let error = match self.open_again() {
            Ok(key) => return Ok(key),
            Err(error) => error,
        };
        let away = matches!(
            &error,
            Error::Token(
                TokenError::Module { .. }
                    | TokenError::NoToken { .. }
                    | TokenError::NoKey { .. }
                    | TokenError::Step { .. }
            )
        );
        if away && module::restart(&self.uri)? {
            return self.open_again();
        }
        Err(error)
    }

    fn open_again(&self) -> Result<key::TokenKey> {
        let nobody = |secret: SecretOf<'_>| -> Result<Passphrase> {
            let token = match secret {
                SecretOf::Token(token) | SecretOf::Key(token) => token.to_owned(),
            };
            Err(TokenError::PinNeeded { token }.into())
        };
        let key = key::open_key(&self.uri, &nobody)?;
        if key.subject().der() == self.public.der() {
            return Ok(key);
        }
        Err(TokenError::Key {
            token: self.uri.wanted_token(),
            key: self.uri.key(),
            reason: "it is another key than before".to_owned(),
        }
        .into())
    }
}
