//! Whose signatures a file has.

use std::collections::BTreeMap;

use metadata_schema::envelope::Envelope;
use metadata_schema::gate::Certificates;
use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::roles::{Root, Targets};

use crate::keyholder::holder_name;

/// All keys that any version of root, or of a role that delegates, has ever named. A key's id is its digest: it means the
/// same key in all of them.
#[derive(Default)]
pub(super) struct People {
    keys: BTreeMap<KeyId, (PublicKey, String)>,
}

impl People {
    pub(super) fn of_root(&mut self, root: &Root) {
        self.add(&root.keys, &root.certificates);
    }

    pub(super) fn of_targets(&mut self, targets: &Targets) {
        if let Some(delegations) = &targets.delegations {
            self.add(&delegations.keys, &targets.certificates);
        }
    }

    fn add(&mut self, keys: &BTreeMap<KeyId, PublicKey>, certificates: &Certificates) {
        for (id, key) in keys.iter().filter(|(id, key)| key.id() == *id) {
            let named = !certificates.chain(id).is_empty();
            if named || !self.keys.contains_key(id) {
                let name = holder_name(certificates, id);
                self.keys.insert(id.clone(), (key.clone(), name));
            }
        }
    }

    /// Names of those whose signatures verify, sorted.
    pub(super) fn signers(&self, envelope: &Envelope) -> Vec<String> {
        let payload = envelope.payload();
        let valid = envelope.signatures.iter().filter_map(|signature| {
            let (key, name) = self.keys.get(&signature.key)?;
            key.verify(&payload, &signature.bytes).ok()?;
            Some(name.clone())
        });
        let mut names: Vec<String> = valid.collect();
        names.sort();
        names
    }
}
