//! Telling the server what happened. A report that cannot be sent is kept and sent later; it never decides anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use device_pki::{DeviceReport, durable};
use reqwest::Client;

use crate::error::StoreError;
use crate::pulse;
use crate::storage::Storage;

/// Most reports that wait; the oldest are dropped.
const MAX_WAITING: usize = 32;
/// Longest report, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;
/// Longest that sending one may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reports that wait in a folder, one file each.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: PathBuf,
    storage: Storage,
}

impl Outbox {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path, storage: &Storage) -> Result<Self, StoreError> {
        storage.make_dir(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            storage: storage.clone(),
        })
    }

    /// Adds a report.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn add(&self, report: &DeviceReport) -> Result<(), StoreError> {
        let waiting = self.waiting();
        for surplus in waiting.iter().rev().skip(MAX_WAITING.saturating_sub(1)) {
            self.storage.remove(surplus)?;
        }
        let number = waiting
            .last()
            .and_then(|path| number_of(path))
            .unwrap_or(0)
            .saturating_add(1);
        let path = self.folder.join(format!("{number:020}.json"));
        let text = serde_json::to_vec(report).map_err(|e| StoreError::Damaged {
            path: path.clone(),
            why: e.to_string(),
        })?;
        self.storage.write(&path, &text, durable::SECRET)
    }

    /// Sends what waits, the oldest first; returns how many the server took.
    pub async fn send(&self, client: &Client, url: &str) -> usize {
        let mut taken = 0_usize;
        for path in self.waiting() {
            pulse::beat();
            let Ok(text) = durable::read_bounded(&path, MAX_LENGTH) else {
                continue;
            };
            let request = client
                .post(url)
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .timeout(PATIENCE)
                .body(text);
            match request.send().await {
                // The server will never take a report that it calls malformed or not this device's: asking again would
                // not help. Anything else may pass.
                Ok(answer)
                    if answer.status().is_success()
                        || matches!(answer.status().as_u16(), 400 | 403 | 413 | 422) =>
                {
                    if !answer.status().is_success() {
                        tracing::warn!(
                            status = answer.status().as_u16(),
                            "the server refuses a report"
                        );
                    }
                    if self.storage.remove(&path).is_ok() {
                        taken = taken.saturating_add(1);
                    }
                }
                Ok(answer) => {
                    tracing::info!(
                        status = answer.status().as_u16(),
                        "the report waits: the server is not ready"
                    );
                    break;
                }
                Err(e) => {
                    tracing::info!(error = %e.without_url(), "the report waits: the server cannot be reached");
                    break;
                }
            }
        }
        taken
    }

    fn waiting(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| number_of(path).is_some())
            .collect();
        paths.sort();
        paths
    }
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".json")?
        .parse()
        .ok()
}
