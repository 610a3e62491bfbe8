//! Revocation lists: targets of the role `pki`, each signed by its own CA.

use schemars::JsonSchema;
use std::collections::BTreeMap;

use device_pki::crl::crl_target_path;
use device_pki::{Certificate, Crl, durable, list_target};
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::time::Timestamp;

use crate::assemble::{target_file, target_file_path};
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::repository::{Repository, State};
use crate::schema::words::Time;
use crate::staged::stage;

/// Longest certificate of a CA.
const ISSUER_LIMIT: u64 = 64 * 1024;

/// A list that was staged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct StagedCrl {
    /// Its target path.
    pub path: String,
    /// The CA.
    pub issuer: String,
    /// Its number.
    pub number: u64,
    /// How many certificates are on it.
    pub revoked: usize,
    /// By when the next one is due.
    #[schemars(with = "Time")]
    pub next_update: Timestamp,
}

impl Repository {
    /// Stages revocation lists (in PEM or DER, by their names in messages). The online key of `pki` signs at publishing.
    ///
    /// # Errors
    /// If a list is not signed by the anchor or a CA that certified a signer, or its number falls.
    pub fn add_crls(&self, lists: &[(String, Vec<u8>)], now: Timestamp) -> Result<Vec<StagedCrl>> {
        self.add_crls_of(lists, &[], now)
    }

    /// As [`Repository::add_crls`], also for lists of further CAs under the anchor: those of devices and servers.
    ///
    /// # Errors
    /// As [`Repository::add_crls`], and if a CA was not certified by the anchor.
    pub fn add_crls_of(
        &self,
        lists: &[(String, Vec<u8>)],
        issuers: &[Certificate],
        now: Timestamp,
    ) -> Result<Vec<StagedCrl>> {
        for issuer in issuers {
            self.check_issuer(issuer, now)?;
        }
        let _lock = self.lock()?;
        let state = self.state()?;
        let role = RoleName::delegated(PKI_ROLE)?;
        let mut pki = state
            .delegated(&role)?
            .cloned()
            .ok_or_else(|| Error::NoSuchProduct {
                product: PKI_ROLE.to_owned(),
            })?;
        let current = self.crls(&state)?;
        let mut added = Vec::new();
        for (what, bytes) in lists {
            let crl = Crl::from_pem_or_der(what, bytes)?;
            let mut given = issuers.to_vec();
            given.extend(self.kept_issuer(&crl, now)?);
            let issuer = self.issuer_of(&state, &given, &crl)?;
            crl.verify(&issuer)?;
            not_older(&crl, &current)?;
            let path = crl_target_path(crl.issuer_ski())?;
            let mut file = target_file(crl.der());
            if given.contains(&issuer) {
                self.keep_issuer(&issuer, &crl)?;
                file.custom = Some(list_target::custom(&issuer));
            }
            self.stage_target(&path, crl.der())?;
            pki.targets.insert(path.as_str().to_owned(), file);
            added.push(StagedCrl {
                path: path.to_string(),
                issuer: crl.issuer().to_owned(),
                number: crl.number(),
                revoked: crl.len(),
                next_update: crl.next_update(),
            });
        }
        let unchanged = state
            .delegated(&role)?
            .is_some_and(|old| old.targets == pki.targets);
        if !unchanged {
            pki.common = state.next(&role, &self.settings, now)?;
            stage(&self.layout, &role, &pki)?;
        }
        Ok(added)
    }

    /// Keeps the certificate of a CA for whoever publishes its list.
    fn keep_issuer(&self, issuer: &Certificate, crl: &Crl) -> Result<()> {
        let path = self.layout.issuer(crl.issuer_ski());
        if let Some(folder) = path.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        Ok(durable::write(
            &path,
            issuer.pem().as_bytes(),
            durable::PUBLIC,
        )?)
    }

    /// The CA of a list, if its certificate was given before.
    fn kept_issuer(&self, crl: &Crl, now: Timestamp) -> Result<Option<Certificate>> {
        let kept = self.layout.issuer(crl.issuer_ski());
        if !kept.is_file() {
            return Ok(None);
        }
        let pem = durable::read_bounded(&kept, ISSUER_LIMIT)?;
        let issuer = Certificate::from_pem(&kept.display().to_string(), &pem)?;
        self.check_issuer(&issuer, now)?;
        Ok(Some(issuer))
    }

    /// Refuses what the online key of `pki` must not sign: anything but revocation lists, each signed by its CA, none of
    /// them older than the published one, and none of those missing.
    pub(crate) fn check_lists(&self, state: &State, now: Timestamp) -> Result<()> {
        let role = RoleName::delegated(PKI_ROLE)?;
        let Some(staged) = state.staged.delegated.get(&role) else {
            return Ok(());
        };
        if staged.delegations.is_some() {
            return Err(refused(PKI_ROLE, "the role delegates".to_owned()));
        }
        if let Some(path) = staged.targets.keys().find(|path| !is_list(path)) {
            return Err(refused(path, format!("it is not {PKI_ROLE}/*.crl")));
        }
        let nothing = BTreeMap::new();
        let published = state.published.delegated(&role)?;
        let published = published.map_or(&nothing, |published| &published.targets);
        let mut current = Vec::new();
        for (path, file) in published {
            if !staged.targets.contains_key(path) {
                return Err(refused(path, "it is published and would vanish".to_owned()));
            }
            current.push(self.list(&role, path, file)?);
        }
        for (path, file) in &staged.targets {
            if published.get(path) == Some(file) {
                continue;
            }
            let crl = self.list(&role, path, file)?;
            if crl_target_path(crl.issuer_ski())?.as_str() != path {
                let reason = format!("it stands at {path}, which is another CA's place");
                return Err(refused(crl.issuer(), reason));
            }
            let given: Vec<Certificate> = self.kept_issuer(&crl, now)?.into_iter().collect();
            let issuer = self.issuer_of(state, &given, &crl)?;
            crl.verify(&issuer)?;
            if file.custom.is_some() && file.custom != Some(list_target::custom(&issuer)) {
                let reason = "it is published with another CA's certificate".to_owned();
                return Err(refused(crl.issuer(), reason));
            }
            not_older(&crl, &current)?;
        }
        Ok(())
    }

    /// The CA that issued a list: the anchor, one from the certificates that the metadata carries, or a given one.
    fn issuer_of(&self, state: &State, given: &[Certificate], crl: &Crl) -> Result<Certificate> {
        let gate = self.gate(state)?;
        let root = state.root().map(|root| &root.certificates);
        let targets = state.targets().map(|targets| &targets.certificates);
        let known = root
            .into_iter()
            .chain(targets)
            .flat_map(|known| gate.issuers(known));
        known
            .map(|(_, issuer)| issuer)
            .chain(given.iter().cloned())
            .find(|issuer| issuer.subject_key_id().as_deref() == Some(crl.issuer_ski()))
            .ok_or_else(|| refused(crl.issuer(), "its CA is not known here".to_owned()))
    }

    /// A CA that the anchor certified.
    fn check_issuer(&self, issuer: &Certificate, now: Timestamp) -> Result<()> {
        list_target::certified(&self.anchor, issuer)?;
        if !(issuer.not_before()..=issuer.not_after()).contains(&now) {
            let reason = "its CA's certificate is not valid now".to_owned();
            return Err(refused(issuer.subject(), reason));
        }
        Ok(())
    }

    /// Puts a small target file where `publish` takes it from.
    pub(crate) fn stage_target(&self, path: &TargetPath, bytes: &[u8]) -> Result<()> {
        let file = target_file(bytes);
        if self.target(path, &file.hashes).is_some() {
            return Ok(());
        }
        let to = self
            .layout
            .staged_targets()
            .join(target_file_path(path, &file.hashes));
        if let Some(folder) = to.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        Ok(durable::write(&to, bytes, durable::PUBLIC)?)
    }
}

/// Whether a target path is one that the role `pki` may speak about.
fn is_list(path: &str) -> bool {
    let name = path
        .strip_prefix(PKI_ROLE)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.strip_suffix(".crl"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

fn not_older(crl: &Crl, current: &[Crl]) -> Result<()> {
    let same_issuer = current
        .iter()
        .find(|other| other.issuer_ski() == crl.issuer_ski());
    match same_issuer {
        Some(other) if other.number() > crl.number() => Err(Error::Falls {
            what: "revocation list number",
            product: crl.issuer().to_owned(),
            channel: PKI_ROLE.to_owned(),
            current: other.number().to_string(),
            offered: crl.number().to_string(),
        }),
        Some(other) if other.number() == crl.number() && other.der() != crl.der() => {
            let reason = format!("another list with the number {} is in force", crl.number());
            Err(refused(crl.issuer(), reason))
        }
        _ => Ok(()),
    }
}

fn refused(issuer: &str, reason: String) -> Error {
    Error::Pki(device_pki::Error::Crl {
        issuer: issuer.to_owned(),
        reason,
    })
}
