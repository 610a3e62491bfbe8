//! A private key on a token, which signs TUF metadata.

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use metadata_schema::key::{Family, PublicKey};
use sha2::{Digest as _, Sha256, Sha384};

use super::module::{self, Token};
use super::objects::{self, Named, integer};
use super::{TokenError, TokenUri};
use crate::der;
use crate::error::Result;
use crate::key::SigningKey;
use crate::key_source::AskSecret;
use crate::subject_key::SubjectKey;

/// A key whose secret stays on its token.
pub(super) struct TokenKey {
    /// Before the token, or the module could be in use when nobody is said to use it.
    session: Session,
    token: Token,
    handle: ObjectHandle,
    name: String,
    scheme: Scheme,
    subject: SubjectKey,
    /// The PIN, if the token wants it again for every signature (CKA_ALWAYS_AUTHENTICATE).
    each_time: Option<Option<AuthPin>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Ed25519,
    P256,
    P384,
    Rsa,
}

/// Opens the one key that a URI names.
pub(crate) fn open(uri: &TokenUri, ask: AskSecret<'_>) -> Result<Box<dyn SigningKey>> {
    Ok(Box::new(open_key(uri, ask)?))
}

pub(super) fn open_key(uri: &TokenUri, ask: AskSecret<'_>) -> Result<TokenKey> {
    let token = module::token(uri)?;
    let session = token.session(false)?;
    let pin = token.log_in(&session, uri, ask)?;
    let found = objects::find(&session, ObjectClass::PRIVATE_KEY, uri)
        .map_err(|e| token.failed("list its keys", &e))?;
    let key = one(&token, &session, uri, found)?;
    let unusable = |reason: String| TokenError::Key {
        token: token.label().to_owned(),
        key: key.name(),
        reason,
    };
    let public = objects::public_of(&session, &key)
        .map_err(|e| token.failed("list its keys", &e))?
        .ok_or_else(|| unusable("its public key is not on the token".to_owned()))?;
    let subject = objects::public_key(&session, public).map_err(unusable)?;
    let scheme = Scheme::of(&subject)
        .ok_or_else(|| unusable(format!("{} keys do not sign here", subject.algorithm())))?;
    let always = session.get_attributes(key.handle, &[AttributeType::AlwaysAuthenticate]);
    let always = always.is_ok_and(|found| found.contains(&Attribute::AlwaysAuthenticate(true)));
    let each_time = always.then_some(pin);
    Ok(TokenKey {
        handle: key.handle,
        name: key.name(),
        subject,
        token,
        session,
        scheme,
        each_time,
    })
}

fn one(
    token: &Token,
    session: &Session,
    uri: &TokenUri,
    mut found: Vec<Named>,
) -> Result<Named, TokenError> {
    let names = |keys: &[Named]| -> String {
        let names: Vec<String> = keys.iter().map(Named::name).collect();
        names.join(", ")
    };
    let (label, wanted) = (token.label().to_owned(), uri.key());
    match (found.pop(), found.is_empty()) {
        (Some(key), true) => Ok(key),
        (Some(last), false) => {
            found.push(last);
            Err(TokenError::ManyKeys {
                token: label,
                wanted,
                found: names(&found),
            })
        }
        (None, _) => {
            let all = objects::find(session, ObjectClass::PRIVATE_KEY, &TokenUri::default());
            let all = all.map_err(|e| token.failed("list its keys", &e))?;
            let found = if all.is_empty() {
                "it has none at all".to_owned()
            } else {
                format!("it has {}", names(&all))
            };
            Err(TokenError::NoKey {
                token: label,
                wanted,
                found,
            })
        }
    }
}

impl Scheme {
    fn of(key: &SubjectKey) -> Option<Self> {
        match (key.tuf_key().family()?, key.algorithm()) {
            (Family::Ed25519, _) => Some(Self::Ed25519),
            (Family::Ecdsa, "ECDSA P-384") => Some(Self::P384),
            (Family::Ecdsa, _) => Some(Self::P256),
            (Family::Rsa, _) => Some(Self::Rsa),
            _ => None,
        }
    }

    /// The mechanism, and what the token is given to sign with it.
    fn prepare(self, message: &[u8]) -> (Mechanism<'static>, Vec<u8>) {
        let pss = PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: 32.into(),
        };
        match self {
            Self::Ed25519 => {
                let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
                (Mechanism::Eddsa(pure), message.to_vec())
            }
            Self::P256 => (Mechanism::Ecdsa, Sha256::digest(message).to_vec()),
            Self::P384 => (Mechanism::Ecdsa, Sha384::digest(message).to_vec()),
            Self::Rsa => (Mechanism::Sha256RsaPkcsPss(pss), message.to_vec()),
        }
    }

    /// The signature as TUF carries it. PKCS#11 writes those of ECDSA as r and s, of the same length, without more.
    fn finish(self, signature: Vec<u8>) -> Vec<u8> {
        match self {
            Self::P256 | Self::P384 => {
                let (r, s) = signature.split_at(signature.len() / 2);
                der::write(der::SEQUENCE, &[integer(r), integer(s)].concat())
            }
            Self::Ed25519 | Self::Rsa => signature,
        }
    }
}

impl TokenKey {
    pub(super) fn subject(&self) -> &SubjectKey {
        &self.subject
    }
}

impl SigningKey for TokenKey {
    fn public_key(&self) -> &PublicKey {
        self.subject.tuf_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let (mechanism, data) = self.scheme.prepare(message);
        let signed = match &self.each_time {
            None => self.session.sign(&mechanism, self.handle, &data),
            Some(pin) => self
                .session
                .sign_init(&mechanism, self.handle)
                .and_then(|()| self.session.login(UserType::ContextSpecific, pin.as_ref()))
                .and_then(|()| self.session.sign_update(&data))
                .and_then(|()| self.session.sign_final()),
        };
        let signature = signed.map_err(|e| self.token.failed("sign", &e))?;
        let signature = self.scheme.finish(signature);
        // The public key beside it may be another's.
        self.public_key()
            .verify(message, &signature)
            .map_err(|why| TokenError::Key {
                token: self.token.label().to_owned(),
                key: self.name.clone(),
                reason: format!("what it signed is not by its public key: {why}"),
            })?;
        Ok(signature)
    }
}
