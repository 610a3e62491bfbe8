//! What the stored metadata says about the clock, for `updater status`. It decides nothing.

use std::sync::Arc;

use device_pki::{Certificate, TrustAnchor, durable};
use metadata_schema::gate::PlainTuf;
use metadata_schema::name::RoleName;
use metadata_schema::roles::Role as _;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::{AtRoot, AtTargets, RootWalk};

use super::Updater;
use crate::clock::{Doubt, Known, doubts};
use crate::error::Error;
use crate::metadata_store::MetadataStore;
use crate::trust::Trust;

impl Updater {
    /// What speaks against a system clock that says `system`; nothing, if it is plausible.
    ///
    /// # Errors
    /// If the stored floor is damaged. Damaged metadata is for a refresh to find: what cannot be read says nothing here.
    pub fn doubts(&self, system: Timestamp) -> Result<Vec<Doubt>, Error> {
        Ok(doubts(system, self.floor()?, &self.known()))
    }

    fn known(&self) -> Known {
        let store = MetadataStore::at(&self.config.state.join("metadata"));
        let Some(root) = stored_root(&store) else {
            return Known::default();
        };
        let mut known = Known::default();
        known
            .expiry
            .push((RoleName::root(), root.root().common().expires));
        let Some(set) = stored_targets(&store, &root) else {
            return known;
        };
        known
            .expiry
            .push((RoleName::targets(), set.targets().common().expires));
        known.newest_certificate = self.newest_certificate(&set);
        known
    }

    fn newest_certificate(&self, set: &AtTargets) -> Option<(Timestamp, String)> {
        let pem =
            durable::read_bounded(&self.config.trust.anchor, super::network::MAX_ANCHOR).ok()?;
        let trust = Trust::Pki {
            anchor: Box::new(TrustAnchor::from_pem(&pem).ok()?),
            thresholds: self.config.trust.thresholds(),
        };
        let newest: Certificate = trust.newest_certificate(set)?;
        Some((newest.not_before(), newest.subject().to_owned()))
    }
}

/// The stored root, at a time before everything: nothing has expired.
fn stored_root(store: &MetadataStore) -> Option<AtRoot> {
    let bytes = store.load(&RoleName::root()).ok()??;
    let walk = RootWalk::from_trusted(&bytes, Arc::new(PlainTuf)).ok()?;
    walk.finish(Timestamp::from_unix_seconds(i64::MIN)).ok()
}

fn stored_targets(store: &MetadataStore, root: &AtRoot) -> Option<AtTargets> {
    let load = |role| store.load(&role).ok().flatten();
    let timestamp = root.timestamp(None, &load(RoleName::timestamp())?).ok()?.0;
    let snapshot = timestamp
        .snapshot(None, &load(RoleName::snapshot())?)
        .ok()?;
    snapshot.targets(&load(RoleName::targets())?).ok()
}
