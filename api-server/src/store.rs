//! What the server remembers: devices and their reports.

pub mod audit;
pub mod enrolments;
mod migrations;
mod sqlite;

use device_pki::{DeviceIdentity, DeviceReport};
use metadata_schema::time::Timestamp;
use serde::Serialize;

use crate::error::Result;

pub use enrolments::Enrolments;
pub use sqlite::SqliteStore;

/// Most reports that are kept of one device; older ones make room.
pub const HISTORY: u32 = 1000;

/// Whether a report was recorded now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// It is new.
    New,
    /// A report with this id of this device is there already; the first one stands.
    Known,
}

/// A device in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRow {
    /// Its URN.
    pub urn: String,
    /// The serial number of the certificate that it showed last.
    pub certificate: String,
    /// When it first connected.
    pub first_seen: Timestamp,
    /// When it last connected or reported.
    pub last_seen: Timestamp,
    /// The product line, as it says.
    pub product: Option<String>,
    /// The firmware version that it runs, as it says.
    pub firmware_version: Option<String>,
    /// The last event but `checked`.
    pub last_result: Option<String>,
    /// More about that event.
    pub last_detail: Option<String>,
    /// How many reports of it are kept.
    pub reports: u32,
}

/// Remembers devices and reports. What returns is durable.
pub trait Store: Enrolments {
    /// Notes that a device has connected; one that was not known is known from now on.
    ///
    /// # Errors
    /// If that cannot be made durable.
    fn seen(&self, device: &DeviceIdentity, now: Timestamp) -> Result<()>;

    /// Records a report of a device, once for each id.
    ///
    /// # Errors
    /// If that cannot be made durable.
    fn record(
        &self,
        device: &DeviceIdentity,
        report: &DeviceReport,
        now: Timestamp,
    ) -> Result<Recorded>;

    /// All devices, by URN.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn devices(&self) -> Result<Vec<DeviceRow>>;

    /// The reports of a device, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn reports(&self, urn: &str) -> Result<Vec<DeviceReport>>;

    /// Whether the store works.
    ///
    /// # Errors
    /// If it does not.
    fn check(&self) -> Result<()>;
}
