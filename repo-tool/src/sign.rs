//! Signing what is staged, one person after the other.

use device_pki::SigningKey;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;

use crate::assemble::signature;
use crate::audit::{self, Action};
use crate::authority::{Ballot, ballots};
use crate::error::{Error, Result};
use crate::repository::{Repository, State};
use crate::schema::words::Sha256;
use crate::show::Event;
use crate::staged::write_signature;

/// What a key has signed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct SignedRole {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of the bytes that the signature covers.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// Whether the same signature was there already.
    pub repeated: bool,
}

/// Shows somebody what they are about to sign, and says whether they agreed.
pub type Agree<'a> = &'a mut dyn FnMut(&Event) -> Result<()>;

impl Repository {
    /// Signs every staged role that `key` is authorised for. A new root is signed by keyholders of the old one and of
    /// the new one. To sign once more changes nothing.
    ///
    /// For programs that sign what they have made themselves: nobody is asked, and the audit log has the signature from the
    /// moment of publishing only. People sign by [`Repository::sign_shown`].
    ///
    /// # Errors
    /// If nothing is staged, or the key is authorised for none of it.
    pub fn sign(&self, key: &dyn SigningKey) -> Result<Vec<SignedRole>> {
        let _lock = self.lock()?;
        self.sign_state(&self.state()?, key)
    }

    /// As [`Repository::sign`], but hands `agree` the description of what will be signed before anything is: of the same
    /// bytes, whatever happens to the files meanwhile. Writes the signature down in the audit log.
    ///
    /// # Errors
    /// As [`Repository::sign`], and whatever `agree` says against it: then nothing is signed.
    pub fn sign_shown(
        &self,
        key: &dyn SigningKey,
        now: Timestamp,
        agree: Agree<'_>,
    ) -> Result<Vec<SignedRole>> {
        let _lock = self.lock()?;
        let state = self.state()?;
        if !state.staged.is_empty() {
            agree(&self.event(&state)?)?;
        }
        let signed = self.sign_state(&state, key)?;
        let id = key.public_key().id();
        let mut lines = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let new = |made: &SignedRole| made.role == role.as_str() && !made.repeated;
            if signed.iter().any(new) {
                let keys = std::slice::from_ref(id);
                lines.push(Self::signature_line(&state, role, envelope, keys));
            }
        }
        if !lines.is_empty() {
            self.record(now, audit::deed(Action::Sign, state.event_id(), lines))?;
        }
        Ok(signed)
    }

    fn sign_state(&self, state: &State, key: &dyn SigningKey) -> Result<Vec<SignedRole>> {
        if state.staged.is_empty() {
            return Err(Error::NothingStaged {
                path: self.layout.folder().to_owned(),
            });
        }
        let id = key.public_key().id();
        let mut signed = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let authorised = ballots(state, role)?.iter().any(|ballot| ballot.has(id));
            if !authorised || is_online(role) {
                continue;
            }
            let payload = envelope.payload();
            // Most algorithms sign the same twice with two signatures: what is signed already stays as it is.
            let repeated = envelope.signatures.iter().any(|signature| {
                signature.key == *id && key.public_key().verify(&payload, &signature.bytes).is_ok()
            });
            if !repeated {
                let signature = signature(envelope, key)?;
                write_signature(&self.layout, role, &payload, &signature)?;
            }
            signed.push(SignedRole {
                role: role.to_string(),
                version: crate::authority::staged_version(state, role),
                sha256: Sha256Digest::of(&payload),
                repeated,
            });
        }
        if signed.is_empty() {
            return Err(Error::NotASigner {
                key: id.to_string(),
            });
        }
        Ok(signed)
    }
}

impl Ballot<'_> {
    pub(crate) fn has(&self, key: &metadata_schema::key::KeyId) -> bool {
        self.authority.role.key_ids.contains(key)
    }
}

/// Whether the role is signed by the machine that publishes.
pub(crate) fn is_online(role: &RoleName) -> bool {
    matches!(
        role.as_str(),
        "snapshot" | "timestamp" | crate::layout::PKI_ROLE
    )
}
