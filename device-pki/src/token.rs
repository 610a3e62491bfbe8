//! Signing keys on PKCS#11 tokens: smart cards, USB tokens, HSMs, SoftHSM.
//!
//! A [`TokenUri`] (RFC 7512) names the key; [`crate::KeySource`] opens it, [`generate`] makes one on a token, [`list`] tells what
//! tokens there are. Ed25519 (CKM_EDDSA), ECDSA on P-256 and P-384 (CKM_ECDSA over a digest that is computed here) and RSA
//! (CKM_SHA256_RSA_PKCS_PSS) sign. What a token signs is verified by the public key beside it before anybody sees it.
//!
//! The module, a library that the token's maker ships, is loaded into this process. It is the one of the URI's `module-path`,
//! or else of the variable `PKCS11_MODULE_PATH`. Only the feature `pkcs11` has the code; without it, opening is an error.

mod error;
mod uri;

#[cfg(feature = "pkcs11")]
mod key;
#[cfg(feature = "pkcs11")]
mod list;
#[cfg(feature = "pkcs11")]
mod make;
#[cfg(feature = "pkcs11")]
mod module;
#[cfg(feature = "pkcs11")]
mod objects;
#[cfg(feature = "pkcs11")]
mod renewed;

#[cfg(feature = "pkcs11")]
pub(crate) use key::open;
#[cfg(feature = "pkcs11")]
pub use list::{ListedKey, ListedToken, list};
#[cfg(feature = "pkcs11")]
pub use make::{TokenAlgorithm, generate};
#[cfg(feature = "pkcs11")]
pub use module::is_present;
#[cfg(feature = "pkcs11")]
pub(crate) use renewed::RenewedKey;

pub use error::TokenError;
pub use uri::TokenUri;

/// The variable that names the module if a URI does not.
pub const MODULE_VARIABLE: &str = "PKCS11_MODULE_PATH";

#[cfg(not(feature = "pkcs11"))]
pub(crate) fn open(
    _uri: &TokenUri,
    _ask: crate::key_source::AskSecret<'_>,
) -> crate::Result<Box<dyn crate::SigningKey>> {
    Err(TokenError::NotBuilt.into())
}
