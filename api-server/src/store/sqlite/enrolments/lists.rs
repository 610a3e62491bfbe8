//! What is revoked, and the numbers of revocation lists.

use device_pki::SerialNumber;
use metadata_schema::time::Timestamp;
use rusqlite::{Transaction, params};

use super::super::SqliteStore;
use super::audit::log;
use crate::error::Result;
use crate::store::enrolments::Revoked;

pub(super) fn import(
    store: &SqliteStore,
    entries: &[(SerialNumber, Timestamp)],
    now: Timestamp,
) -> Result<usize> {
    let missing: Vec<_> = store.look("look for revocations", |db| {
        let mut known = db.prepare_cached("SELECT 1 FROM revocations WHERE serial = ?1")?;
        let mut missing = Vec::new();
        for (serial, since) in entries {
            if !known.exists([serial.to_string()])? {
                missing.push((serial, since));
            }
        }
        Ok(missing)
    })?;
    if missing.is_empty() {
        return Ok(0);
    }
    store.change("take revocations over", |db| {
        for (serial, since) in &missing {
            revoke_one(db, &serial.to_string(), **since)?;
            log(
                db,
                now,
                "revoked",
                "",
                &format!("certificate {serial}, by another list of the CA"),
            )?;
        }
        Ok(missing.len())
    })
}

pub(super) fn revoked(store: &SqliteStore, expired_before: Timestamp) -> Result<Revoked> {
    store.look("list revocations", |db| {
        let number: i64 = db.query_row("SELECT list FROM issuing", [], |row| row.get(0))?;
        let entries = db
            .prepare_cached(
                "SELECT serial, since FROM revocations WHERE serial NOT IN
                    (SELECT serial FROM certificates WHERE not_after < ?1) ORDER BY serial",
            )?
            .query_map([expired_before.unix_seconds()], |row| {
                let serial = SerialNumber::from_hex(&row.get::<_, String>(0)?);
                let since = Timestamp::from_unix_seconds(row.get(1)?);
                Ok((serial.unwrap_or_else(|| SerialNumber::new(&[])), since))
            })?
            .collect::<Result<_, _>>()?;
        Ok(Revoked {
            number: u64::try_from(number).unwrap_or(0),
            entries,
        })
    })
}

pub(super) fn take_list_number(store: &SqliteStore, above: u64) -> Result<u64> {
    let above = i64::try_from(above).unwrap_or(i64::MAX - 1);
    let number: i64 = store.change("take the number of a list", |db| {
        let number = db.query_row(
            "UPDATE issuing SET list = max(list, ?1) + 1 RETURNING list",
            [above],
            |row| row.get(0),
        )?;
        Ok(number)
    })?;
    Ok(u64::try_from(number).unwrap_or(0))
}

pub(super) fn revoke_one(
    db: &Transaction<'_>,
    serial: &str,
    since: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO revocations (serial, since) VALUES (?1, ?2) ON CONFLICT (serial) DO NOTHING",
    )?
    .execute(params![serial, since.unix_seconds()])
    .map(drop)
}
