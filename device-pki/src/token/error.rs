//! What can go wrong between a program and its token.

use std::path::PathBuf;

/// A PKCS#11 token, or the way to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// This program has no code for tokens.
    #[error("this program was built without PKCS#11")]
    NotBuilt,

    /// A URI is none, or says something that we do not follow.
    #[error("{uri:?} is not a usable PKCS#11 URI: {reason}")]
    Uri {
        /// The URI, without its PIN.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },

    /// Nobody says which module reaches the token.
    #[error("no PKCS#11 module is named")]
    NoModule,

    /// The module cannot be used.
    #[error("cannot use the PKCS#11 module {}: {reason}", path.display())]
    Module {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// No token matches.
    #[error("no token is {wanted}; {found}")]
    NoToken {
        /// What the URI says of it.
        wanted: String,
        /// Which there are.
        found: String,
    },

    /// More than one token matches.
    #[error("several tokens are {wanted}: {found}")]
    ManyTokens {
        /// What the URI says of it.
        wanted: String,
        /// Which they are.
        found: String,
    },

    /// No key on the token matches.
    #[error("token {token:?} has no private key {wanted}; {found}")]
    NoKey {
        /// The token's label.
        token: String,
        /// What the URI says of it.
        wanted: String,
        /// Which keys it has.
        found: String,
    },

    /// More than one key on the token matches.
    #[error("token {token:?} has several private keys {wanted}: {found}")]
    ManyKeys {
        /// The token's label.
        token: String,
        /// What the URI says of it.
        wanted: String,
        /// Which keys match.
        found: String,
    },

    /// There would be two keys of one name.
    #[error("token {token:?} has a key {wanted} already")]
    KeyExists {
        /// The token's label.
        token: String,
        /// Label or id.
        wanted: String,
    },

    /// A private key without its public key, or of a type that we do not sign with.
    #[error("the key {key} on token {token:?} cannot be used: {reason}")]
    Key {
        /// The token's label.
        token: String,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },

    /// The PIN is wrong.
    #[error("wrong PIN for token {token:?}{left}")]
    WrongPin {
        /// The token's label.
        token: String,
        /// What the token says of the tries that are left; may be empty.
        left: &'static str,
    },

    /// The PIN is locked.
    #[error("the PIN of token {token:?} is locked after too many wrong ones")]
    PinLocked {
        /// The token's label.
        token: String,
    },

    /// The PIN that was good before was refused, and is not given again.
    #[error("the token {token} refused the PIN that it took before")]
    NotTriedAgain {
        /// What is known of the token.
        token: String,
    },

    /// A PIN is needed, and nobody is there to type it.
    #[error("token {token:?} needs its PIN")]
    PinNeeded {
        /// The token's label.
        token: String,
    },

    /// The token refuses a step.
    #[error("token {token:?} cannot {step}: {reason}")]
    Step {
        /// The token's label.
        token: String,
        /// What was tried, such as "sign".
        step: &'static str,
        /// Why, in the module's words.
        reason: String,
    },
}

impl TokenError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotBuilt => "build it with the feature pkcs11 of device-pki",
            Self::Uri { .. } => {
                "such as pkcs11:token=release;object=alice?module-path=/usr/lib/softhsm/libsofthsm2.so (RFC 7512)"
            }
            Self::NoModule => "add ?module-path=... to the URI, or set PKCS11_MODULE_PATH",
            Self::Module { .. } => {
                "is the token's software installed, and for this kind of machine? (SoftHSM: /usr/lib/softhsm/libsofthsm2.so)"
            }
            Self::NoToken { .. } | Self::ManyTokens { .. } => {
                "plug it in, and look for its label or serial number with `repo-tool keys list`"
            }
            Self::NoKey { .. } | Self::ManyKeys { .. } => {
                "`repo-tool keys list` shows the keys of every token, each with its URI; object= is the label, id= the number"
            }
            Self::KeyExists { .. } => "choose another label, or another id",
            Self::Key { .. } => {
                "Ed25519, P-256, P-384 and RSA keys sign, with their public key (same id) on the token"
            }
            Self::WrongPin { .. } => {
                "nothing was tried again: most tokens lock themselves after three wrong PINs"
            }
            Self::PinLocked { .. } => {
                "the token's security officer can set a new PIN (with the SO PIN)"
            }
            Self::NotTriedAgain { .. } => {
                "set the PIN right and start the program again; it is not tried again, for tokens count wrong ones"
            }
            Self::PinNeeded { .. } => {
                "name a file with ?pin-source=file:/... in the URI, for programs that run alone"
            }
            Self::Step { .. } => return None,
        })
    }
}
