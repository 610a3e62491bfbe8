//! Everything about metadata that a run needs, in one step: refreshed, and what the device's channel offers.

use device_pki::durable;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;

use super::Updater;
use super::network::Network;
use crate::error::{Error, TransportError};
use crate::install::{Offer, find_offer};
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
                if earliest < now =>
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
        let mut network = Network::open(config, tls)?;
        network.store.tidy()?;
        let root = durable::read_bounded(&config.trust.root, MAX_ROOT).map_err(Error::Identity)?;
        let mut client = network.client();
        let mut set = client.refresh_by(&root, clock).await?;
        let (product, channel) = (&config.device.product, &config.device.channel);
        let offer = find_offer(&mut client, &mut set, product, channel).await?;
        Ok(Refreshed {
            network,
            set,
            offer,
        })
    }

    /// The earliest time that it can be: the system clock may be right where the floor is not, and the firmware was built.
    fn earliest(&self, clock: &RunClock<'_>) -> Timestamp {
        let build_time = self.config.factory.build_time;
        clock.system().max(build_time).min(clock.reference().0)
    }
}
