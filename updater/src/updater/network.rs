//! What a run needs of the network: identity, trust anchor, HTTP over mutual TLS; or a bundle in their place. Loaded when it is needed, so that a device
//! whose certificate is unreadable still keeps or leaves the firmware that it has on trial.

use std::path::Path;
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
use crate::transport::bundle::Bundle;
use crate::transport::http::Http;
use crate::trust::Trust;

/// Longest trust anchor, in bytes.
pub(super) const MAX_ANCHOR: u64 = 64 * 1024;

/// A device that can ask its server, or look into a bundle.
pub(super) struct Network {
    store: MetadataStore,
    route: Route,
    pub(super) trust: Trust,
}

/// Where files come from.
enum Route {
    Server(Http),
    Bundle(Bundle),
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
        let route = Route::Server(http(config, states, blank, now)?);
        Self::by(route, config, states)
    }

    /// A bundle in the place of the server. The device's own certificate is not needed.
    pub(super) fn open_bundle(
        config: &Config,
        states: &StateStore,
        bundle: &Path,
    ) -> Result<Self, Error> {
        let route = Route::Bundle(Bundle::open(bundle)?);
        Self::by(route, config, states)
    }

    fn by(route: Route, config: &Config, states: &StateStore) -> Result<Self, Error> {
        Ok(Self {
            store: MetadataStore::at(&states.metadata()).on(states.storage().clone()),
            route,
            trust: Trust::Pki {
                anchor: Box::new(anchor(config)?),
                thresholds: config.trust.thresholds(),
            },
        })
    }

    /// The client that refreshes and looks up.
    pub(super) fn client(&mut self) -> Client<'_> {
        Client {
            transport: match &mut self.route {
                Route::Server(http) => http,
                Route::Bundle(bundle) => bundle,
            },
            store: &self.store,
            trust: &self.trust,
            limits: Limits::default(),
        }
    }
}

/// HTTP over mutual TLS to the server: see [`Network::open`].
pub(super) fn http(
    config: &Config,
    states: &StateStore,
    blank: bool,
    now: ReferenceTime,
) -> Result<Http, Error> {
    let store = MetadataStore::at(&states.metadata()).on(states.storage().clone());
    let lists = if blank { Vec::new() } else { lists(&store)? };
    let identity = identity::load(config, states);
    let trust = device_pki::Trust {
        anchor: anchor(config)?,
        revocations: Arc::new(Revocations::new(lists)),
        policy: RevocationPolicy::Available,
        clock: Clock::AtLeast(now),
    };
    let tls = tls::device_client(&identity?, &trust).map_err(Error::Identity)?;
    let server = &config.server;
    Ok(Http::new(
        tls,
        &config.network.settings(),
        &server.metadata,
        &server.targets,
    )?)
}

fn anchor(config: &Config) -> Result<TrustAnchor, Error> {
    durable::read_bounded(&config.trust.anchor, MAX_ANCHOR)
        .and_then(|pem| TrustAnchor::from_pem(&pem))
        .map_err(Error::Identity)
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
