//! How a device begins to trust a repository, once.
//!
//! A device whose firmware brings no root metadata gets its first over the network: beginning with a version that its firmware
//! names, signed by a threshold of its own keys, all of them bound to the trust anchor, and from there by the usual walk. A
//! stranger with old keys could lead a blank device anywhere that such keys once led, so more is asked of it than of one that
//! has a memory: for every CA that certified signers there must be a current revocation list, and root and targets must hold
//! under all of them. A list that is missing or overdue is a refusal here, where otherwise it says nothing.
//!
//! A device that begins *again*, at somebody's word, is recovering from lost metadata or from a stolen root threshold. Those who
//! were revoked would then have its root metadata in the firmware as a way back, so the same is asked of it, wherever its first root
//! comes from; and the revocation lists that it has stay in force.
//!
//! Until all of that has succeeded, nothing is trusted: what has come stands in `metadata.new`, and takes its place as a whole. A
//! power cut leaves a device that has begun, or one that has not; and one that began again, with the old or with the new. It begins by itself only once: `origin.json`, outside of the
//! metadata, says that it has, so that metadata which is lost later is an error, and no stranger's chance.

use metadata_schema::limits::Limits;
use metadata_schema::name::Version;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;

use crate::error::{Error, StoreError};
use crate::metadata_store::MetadataStore;
use crate::refresh::{Client, RunClock};
use crate::state_store::{Origin, StateStore};
use crate::transport::Transport;
use crate::trust::Trust;

/// What a device begins with.
#[derive(Clone, Copy, Debug)]
pub enum First<'a> {
    /// Root metadata that came with the firmware, on a device that has never trusted anything else.
    Factory(&'a [u8]),
    /// The same at somebody's word, on a device that may have trusted something else: who was revoked since must not lead it.
    FactoryAgain(&'a [u8]),
    /// Root metadata of this version, from the network.
    Network(Version),
}

/// Since when the device has trusted a repository; none if it is blank. A beginning that was cut off is undone or finished first, so
/// nobody else may be at work in the folder.
///
/// # Errors
/// If it did, and what it trusted is gone.
pub fn since(states: &StateStore) -> Result<Option<Timestamp>, StoreError> {
    let origin = states.origin()?;
    let folder = states.metadata();
    MetadataStore::recover(&folder, states.storage())?;
    match (MetadataStore::begun(&folder)?, origin) {
        (true, origin) => Ok(Some(origin.map_or(Timestamp::EPOCH, |origin| origin.since))),
        (false, None) => Ok(None),
        (false, Some(origin)) => Err(StoreError::Lost {
            folder,
            since: origin.since,
        }),
    }
}

/// Notes durably that the device has begun to trust a repository, if it has and that is not noted yet.
///
/// # Errors
/// If the storage fails.
pub fn note(states: &StateStore, now: Timestamp) -> Result<(), StoreError> {
    if states.origin()?.is_none() && MetadataStore::begun(&states.metadata())? {
        states.save_origin(&Origin::new(now))?;
    }
    Ok(())
}

/// Begins: one whole refresh into a folder of its own, which then takes the place of the trusted metadata, whatever is there.
/// The clock begins anew, too, with what `clock` says: no floor that was learnt before stays. Revocation lists do: they stand on
/// their CA's signature, and not on the metadata that led to them.
///
/// # Errors
/// As of a refresh; and but for [`First::Factory`], if a revocation list is missing or overdue. The device then trusts what it did.
pub async fn begin(
    transport: &mut dyn Transport,
    trust: &Trust,
    limits: Limits,
    states: &StateStore,
    first: First<'_>,
    clock: &mut RunClock<'_>,
) -> Result<AtTargets, Error> {
    MetadataStore::recover(&states.metadata(), states.storage())?;
    let store = MetadataStore::open_new(&states.provisional(), states.storage().clone())?;
    store.take_crls_of(&states.metadata())?;
    let mut client = Client {
        transport,
        store: &store,
        trust,
        limits,
    };
    let set = match first {
        First::Factory(root) => client.refresh_by(root, clock).await?,
        First::FactoryAgain(root) => client.refresh_again(root, clock).await?,
        First::Network(version) => client.refresh_blank(version, clock).await?,
    };
    store.place(&states.metadata())?;
    // Cut off here, the device has begun, and its next run notes the rest.
    states.save_time_floor(clock.floor())?;
    states.save_origin(&Origin::new(clock.reference().0))?;
    Ok(set)
}
