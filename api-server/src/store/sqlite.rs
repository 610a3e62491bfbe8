//! The store in SQLite: one file, write-ahead log, every commit synced.

mod enrolments;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device_pki::{DeviceIdentity, DeviceReport, ReportEvent, durable};
use metadata_schema::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{DeviceRow, HISTORY, Recorded, Store, migrations};
use crate::error::{Error, Result};

/// How long to wait for another program that holds the database.
const BUSY: Duration = Duration::from_secs(5);

/// A store in a file `registry.sqlite`.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened or is of a later version.
    pub fn open(folder: &Path) -> Result<Self> {
        durable::create_dir_durable(folder, 0o700)?;
        let path = folder.join("registry.sqlite");
        let failed = |source| Error::Database {
            step: "open the file",
            source,
        };
        let mut connection = Connection::open(&path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(failed)?;
        migrations::migrate(&mut connection, &path)?;
        durable::sync_folder(folder)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic cut off was rolled back when it was dropped.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn seen(&self, device: &DeviceIdentity, now: Timestamp) -> Result<()> {
        let failed = |source| Error::Database {
            step: "note a device",
            source,
        };
        see(&self.lock(), device, now).map_err(failed)
    }

    fn record(
        &self,
        device: &DeviceIdentity,
        report: &DeviceReport,
        now: Timestamp,
    ) -> Result<Recorded> {
        let failed = |source| Error::Database {
            step: "record a report",
            source,
        };
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(failed)?;
        see(&transaction, device, now).map_err(failed)?;
        let new = insert(&transaction, device, report, now).map_err(failed)?;
        if new {
            take_over(&transaction, device, report, now).map_err(failed)?;
            forget(&transaction, device).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(if new { Recorded::New } else { Recorded::Known })
    }

    fn devices(&self) -> Result<Vec<DeviceRow>> {
        let failed = |source| Error::Database {
            step: "list devices",
            source,
        };
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT urn, certificate, first_seen, last_seen, product, firmware_version, last_result, last_detail,
                    (SELECT count(*) FROM reports WHERE device = urn)
                 FROM devices ORDER BY urn",
            )
            .map_err(failed)?;
        let rows = statement.query_map([], device_row).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn reports(&self, urn: &str) -> Result<Vec<DeviceReport>> {
        let failed = |source| Error::Database {
            step: "list reports",
            source,
        };
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT body FROM reports WHERE device = ? ORDER BY seq")
            .map_err(failed)?;
        let bodies = statement
            .query_map([urn], |row| row.get::<_, String>(0))
            .map_err(failed)?;
        bodies
            .map(|body| Ok(DeviceReport::from_json(body.map_err(failed)?.as_bytes())?))
            .collect()
    }

    fn check(&self) -> Result<()> {
        let failed = |source| Error::Database {
            step: "read",
            source,
        };
        self.lock()
            .query_row("SELECT count(*) FROM devices LIMIT 1", [], |_| Ok(()))
            .map_err(failed)
    }
}

fn see(connection: &Connection, device: &DeviceIdentity, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO devices (urn, certificate, first_seen, last_seen) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (urn) DO UPDATE SET certificate = ?2, last_seen = max(last_seen, ?3)",
        )?
        .execute(params![
            device.urn().as_str(),
            device.certificate_serial().to_string(),
            now.unix_seconds()
        ])
        .map(drop)
}

/// Whether the report is new.
fn insert(
    connection: &Connection,
    device: &DeviceIdentity,
    report: &DeviceReport,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let body = serde_json::to_string(report)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    let event = report.event.to_string();
    connection
        .prepare_cached(
            "INSERT INTO reports (device, id, received, event, body) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (device, id) DO NOTHING",
        )?
        .execute(params![
            device.urn().as_str(),
            report.id,
            now.unix_seconds(),
            event,
            body
        ])
        .map(|inserted| inserted == 1)
}

/// Takes the report's state over into the registry, unless a later one has been taken: devices keep reports that they
/// could not send, so they may come late. A device's clock may be ahead, and must not hold back what comes after: no
/// report counts as sent later than it was received.
fn take_over(
    connection: &Connection,
    device: &DeviceIdentity,
    report: &DeviceReport,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let urn = device.urn().as_str();
    let last: Option<i64> = connection
        .prepare_cached("SELECT last_sent FROM devices WHERE urn = ?")?
        .query_row([urn], |row| row.get(0))
        .optional()?
        .flatten();
    let now = now.unix_seconds();
    let sent = report.sent.unix_seconds().min(now);
    if last.is_some_and(|last| sent < last && last <= now) {
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE devices SET last_sent = ?2, product = ?3, hardware = ?4, slot = ?5, firmware_version = ?6
             WHERE urn = ?1",
        )?
        .execute(params![
            urn,
            sent,
            report.product,
            report.hardware,
            report.slot,
            report.firmware_version
        ])?;
    if report.event != ReportEvent::Checked {
        let event = report.event.to_string();
        connection
            .prepare_cached("UPDATE devices SET last_result = ?2, last_detail = ?3 WHERE urn = ?1")?
            .execute(params![urn, event, report.detail])?;
    }
    Ok(())
}

/// Drops the oldest reports of a device that has more than its share.
fn forget(connection: &Connection, device: &DeviceIdentity) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM reports WHERE device = ?1 AND seq <=
                (SELECT seq FROM reports WHERE device = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![device.urn().as_str(), HISTORY])
        .map(drop)
}

fn device_row(row: &Row<'_>) -> rusqlite::Result<DeviceRow> {
    let time = |index: usize| row.get::<_, i64>(index).map(Timestamp::from_unix_seconds);
    Ok(DeviceRow {
        urn: row.get(0)?,
        certificate: row.get(1)?,
        first_seen: time(2)?,
        last_seen: time(3)?,
        product: row.get(4)?,
        firmware_version: row.get(5)?,
        last_result: row.get(6)?,
        last_detail: row.get(7)?,
        reports: row.get(8)?,
    })
}
