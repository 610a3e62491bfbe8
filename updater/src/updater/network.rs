//! What a run needs of the network: identity, trust anchor, HTTP over mutual TLS. Loaded when it is needed, so that a device
//! whose certificate is unreadable still keeps or leaves the firmware that it has on trial.

use std::sync::Arc;

use device_pki::{Clock, RevocationPolicy, Revocations, TrustAnchor, durable, tls};
use metadata_schema::limits::Limits;
use metadata_schema::time::ReferenceTime;

use super::identity;
use crate::config::Config;
use crate::error::{Error, StoreError};
use crate::metadata_store::MetadataStore;
use crate::refresh::Client;
use crate::state_store::StateStore;
use crate::transport::http::Http;
use crate::trust::Trust;

/// Longest trust anchor, in bytes.
pub(super) const MAX_ANCHOR: u64 = 64 * 1024;

/// A device that can ask its server.
pub(super) struct Network {
    store: MetadataStore,
    pub(super) http: Http,
    pub(super) trust: Trust,
}

impl Network {
    /// A way to the server, whose certificate is judged at `now`, under the revocation lists that are stored; `blank` for a
    /// device that trusts none yet.
    pub(super) fn open(
        config: &Config,
        states: &StateStore,
        blank: bool,
        now: ReferenceTime,
    ) -> Result<Self, Error> {
        let store = MetadataStore::at(&states.metadata()).on(states.storage().clone());
        let lists = if blank { Vec::new() } else { lists(&store)? };
        let identity = identity::load(config, states);
        let anchor = durable::read_bounded(&config.trust.anchor, MAX_ANCHOR)
            .and_then(|pem| TrustAnchor::from_pem(&pem))
            .map_err(Error::Identity)?;
        let trust = device_pki::Trust {
            anchor: anchor.clone(),
            revocations: Arc::new(Revocations::new(lists)),
            policy: RevocationPolicy::Available,
            clock: Clock::AtLeast(now),
        };
        let identity = identity?;
        let tls = tls::device_client(&identity, &trust).map_err(Error::Identity)?;
        let server = &config.server;
        Ok(Self {
            store,
            http: Http::new(
                tls,
                &config.network.settings(),
                &server.metadata,
                &server.targets,
            )?,
            trust: Trust::Pki {
                anchor: Box::new(anchor),
                thresholds: config.trust.thresholds(),
            },
        })
    }
}

impl Network {
    /// The client that refreshes and looks up.
    pub(super) fn client(&mut self) -> Client<'_> {
        Client {
            transport: &mut self.http,
            store: &self.store,
            trust: &self.trust,
            limits: Limits::default(),
        }
    }
}

pub(super) fn lists(store: &MetadataStore) -> Result<Vec<device_pki::Crl>, Error> {
    let mut lists = Vec::new();
    for (path, bytes) in store.load_crls()? {
        let damaged = |e: device_pki::Error| StoreError::Damaged {
            path,
            why: e.to_string(),
        };
        lists.push(device_pki::Crl::from_der("revocation list", &bytes).map_err(damaged)?);
    }
    Ok(lists)
}
