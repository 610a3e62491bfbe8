//! Who is certified, and what was issued.

use device_pki::{Certificate, DeviceIdentity};
use metadata_schema::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::super::SqliteStore;
use super::audit::log;
use super::change::Failed;
use super::devices::state;
use super::lists::revoke_one;
use super::switch::is_enabled;
use crate::error::{Error, Result};
use crate::store::enrolments::{Ask, IssuedRow, PER_DAY, Proof, Refusal, Verdict};

/// Seconds of a day.
const DAY: i64 = 86_400;

pub(super) fn enrol(
    store: &SqliteStore,
    ask: &Ask,
    sign: &dyn Fn() -> Result<Certificate>,
) -> Result<Verdict> {
    store.change("enrol a device", |db| {
        if let Some(refusal) = refusal(db, ask)? {
            return Ok(Verdict::Refused(refusal));
        }
        // The answer may have been lost on its way: the same key gets the same certificate.
        if let Some(known) = certified(db, ask)? {
            let same = !matches!(&ask.proof, Proof::Current(shown) if shown == known.serial());
            return Ok(if same {
                Verdict::Issued(Box::new(known))
            } else {
                Verdict::Refused(Refusal::UsedKey)
            });
        }
        if key_known(db, &ask.key)? {
            return Ok(Verdict::Refused(Refusal::UsedKey));
        }
        if issued_since(db, &ask.device, ask.now.plus_seconds(-DAY))? >= PER_DAY {
            return Ok(Verdict::Refused(Refusal::TooMany));
        }
        let first = !matches!(ask.proof, Proof::Current(_));
        if ask.manual && first && !approved(db, ask)? {
            return Ok(Verdict::Waiting);
        }
        let certificate = sign()?;
        enter(db, ask, &certificate)?;
        Ok(Verdict::Issued(Box::new(certificate)))
    })
}

pub(super) fn used(store: &SqliteStore, device: &DeviceIdentity, now: Timestamp) -> Result<usize> {
    let (serial, shown) = (device.serial(), device.certificate_serial().to_string());
    let older = |db: &Connection| -> rusqlite::Result<Vec<String>> {
        db.prepare_cached(
            "SELECT serial FROM certificates WHERE device = ?1 AND not_after >= ?3
                AND seq < (SELECT seq FROM certificates WHERE serial = ?2 AND device = ?1)
                AND serial NOT IN (SELECT serial FROM revocations)",
        )?
        .query_map(params![serial, shown, now.unix_seconds()], |row| row.get(0))?
        .collect()
    };
    // Nearly always there is nothing to do, and nothing to lock for.
    if store.look("look for older certificates", older)?.is_empty() {
        return Ok(0);
    }
    store.change("supersede certificates", |db| {
        let certificates = older(db)?;
        for certificate in &certificates {
            revoke_one(db, certificate, now)?;
            let detail = format!("certificate {certificate}, by {shown}");
            log(db, now, "superseded", serial, &detail)?;
        }
        Ok(certificates.len())
    })
}

pub(super) fn issued(store: &SqliteStore, device: &str) -> Result<Vec<IssuedRow>> {
    store.look("list certificates", |db| {
        db.prepare_cached(
            "SELECT serial, device, not_after,
                (SELECT since FROM revocations WHERE revocations.serial = c.serial)
             FROM certificates AS c WHERE device = ?1 ORDER BY seq",
        )?
        .query_map([device], |row| {
            Ok(IssuedRow {
                certificate: row.get(0)?,
                device: row.get(1)?,
                not_after: Timestamp::from_unix_seconds(row.get(2)?),
                revoked: row
                    .get::<_, Option<i64>>(3)?
                    .map(Timestamp::from_unix_seconds),
            })
        })?
        .collect()
    })
}

/// Why this device gets nothing, whatever the key.
fn refusal(db: &Transaction<'_>, ask: &Ask) -> Result<Option<Refusal>, Failed> {
    if !is_enabled(db)? {
        return Ok(Some(Refusal::Disabled));
    }
    // The token first: without a good one, nobody learns which devices there are.
    if let Proof::Token(hash) = &ask.proof
        && !token_is_good(db, ask, hash)?
    {
        return Ok(Some(Refusal::Token));
    }
    match state(db, &ask.device)? {
        Some((listed, _)) if listed != ask.device => return Ok(Some(Refusal::NotListed)),
        None => return Ok(Some(Refusal::NotListed)),
        Some((_, false)) => return Ok(Some(Refusal::Blocked)),
        Some((_, true)) => {}
    }
    if let Proof::Current(shown) = &ask.proof {
        let shown = shown.to_string();
        let revoked = db
            .prepare_cached("SELECT 1 FROM revocations WHERE serial = ?1")?
            .exists([&shown])?;
        // What others of this CA have certified is taken as long as there is nothing from here: then a stranger is a forgery.
        let stranger = db
            .prepare_cached(
                "SELECT 1 FROM certificates WHERE device = ?1
                    AND NOT EXISTS (SELECT 1 FROM certificates WHERE device = ?1 AND serial = ?2)",
            )?
            .exists([&ask.device, &shown])?;
        if revoked || stranger {
            return Ok(Some(Refusal::NotCurrent));
        }
    }
    Ok(None)
}

/// Good for this device, not too old, and not used for another key.
fn token_is_good(db: &Transaction<'_>, ask: &Ask, hash: &str) -> rusqlite::Result<bool> {
    let found: Option<(String, i64, Option<Vec<u8>>)> = db
        .prepare_cached("SELECT device, expires, key FROM tokens WHERE hash = ?1")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(found.is_some_and(|(device, expires, key)| {
        device == ask.device
            && ask.now.unix_seconds() <= expires
            && key.is_none_or(|key| key == ask.key)
    }))
}

/// The certificate in force that this device has for this key already.
fn certified(db: &Transaction<'_>, ask: &Ask) -> Result<Option<Certificate>, Failed> {
    let der: Option<Vec<u8>> = db
        .prepare_cached(
            "SELECT der FROM certificates WHERE key = ?1 AND device = ?2 AND not_after >= ?3
                AND serial NOT IN (SELECT serial FROM revocations) ORDER BY seq DESC LIMIT 1",
        )?
        .query_row(
            params![ask.key, ask.device, ask.now.unix_seconds()],
            |row| row.get(0),
        )
        .optional()?;
    let certificate = der.map(|der| Certificate::from_der("certificate in the database", &der));
    Ok(certificate.transpose().map_err(Error::from)?)
}

fn key_known(db: &Transaction<'_>, key: &[u8]) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM certificates WHERE key = ?1")?
        .exists([key])
}

fn issued_since(db: &Transaction<'_>, device: &str, since: Timestamp) -> rusqlite::Result<u32> {
    db.prepare_cached("SELECT count(*) FROM certificates WHERE device = ?1 AND issued > ?2")?
        .query_row(params![device, since.unix_seconds()], |row| row.get(0))
}

/// Whether a person approved of this key for this device; if not, the request waits from now on in the place of a former one.
fn approved(db: &Transaction<'_>, ask: &Ask) -> Result<bool, Failed> {
    let found: Option<(Vec<u8>, bool)> = db
        .prepare_cached("SELECT key, approved FROM requests WHERE device = ?1")?
        .query_row([&ask.device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((key, approved)) if key == ask.key => Ok(approved),
        _ => {
            db.execute(
                "INSERT INTO requests (device, key, approved, asked) VALUES (?1, ?2, 0, ?3)
                 ON CONFLICT (device) DO UPDATE SET key = ?2, approved = 0, asked = ?3",
                params![ask.device, ask.key, ask.now.unix_seconds()],
            )?;
            log(
                db,
                ask.now,
                "asked",
                &ask.device,
                &format!("by {}", ask.proof.name()),
            )?;
            Ok(false)
        }
    }
}

/// Enters a certificate: whatever exists can be revoked, and is in the log.
fn enter(db: &Transaction<'_>, ask: &Ask, certificate: &Certificate) -> Result<(), Failed> {
    let serial = certificate.serial().to_string();
    db.execute(
        "INSERT INTO certificates (serial, device, key, der, issued, not_after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            serial,
            ask.device,
            ask.key,
            certificate.der().as_ref(),
            ask.now.unix_seconds(),
            certificate.not_after().unix_seconds()
        ],
    )?;
    if let Proof::Token(hash) = &ask.proof {
        db.execute(
            "UPDATE tokens SET key = ?2 WHERE hash = ?1",
            params![hash, ask.key],
        )?;
    }
    db.execute("DELETE FROM requests WHERE device = ?1", [&ask.device])?;
    let detail = format!(
        "certificate {serial} until {}, by {}",
        certificate.not_after(),
        ask.proof.name()
    );
    log(db, ask.now, "issued", &ask.device, &detail)?;
    Ok(())
}
