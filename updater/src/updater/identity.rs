//! Who the device is: the identity that a run shows, and the call by which it is renewed when it is time.

use std::sync::Arc;

use device_pki::{
    Certificate, Clock, DeviceUrn, Identity, RevocationPolicy, Revocations, TrustAnchor, durable,
};
use metadata_schema::time::{ReferenceTime, Timestamp};

use super::Updater;
use super::network::{self, MAX_ANCHOR};
use crate::config::{Config, EnrolmentConfig, IdentityConfig};
use crate::error::{EnrolmentError, Error, TransportError};
use crate::identity::est::{Est, token};
use crate::identity::keep::{self, Kept, Means};
use crate::identity::{IdentityStore, keep as keep_identity, schedule};
use crate::metadata_store::MetadataStore;
use crate::state_store::StateStore;

/// Longest certificate chain, in bytes.
const MAX_CHAIN: u64 = 128 * 1024;

/// What a device has after an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Its name.
    pub urn: DeviceUrn,
    /// Whether its certificate is a new one.
    pub renewed: bool,
    /// Until when that is valid.
    pub not_after: Timestamp,
    /// From when on it is renewed, if the device does that itself.
    pub renewal: Option<Timestamp>,
}

/// The identity in use.
pub(super) fn load(config: &Config, states: &StateStore) -> Result<Identity, Error> {
    match &config.identity {
        IdentityConfig::Files(files) => {
            Identity::load(&files.certificate, &files.key).map_err(Error::Identity)
        }
        IdentityConfig::Enrolled(_) => IdentityStore::at(&config.state, states.storage())
            .current()?
            .ok_or(Error::Enrolment(EnrolmentError::NotYet)),
    }
}

/// The device's name, by the certificate in use or by the one from the factory; none if there is neither.
pub(super) fn urn(config: &Config, states: &StateStore) -> Result<Option<DeviceUrn>, Error> {
    match &config.identity {
        IdentityConfig::Files(files) => of_chain(&files.certificate),
        IdentityConfig::Enrolled(enrolment) => {
            let store = IdentityStore::at(&config.state, states.storage());
            match (store.current(), &enrolment.idevid) {
                (Ok(Some(current)), _) => Ok(current.device()),
                (_, Some(idevid)) => of_chain(&idevid.certificate),
                (Err(e), None) => Err(e),
                (Ok(None), None) => Ok(None),
            }
        }
    }
}

fn of_chain(path: &std::path::Path) -> Result<Option<DeviceUrn>, Error> {
    let pem = durable::read_bounded(path, MAX_CHAIN).map_err(Error::Identity)?;
    let chain = Certificate::chain_from_pem(&path.display().to_string(), &pem);
    let chain = chain.map_err(Error::Identity)?;
    Ok(chain.first().and_then(Certificate::device))
}

impl Updater {
    /// Enrols or renews when it is time; `now` is the reference time as it is known before anything was fetched.
    pub(super) async fn keep_identity(&self, now: ReferenceTime) -> Result<Kept, Error> {
        self.keep_identity_as(now, false).await
    }

    async fn keep_identity_as(&self, now: ReferenceTime, asked: bool) -> Result<Kept, Error> {
        let IdentityConfig::Enrolled(enrolment) = &self.config.identity else {
            return Ok(Kept::Unchanged);
        };
        let config = &self.config;
        let store = IdentityStore::at(&config.state, self.states.storage());
        let anchor = durable::read_bounded(&config.trust.anchor, MAX_ANCHOR)
            .and_then(|pem| TrustAnchor::from_pem(&pem))
            .map_err(Error::Identity)?;
        let lists = network::lists(&MetadataStore::at(&self.states.metadata()));
        let trust = device_pki::Trust {
            anchor: anchor.clone(),
            revocations: Arc::new(Revocations::new(lists.unwrap_or_default())),
            policy: RevocationPolicy::Available,
            clock: Clock::AtLeast(now),
        };
        let urn = urn(config, &self.states)?;
        let token = match (&enrolment.idevid, &enrolment.token) {
            (None, Some(path)) if path.exists() => Some(token(path)?),
            _ => None,
        };
        let name = match (&urn, &token) {
            (Some(urn), _) => urn.serial().to_owned(),
            (None, Some((serial, _))) => serial.clone(),
            (None, None) => String::new(),
        };
        let means = Means {
            anchor: &anchor,
            serial: name.clone(),
            urn,
            first: enrolment.idevid.is_some() || token.is_some(),
            now: asked,
        };
        let mut est = Est {
            config: enrolment,
            renew: renewal_base(config, enrolment)?,
            trust: &trust,
            settings: &config.network.settings(),
            name,
        };
        let kept = keep_identity(&store, &mut est, &means, now).await?;
        if kept == Kept::Renewed {
            tracing::info!("a new certificate is in use");
            // It has served, and is good for nothing any more.
            if let (Some(path), Some(_)) = (&enrolment.token, &token) {
                let _gone_or_not = durable::remove_durable(path);
            }
        }
        Ok(kept)
    }

    /// Enrols, or renews when it is time, or, if `asked`, now; installs nothing.
    ///
    /// # Errors
    /// If there is no certificate in use after that, or it was asked for and there is no new one.
    pub async fn enrol(&self, asked: bool, system: Timestamp) -> Result<Enrolled, Error> {
        let now = self.clock(system)?.reference().0;
        let kept = match self.keep_identity_as(now, asked).await {
            Err(e @ Error::Transport(TransportError::NotAccepted { .. })) => {
                if !self.identity_anew(now, asked).await {
                    return Err(e);
                }
                Kept::Renewed
            }
            kept => kept?,
        };
        let identity = load(&self.config, &self.states)?;
        let certificate = identity.certificate();
        let none = || Error::Enrolment(EnrolmentError::NotYet);
        let (urn, certificate) = identity.device().zip(certificate).ok_or_else(none)?;
        let (from, until) = (certificate.not_before(), certificate.not_after());
        let renews = matches!(self.config.identity, IdentityConfig::Enrolled(_));
        Ok(Enrolled {
            renewed: kept == Kept::Renewed,
            not_after: until,
            renewal: renews.then(|| schedule::renewal(from, until, urn.as_str())),
            urn,
        })
    }

    /// After a server has refused the device's certificate: whether there is another one now. Who has `asked` for one does
    /// not wait because of earlier failures.
    pub(super) async fn identity_anew(&self, now: ReferenceTime, asked: bool) -> bool {
        if !matches!(self.config.identity, IdentityConfig::Enrolled(_)) {
            return false;
        }
        let store = IdentityStore::at(&self.config.state, self.states.storage());
        if let Err(error) = keep::note_refused(&store) {
            tracing::warn!(%error, "that the certificate was refused is not noted");
            return false;
        }
        match self.keep_identity_as(now, asked).await {
            Ok(kept) => kept == Kept::Renewed,
            Err(e) => {
                tracing::warn!(error = e.in_one_line(), "no other certificate");
                false
            }
        }
    }
}

/// Where devices with certificates are: as configured, or where the metadata is.
fn renewal_base(config: &Config, enrolment: &EnrolmentConfig) -> Result<String, Error> {
    if let Some(renew) = &enrolment.renew {
        return Ok(renew.clone());
    }
    let metadata = &config.server.metadata;
    let host = metadata
        .strip_prefix("https://")
        .and_then(|rest| rest.split('/').next());
    host.map(|host| format!("https://{host}")).ok_or_else(|| {
        let (url, why) = (metadata.clone(), "it is not https://".to_owned());
        let what = "URL of the metadata";
        TransportError::Url { what, url, why }.into()
    })
}
