//! Certificate and revocation lists in force, and how newer ones take their place.
//!
//! On every change of the files a new [`Endpoint`] is made; if they are not usable, what was in force stays so. Once a minute
//! one is made with the new time, too, since a device's time is only known to be "not before".

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use device_pki::list_files::{self, Fingerprint};
use device_pki::{
    Allowed, Clock, DeviceUrn, Endpoint, Identity, RevocationPolicy, Revocations, Trust,
    TrustAnchor, durable,
};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::settings::{Files, IdentityFiles};

const ANCHOR_LIMIT: u64 = 64 * 1024;
/// Seconds after which an endpoint is made anew though no file has changed.
const MINUTE: i64 = 60;
const DAY: u32 = 86_400;

/// What channels are judged by, at one point in time.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Our end.
    pub endpoint: Arc<Endpoint>,
    /// Who we are.
    pub own: DeviceUrn,
    /// Until when we are.
    pub not_after: Timestamp,
    /// What time it is at least.
    pub now: Timestamp,
    /// The lists.
    pub revocations: Arc<Revocations>,
    identity: Arc<Identity>,
    anchor: TrustAnchor,
}

/// What a look at the files has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Nothing new.
    Same,
    /// Only the time has gone on.
    Later,
    /// Other files.
    New,
    /// The files are as unusable as before.
    StillFailing,
}

/// Certificate and lists, by the files that they come from.
#[derive(Debug)]
pub struct Credentials {
    files: Files,
    allowed: Arc<Allowed>,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    in_force: InForce,
    seen: Vec<Fingerprint>,
    /// Why the last look at the files has failed, if it did.
    failing: Option<String>,
}

impl Credentials {
    /// Loads everything.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be, or the certificate is not a device's under the anchor.
    pub fn load(files: &Files, allowed: Arc<Allowed>) -> Result<Self> {
        let seen = fingerprints(files)?;
        let in_force = load(files, &allowed, None)?;
        if in_force.revocations.is_empty() {
            tracing::warn!("no revocation lists: devices that were revoked get in");
        }
        if in_force.not_after < in_force.now {
            tracing::warn!(since = %in_force.not_after, "our own certificate has expired: peers will refuse it");
        }
        Ok(Self {
            files: files.clone(),
            allowed,
            state: RwLock::new(State {
                in_force,
                seen,
                failing: None,
            }),
        })
    }

    /// What is in force now.
    pub fn current(&self) -> InForce {
        self.read().in_force.clone()
    }

    /// Whether all is well, or what is not.
    ///
    /// # Errors
    /// What is not well, in words.
    pub fn health(&self) -> Result<(), &'static str> {
        let state = self.read();
        if state.in_force.not_after < Clock::System.now() {
            Err("our own certificate has expired")
        } else if state.failing.is_some() {
            Err(
                "the files were not usable when they were last looked at; the former ones are in force",
            )
        } else {
            Ok(())
        }
    }

    /// Looks at the files, and takes over what is new.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be: what was in force stays so. Told once for each reason.
    pub fn reload(&self) -> Result<Found> {
        let looked = self.look();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let failing = looked.as_ref().err().map(ToString::to_string);
        let before = std::mem::replace(&mut state.failing, failing);
        if before.is_some() && before == state.failing {
            return Ok(Found::StillFailing);
        }
        let (found, in_force, seen) = looked?;
        state.seen = seen;
        if let Some(in_force) = in_force {
            state.in_force = in_force;
        }
        Ok(found)
    }

    fn look(&self) -> Result<(Found, Option<InForce>, Vec<Fingerprint>)> {
        let seen = fingerprints(&self.files)?;
        let (old, same) = {
            let state = self.read();
            (state.in_force.clone(), state.seen == seen)
        };
        if !same {
            let new = load(&self.files, &self.allowed, Some(&old))?;
            return Ok((Found::New, Some(new), seen));
        }
        let now = now(&old.identity);
        if (old.now..old.now.plus_seconds(MINUTE)).contains(&now) {
            return Ok((Found::Same, None, seen));
        }
        let (identity, anchor) = (Arc::clone(&old.identity), old.anchor.clone());
        let lists = Arc::clone(&old.revocations);
        let new = prepare(&self.files, &self.allowed, identity, anchor, lists)?;
        Ok((Found::Later, Some(new), seen))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(files: &Files, allowed: &Arc<Allowed>, old: Option<&InForce>) -> Result<InForce> {
    let anchor = TrustAnchor::from_pem(&durable::read_bounded(&files.anchor, ANCHOR_LIMIT)?)?;
    let identity = match &files.identity {
        IdentityFiles::Bundle(path) => Identity::load_bundle(path)?,
        IdentityFiles::Pair(chain, key) => Identity::load(chain, key)?,
    };
    let mut lists = list_files::load(&list_files::find(&files.crls)?)?;
    if let Some(old) = old.filter(|old| old.anchor.certificate() == anchor.certificate()) {
        for list in list_files::keep_newer(&mut lists, old.revocations.lists()) {
            let (issuer, number) = (list.issuer(), list.number());
            tracing::error!(
                issuer,
                number,
                "the files have no such new revocation list as the one in force, which stays"
            );
        }
    }
    let lists = Arc::new(Revocations::new(lists));
    prepare(files, allowed, Arc::new(identity), anchor, lists)
}

fn prepare(
    files: &Files,
    allowed: &Arc<Allowed>,
    identity: Arc<Identity>,
    anchor: TrustAnchor,
    revocations: Arc<Revocations>,
) -> Result<InForce> {
    let trust = |revocations, policy, time| Trust {
        anchor: anchor.clone(),
        revocations,
        policy,
        clock: Clock::AtLeast(time),
    };
    let leaf = identity.certificate();
    let issued = leaf.map_or(Timestamp::EPOCH, device_pki::Certificate::not_before);
    let not_after = leaf.map_or(Timestamp::EPOCH, device_pki::Certificate::not_after);
    // Would it do for a peer under the same anchor, when it was new? Expired ones are renewed while we run.
    let everybody = Arc::new(Allowed::default().pattern("*"));
    let as_peer = trust(Arc::default(), RevocationPolicy::Available, issued);
    let own = Endpoint::new(&identity, &as_peer, everybody)?
        .judge(&identity.chain_der(), issued)
        .map_err(|why| {
            Error::config(
                "our own certificate",
                &why.to_string(),
                "channels need a device's working certificate (LDevID) under the same anchor: `device-pki inspect FILE --anchor ANCHOR` explains it",
            )
        })?;
    let policy = files
        .max_overdue
        .map_or(RevocationPolicy::Available, |days| {
            RevocationPolicy::Overdue(u32::from(days).saturating_mul(DAY))
        });
    let now = now(&identity);
    let endpoint = Endpoint::new(
        &identity,
        &trust(Arc::clone(&revocations), policy, now),
        Arc::clone(allowed),
    )?;
    Ok(InForce {
        endpoint: Arc::new(endpoint),
        own: own.urn().clone(),
        not_after,
        now,
        revocations,
        identity,
        anchor,
    })
}

/// It is not earlier than when our own certificate was issued, whatever the clock says.
fn now(identity: &Identity) -> Timestamp {
    let issued = identity
        .certificate()
        .map(device_pki::Certificate::not_before);
    Clock::System.now().max(issued.unwrap_or(Timestamp::EPOCH))
}

fn fingerprints(files: &Files) -> Result<Vec<Fingerprint>> {
    let own: Vec<PathBuf> = match &files.identity {
        IdentityFiles::Bundle(path) => vec![path.clone()],
        IdentityFiles::Pair(chain, key) => vec![chain.clone(), key.clone()],
    };
    let lists = list_files::find(&files.crls)?;
    std::iter::once(files.anchor.clone())
        .chain(own)
        .chain(lists)
        .map(|path| Ok(Fingerprint::of(path)?))
        .collect()
}
