//! A repository in memory: edit the metadata, then sign it with any keys.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};
use metadata_schema::MetadataError;
use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::envelope::{Envelope, Signature};
use metadata_schema::gate::{Certificates, PlainTuf};
use metadata_schema::json::{Json, Object};
use metadata_schema::key::PublicKey;
use metadata_schema::name::Version;
use metadata_schema::roles::{
    Common, Delegations, MetaFile, Role, RoleKeys, Root, Snapshot, TargetFile, Targets, Timestamp,
};
use metadata_schema::time;
use metadata_schema::trusted::{AtRoot, AtTargets, RootWalk, SharedGate};

pub(crate) const NOW: &str = "2030-01-01T00:00:00Z";
pub(crate) const LATER: &str = "2031-01-01T00:00:00Z";

pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new(name: &str) -> Self {
        Self(SigningKey::from_bytes(
            Sha256Digest::of(name.as_bytes()).as_bytes(),
        ))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().as_bytes()).unwrap()
    }

    pub(crate) fn sign(&self, payload: &[u8]) -> Signature {
        let bytes = self.0.sign(payload).to_bytes().to_vec();
        Signature {
            key: self.public().id().clone(),
            bytes,
        }
    }
}

pub(crate) fn keys(names: &[&str]) -> BTreeMap<metadata_schema::key::KeyId, PublicKey> {
    names
        .iter()
        .map(|name| Key::new(name).public())
        .map(|key| (key.id().clone(), key))
        .collect()
}

pub(crate) fn role_keys(names: &[&str], threshold: u32) -> RoleKeys {
    let ids = names
        .iter()
        .map(|name| Key::new(name).public().id().clone());
    RoleKeys::new(ids, NonZeroU32::new(threshold).unwrap())
}

pub(crate) fn at(text: &str) -> time::Timestamp {
    text.parse().unwrap()
}

pub(crate) fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

pub(crate) fn common(number: u64) -> Common {
    Common::new(version(number), at("2029-12-01T00:00:00Z"), at(LATER))
}

pub(crate) fn signed_by(signed: Json, names: &[&str]) -> Vec<u8> {
    let payload = signed.canonical();
    let signatures = names
        .iter()
        .map(|name| Key::new(name).sign(&payload))
        .collect();
    Envelope { signed, signatures }.to_bytes()
}

pub(crate) fn targets(number: u64, files: &[&str]) -> Targets {
    let file = |path: &&str| {
        let hashes = Hashes::sha256(Sha256Digest::of(path.as_bytes()));
        ((*path).to_owned(), TargetFile::new(7, hashes))
    };
    Targets {
        common: common(number),
        targets: files.iter().map(file).collect(),
        delegations: None,
        certificates: Certificates::default(),
        extra: Object::new(),
    }
}

/// Version 1 of everything, signed as it should be; tests change what they are about.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(crate) root: Root,
    pub(crate) timestamp: Timestamp,
    pub(crate) snapshot: Snapshot,
    pub(crate) targets: Targets,
    pub(crate) delegated: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let root = Root {
            common: common(1),
            keys: keys(&["r1", "r2", "r3", "online", "t1", "t2"]),
            root: role_keys(&["r1", "r2", "r3"], 2),
            timestamp: role_keys(&["online"], 1),
            snapshot: role_keys(&["online"], 1),
            targets: role_keys(&["t1", "t2"], 2),
            consistent_snapshot: true,
            certificates: Certificates::default(),
            other_roles: Object::new(),
            extra: Object::new(),
        };
        let meta = |name: &str| (name.to_owned(), MetaFile::version(version(1)));
        Self {
            root,
            timestamp: Timestamp {
                common: common(1),
                snapshot: MetaFile::version(version(1)),
                extra: Object::new(),
            },
            snapshot: Snapshot {
                common: common(1),
                meta: [meta("targets.json")].into(),
                extra: Object::new(),
            },
            targets: targets(1, &["firmware"]),
            delegated: BTreeMap::new(),
        }
    }

    pub(crate) fn root_file(&self) -> Vec<u8> {
        signed_by(self.root.to_json(), &["r1", "r2"])
    }

    pub(crate) fn timestamp_file(&self) -> Vec<u8> {
        signed_by(self.timestamp.to_json(), &["online"])
    }

    pub(crate) fn snapshot_file(&self) -> Vec<u8> {
        signed_by(self.snapshot.to_json(), &["online"])
    }

    pub(crate) fn targets_file(&self) -> Vec<u8> {
        signed_by(self.targets.to_json(), &["t1", "t2"])
    }

    pub(crate) fn bump(&mut self, snapshot: u64) -> &mut Self {
        self.snapshot.common.version = version(snapshot);
        self.timestamp.snapshot.version = version(snapshot);
        self.timestamp.common.version = version(snapshot);
        self
    }

    pub(crate) fn delegate(&mut self, delegations: Delegations) {
        self.targets.delegations = Some(delegations);
    }

    pub(crate) fn add_role(&mut self, name: &str, role: &Targets, signers: &[&str]) {
        self.snapshot.meta.insert(
            format!("{name}.json"),
            MetaFile::version(role.common.version),
        );
        self.delegated
            .insert(name.to_owned(), signed_by(role.to_json(), signers));
    }

    pub(crate) fn at_root(&self) -> AtRoot {
        RootWalk::from_trusted(&self.root_file(), plain())
            .unwrap()
            .finish(at(NOW))
            .unwrap()
    }

    /// The whole workflow from nothing.
    pub(crate) fn refreshed(&self) -> Result<AtTargets, MetadataError> {
        let root = RootWalk::from_trusted(&self.root_file(), plain())?.finish(at(NOW))?;
        let (timestamp, _) = root.timestamp(None, &self.timestamp_file())?;
        let snapshot = timestamp.snapshot(None, &self.snapshot_file())?;
        snapshot.targets(&self.targets_file())
    }
}

pub(crate) fn plain() -> SharedGate {
    Arc::new(PlainTuf)
}
