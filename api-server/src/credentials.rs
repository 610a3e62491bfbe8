//! Certificates and revocation lists in force, and how newer ones take their place.
//!
//! On every change of the files a whole new TLS configuration is made and swapped in: rustls would otherwise go on with
//! what it has (old lists, resumed sessions). If the new files are not usable, the old ones stay in force.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use device_pki::list_files::{self, Fingerprint};
use device_pki::{Identity, RevocationPolicy, Revocations, Trust, TrustAnchor, durable};
use rustls::ServerConfig;

use crate::config::Config;
use crate::error::Result;

const ANCHOR_LIMIT: u64 = 64 * 1024;

/// What connections are judged by, at one point in time.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The TLS configuration.
    pub tls: Arc<ServerConfig>,
    /// That of the listener where devices enrol.
    pub enrolment: Arc<ServerConfig>,
    /// Whom it trusts.
    pub trust: Trust,
    /// Counts up with every change.
    pub generation: u64,
}

/// Certificates and revocation lists, by the files that they come from.
#[derive(Debug)]
pub struct Credentials {
    config: Config,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    in_force: InForce,
    files: Vec<Fingerprint>,
}

impl Credentials {
    /// Loads everything.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be.
    pub fn load(config: &Config) -> Result<Self> {
        let files = fingerprints(config)?;
        let in_force = load(config, None)?;
        if in_force.trust.revocations.is_empty() {
            tracing::warn!("no revocation lists: no device will get in");
        }
        Ok(Self {
            config: config.clone(),
            state: RwLock::new(State { in_force, files }),
        })
    }

    /// What is in force now.
    pub fn current(&self) -> InForce {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .in_force
            .clone()
    }

    /// Loads everything again if a file has changed; says whether it did.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be: what was in force stays so.
    pub fn reload(&self) -> Result<bool> {
        let files = fingerprints(&self.config)?;
        let old = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.files == files {
                return Ok(false);
            }
            state.in_force.clone()
        };
        let in_force = load(&self.config, Some(&old))?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { in_force, files };
        Ok(true)
    }
}

fn load(config: &Config, old: Option<&InForce>) -> Result<InForce> {
    let anchor = TrustAnchor::from_pem(&durable::read_bounded(&config.anchor, ANCHOR_LIMIT)?)?;
    let identity = Identity::load(&config.certificate, &config.key)?;
    let mut lists = list_files::load(&crl_files(config)?)?;
    let same_anchor = |old: &&InForce| old.trust.anchor.certificate() == anchor.certificate();
    if let Some(old) = old.filter(same_anchor) {
        let kept = list_files::keep_newer(&mut lists, old.trust.revocations.lists());
        for list in kept {
            let (issuer, number) = (list.issuer(), list.number());
            tracing::error!(
                issuer,
                number,
                "the files have no such new revocation list as the one in force, which stays"
            );
        }
    }
    let trust = Trust {
        anchor,
        revocations: Arc::new(Revocations::new(lists)),
        policy: RevocationPolicy::Strict,
        clock: config.clock,
    };
    let mut tls = device_pki::tls::api_server(&identity, &trust)?;
    let mut enrolment = device_pki::tls::enrolment_server(&identity, &trust)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    enrolment.alpn_protocols = tls.alpn_protocols.clone();
    Ok(InForce {
        tls: Arc::new(tls),
        enrolment: Arc::new(enrolment),
        trust,
        generation: old.map_or(0, |old| old.generation.saturating_add(1)),
    })
}

/// The files of revocation lists: those that were given, and that of the CA in this server.
fn crl_files(config: &Config) -> Result<Vec<PathBuf>> {
    let mut paths = config.crls.clone();
    let own = config.data.join(crate::issuer::LISTS);
    if config.est.is_some() && own.is_dir() {
        paths.push(own);
    }
    Ok(list_files::find(&paths)?)
}

fn fingerprints(config: &Config) -> Result<Vec<Fingerprint>> {
    let own = [&config.anchor, &config.certificate, &config.key].map(Clone::clone);
    own.into_iter()
        .chain(crl_files(config)?)
        .map(|path| Ok(Fingerprint::of(path)?))
        .collect()
}
