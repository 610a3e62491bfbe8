//! Routes: one file each.
//!
//! | route | what |
//! |---|---|
//! | `GET /repository/<path>` | a published file |
//! | `POST /v1/reports` | a device's report |
//! | `GET /healthz` | whether the server and its database work |

mod health;
mod reports;
mod repository;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use device_pki::{Clock, DeviceIdentity, DeviceUrn};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::{Config, Limits};
use crate::error::{Error, Result};
use crate::files::Folder;
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

/// What all routes share.
#[derive(Clone)]
pub struct App {
    folder: Folder,
    store: Arc<dyn Store>,
    threads: Arc<Semaphore>,
    noted: Arc<Mutex<HashMap<DeviceUrn, Instant>>>,
    noting: Arc<Semaphore>,
    clock: Clock,
    limits: Limits,
}

impl App {
    /// Over the folder of `config` and this store.
    ///
    /// # Errors
    /// If the folder is not there.
    pub fn new(config: &Config, store: Arc<dyn Store>) -> Result<Self> {
        let folder = Folder::new(&config.repository)?;
        Ok(Self {
            folder,
            store,
            threads: Arc::new(Semaphore::new(STORE_THREADS)),
            noted: Arc::default(),
            noting: Arc::new(Semaphore::new(MAX_NOTING)),
            clock: config.clock,
            limits: config.limits,
        })
    }

    /// Notes that a device has connected, in the background and once a minute: a database that is slow, locked or full
    /// does not keep devices from their updates.
    pub(crate) fn seen(&self, device: &DeviceIdentity) {
        let Ok(noting) = Arc::clone(&self.noting).try_acquire_owned() else {
            return;
        };
        if !self.is_due(device.urn()) {
            return;
        }
        let (app, device, now) = (self.clone(), device.clone(), self.clock.now());
        tokio::spawn(async move {
            let urn = device.urn().clone();
            let noted = app
                .blocking("note a device", move |store| store.seen(&device, now))
                .await;
            if let Err(error) = noted {
                tracing::error!(device = %urn, reason = %error, source = ?std::error::Error::source(&error), "device not noted");
                app.noted().remove(&urn);
            }
            drop(noting);
        });
    }

    /// Whether a device has not been noted for a while; from now on it has.
    fn is_due(&self, urn: &DeviceUrn) -> bool {
        let mut noted = self.noted();
        if noted.get(urn).is_some_and(|at| at.elapsed() < NOTE_AGAIN) {
            return false;
        }
        if noted.len() >= MAX_NOTED {
            noted.retain(|_, at| at.elapsed() < NOTE_AGAIN);
        }
        if noted.len() >= MAX_NOTED {
            // Better to note devices too often than to remember too many.
            noted.clear();
        }
        noted.insert(urn.clone(), Instant::now());
        true
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceUrn, Instant>> {
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
        .fallback(repository::get)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

async fn method_not_allowed(uri: Uri) -> Problem {
    let detail = format!("{} does not take this method", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
