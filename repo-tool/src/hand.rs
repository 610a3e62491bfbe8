//! Staging documents that somebody edited by hand: version, issue and expiry are computed, shape and lock-outs are checked.

use metadata_schema::MetadataError;
use metadata_schema::gate::{Certificates, When};
use metadata_schema::json::{Json, Object};
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::{Delegations, ISSUED_MEMBER, ROLE_MEMBER, RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;

use crate::authority::ballots;
use crate::error::{Error, Result};
use crate::keyholder::holder_name;
use crate::repository::{Repository, State};
use crate::staged::{role_of, stage};
use crate::trust;

/// A document that was read, its role found out and its dates computed.
enum Document {
    Root(Box<Root>),
    Targets(RoleName, Box<Targets>),
}

impl Repository {
    /// Stages documents: each the value of `signed`, or a signed file, whose signatures do not matter. The role is what
    /// `x-role` says, or else the name of the file: `targets.json`, `3.router-x.json`. Returns the roles whose drafts changed.
    ///
    /// # Errors
    /// If a document has not the shape of its role, nobody delegates to it, or it would lock its keepers out: then none of
    /// them is staged.
    pub fn stage_documents(
        &self,
        documents: &[(String, Vec<u8>)],
        now: Timestamp,
    ) -> Result<Vec<RoleName>> {
        let _lock = self.lock()?;
        let before = self.state()?;
        let mut after = before.clone();
        let mut read = Vec::new();
        for (name, bytes) in documents {
            let document = self.read_document(&before, name, bytes, now)?;
            match &document {
                Document::Root(root) => after.staged.root = Some((**root).clone()),
                Document::Targets(role, targets) if role.as_str() == "targets" => {
                    after.staged.targets = Some((**targets).clone());
                }
                Document::Targets(role, targets) => {
                    after
                        .staged
                        .delegated
                        .insert(role.clone(), (**targets).clone());
                }
            }
            read.push(document);
        }
        for document in &read {
            self.check_document(&before, &after, document, now)?;
        }
        let mut changed = Vec::new();
        for document in read {
            let (role, new) = match document {
                Document::Root(root) => {
                    let role = RoleName::root();
                    let new = stage(&self.layout, &role, &*root)?;
                    (role, new)
                }
                Document::Targets(role, targets) => {
                    let new = stage(&self.layout, &role, &*targets)?;
                    (role, new)
                }
            };
            if new {
                changed.push(role);
            }
        }
        Ok(changed)
    }

    fn read_document(
        &self,
        state: &State,
        name: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Document> {
        let refuse = |why: String| Error::Document {
            what: name.to_owned(),
            why,
        };
        let json = Json::read(bytes).map_err(|error| refuse(error.to_string()))?;
        let Json::Object(mut members) = json else {
            return Err(refuse("it is no JSON object".to_owned()));
        };
        if let (Some(Json::Object(signed)), true) =
            (members.get("signed"), members.contains_key("signatures"))
        {
            members = signed.clone();
        }
        let role = role(name, &members).map_err(refuse)?;
        let common = state.next(&role, &self.settings, now)?;
        members.insert("version".to_owned(), common.version.into());
        members.insert("expires".to_owned(), common.expires.into());
        members.insert("spec_version".to_owned(), common.spec_version.into());
        members.insert(ISSUED_MEMBER.to_owned(), now.into());
        let signed = Json::Object(members);
        let shape = |source| {
            let role = role.clone();
            let shape = MetadataError::Shape { role, source };
            let cause = std::error::Error::source(&shape);
            refuse(cause.map_or_else(|| shape.to_string(), |cause| format!("{shape}: {cause}")))
        };
        if role.as_str() == "root" {
            let root = <Root as metadata_schema::roles::Role>::parse(signed, "signed");
            return Ok(Document::Root(Box::new(root.map_err(shape)?)));
        }
        let targets = <Targets as metadata_schema::roles::Role>::parse(signed, "signed");
        let targets = targets.map_err(shape)?;
        for path in targets.targets.keys() {
            TargetPath::new(path)?;
        }
        Ok(Document::Targets(role, Box::new(targets)))
    }

    /// Refuses what would lock the keepers out, where the document changes it.
    fn check_document(
        &self,
        before: &State,
        after: &State,
        document: &Document,
        now: Timestamp,
    ) -> Result<()> {
        let gate = self.gate(after)?;
        match document {
            Document::Root(root) => {
                for (role, keys) in [
                    (RoleName::root(), &root.root),
                    (RoleName::targets(), &root.targets),
                    (RoleName::snapshot(), &root.snapshot),
                    (RoleName::timestamp(), &root.timestamp),
                ] {
                    check_keys(&gate, &role, keys, &root.keys, &root.certificates, now)?;
                }
            }
            Document::Targets(role, targets) => {
                if ballots(after, role)?.is_empty() {
                    return Err(Error::NoSuchProduct {
                        product: role.to_string(),
                    });
                }
                let old = match role.as_str() {
                    "targets" => before.published.targets.as_ref(),
                    _ => before.published.delegated(role)?,
                };
                let old = old.and_then(|old| old.delegations.as_ref());
                if let Some(delegations) = &targets.delegations {
                    check_delegations(&gate, old, delegations, &targets.certificates, now)?;
                }
            }
        }
        Ok(())
    }
}

/// Delegations that are new or changed.
fn check_delegations(
    gate: &device_pki::Gate,
    old: Option<&Delegations>,
    new: &Delegations,
    certificates: &Certificates,
    now: Timestamp,
) -> Result<()> {
    for role in &new.roles {
        let before = old.and_then(|old| old.role(&role.name));
        if before.is_none_or(|before| before.keys != role.keys) {
            check_keys(gate, &role.name, &role.keys, &new.keys, certificates, now)?;
        }
    }
    Ok(())
}

fn check_keys(
    gate: &device_pki::Gate,
    role: &RoleName,
    of_role: &RoleKeys,
    keys: &std::collections::BTreeMap<metadata_schema::key::KeyId, metadata_schema::key::PublicKey>,
    certificates: &Certificates,
    now: Timestamp,
) -> Result<()> {
    let mut people = Vec::new();
    for id in &of_role.key_ids {
        let Some(key) = keys.get(id) else {
            return Err(Error::LockOut {
                role: role.clone(),
                why: format!("key {} is named, but not among `keys`", id.short()),
            });
        };
        people.push((holder_name(certificates, id), key, certificates.chain(id)));
    }
    let when = When::At(now);
    Error::all(trust::problems(
        gate,
        role,
        &people,
        of_role.threshold,
        when,
    ))
}

/// The role of a document: what it says itself, or the name of its file.
fn role(name: &str, members: &Object) -> Result<RoleName, String> {
    let text = |member: &str| match members.get(member) {
        Some(Json::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let kind = text("_type")
        .ok_or("it has no `_type`: expected the value of `signed` of root or targets metadata")?;
    let stem = std::path::Path::new(name)
        .file_name()
        .and_then(|name| name.to_str());
    let stem = stem.map_or("", |stem| stem.strip_suffix(".json").unwrap_or(stem));
    let stem = match stem.split_once('.') {
        Some((number, rest)) if number.parse::<u64>().is_ok() => rest,
        _ => stem,
    };
    let named = match (kind, text(ROLE_MEMBER)) {
        ("root", _) => "root",
        ("targets", Some(role)) => role,
        ("targets", None) => stem,
        _ => {
            return Err(format!(
                "it is {kind} metadata: people sign root and targets roles, the rest is made by `publish` and `refresh`"
            ));
        }
    };
    let role = role_of(named).map_err(|error| error.to_string())?;
    if kind == "targets" && role.as_str() == "root" {
        return Err("it is targets metadata in a file named root".to_owned());
    }
    Ok(role)
}
