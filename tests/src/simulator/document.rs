//! One metadata file: what it says now, who signs it, what it said before.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata_schema::envelope::Envelope;
use metadata_schema::json::Json;
use metadata_schema::name::Version;
use metadata_schema::roles::{Common, Role, Root, Snapshot, Targets, Timestamp};

use super::keys::Key;

/// A file's bytes.
pub type Bytes = Arc<[u8]>;
/// A change of JSON that the types of metadata do not allow.
type Tamper = Arc<dyn Fn(&mut Json) + Send + Sync>;

/// Metadata whose version can be set.
pub trait Editable: Role + Clone {
    /// The members that every role has.
    fn common_mut(&mut self) -> &mut Common;
}

macro_rules! editable {
    ($($role:ty),*) => {
        $(impl Editable for $role {
            fn common_mut(&mut self) -> &mut Common {
                &mut self.common
            }
        })*
    };
}
editable!(Root, Timestamp, Snapshot, Targets);

/// One metadata file. It is signed when it is asked for; what stood there before an edit is kept under its version.
#[derive(Clone)]
pub struct Document<T> {
    value: T,
    signers: Vec<Key>,
    /// Who signs besides: for a root, the keyholders of the version before.
    also: Vec<Key>,
    tamper_signed: Vec<Tamper>,
    tamper_file: Vec<Tamper>,
    signed: Option<Bytes>,
    past: BTreeMap<u64, Bytes>,
    published: bool,
    changed: bool,
}

impl<T: Editable> Document<T> {
    /// A file that nobody has been given yet.
    pub(super) fn new(value: T, signers: Vec<Key>) -> Self {
        Self {
            value,
            signers,
            also: Vec::new(),
            tamper_signed: Vec::new(),
            tamper_file: Vec::new(),
            signed: None,
            past: BTreeMap::new(),
            published: false,
            changed: true,
        }
    }

    /// What it says now.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// To change it. The change is served at once under the same version; publishing gives it the next one.
    pub fn edit(&mut self) -> &mut T {
        self.touch();
        &mut self.value
    }

    /// Who signs it.
    pub fn signers(&self) -> &[Key] {
        &self.signers
    }

    /// To change who signs it. What has been served already stays as it was.
    pub fn signers_mut(&mut self) -> &mut Vec<Key> {
        self.touch();
        &mut self.signers
    }

    /// Who else signs it.
    pub fn also_mut(&mut self) -> &mut Vec<Key> {
        self.touch();
        &mut self.also
    }

    /// Changes the value of `signed` just before it is signed, from now on.
    pub fn tamper_signed(&mut self, change: impl Fn(&mut Json) + Send + Sync + 'static) {
        self.touch();
        self.tamper_signed.push(Arc::new(change));
    }

    /// Changes the whole file after it is signed, from now on.
    pub fn tamper_file(&mut self, change: impl Fn(&mut Json) + Send + Sync + 'static) {
        self.touch();
        self.tamper_file.push(Arc::new(change));
    }

    /// Undoes all tampering.
    pub fn mend(&mut self) {
        self.touch();
        self.tamper_signed.clear();
        self.tamper_file.clear();
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.value.common().version.number()
    }

    /// The file as it is now.
    pub fn bytes(&mut self) -> Bytes {
        if let Some(bytes) = &self.signed {
            return Arc::clone(bytes);
        }
        let bytes = self.sign();
        self.signed = Some(Arc::clone(&bytes));
        bytes
    }

    /// The file of a version: the current one, or a past one.
    pub fn of_version(&mut self, version: u64) -> Option<Bytes> {
        if version == self.version() {
            return Some(self.bytes());
        }
        self.past.get(&version).map(Arc::clone)
    }

    /// All versions there have been.
    pub fn versions(&self) -> Vec<u64> {
        let mut versions: Vec<u64> = self.past.keys().copied().collect();
        versions.push(self.version());
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// Whether something has changed since it was published.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Gives what was changed the next version, unless nobody has seen it yet.
    pub fn publish(&mut self) {
        self.touch();
        if self.published {
            let common = self.value.common_mut();
            common.version = common.version.next().unwrap();
        }
        self.published = true;
        self.changed = false;
    }

    /// Gives it any version.
    pub fn set_version(&mut self, version: u64) {
        self.edit().common_mut().version = Version::new(version).unwrap();
    }

    /// Keeps the file as it is and forgets who can sign: who edits it now serves something that nobody signed.
    pub(super) fn lose_keys(&mut self) {
        self.bytes();
        self.signers.clear();
        self.also.clear();
    }

    fn touch(&mut self) {
        if self.published && !self.changed {
            let (version, bytes) = (self.version(), self.bytes());
            self.past.insert(version, bytes);
        }
        self.changed = true;
        self.signed = None;
    }

    fn sign(&self) -> Bytes {
        let mut signed = self.value.to_json();
        for change in &self.tamper_signed {
            change(&mut signed);
        }
        let payload = signed.canonical();
        let mut signers: Vec<&Key> = Vec::new();
        for key in self.signers.iter().chain(&self.also) {
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        let signatures = signers.iter().map(|key| key.sign(&payload)).collect();
        let bytes = Envelope { signed, signatures }.to_bytes();
        if self.tamper_file.is_empty() {
            return bytes.into();
        }
        let mut file = Json::read(&bytes).unwrap();
        for change in &self.tamper_file {
            change(&mut file);
        }
        file.canonical().into()
    }
}
