//! The order of steps by which a device has a certificate in force.

use device_pki::{Certificate, DeviceUrn, Identity, KeyPair, TrustAnchor, enrolment};
use metadata_schema::time::Timestamp;

use super::schedule;
use super::store::{Attempt, IdentityStore};
use crate::error::{EnrolmentError, Error, TransportError};

/// By what a certificate is asked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Way<'a> {
    /// The certificate in use.
    Renewal(&'a Identity),
    /// The identity from the factory, or the token.
    First,
}

/// Who certifies, as far as a device can tell.
pub trait Ca {
    /// Asks for a certificate for a key; the issuers' certificates come with it. Nothing of it is verified yet.
    fn certify(
        &mut self,
        way: Way<'_>,
        key: &KeyPair,
    ) -> impl Future<Output = Result<(Certificate, Vec<Certificate>), Error>> + Send;

    /// Whether a handshake with a new identity succeeds where devices with certificates are.
    fn works(&mut self, identity: &Identity) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What there is to enrol with, and what to hold a certificate against.
#[derive(Debug)]
pub struct Means<'a> {
    /// The trust anchor.
    pub anchor: &'a TrustAnchor,
    /// The device's name, where it is known without a certificate.
    pub urn: Option<DeviceUrn>,
    /// Its serial number, as the identity from the factory or the token has it.
    pub serial: String,
    /// Whether a first enrolment is possible: there is an identity from the factory, or a token.
    pub first: bool,
    /// Whether somebody asks for it now: whenever it would be time, and with an answer.
    pub now: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// Nothing was to be done, or it has to wait; the certificate in use stays.
    Unchanged,
    /// A new certificate is in use.
    Renewed,
}

/// Sees to it that there is a certificate in force: enrols, renews, or goes on where a run was cut off.
///
/// # Errors
/// Only if there is no certificate in use that is worth trying, or somebody asked for a renewal now; else what fails with a
/// renewal is noted, and tried again later.
pub async fn keep(
    store: &IdentityStore,
    ca: &mut impl Ca,
    means: &Means<'_>,
    now: Timestamp,
) -> Result<Kept, Error> {
    store.tidy()?;
    let attempt = store.attempt();
    // A file that cannot be used is as good as none: the identity from the factory brings a new one.
    let current = store.current().unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the certificate in use cannot be read");
        None
    });
    // Anybody on the way to the server can say that it refuses: TLS alerts before the handshake's keys are not authentic. So a
    // refusal is a reason to ask for another certificate, and none to give up one that is in force.
    let in_force = current.as_ref().filter(|identity| valid(identity, now));
    let usable = in_force.filter(|_| !attempt.refused);
    let due = means.now || usable.is_none_or(|identity| is_due(identity, now));
    if !due {
        // A swap that was cut off has left what it swapped in.
        if let Some(pending) = store.pending().unwrap_or_default()
            && current.as_ref().map(Identity::chain) == Some(pending.chain())
        {
            store.clear_pending()?;
        }
        return Ok(Kept::Unchanged);
    }
    if usable.is_none() && !means.first {
        // Nothing to enrol with: the certificate in use is all there is, and its refusal is the server's to say.
        let none = Error::Enrolment(EnrolmentError::NoWay);
        return match current {
            Some(_) if !means.now => Ok(Kept::Unchanged),
            _ => Err(none),
        };
    }
    let may_try = schedule::may_try(attempt.failures, attempt.last, attempt.wait, now);
    if in_force.is_some() && !may_try && !means.now {
        return Ok(Kept::Unchanged);
    }
    match swap(store, ca, means, usable, now).await {
        Ok(()) => {
            store.set_attempt(Attempt::default())?;
            Ok(Kept::Renewed)
        }
        Err(e) => {
            let failed = Attempt {
                failures: attempt.failures.saturating_add(1),
                last: now,
                wait: wait(&e),
                refused: attempt.refused,
            };
            let noted = store.set_attempt(failed);
            if in_force.is_none() || means.now {
                return Err(e);
            }
            let error = e.in_one_line();
            tracing::warn!(error, ?noted, "there is no new certificate yet");
            Ok(Kept::Unchanged)
        }
    }
}

/// Notes that a server has refused the certificate in use: expired or revoked, whatever this device's clock and lists say.
///
/// # Errors
/// If the storage fails.
pub fn note_refused(store: &IdentityStore) -> Result<(), Error> {
    let attempt = store.attempt();
    store.set_attempt(Attempt {
        refused: true,
        ..attempt
    })
}

/// Key, certificate, trial, swap; each durable before the next begins.
async fn swap(
    store: &IdentityStore,
    ca: &mut impl Ca,
    means: &Means<'_>,
    usable: Option<&Identity>,
    now: Timestamp,
) -> Result<(), Error> {
    let pending = match store.pending().unwrap_or_default() {
        Some(pending) if valid(&pending, now) && !is_due(&pending, now) => pending,
        stale => {
            if stale.is_some() {
                store.clear_pending()?;
            }
            let key = store.pending_key()?;
            let (way, urn) = match usable {
                Some(identity) => (Way::Renewal(identity), identity.device()),
                None => (Way::First, means.urn.clone()),
            };
            let (leaf, issuers) = match ca.certify(way, &key).await {
                // It is refused before this device knows why, and the identity from the factory may not be.
                Err(Error::Transport(TransportError::NotAccepted { .. }))
                    if usable.is_some() && means.first =>
                {
                    ca.certify(Way::First, &key).await?
                }
                certified => certified?,
            };
            let identity = enrolment::accept(leaf, &issuers, key, means.anchor, urn.as_ref(), now)
                .map_err(|source| Error::Enrolment(EnrolmentError::Certificate { source }))?;
            if identity
                .device()
                .is_none_or(|urn| urn.serial() != means.serial)
            {
                return Err(Error::Enrolment(EnrolmentError::OtherDevice {
                    expected: means.serial.clone(),
                }));
            }
            store.set_pending(&identity)?;
            identity
        }
    };
    // Where nothing works yet, nothing can be lost.
    if usable.is_some() {
        let works = ca.works(&pending).await;
        if let Err(Error::Transport(TransportError::NotAccepted { .. })) = works {
            store.clear_pending()?;
        }
        works?;
    }
    store.install(&pending)?;
    store.clear_pending()
}

fn valid(identity: &Identity, now: Timestamp) -> bool {
    identity
        .certificate()
        .is_some_and(|certificate| now <= certificate.not_after())
}

fn is_due(identity: &Identity, now: Timestamp) -> bool {
    let seed = identity.device().map(|urn| urn.to_string());
    identity.certificate().is_some_and(|certificate| {
        let (from, until) = (certificate.not_before(), certificate.not_after());
        now >= schedule::renewal(from, until, &seed.unwrap_or_default())
    })
}

fn wait(error: &Error) -> i64 {
    match error {
        Error::Enrolment(EnrolmentError::Answer { retry_after, .. }) => {
            retry_after.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
        }
        _ => 0,
    }
}
