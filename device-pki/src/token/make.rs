//! New keys, made on a token, which they never leave.

use std::str::FromStr;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};

use super::{TokenError, TokenUri, module, objects};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::key_source::AskSecret;
use crate::subject_key::SubjectKey;

/// Ed25519 by its object identifier (RFC 8410).
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// secp256r1 (RFC 5480)
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// secp384r1 (RFC 5480)
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// The algorithm of a key that is made on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 3072 bits, for RSASSA-PSS.
    Rsa3072,
}

impl FromStr for TokenAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ed25519" => Ok(Self::Ed25519),
            "p256" => Ok(Self::P256),
            "p384" => Ok(Self::P384),
            "rsa-3072" => Ok(Self::Rsa3072),
            _ => Err(Error::Name {
                what: "algorithm",
                found: text.chars().take(40).collect(),
                why: "is none that is made on a token: ed25519, p256, p384, rsa-3072",
            }),
        }
    }
}

/// Makes a key pair on the token that `uri` names, with the label and the id that it names (an id is drawn if there is none),
/// and returns its public key and the URI that it can be found by from now on.
///
/// # Errors
/// If the URI names no label, if there is such a key already, or the token refuses.
pub fn generate(
    uri: &TokenUri,
    algorithm: TokenAlgorithm,
    ask: AskSecret<'_>,
    entropy: &mut dyn Entropy,
) -> Result<(SubjectKey, TokenUri)> {
    let Some(label) = uri.object.clone() else {
        let reason = "a new key needs a label: object=NAME".to_owned();
        let uri = uri.to_string();
        return Err(TokenError::Uri { uri, reason }.into());
    };
    let token = module::token(uri)?;
    let session = token.session(true)?;
    token.log_in(&session, uri, ask)?;
    let id = match &uri.id {
        Some(id) => id.clone(),
        None => {
            let mut id = vec![0; 8];
            entropy.fill(&mut id)?;
            id
        }
    };
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let by_label = TokenUri {
            object: Some(label.clone()),
            ..TokenUri::default()
        };
        let by_id = TokenUri {
            id: Some(id.clone()),
            ..TokenUri::default()
        };
        for wanted in [by_label, by_id] {
            let found = objects::find(&session, class, &wanted)
                .map_err(|e| token.failed("list its keys", &e))?;
            if !found.is_empty() {
                let token = token.label().to_owned();
                let wanted = wanted.key();
                return Err(TokenError::KeyExists { token, wanted }.into());
            }
        }
    }
    let (mechanism, parameters) = match algorithm {
        TokenAlgorithm::Ed25519 => (
            Mechanism::EccEdwardsKeyPairGen,
            vec![Attribute::EcParams(ED25519.to_vec())],
        ),
        TokenAlgorithm::P256 => (
            Mechanism::EccKeyPairGen,
            vec![Attribute::EcParams(P256.to_vec())],
        ),
        TokenAlgorithm::P384 => (
            Mechanism::EccKeyPairGen,
            vec![Attribute::EcParams(P384.to_vec())],
        ),
        TokenAlgorithm::Rsa3072 => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![
                Attribute::ModulusBits(3072.into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ],
        ),
    };
    let named = [
        Attribute::Token(true),
        Attribute::Label(label.clone().into_bytes()),
        Attribute::Id(id.clone()),
    ];
    let public = [
        &named[..],
        &parameters,
        &[Attribute::Private(false), Attribute::Verify(true)],
    ];
    let private = [
        &named[..],
        &[
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ],
    ];
    let (handle, _) = session
        .generate_key_pair(&mechanism, &public.concat(), &private.concat())
        .map_err(|e| token.failed("make a key", &e))?;
    let key = objects::public_key(&session, handle).map_err(|reason| TokenError::Key {
        token: token.label().to_owned(),
        key: format!("{label:?}"),
        reason,
    })?;
    let found_by = TokenUri {
        id: Some(id),
        pin: None,
        ..uri.clone()
    };
    Ok((key, found_by))
}
