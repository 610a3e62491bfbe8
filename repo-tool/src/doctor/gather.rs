//! Looking: files, keys, certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use device_pki::{Certificate, Gate};
use metadata_schema::gate::{Certificates, SignerGate as _, When};
use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Common, RoleKeys, Targets};
use metadata_schema::time::Timestamp;

use super::facts::{
    CertificateFact, Facts, GroupFact, KeyFileFact, ListFact, PersonFact, RoleFact, StagedFact,
};
use super::{DAY, DoctorOptions, horizon};
use crate::assemble::metadata_name;
use crate::authority::staged_version;
use crate::error::{Error, Result};
use crate::keyholder::holder_name;
use crate::published::read_role;
use crate::repository::{Repository, State};
use crate::sign::is_online;

impl Repository {
    /// What can be seen of the folder.
    pub(super) fn facts(&self, options: &DoctorOptions, now: Timestamp) -> Result<Facts> {
        let mut state = self.state()?;
        let staged = staged(&state);
        // What is staged is not in force: certificates, lists and groups are those that devices know.
        state.staged = crate::staged::Staged::default();
        let mut facts = Facts {
            staged,
            online_keys: key_files(&self.layout.online_key(&RoleName::timestamp()))?,
            ..Facts::default()
        };
        self.add_roles(&state, &mut facts)?;
        let gate = self.gate(&state)?;
        let (Some(root), Some(targets)) = (state.root(), state.targets()) else {
            return Ok(facts);
        };
        let times = [now, horizon(options, now)];
        let mut view = View {
            gate: &gate,
            times,
            facts: &mut facts,
            seen: BTreeMap::new(),
        };
        view.group(
            &RoleName::root(),
            &root.root,
            &root.keys,
            &root.certificates,
        );
        view.group(
            &RoleName::targets(),
            &root.targets,
            &root.keys,
            &root.certificates,
        );
        if let Some(delegations) = &targets.delegations {
            let people = delegations
                .roles
                .iter()
                .filter(|role| !is_online(&role.name));
            for role in people {
                view.group(
                    &role.name,
                    &role.keys,
                    &delegations.keys,
                    &targets.certificates,
                );
            }
        }
        let seen = view.seen;
        facts.certificates = seen.into_values().collect();
        facts
            .certificates
            .push(fact(self.anchor.certificate(), true));
        let mut listed = BTreeSet::new();
        for crl in self.crls(&state)? {
            listed.insert(crl.issuer_ski().to_owned());
            facts.lists.push(ListFact {
                issuer: crl.issuer().to_owned(),
                number: crl.number(),
                this_update: crl.this_update(),
                next_update: crl.next_update(),
            });
        }
        let mut issuers = gate.issuers(&root.certificates);
        issuers.extend(gate.issuers(&targets.certificates));
        facts.unlisted = issuers
            .into_iter()
            .filter(|(ski, _)| !listed.contains(ski))
            .map(|(_, ca)| ca.subject().to_owned())
            .collect();
        Ok(facts)
    }

    fn add_roles(&self, state: &State, facts: &mut Facts) -> Result<()> {
        let published = &state.published;
        let mut add = |role: &RoleName, common: &Common| {
            facts.newest_issue = facts.newest_issue.max(common.issued);
            facts.roles.push(RoleFact {
                role: role.to_string(),
                version: common.version.number(),
                expires: common.expires,
                online: is_online(role),
                period: i64::from(self.settings.expiry_days.days(role)).saturating_mul(DAY),
            });
        };
        if let Some(root) = &published.root {
            add(&RoleName::root(), &root.common);
        }
        if let Some(timestamp) = &published.timestamp {
            add(&RoleName::timestamp(), &timestamp.common);
        }
        let Some(snapshot) = &published.snapshot else {
            return Ok(());
        };
        add(&RoleName::snapshot(), &snapshot.common);
        for (name, listed) in &snapshot.meta {
            let role = match name.strip_suffix(".json").unwrap_or(name) {
                "targets" => RoleName::targets(),
                stem => RoleName::delegated(stem)?,
            };
            let path = self
                .layout
                .metadata()
                .join(metadata_name(&role, listed.version));
            let limit = Limits::default().targets_length;
            let targets: Targets = read_role(&role, &path, limit)?;
            add(&role, &targets.common);
        }
        facts.roles.sort_by_key(|role| role.expires);
        Ok(())
    }
}

/// Collects groups of people and the certificates that they stand on.
struct View<'a> {
    gate: &'a Gate,
    times: [Timestamp; 2],
    facts: &'a mut Facts,
    seen: BTreeMap<(String, Timestamp), CertificateFact>,
}

impl View<'_> {
    fn group(
        &mut self,
        role: &RoleName,
        keys: &RoleKeys,
        known: &BTreeMap<KeyId, PublicKey>,
        certificates: &Certificates,
    ) {
        let mut able = self.times.map(|_| BTreeSet::new());
        let mut people = Vec::new();
        for id in &keys.key_ids {
            let chain = certificates.chain(id);
            let mut refused = None;
            for (time, able) in self.times.iter().zip(&mut able).rev() {
                let bound = match known.get(id) {
                    Some(key) => self.gate.bound(key, role, chain, When::At(*time)),
                    None => continue,
                };
                refused = match bound {
                    Ok(holder) => {
                        able.insert(holder);
                        None
                    }
                    Err(why) => Some(why.0),
                };
            }
            people.push(PersonFact {
                name: holder_name(certificates, id),
                key: id.to_string(),
                refused,
            });
            self.certificates(role, chain);
        }
        let [now, then] = able.map(|people| u32::try_from(people.len()).unwrap_or(u32::MAX));
        let requirement = self.gate.requirement(role);
        self.facts.groups.push(GroupFact {
            role: role.to_string(),
            needed: keys.threshold.get().max(requirement.holders),
            people,
            able: now,
            able_then: then,
        });
    }

    fn certificates(&mut self, role: &RoleName, chain: &[String]) {
        for pem in chain {
            let Ok(certificate) = Certificate::from_pem("certificate", pem.as_bytes()) else {
                continue;
            };
            let at = (certificate.subject().to_owned(), certificate.not_after());
            let seen = self.seen.entry(at);
            let fact = seen.or_insert_with(|| fact(&certificate, false));
            if !fact.ca && !fact.roles.iter().any(|known| known == role.as_str()) {
                fact.roles.push(role.to_string());
            }
        }
    }
}

fn fact(certificate: &Certificate, anchor: bool) -> CertificateFact {
    CertificateFact {
        name: certificate.common_name().to_owned(),
        subject: certificate.subject().to_owned(),
        issuer: certificate.issuer().to_owned(),
        until: certificate.not_after(),
        ca: certificate.is_ca(),
        anchor,
        roles: Vec::new(),
    }
}

fn staged(state: &State) -> Vec<StagedFact> {
    let roles = state.staged.roles.keys();
    let fact = |role: &RoleName| {
        let common = match role.as_str() {
            "root" => &state.staged.root.as_ref()?.common,
            "targets" => &state.staged.targets.as_ref()?.common,
            _ => &state.staged.delegated.get(role)?.common,
        };
        Some(StagedFact {
            role: role.to_string(),
            version: staged_version(state, role),
            published: state.published_version(role).map_or(0, Version::number),
            since: common.issued,
            expires: common.expires,
        })
    };
    roles.filter_map(fact).collect()
}

/// The files beside one online key, and their permissions.
fn key_files(one: &Path) -> Result<Vec<KeyFileFact>> {
    let Some(folder) = one.parent().filter(|folder| folder.is_dir()) else {
        return Ok(Vec::new());
    };
    let failed = |e| Error::io("list", folder, e);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = fs::metadata(entry.path()).map_err(failed)?;
        if metadata.is_file() {
            files.push(KeyFileFact {
                path: entry.path(),
                mode: metadata.permissions().mode() & 0o7777,
            });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
