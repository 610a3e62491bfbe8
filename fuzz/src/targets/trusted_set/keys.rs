//! The publisher's keys.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::OnceLock;

use ed25519_dalek::{Signer as _, SigningKey};
use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Signature;
use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::roles::RoleKeys;

/// How many keys there are.
pub(super) const KEYS: usize = 6;
/// Most signatures that are remembered from earlier runs.
const MOST_REMEMBERED: usize = 20_000;

pub(super) fn public_keys() -> &'static [PublicKey; KEYS] {
    static KEYS_ONCE: OnceLock<[PublicKey; KEYS]> = OnceLock::new();
    KEYS_ONCE.get_or_init(|| {
        std::array::from_fn(|index| {
            PublicKey::ed25519(secret(index).verifying_key().as_bytes()).unwrap()
        })
    })
}

fn secret(index: usize) -> SigningKey {
    SigningKey::from_bytes(Sha256Digest::of(&[u8::try_from(index).unwrap()]).as_bytes())
}

pub(super) fn chosen(keys: u8) -> impl Iterator<Item = usize> {
    (0..KEYS).filter(move |index| keys >> index & 1 == 1)
}

pub(super) fn role_keys(keys: u8, threshold: u8) -> RoleKeys {
    let ids = chosen(keys).map(|index| public_keys()[index].id().clone());
    let threshold = NonZeroU32::new(u32::from(threshold % 4)).unwrap_or(NonZeroU32::MIN);
    RoleKeys::new(ids, threshold)
}

pub(super) fn all_keys() -> BTreeMap<KeyId, PublicKey> {
    let keys = public_keys().iter();
    keys.map(|key| (key.id().clone(), key.clone())).collect()
}

/// Signing is slow and the first files are the same in every run, so signatures are remembered.
pub(super) fn sign(payload: &[u8], digest: Sha256Digest, key: usize) -> Signature {
    thread_local! {
        static MADE: RefCell<HashMap<(Sha256Digest, usize), Vec<u8>>> = RefCell::default();
    }
    let bytes = MADE.with_borrow_mut(|made| {
        if made.len() > MOST_REMEMBERED {
            made.clear();
        }
        let make = || secret(key).sign(payload).to_bytes().to_vec();
        made.entry((digest, key)).or_insert_with(make).clone()
    });
    Signature {
        key: public_keys()[key].id().clone(),
        bytes,
    }
}
