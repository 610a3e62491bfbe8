//! What can go wrong, and what helps.

use std::io;
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step on a file or folder failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was tried, such as "write" or "rename".
        step: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },

    /// A file is larger than its reader allows.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },

    /// Bytes are not what they should be.
    #[error("{what} is not {expected}: {reason}")]
    Malformed {
        /// What was read, such as a file's name.
        what: String,
        /// What it should be.
        expected: &'static str,
        /// Where the two part.
        reason: String,
    },

    /// A private key does not open with the passphrase given.
    #[error("wrong passphrase for {what}")]
    WrongPassphrase {
        /// The key.
        what: String,
    },

    /// A private key is encrypted, and no passphrase was given.
    #[error("{what} is encrypted and needs a passphrase")]
    PassphraseNeeded {
        /// The key.
        what: String,
    },

    /// A variable of the environment that should hold a key is not set, or is no text.
    #[error("the environment has no variable {name} with a key")]
    Variable {
        /// Its name.
        name: String,
    },

    /// A PKCS#11 token, or the way to it.
    #[error(transparent)]
    Token(#[from] crate::token::TokenError),

    /// A name is not acceptable.
    #[error("{what} {found:?}: {why}")]
    Name {
        /// What it names.
        what: &'static str,
        /// The name.
        found: String,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A key is of another algorithm than its use needs.
    #[error("{purpose} needs a key for {expected}, found {found}")]
    Algorithm {
        /// What the key is for.
        purpose: &'static str,
        /// The algorithms that would do.
        expected: &'static str,
        /// The algorithm found.
        found: String,
    },

    /// The private key is not the one of the certificate.
    #[error("the private key does not belong to the certificate of {subject}")]
    KeyMismatch {
        /// The certificate's subject.
        subject: String,
    },

    /// A certification request proves no possession of its key (RFC 2986).
    #[error("the certification request is not signed by its own key: {reason}")]
    RequestSignature {
        /// Why.
        reason: &'static str,
    },

    /// A certificate would outlive its issuer, or has no lifetime at all.
    #[error(
        "no certificate can be valid from {not_before} to {not_after}: its issuer is valid from {issuer_not_before} to {issuer_not_after}"
    )]
    Validity {
        /// Asked for.
        not_before: String,
        /// Asked for.
        not_after: String,
        /// What the issuer has.
        issuer_not_before: String,
        /// What the issuer has.
        issuer_not_after: String,
    },

    /// The library that writes certificates refused.
    #[error("cannot write the certificate of {subject}")]
    Issue {
        /// Whose certificate.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },

    /// A certificate revocation list does not come from the issuer that it names.
    #[error("certificate revocation list of {issuer}: {reason}")]
    Crl {
        /// The issuer it names.
        issuer: String,
        /// Why it is refused.
        reason: String,
    },

    /// A certificate does not lead to the trust anchor, or not for this purpose.
    #[error("certificate of {subject} does not lead to the trust anchor {anchor}: {reason}")]
    Path {
        /// Whose certificate.
        subject: String,
        /// The anchor.
        anchor: String,
        /// Why.
        reason: String,
    },

    /// A peer's certificate was accepted, but it is not whom we want to talk to.
    #[error("the peer is {found}, expected {expected}")]
    Peer {
        /// Who was asked for.
        expected: String,
        /// Who answered.
        found: String,
    },

    /// A handshake failed.
    #[error("cannot open a channel with {peer}")]
    Handshake {
        /// Address or name of the peer.
        peer: String,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// TLS could not be set up with what was given.
    #[error("cannot set up TLS: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },

    /// Nothing in a CA folder matches.
    #[error("no certificate {wanted:?} in {}", folder.display())]
    NotFound {
        /// What was looked for.
        wanted: String,
        /// Where.
        folder: PathBuf,
    },

    /// More than one certificate in a CA folder matches.
    #[error("{count} certificates match {wanted:?}")]
    Ambiguous {
        /// What was looked for.
        wanted: String,
        /// How many were found.
        count: usize,
    },

    /// The index of a CA has no room for another certificate that could still be revoked.
    #[error("{} is full: no more than {limit} bytes, with what revoking everything in it takes", path.display())]
    IndexFull {
        /// The index.
        path: PathBuf,
        /// How large it may become.
        limit: u64,
    },

    /// There are more revocation lists than are loaded.
    #[error("{count} revocation lists, at most {most}")]
    TooManyLists {
        /// How many were found.
        count: usize,
        /// How many are loaded.
        most: usize,
    },

    /// Something is there already and would be overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },

    /// Something in a PKI has expired or is overdue.
    #[error("{late} of these have expired or are overdue")]
    Unwell {
        /// How many.
        late: usize,
    },

    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {reason}")]
    Entropy {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::WrongPassphrase { .. } => {
                "try again; a lost passphrase cannot be recovered, the key has to be replaced"
            }
            Self::PassphraseNeeded { .. } => "give --passphrase-file, or set DEVICE_PKI_PASSPHRASE",
            Self::Variable { .. } => "export it: PEM of PKCS#8, or the same in base64",
            Self::Token(error) => return error.hint(),
            Self::Exists { .. } => {
                "choose another folder, or remove it if it is not needed any more"
            }
            Self::NotFound { .. } => {
                "the index of each CA is its state.json; give the serial number or the exact name"
            }
            Self::IndexFull { .. } => {
                "nothing was issued; what it issued before can still be revoked, further certificates need a new PKI"
            }
            Self::Ambiguous { .. } => "give the serial number of the certificate",
            Self::Validity { .. } => "renew the issuing CA first, or ask for a shorter validity",
            Self::RequestSignature { .. } => {
                "make the request again with the key that it is for (RSA by PSS: with a salt as long as the digest), or hand in the public key"
            }
            Self::TooLarge { .. } => "this is not the file that it should be",
            Self::Path { .. } => "ask with `device-pki inspect` what the certificate says",
            _ => return None,
        })
    }

    pub(crate) fn io(step: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io {
            step,
            path: path.to_owned(),
            source,
        }
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "callers pass errors that they own"
    )]
    pub(crate) fn malformed(
        what: impl Into<String>,
        expected: &'static str,
        reason: impl ToString,
    ) -> Self {
        Self::Malformed {
            what: what.into(),
            expected,
            reason: reason.to_string(),
        }
    }
}
