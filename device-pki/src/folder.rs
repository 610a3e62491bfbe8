//! A whole PKI in one folder: the root, the CAs below it, what they issued, and their revocation lists.
//!
//! ```text
//! pki.json                  who runs it, and which algorithms it uses
//! trust-anchor.pem          the root's certificate: what devices are given
//! <ca>/ca.pem, ca.key.pem   each CA's certificate and its encrypted key
//! <ca>/ca.key.uri           instead of ca.key.pem: the PKCS#11 URI (RFC 7512) of a key that is on a token
//! <ca>/state.json           what it issued and revoked, and the number of its next revocation list
//! <ca>-<key id>/            a former generation of a CA, whose certificates are still in use
//! signers/<name>/           chain.pem and, if the key was made here, key.pem
//! servers/<name>/           the same
//! devices/<serial>/         the same; factory/<serial>/ and operators/<name>/ too
//! crl/<ski>.crl             revocation lists, in DER, under the names that they are published by
//! ```
//!
//! This is the form for a small company and for tests. Where a root key must never meet a network, run it on a machine
//! of its own and carry the folder's `root-ca/ca.key.pem` nowhere else.

mod elsewhere;
mod generations;
mod issue;
mod keys;
mod revoke;
mod state;

use std::fs::File;
use std::path::{Path, PathBuf};

use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::anchor::TrustAnchor;
use crate::authority::Authority;
use crate::certificate::{Certificate, MAX_PEM_LENGTH};
use crate::durable;
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::key::{KeyAlgorithm, KeyPair, Protection};
use crate::name::Organisation;
use crate::passphrase::Passphrase;
use crate::profile::{CaKind, Validity};
use crate::token::TokenUri;
use generations::Place;
use keys::NewKey;

pub use issue::{Issued, KeySource};
pub use keys::CaTokens;
pub use revoke::{DEFAULT_CRL_DAYS, Revoked};
pub use state::{CaState, Entry};

/// The format of `pki.json`.
const FORMAT: u32 = 1;
const CONFIG_LIMIT: u64 = 64 * 1024;
/// CA certificates reach this far back, for devices whose clock is behind.
const BACKDATE: i64 = 3600;

/// What every operation with CA keys needs: the time, how keys are protected, and random bytes.
pub struct Ceremony<'a> {
    /// The time that certificates start at.
    pub now: Timestamp,
    /// How CA keys and the keys of people are, or will be, protected.
    pub protection: Protection<'a>,
    /// Where keys and serial numbers come from.
    pub entropy: &'a mut dyn Entropy,
}

/// Which algorithms the keys of a PKI are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algorithms {
    /// The root's.
    pub root: KeyAlgorithm,
    /// The other CAs'.
    pub issuing: KeyAlgorithm,
    /// Those of servers and devices. Keys of people that are made here are for Ed25519.
    pub leaf: KeyAlgorithm,
}

impl Algorithms {
    /// Root P-384, the others P-256: what every TLS stack and every TPM knows.
    pub const STANDARD: Self = Self {
        root: KeyAlgorithm::P384,
        issuing: KeyAlgorithm::P256,
        leaf: KeyAlgorithm::P256,
    };
    /// CAs with Ed25519, whose signatures follow from key and message: from one seed the same PKI, byte for byte.
    pub const DETERMINISTIC: Self = Self {
        root: KeyAlgorithm::Ed25519,
        issuing: KeyAlgorithm::Ed25519,
        leaf: KeyAlgorithm::P256,
    };
}

/// A PKI on disk.
#[derive(Debug)]
pub struct PkiFolder {
    path: PathBuf,
    config: Config,
    tokens: CaTokens,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Config {
    format: u32,
    organisation: Organisation,
    algorithms: Algorithms,
}

impl PkiFolder {
    /// Makes a new PKI: root CA and the three CAs below it, each with an empty revocation list. All keys are in files.
    ///
    /// # Errors
    /// If there is a PKI already, or a step fails.
    pub fn create(
        path: &Path,
        organisation: &Organisation,
        algorithms: Algorithms,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Self> {
        let tokens = CaTokens::default();
        Self::create_on(path, organisation, algorithms, tokens, ceremony)
    }

    /// The same, with keys on tokens for those CAs that `tokens` names.
    ///
    /// # Errors
    /// As [`PkiFolder::create`], and if a token refuses.
    pub fn create_on(
        path: &Path,
        organisation: &Organisation,
        algorithms: Algorithms,
        tokens: CaTokens,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Self> {
        let config_path = path.join("pki.json");
        if config_path.exists() {
            return Err(Error::Exists { path: config_path });
        }
        durable::create_dir_durable(path, 0o700)?;
        let config = Config {
            format: FORMAT,
            organisation: organisation.clone(),
            algorithms,
        };
        let folder = Self {
            path: path.to_owned(),
            config,
            tokens,
        };
        let lock = folder.lock()?;

        let start = ceremony.now.plus_seconds(-BACKDATE);
        let valid = |kind: CaKind| Validity::days(start, kind.default_days());
        let NewKey { key, token } = folder.new_key(CaKind::Root, None, ceremony)?;
        let root = Authority::root(
            organisation.clone(),
            key,
            valid(CaKind::Root),
            ceremony.entropy,
        )?;
        folder.keep(&root, token.as_ref(), None, ceremony)?;
        for kind in CaKind::ISSUING {
            let NewKey { key, token } = folder.new_key(kind, None, ceremony)?;
            let ca = root.subordinate(kind, key, valid(kind), ceremony.entropy)?;
            folder.keep(&ca, token.as_ref(), Some(CaKind::Root), ceremony)?;
        }
        let pem = root.certificate().pem();
        durable::write(&folder.anchor_path(), pem.as_bytes(), durable::PUBLIC)?;
        // Last: a folder with this file is complete.
        let json = serde_json::to_vec_pretty(&folder.config)
            .map_err(|e| Error::malformed("pki.json", "JSON", e))?;
        durable::write(&config_path, &json, durable::PUBLIC)?;
        drop(lock);
        folder.write_crls(DEFAULT_CRL_DAYS, ceremony)?;
        Ok(folder)
    }

    /// Opens a PKI. No key is read yet.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let config_path = path.join("pki.json");
        let bytes = durable::read_bounded(&config_path, CONFIG_LIMIT)?;
        let what = config_path.display().to_string();
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|e| Error::malformed(what.as_str(), "the configuration of a PKI", e))?;
        if config.format != FORMAT {
            let reason = format!("format {}, expected {FORMAT}", config.format);
            return Err(Error::malformed(what, "the configuration of a PKI", reason));
        }
        Ok(Self {
            path: path.to_owned(),
            config,
            tokens: CaTokens::default(),
        })
    }

    /// The same PKI, with tokens for new CA keys and somebody who knows the PINs.
    #[must_use]
    pub fn with_tokens(self, tokens: CaTokens) -> Self {
        Self { tokens, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who runs it.
    pub fn organisation(&self) -> &Organisation {
        &self.config.organisation
    }

    /// Which algorithms its keys are for.
    pub fn algorithms(&self) -> Algorithms {
        self.config.algorithms
    }

    /// The file with the root's certificate.
    pub fn anchor_path(&self) -> PathBuf {
        self.path.join("trust-anchor.pem")
    }

    /// The root, as devices trust it.
    ///
    /// # Errors
    /// If its certificate cannot be read.
    pub fn anchor(&self) -> Result<TrustAnchor> {
        TrustAnchor::new(self.ca_certificate(CaKind::Root)?)
    }

    /// The certificate of a CA.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn ca_certificate(&self, kind: CaKind) -> Result<Certificate> {
        let path = self.ca_path(kind).join("ca.pem");
        let text = durable::read_bounded(&path, MAX_PEM_LENGTH.try_into().unwrap_or(u64::MAX))?;
        Certificate::from_pem(&path.display().to_string(), &text)
    }

    /// A CA with its key, which this opens.
    ///
    /// # Errors
    /// If the passphrase is wrong, or certificate and key do not belong together.
    pub fn authority(&self, kind: CaKind, protection: Protection<'_>) -> Result<Authority> {
        let key = self.place(kind).key(self, protection)?;
        Authority::new(
            kind,
            self.config.organisation.clone(),
            self.ca_certificate(kind)?,
            key,
        )
    }

    /// What a CA issued and revoked.
    ///
    /// # Errors
    /// If its index cannot be read.
    pub fn state(&self, kind: CaKind) -> Result<CaState> {
        CaState::load(&self.state_path(kind))
    }

    /// The file of a CA's revocation list.
    ///
    /// # Errors
    /// If the CA's certificate cannot be read.
    pub fn crl_path(&self, kind: CaKind) -> Result<PathBuf> {
        let ski = self
            .ca_certificate(kind)?
            .subject_key_id()
            .unwrap_or_default();
        Ok(self.path.join("crl").join(format!("{ski}.crl")))
    }

    /// Whether the key of a CA is in this folder, or on a token that is plugged in: that of the root is best kept away.
    pub fn has_key(&self, kind: CaKind) -> bool {
        self.place(kind).has_key()
    }

    /// Whether the CA keys that are here in files are encrypted. All of them are, or none.
    ///
    /// # Errors
    /// If a key file cannot be read.
    pub fn is_encrypted(&self) -> Result<bool> {
        let in_file = |kind: &CaKind| self.key_path(*kind).exists();
        match CaKind::ALL.into_iter().find(in_file) {
            None if self.has_tokens()? => Ok(false),
            here => KeyPair::is_encrypted(&self.key_path(here.unwrap_or(CaKind::Root))),
        }
    }

    /// Whether any CA has its key on a token.
    ///
    /// # Errors
    /// If the file with a key's URI cannot be read.
    pub fn has_tokens(&self) -> Result<bool> {
        for place in self.places() {
            if place.token()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The kinds of CA that this PKI has, the root first.
    pub fn kinds(&self) -> impl Iterator<Item = CaKind> + '_ {
        let here = |kind: &CaKind| self.ca_path(*kind).join("ca.pem").exists();
        CaKind::ALL.into_iter().filter(here)
    }

    /// Makes a CA below the root that this PKI does not have yet: the one for identities from the factory, or the one for
    /// operators. One that is there stays as it is; says whether it is new. If the root's key is on a token, the new one is made there.
    ///
    /// # Errors
    /// If the root's key cannot be opened or a step fails.
    pub fn add(&self, kind: CaKind, ceremony: &mut Ceremony<'_>) -> Result<bool> {
        let lock = self.lock()?;
        if self.kinds().any(|here| here == kind) {
            return Ok(false);
        }
        let root = self.authority(CaKind::Root, ceremony.protection)?;
        let start = ceremony.now.plus_seconds(-BACKDATE);
        let validity = Validity::days(start, kind.default_days());
        let beside = self.place(CaKind::Root).token()?;
        let NewKey { key, token } = self.new_key(kind, beside, ceremony)?;
        let ca = root.subordinate(kind, key, validity, ceremony.entropy)?;
        self.keep(&ca, token.as_ref(), Some(CaKind::Root), ceremony)?;
        drop(lock);
        self.write_crls_of(&self.places_of(kind), DEFAULT_CRL_DAYS, ceremony)?;
        Ok(true)
    }

    fn place(&self, kind: CaKind) -> Place {
        let path = self.ca_path(kind);
        Place { kind, path }
    }

    fn key_path(&self, kind: CaKind) -> PathBuf {
        self.ca_path(kind).join("ca.key.pem")
    }

    fn ca_path(&self, kind: CaKind) -> PathBuf {
        self.path.join(kind.folder())
    }

    fn state_path(&self, kind: CaKind) -> PathBuf {
        self.ca_path(kind).join("state.json")
    }

    fn save_state(&self, kind: CaKind, state: &CaState) -> Result<()> {
        state.save(&self.state_path(kind))
    }

    /// Writes a new CA, and enters it into its issuer's index.
    fn keep(
        &self,
        ca: &Authority,
        token: Option<&TokenUri>,
        issuer: Option<CaKind>,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<()> {
        let path = self.ca_path(ca.kind());
        durable::create_dir_durable(&path, 0o700)?;
        keys::keep(&path, ca.key(), token, ceremony)?;
        let pem = ca.certificate().pem();
        self.save_state(ca.kind(), &CaState::default())?;
        if let Some(issuer) = issuer {
            let mut state = self.state(issuer)?;
            state.enter(ca.certificate(), ca.kind().folder());
            self.save_state(issuer, &state)?;
        }
        // Last: a CA is there once its certificate is.
        durable::write(&path.join("ca.pem"), pem.as_bytes(), durable::PUBLIC)
    }

    /// Keeps two programs from changing the folder at once, until the file is closed.
    fn lock(&self) -> Result<File> {
        let path = self.path.join("pki.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io("open", &path, e))?;
        file.lock().map_err(|e| Error::io("lock", &path, e))?;
        Ok(file)
    }
}

fn passphrase(protection: Protection<'_>) -> Option<&Passphrase> {
    match protection {
        Protection::Passphrase(passphrase, _) => Some(passphrase),
        Protection::FileMode => None,
    }
}

#[cfg(test)]
mod tests;
