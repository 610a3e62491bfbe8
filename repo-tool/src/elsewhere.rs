//! Signatures made elsewhere: by a company's HSM, a key service, or a machine without a network. `export_to_sign` writes the
//! exact bytes; whoever holds the key signs them by whatever means; `import_signature` takes the result in any usual form.

mod form;

use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Signature;
use metadata_schema::json::{Fields, Json};
use metadata_schema::key::{Family, PublicKey, ml_dsa_message};
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::{self, Action, Deed};
use crate::authority::{ballots, signer_name, staged_version};
use crate::error::{Error, Result};
use crate::event::EventId;
use crate::repository::{Repository, State};
use crate::schema::words::Sha256;
use crate::sign::is_online;
use crate::staged::write_signature;

/// What is to be signed elsewhere, for one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ToSign {
    /// The event that it is of.
    #[schemars(with = "Option<Sha256>")]
    pub event: Option<EventId>,
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// Whose key.
    pub holder: String,
    /// Id of the key.
    pub keyid: String,
    /// Key type, as TUF names it.
    pub keytype: String,
    /// Signature scheme, as TUF names it.
    pub scheme: String,
    /// Name of the file with the bytes to be signed.
    pub file: String,
    /// SHA-256 of the canonical form of the role, which the event and its signers name.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// SHA-256 of the file: another one if the scheme signs a digest.
    #[schemars(with = "Sha256")]
    pub file_sha256: Sha256Digest,
    /// The command by which `openssl` would sign it with a private key in `KEY.pem`.
    pub openssl: String,
    /// The command that takes the result.
    pub import: String,
}

/// A signature that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Imported {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of what was signed.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// Whose.
    pub holder: String,
    /// Id of the key.
    pub key: String,
    /// The form in which it came.
    pub form: String,
    /// Whether a right signature of this key was here already.
    pub repeated: bool,
}

impl Repository {
    /// Writes, for every staged role that somebody may sign, the bytes to be signed into `out`, and a JSON file beside each
    /// that says what they are. `who` is a name as in the certificate, a key id, or the beginning of one (8 digits or more).
    ///
    /// # Errors
    /// If nothing is staged, nobody is meant or several, or the files cannot be written.
    pub fn export_to_sign(&self, who: &str, out: &Path) -> Result<Vec<ToSign>> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let key = self.one_key(&state, None, who)?;
        durable::create_dir_durable(out, 0o755)?;
        let mut exported = Vec::new();
        for (role, envelope) in &state.staged.roles {
            if !may_sign(&state, role, &key)? {
                continue;
            }
            let payload = envelope.payload();
            let bytes = if key.family() == Some(Family::MlDsa) {
                ml_dsa_message(&payload)
            } else {
                payload.clone()
            };
            let version = staged_version(&state, role);
            let stem = format!("{}.v{version}.{}", role.file_stem(), key.id().short());
            let file = format!("{stem}.to-sign");
            let mut fields = Fields::of(key.json().clone(), "key")?;
            let keytype = fields.take("keytype", Json::into_string)?;
            let scheme = fields.take("scheme", Json::into_string)?;
            let to_sign = ToSign {
                event: state.event_id(),
                role: role.to_string(),
                version,
                holder: signer_name(&state, role, key.id()),
                keyid: key.id().to_string(),
                openssl: openssl(&scheme, &file, &stem),
                import: format!(
                    "repo-tool import-signature REPO --role {role} --key {} {stem}.sig",
                    key.id().short()
                ),
                keytype,
                scheme,
                file_sha256: Sha256Digest::of(&bytes),
                sha256: Sha256Digest::of(&payload),
                file,
            };
            durable::write(&out.join(&to_sign.file), &bytes, durable::PUBLIC)?;
            let mut text = serde_json::to_vec_pretty(&to_sign).unwrap_or_default();
            text.push(b'\n');
            durable::write(&out.join(format!("{stem}.json")), &text, durable::PUBLIC)?;
            exported.push(to_sign);
        }
        Ok(exported)
    }

    /// Takes a signature that was made elsewhere: the bytes as they are, in hex, or in base64; ECDSA in DER or as r and s.
    ///
    /// # Errors
    /// If the role is not staged, the key may not sign it, or no reading of the file is a right signature.
    pub fn import_signature(
        &self,
        role: &RoleName,
        who: &str,
        file: &[u8],
        now: Timestamp,
    ) -> Result<Imported> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let key = self.one_key(&state, Some(role), who)?;
        let Some(envelope) = state.staged.roles.get(role) else {
            let expected = "a role that is staged: `repo-tool status` lists them";
            return Err(Error::argument("role", role.as_str(), expected));
        };
        let payload = envelope.payload();
        let right = |bytes: &[u8]| key.verify(&payload, bytes).is_ok();
        let candidates = form::candidates(&key, file);
        let found = candidates.into_iter().find(|found| right(&found.bytes));
        let sha256 = Sha256Digest::of(&payload);
        let found = found.ok_or_else(|| Error::WrongSignature {
            role: role.clone(),
            key: key.id().short(),
            sha256,
        })?;
        let there = envelope.signatures.iter().find(|s| s.key == *key.id());
        let repeated = there.is_some_and(|signature| right(&signature.bytes));
        if !repeated {
            let signature = Signature {
                key: key.id().clone(),
                bytes: found.bytes,
            };
            write_signature(&self.layout, role, &payload, &signature)?;
            let keys = std::slice::from_ref(key.id());
            let line = Self::signature_line(&state, role, envelope, keys);
            let deed = Deed {
                note: Some("made elsewhere".to_owned()),
                ..audit::deed(Action::Merge, state.event_id(), vec![line])
            };
            self.record(now, deed)?;
        }
        Ok(Imported {
            role: role.to_string(),
            version: staged_version(&state, role),
            sha256,
            holder: signer_name(&state, role, key.id()),
            key: key.id().to_string(),
            form: found.form,
            repeated,
        })
    }

    /// The one key that `who` means among those that may sign what is staged, or one role of it.
    fn one_key(&self, state: &State, only: Option<&RoleName>, who: &str) -> Result<PublicKey> {
        if state.staged.is_empty() {
            return Err(Error::NothingStaged {
                path: PathBuf::from(self.layout.folder()),
            });
        }
        let mut found: Vec<PublicKey> = Vec::new();
        for role in state.staged.roles.keys() {
            if is_online(role) || only.is_some_and(|only| only != role) {
                continue;
            }
            for ballot in ballots(state, role)? {
                let authority = ballot.authority;
                for id in &authority.role.key_ids {
                    let meant = (who.len() >= 8 && id.as_str().starts_with(who))
                        || signer_name(state, role, id) == who;
                    if let Some(key) = authority.keys.get(id).filter(|_| meant)
                        && !found.contains(key)
                    {
                        found.push(key.clone());
                    }
                }
            }
        }
        match <[_; 1]>::try_from(found) {
            Ok([key]) => Ok(key),
            Err(none) if none.is_empty() => Err(Error::NotASigner {
                key: who.to_owned(),
            }),
            Err(_) => Err(Error::argument(
                "key",
                who,
                "one key: give its id, this name has several",
            )),
        }
    }
}

fn may_sign(state: &State, role: &RoleName, key: &PublicKey) -> Result<bool> {
    let ballots = ballots(state, role)?;
    Ok(!is_online(role) && ballots.iter().any(|ballot| ballot.has(key.id())))
}

/// How `openssl` signs a file for a scheme.
fn openssl(scheme: &str, file: &str, stem: &str) -> String {
    let digest = |name: &str, options: &str| {
        format!("openssl dgst -{name}{options} -sign KEY.pem -out {stem}.sig {file}")
    };
    let pss = " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    match scheme {
        "ecdsa-sha2-nistp256" => digest("sha256", ""),
        "ecdsa-sha2-nistp384" => digest("sha384", ""),
        "rsassa-pss-sha256" => digest("sha256", pss),
        "rsassa-pss-sha384" => digest("sha384", pss),
        "rsassa-pss-sha512" => digest("sha512", pss),
        _ => format!("openssl pkeyutl -sign -rawin -inkey KEY.pem -in {file} -out {stem}.sig"),
    }
}
