//! Certificates and revocation lists in force, and how newer ones take their place.
//!
//! On every change of the files a whole new TLS configuration is made and swapped in: rustls would otherwise go on with
//! what it has (old lists, resumed sessions). If the new files are not usable, the old ones stay in force.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use device_pki::{Crl, Identity, RevocationPolicy, Revocations, Trust, TrustAnchor, durable};
use rustls::ServerConfig;

use crate::config::Config;
use crate::error::{Error, Result};

/// Most revocation lists that are loaded.
const MAX_LISTS: usize = 1000;
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

/// A file's path, time of change, and length.
type Fingerprint = (PathBuf, Option<SystemTime>, u64);

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
    let lists: Result<Vec<Crl>> = list_files(config)?
        .iter()
        .map(|path| Ok(Crl::load(path)?))
        .collect();
    let mut lists = lists?;
    let same_anchor = |old: &&InForce| old.trust.anchor.certificate() == anchor.certificate();
    if let Some(old) = old.filter(same_anchor) {
        keep_newer(&mut lists, old.trust.revocations.lists());
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

/// Keeps lists in force that the files have no equal or newer one for: a file that was set back, or is gone, clears
/// nobody. What stays does so until its next update is due, or the server starts anew.
fn keep_newer(lists: &mut Vec<Crl>, in_force: &[Crl]) {
    let mut kept = Vec::new();
    for old in in_force {
        let same =
            |list: &&Crl| list.issuer_ski() == old.issuer_ski() && list.issuer() == old.issuer();
        // Those in force are in order, the newest first.
        if kept.iter().any(|newer| same(&newer)) {
            continue;
        }
        let found = lists.iter().filter(same).map(Crl::number).max();
        if found.is_none_or(|found| found < old.number()) {
            let (issuer, number) = (old.issuer(), old.number());
            tracing::error!(
                issuer,
                number,
                ?found,
                "older revocation list than the one in force, which stays"
            );
            kept.push(old.clone());
        }
    }
    lists.append(&mut kept);
}

/// The files of revocation lists: those that were given, and that of the CA in this server.
fn list_files(config: &Config) -> Result<Vec<PathBuf>> {
    let mut paths = config.crls.clone();
    let own = config.data.join(crate::issuer::LISTS);
    if config.est.is_some() && own.is_dir() {
        paths.push(own);
    }
    lists(&paths)
}

/// The files that `paths` stand for: themselves, or the files `*.crl` in them.
fn lists(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|e| Error::io("list", path, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| Error::io("list", path, e))?.path();
                let hidden = entry
                    .file_name()
                    .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
                if !hidden
                    && entry
                        .extension()
                        .is_some_and(|extension| extension == "crl")
                {
                    files.push(entry);
                }
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    if files.len() > MAX_LISTS {
        let reason = format!("{} revocation lists, at most {MAX_LISTS}", files.len());
        return Err(Error::Config {
            what: "--crl".to_owned(),
            reason,
        });
    }
    Ok(files)
}

fn fingerprints(config: &Config) -> Result<Vec<Fingerprint>> {
    let own = [&config.anchor, &config.certificate, &config.key].map(Clone::clone);
    own.into_iter()
        .chain(list_files(config)?)
        .map(fingerprint)
        .collect()
}

fn fingerprint(path: PathBuf) -> Result<Fingerprint> {
    let metadata = metadata(&path)?;
    Ok((path, metadata.modified().ok(), metadata.len()))
}

fn metadata(path: &Path) -> Result<std::fs::Metadata> {
    std::fs::metadata(path).map_err(|e| Error::io("read", path, e))
}
