//! The audit log: each entry is chained to the one before by its hash.

use metadata_schema::time::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::super::SqliteStore;
use crate::error::{Error, Result};
use crate::store::audit::{BEGINNING, Entry};

pub(super) fn audit(store: &SqliteStore, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
    let failed = |source| Error::Database {
        step: "read the audit log",
        source,
    };
    let connection = store.lock();
    let mut statement = connection
        .prepare("SELECT seq, at, event, device, detail, hash FROM audit ORDER BY seq")
        .map_err(failed)?;
    let rows = statement
        .query_map([], |row| {
            Ok(Entry {
                number: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                at: Timestamp::from_unix_seconds(row.get(1)?),
                event: row.get(2)?,
                device: row.get(3)?,
                detail: row.get(4)?,
                hash: row.get(5)?,
            })
        })
        .map_err(failed)?;
    for row in rows {
        each(row.map_err(failed)?)?;
    }
    Ok(())
}

/// Appends to the audit log.
pub(super) fn log(
    db: &Transaction<'_>,
    at: Timestamp,
    event: &str,
    device: &str,
    detail: &str,
) -> rusqlite::Result<()> {
    let last: Option<(i64, [u8; 32])> = db
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (last, previous) = last.unwrap_or((0, BEGINNING));
    let number = last.saturating_add(1);
    let entry = Entry::after(
        &previous,
        u64::try_from(number).unwrap_or(0),
        at,
        event,
        device,
        detail,
    );
    db.prepare_cached(
        "INSERT INTO audit (seq, at, event, device, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        number,
        at.unix_seconds(),
        event,
        device,
        detail,
        entry.hash
    ])
    .map(drop)
}
