//! Whether the CA issues.

use metadata_schema::time::Timestamp;
use rusqlite::Connection;

use super::super::SqliteStore;
use super::audit::log;
use crate::error::Result;

pub(super) fn enable(store: &SqliteStore, enabled: bool, by: &str, now: Timestamp) -> Result<bool> {
    store.change("switch the CA", |db| {
        let changed = db.execute(
            "UPDATE issuing SET enabled = ?1 WHERE enabled <> ?1",
            [enabled],
        )?;
        if changed > 0 {
            let event = if enabled { "CA enabled" } else { "CA disabled" };
            log(db, now, event, "", &format!("by {by}"))?;
        }
        Ok(changed > 0)
    })
}

pub(super) fn enabled(store: &SqliteStore) -> Result<bool> {
    store.look("read whether the CA is enabled", is_enabled)
}

pub(super) fn is_enabled(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT enabled FROM issuing", [], |row| row.get(0))
}
