//! Who may sign: keys join roles and leave them.

use std::num::NonZeroU32;

use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::roles::RoleKeys;

use super::{Key, KeyKind, Simulator};

impl Simulator {
    /// A key by its name: always the same for the same seed.
    pub fn key(&self, name: &str) -> Key {
        self.key_of(self.plan.keys, name)
    }

    /// A key of another kind by its name.
    pub fn key_of(&self, kind: KeyKind, name: &str) -> Key {
        Key::new(kind, &self.plan.seed, name)
    }

    /// A new key that signs for the role and is authorised by everybody who delegates to it. Its name is that of the role with
    /// the next number, such as `root-1`.
    pub fn add_key(&mut self, role: &str) -> Key {
        self.add_key_of(self.plan.keys, role)
    }

    /// [`Simulator::add_key`], of another kind.
    pub fn add_key_of(&mut self, kind: KeyKind, role: &str) -> Key {
        let made = self.made.entry(role.to_owned()).or_default();
        *made += 1;
        let name = format!("{role}-{made}");
        let key = self.key_of(kind, &name);
        for delegator in self.delegators(role) {
            self.authorise(&delegator, role, &key);
        }
        self.signers_mut(role).push(key.clone());
        key
    }

    /// Takes a key out of a role: it neither is authorised nor signs any more.
    pub fn remove_key(&mut self, role: &str, key: &Key) -> &mut Self {
        for delegator in self.delegators(role) {
            self.deauthorise(&delegator, role, key.public().id());
        }
        self.signers_mut(role).retain(|other| other != key);
        self
    }

    /// New keys take the place of all that sign for the role; publish whoever delegates to it, and the role itself.
    pub fn rotate(&mut self, role: &str) -> &mut Self {
        for old in self.signers(role) {
            self.remove_key(role, &old);
            self.add_key(role);
        }
        self
    }

    /// Who signs for a role.
    pub fn signers(&mut self, role: &str) -> Vec<Key> {
        match role {
            "root" => self.root.signers(),
            "timestamp" => self.timestamp.signers(),
            "snapshot" => self.snapshot.signers(),
            role => self.targets(role).signers(),
        }
        .to_vec()
    }

    /// To change who signs for a role, whoever is authorised.
    pub fn signers_mut(&mut self, role: &str) -> &mut Vec<Key> {
        match role {
            "root" => self.root.signers_mut(),
            "timestamp" => self.timestamp.signers_mut(),
            "snapshot" => self.snapshot.signers_mut(),
            role => self.targets(role).signers_mut(),
        }
    }

    /// Lets a key count for a role, on the word of its delegator, with the certificate of its holder if there are any.
    pub fn authorise(&mut self, delegator: &str, role: &str, key: &Key) -> &mut Self {
        let chain = self.pki.clone().filter(|_| needs_certificate(role));
        let chain = chain.map(|pki| {
            // One certificate for all that the key has been authorised for.
            let roles = self.certified.entry(key.name().to_owned()).or_default();
            roles.insert(role.to_owned());
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            pki.certify(key, &roles)
        });
        self.with_authority(delegator, role, |keys, role_keys| {
            keys.insert(key.public().id().clone(), key.public().clone());
            role_keys.key_ids.insert(key.public().id().clone());
        });
        if let Some(chain) = chain {
            self.set_chain(delegator, key, chain);
        }
        self
    }

    /// Has the delegator carry this chain of PEM certificates for a key.
    pub fn set_chain(&mut self, delegator: &str, key: &Key, chain: Vec<String>) -> &mut Self {
        let id = key.public().id().clone();
        match delegator {
            "root" => self.root.edit().certificates.insert(id, chain),
            delegator => self
                .targets(delegator)
                .edit()
                .certificates
                .insert(id, chain),
        }
        self
    }

    /// Takes a key out of a role, on the word of the delegator.
    pub fn deauthorise(&mut self, delegator: &str, role: &str, id: &KeyId) -> &mut Self {
        self.with_authority(delegator, role, |_, role_keys| {
            role_keys.key_ids.remove(id);
        });
        self
    }

    /// How many keys must sign for a role, on the word of everybody who delegates to it.
    pub fn set_threshold(&mut self, role: &str, threshold: u32) -> &mut Self {
        for delegator in self.delegators(role) {
            self.with_authority(&delegator, role, |_, role_keys| {
                role_keys.threshold = NonZeroU32::new(threshold).unwrap();
            });
        }
        self
    }

    /// An attacker's copy: everything that is published, and the keys of these roles alone. What he changes in others is signed
    /// by nobody.
    #[must_use]
    pub fn stolen(&self, roles: &[&str]) -> Self {
        let mut copy = self.clone();
        let kept = |role: &str| roles.contains(&role);
        if !kept("root") {
            copy.root.lose_keys();
            copy.root_signers.clear();
        }
        if !kept("timestamp") {
            copy.timestamp.lose_keys();
        }
        if !kept("snapshot") {
            copy.snapshot.lose_keys();
        }
        for (role, document) in &mut copy.targets {
            if !kept(role.as_str()) {
                document.lose_keys();
            }
        }
        copy
    }

    /// Forgets all keys of a role but so many: what is left to a thief who did not get them all.
    pub fn keep_signers(&mut self, role: &str, count: usize) -> &mut Self {
        self.signers_mut(role).truncate(count);
        if role == "root" {
            self.root_signers.truncate(count);
        }
        self
    }

    /// Who delegates to a role: root, and for a delegated role everybody that names it.
    pub fn delegators(&self, role: &str) -> Vec<String> {
        if matches!(role, "root" | "timestamp" | "snapshot" | "targets") {
            return vec!["root".to_owned()];
        }
        let names = |document: &super::Document<metadata_schema::roles::Targets>| {
            let delegations = document.value().delegations.as_ref();
            delegations.is_some_and(|d| d.roles.iter().any(|r| r.name.as_str() == role))
        };
        let found = self.targets.iter().filter(|(_, document)| names(document));
        found.map(|(name, _)| name.to_string()).collect()
    }

    fn with_authority(
        &mut self,
        delegator: &str,
        role: &str,
        change: impl FnOnce(&mut std::collections::BTreeMap<KeyId, PublicKey>, &mut RoleKeys),
    ) {
        if delegator == "root" {
            let root = self.root.edit();
            let role_keys = match role {
                "root" => &mut root.root,
                "timestamp" => &mut root.timestamp,
                "snapshot" => &mut root.snapshot,
                "targets" => &mut root.targets,
                other => panic!("root does not delegate to {other}"),
            };
            return change(&mut root.keys, role_keys);
        }
        let delegations = self.targets(delegator).edit().delegations.as_mut().unwrap();
        let found = delegations
            .roles
            .iter_mut()
            .find(|r| r.name.as_str() == role);
        change(&mut delegations.keys, &mut found.unwrap().keys);
    }
}

/// Online roles need none: see [`device_pki::binding`].
fn needs_certificate(role: &str) -> bool {
    !matches!(role, "timestamp" | "snapshot" | "pki")
}
