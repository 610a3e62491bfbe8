//! Routes: one file each.
//!
//! | route | what |
//! |---|---|
//! | `GET /repository/<path>` | a published file |
//! | `POST /v1/reports` | a device's report |
//! | `/.well-known/est/...` | enrolment and renewal of certificates (RFC 7030) |
//! | `GET /crl/<key id>.crl` | a revocation list |
//! | `GET /healthz` | whether the server and its database work |

pub(crate) mod est;
mod health;
mod reports;
mod repository;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use device_pki::{Clock, DeviceIdentity, DeviceUrn, SerialNumber};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::{Approval, Config, Limits, Superseded};
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::issuer::Issuer;
use crate::problem::Problem;
use crate::store::Store;

/// A device is noted at most this often.
const NOTE_AGAIN: Duration = Duration::from_secs(60);
/// Most devices of which we know when they were noted.
const MAX_NOTED: usize = 16 * 1024;
/// Most notes that wait for the database; further ones are left to the device's next connection.
const MAX_NOTING: usize = 256;
/// Most threads that wait for the database: the others are for the repository's files.
const STORE_THREADS: usize = 4;

/// A device, and the certificate that it showed.
type Noted = (DeviceUrn, SerialNumber);

/// What all routes share.
#[derive(Clone)]
pub struct App {
    folder: Folder,
    store: Arc<dyn Store>,
    threads: Arc<Semaphore>,
    noted: Arc<Mutex<HashMap<Noted, Instant>>>,
    noting: Arc<Semaphore>,
    clock: Clock,
    limits: Limits,
    credentials: Arc<Credentials>,
    issuer: Option<Arc<Issuer>>,
    /// Whether a person approves of a first enrolment.
    manual: bool,
    /// Whether certificates that were superseded are revoked.
    supersedes: bool,
}

impl App {
    /// Over the folder of `config` and this store.
    ///
    /// # Errors
    /// If the folder is not there.
    pub fn new(
        config: &Config,
        store: Arc<dyn Store>,
        credentials: Arc<Credentials>,
        issuer: Option<Arc<Issuer>>,
    ) -> Result<Self> {
        let folder = Folder::new(&config.repository)?;
        let est = config.est.as_ref();
        Ok(Self {
            folder,
            store,
            threads: Arc::new(Semaphore::new(STORE_THREADS)),
            noted: Arc::default(),
            noting: Arc::new(Semaphore::new(MAX_NOTING)),
            clock: config.clock,
            limits: config.limits,
            credentials,
            issuer,
            manual: est.is_some_and(|est| est.approval == Approval::Manual),
            supersedes: est.is_some_and(|est| est.superseded == Superseded::Revoke),
        })
    }

    /// Notes that a device has connected, in the background and once a minute: a database that is slow, locked or full
    /// does not keep devices from their updates.
    pub(crate) fn seen(&self, device: &DeviceIdentity) {
        let Ok(noting) = Arc::clone(&self.noting).try_acquire_owned() else {
            return;
        };
        // A new certificate is noted at once.
        let noted = (device.urn().clone(), device.certificate_serial().clone());
        if !self.is_due(&noted) {
            return;
        }
        let (app, device, now) = (self.clone(), device.clone(), self.clock.now());
        tokio::spawn(async move {
            let supersedes = app.supersedes;
            let work = move |store: &dyn Store| {
                store.seen(&device, now)?;
                if supersedes {
                    store.used(&device, now)
                } else {
                    Ok(0)
                }
            };
            let done = app.blocking("note a device", work).await;
            if let Err(error) = done {
                tracing::error!(device = %noted.0, reason = %error, source = ?std::error::Error::source(&error), "device not noted");
                app.noted().remove(&noted);
            }
            drop(noting);
        });
    }

    /// Whether a device has not been noted for a while; from now on it has.
    fn is_due(&self, device: &Noted) -> bool {
        let mut noted = self.noted();
        if noted
            .get(device)
            .is_some_and(|at| at.elapsed() < NOTE_AGAIN)
        {
            return false;
        }
        if noted.len() >= MAX_NOTED {
            noted.retain(|_, at| at.elapsed() < NOTE_AGAIN);
        }
        if noted.len() >= MAX_NOTED {
            // Better to note devices too often than to remember too many.
            noted.clear();
        }
        noted.insert(device.clone(), Instant::now());
        true
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, HashMap<Noted, Instant>> {
        // The map is whole even if a thread panicked: every change is a single call.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the store, away from the threads that move bytes.
    async fn blocking<T: Send + 'static>(
        &self,
        step: &'static str,
        work: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let work = move || {
            let done = work(store.as_ref());
            drop(thread);
            done
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or(Err(Error::CutOff { step }))
    }
}

/// All routes. A request has to carry the [`DeviceIdentity`] of its connection as an extension.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/v1/reports", post(reports::post))
        .route(&est("simplereenroll"), post(est::renew))
        .route(&est("simpleenroll"), post(est::elsewhere))
        .merge(everywhere())
        .fallback(repository::get)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// The routes where devices enrol. A request has to carry a [`est::Newcomer`] as an extension.
pub(crate) fn enrolment(app: App) -> Router {
    Router::new()
        .route(&est("simpleenroll"), post(est::enrol))
        .route(&est("simplereenroll"), post(est::elsewhere))
        .merge(everywhere())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

fn everywhere() -> Router<App> {
    Router::new()
        .route(&est("cacerts"), get(est::cacerts))
        .route(&est("csrattrs"), get(est::csrattrs))
        .route("/crl/{name}", get(est::crl))
}

/// An operation of EST (RFC 7030, section 3.2.2).
fn est(operation: &str) -> String {
    format!("/.well-known/est/{operation}")
}

async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is no {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn method_not_allowed(uri: Uri) -> Problem {
    let detail = format!("{} does not take this method", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
