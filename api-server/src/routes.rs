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

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use device_pki::{Clock, DeviceIdentity};

use crate::config::{Config, Limits};
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::problem::Problem;
use crate::store::Store;

/// What all routes share.
#[derive(Clone)]
pub struct App {
    folder: Folder,
    store: Arc<dyn Store>,
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
            clock: config.clock,
            limits: config.limits,
        })
    }

    /// Notes that a device has connected. A database that fails does not keep devices from their updates.
    pub(crate) async fn seen(&self, device: &DeviceIdentity) {
        let (device, now) = (device.clone(), self.clock.now());
        let noted = self
            .blocking("note a device", move |store| store.seen(&device, now))
            .await;
        if let Err(error) = noted {
            tracing::error!(reason = %error, source = ?std::error::Error::source(&error), "device not noted");
        }
    }

    /// Works on the store, away from the threads that move bytes.
    async fn blocking<T: Send + 'static>(
        &self,
        step: &'static str,
        work: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(store.as_ref()))
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
