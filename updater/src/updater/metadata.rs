//! Everything about metadata that a run needs, in one step: refreshed, and what the device's channel offers.

use device_pki::durable;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;

use super::Updater;
use super::network::Network;
use crate::bootstrap::{self, First};
use crate::clock::TimeFloor;
use crate::config::FirstRoot;
use crate::error::{BootstrapError, Error, TransportError};
use crate::install::{Offer, find_offer};
use crate::metadata_store::MetadataStore;
use crate::refresh::RunClock;

/// Longest root metadata that comes with the firmware, in bytes.
const MAX_ROOT: u64 = 1024 * 1024;

/// What a refresh came to.
pub(super) struct Refreshed {
    pub(super) network: Network,
    pub(super) set: AtTargets,
    /// What the device's channel offers.
    pub(super) offer: Option<Offer>,
}

impl Updater {
    /// Refreshes, and looks up what the device's channel offers.
    ///
    /// The server's certificate is judged at the reference time as it is known before the root walk. A floor that was pushed too
    /// far must not keep the device from the root that brings it back, so a server that is refused is judged once more at the
    /// earliest time that it can be. What comes over such a connection is verified like everything else.
    pub(super) async fn refresh(&self, clock: &mut RunClock<'_>) -> Result<Refreshed, Error> {
        let (now, _) = clock.reference();
        let earliest = self.earliest(clock);
        match self.refresh_over(now, clock).await {
            Err(Error::Transport(refused @ TransportError::ServerRefused { .. }))
                if earliest < now && !clock.is_settled() =>
            {
                tracing::warn!(%refused, %now, %earliest, "once more, at the earliest time that it can be");
                self.refresh_over(earliest, clock).await
            }
            done => done,
        }
    }

    async fn refresh_over(
        &self,
        tls: Timestamp,
        clock: &mut RunClock<'_>,
    ) -> Result<Refreshed, Error> {
        let config = &self.config;
        let begun = bootstrap::since(&self.states)?.is_some();
        let mut network = match &self.bundle {
            Some(bundle) => Network::open_bundle(config, &self.states, bundle)?,
            None => Network::open(config, &self.states, !begun, tls)?,
        };
        let mut set = match (&config.trust.first_root, begun) {
            (FirstRoot::Network(version), false) => {
                self.begin(&mut network, First::Network(*version), clock)
                    .await?
            }
            (FirstRoot::Network(_), true) => {
                let root = self.metadata_store()?.load(&RoleName::root())?;
                let root = root.unwrap_or_default();
                self.go_on(&mut network, &root, clock).await?
            }
            (FirstRoot::Factory(path), _) => {
                let root = durable::read_bounded(path, MAX_ROOT).map_err(Error::Identity)?;
                self.go_on(&mut network, &root, clock).await?
            }
        };
        let (product, channel) = (&config.device.product, &config.device.channel);
        if let Some(made_for) = set.bundle()
            && (&made_for.product, &made_for.channel) != (product, channel)
        {
            return Err(Error::OtherBundle {
                expected: format!("{product}/{channel}"),
                found: format!("{}/{}", made_for.product, made_for.channel),
            });
        }
        let offer = find_offer(&mut network.client(), &mut set, product, channel).await?;
        Ok(Refreshed {
            network,
            set,
            offer,
        })
    }

    fn metadata_store(&self) -> Result<MetadataStore, Error> {
        let storage = self.states.storage().clone();
        Ok(MetadataStore::open_on(&self.states.metadata(), storage)?)
    }

    async fn go_on(
        &self,
        network: &mut Network,
        root: &[u8],
        clock: &mut RunClock<'_>,
    ) -> Result<AtTargets, Error> {
        self.metadata_store()?.tidy()?;
        let refreshed = network.client().refresh_by(root, clock).await;
        bootstrap::note(&self.states, clock.reference().0)?;
        refreshed
    }

    async fn begin(
        &self,
        network: &mut Network,
        first: First<'_>,
        clock: &mut RunClock<'_>,
    ) -> Result<AtTargets, Error> {
        let floor = TimeFloor::factory(self.config.factory.build_time);
        let mut anew = RunClock::new(clock.system(), floor, None);
        let client = network.client();
        let set = bootstrap::begin(
            client.transport,
            client.trust,
            client.limits,
            &self.states,
            first,
            &mut anew,
        )
        .await;
        *clock = anew;
        set
    }

    /// Begins to trust the repository, and installs nothing. `again` forgets what was trusted before, once the new has
    /// succeeded.
    ///
    /// # Errors
    /// As of a refresh; if the device has begun already, and not `again`; if `again`, and a revocation list is missing or overdue.
    /// It then trusts what it did.
    pub async fn bootstrap(&self, again: bool, system: Timestamp) -> Result<Timestamp, Error> {
        if !again && let Some(since) = bootstrap::since(&self.states)? {
            return Err(BootstrapError::NotBlank { since }.into());
        }
        let mut clock = RunClock::new(
            system,
            TimeFloor::factory(self.config.factory.build_time),
            None,
        );
        self.keep_identity(clock.reference().0).await?;
        let mut network = Network::open(&self.config, &self.states, true, clock.reference().0)?;
        let root;
        let first = match &self.config.trust.first_root {
            FirstRoot::Network(version) => First::Network(*version),
            FirstRoot::Factory(path) => {
                root = durable::read_bounded(path, MAX_ROOT).map_err(Error::Identity)?;
                if again {
                    First::FactoryAgain(&root)
                } else {
                    First::Factory(&root)
                }
            }
        };
        self.begin(&mut network, first, &mut clock).await?;
        Ok(clock.reference().0)
    }

    /// The earliest time that it can be: the system clock may be right where the floor is not, and the firmware was built.
    fn earliest(&self, clock: &RunClock<'_>) -> Timestamp {
        let build_time = self.config.factory.build_time;
        clock.system().max(build_time).min(clock.reference().0)
    }
}
