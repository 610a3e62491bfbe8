//! The list of devices that may enrol, their tokens and their requests.

use metadata_schema::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::SqliteStore;
use super::audit::log;
use super::lists::revoke_one;
use crate::error::{Error, Result};
use crate::store::enrolments::{Listed, TOKEN_LIFE};

pub(super) fn allow(
    store: &SqliteStore,
    devices: &[String],
    by: &str,
    now: Timestamp,
) -> Result<usize> {
    store.change("allow devices", |db| {
        let mut new = 0_usize;
        for device in devices {
            acceptable(device)?;
            match state(db, device)? {
                Some((listed, _)) if listed != *device => {
                    let reason = format!("{listed} is on the list, and differs only by case");
                    return Err(Error::Device {
                        device: device.clone(),
                        reason,
                    }
                    .into());
                }
                Some((_, true)) => continue,
                _ => {}
            }
            db.prepare_cached(
                "INSERT INTO enrolments (device, allowed, since) VALUES (?1, 1, ?2)
                 ON CONFLICT (device) DO UPDATE SET allowed = 1, since = ?2",
            )?
            .execute(params![device, now.unix_seconds()])?;
            log(db, now, "allowed", device, &format!("by {by}"))?;
            new = new.saturating_add(1);
        }
        Ok(new)
    })
}

pub(super) fn revoke(
    store: &SqliteStore,
    device: &str,
    by: &str,
    now: Timestamp,
) -> Result<Vec<String>> {
    store.change("revoke a device", |db| {
        let certificates: Vec<String> = db
            .prepare_cached(
                "SELECT serial FROM certificates WHERE device = ?1
                    AND serial NOT IN (SELECT serial FROM revocations) ORDER BY seq",
            )?
            .query_map([device], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let listed = state(db, device)?.filter(|(listed, _)| listed == device);
        if listed.is_none() && certificates.is_empty() {
            return Err(unknown(device).into());
        }
        for certificate in &certificates {
            revoke_one(db, certificate, now)?;
            let detail = format!("certificate {certificate}, by {by}");
            log(db, now, "revoked", device, &detail)?;
        }
        if listed.is_some_and(|(_, allowed)| allowed) {
            db.execute(
                "UPDATE enrolments SET allowed = 0, since = ?2 WHERE device = ?1",
                params![device, now.unix_seconds()],
            )?;
            log(db, now, "blocked", device, &format!("by {by}"))?;
        }
        db.execute("DELETE FROM requests WHERE device = ?1", [device])?;
        db.execute("DELETE FROM tokens WHERE device = ?1", [device])?;
        Ok(certificates)
    })
}

pub(super) fn approve(store: &SqliteStore, device: &str, by: &str, now: Timestamp) -> Result<bool> {
    store.change("approve of a request", |db| {
        let changed = db.execute(
            "UPDATE requests SET approved = 1 WHERE device = ?1 AND approved = 0",
            [device],
        )?;
        if changed > 0 {
            log(db, now, "approved", device, &format!("by {by}"))?;
        }
        Ok(changed > 0)
    })
}

pub(super) fn token(
    store: &SqliteStore,
    device: &str,
    hash: &str,
    by: &str,
    now: Timestamp,
) -> Result<()> {
    store.change("keep a token", |db| {
        match state(db, device)? {
            Some((listed, true)) if listed == device => {}
            _ => return Err(unknown(device).into()),
        }
        db.execute(
            "DELETE FROM tokens WHERE expires < ?1",
            [now.unix_seconds()],
        )?;
        db.execute(
            "INSERT INTO tokens (hash, device, expires) VALUES (?1, ?2, ?3)",
            params![hash, device, now.plus_seconds(TOKEN_LIFE).unix_seconds()],
        )?;
        log(db, now, "token", device, &format!("by {by}"))?;
        Ok(())
    })
}

pub(super) fn listed(store: &SqliteStore) -> Result<Vec<Listed>> {
    store.look("list devices", |db| {
        db.prepare_cached(
            "SELECT device, allowed,
                EXISTS (SELECT 1 FROM requests WHERE requests.device = e.device AND approved = 0),
                (SELECT max(not_after) FROM certificates WHERE certificates.device = e.device
                    AND serial NOT IN (SELECT serial FROM revocations))
             FROM enrolments AS e ORDER BY device",
        )?
        .query_map([], |row| {
            Ok(Listed {
                device: row.get(0)?,
                allowed: row.get(1)?,
                waiting: row.get(2)?,
                valid_until: row
                    .get::<_, Option<i64>>(3)?
                    .map(Timestamp::from_unix_seconds),
            })
        })?
        .collect()
    })
}

/// The serial number as it is on the list, however its letters are, and whether it may enrol.
pub(super) fn state(db: &Connection, device: &str) -> rusqlite::Result<Option<(String, bool)>> {
    db.prepare_cached("SELECT device, allowed FROM enrolments WHERE device = ?1")?
        .query_row([device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// A serial number has to be one that can stand in a URN and in a host's name.
fn acceptable(device: &str) -> Result<(), Error> {
    format!("urn:x:device:{device}")
        .parse::<device_pki::DeviceUrn>()
        .map(drop)
        .map_err(|_| Error::Device {
            device: device.to_owned(),
            reason: "a serial number is letters, digits and inner '-', at most 63".to_owned(),
        })
}

fn unknown(device: &str) -> Error {
    Error::Device {
        device: device.to_owned(),
        reason: "it is not on the list of devices that may enrol".to_owned(),
    }
}
