//! Enrolment in SQLite.

use device_pki::{Certificate, DeviceIdentity, SerialNumber};
use metadata_schema::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::SqliteStore;
use crate::error::{Error, Result};
use crate::store::audit::{BEGINNING, Entry};
use crate::store::enrolments::{
    Ask, Enrolments, IssuedRow, Listed, PER_DAY, Proof, Refusal, Revoked, TOKEN_LIFE, Verdict,
};

/// Seconds of a day.
const DAY: i64 = 86_400;

impl SqliteStore {
    /// One change as a whole, with the audit entries that it makes: all of it is durable, or nothing has happened.
    fn change<T>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failed>,
    ) -> Result<T> {
        let failed = |source| Error::Database { step, source };
        let mut connection = self.lock();
        // Writing from the beginning on: two that read first and write then could not both be right.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let done = work(&transaction).map_err(|e| e.into_error(step))?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    fn look<T>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        work(&self.lock()).map_err(|source| Error::Database { step, source })
    }
}

/// Why a change is not made: the database's reason, or ours.
enum Failed {
    Database(rusqlite::Error),
    Other(Error),
}

impl Failed {
    fn into_error(self, step: &'static str) -> Error {
        match self {
            Self::Database(source) => Error::Database { step, source },
            Self::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Enrolments for SqliteStore {
    fn enrol(&self, ask: &Ask, sign: &dyn Fn() -> Result<Certificate>) -> Result<Verdict> {
        self.change("enrol a device", |db| {
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

    fn used(&self, device: &DeviceIdentity, now: Timestamp) -> Result<usize> {
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
        if self.look("look for older certificates", older)?.is_empty() {
            return Ok(0);
        }
        self.change("supersede certificates", |db| {
            let certificates = older(db)?;
            for certificate in &certificates {
                revoke_one(db, certificate, now)?;
                let detail = format!("certificate {certificate}, by {shown}");
                log(db, now, "superseded", serial, &detail)?;
            }
            Ok(certificates.len())
        })
    }

    fn allow(&self, devices: &[String], by: &str, now: Timestamp) -> Result<usize> {
        self.change("allow devices", |db| {
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

    fn revoke(&self, device: &str, by: &str, now: Timestamp) -> Result<Vec<String>> {
        self.change("revoke a device", |db| {
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

    fn approve(&self, device: &str, by: &str, now: Timestamp) -> Result<bool> {
        self.change("approve of a request", |db| {
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

    fn token(&self, device: &str, hash: &str, by: &str, now: Timestamp) -> Result<()> {
        self.change("keep a token", |db| {
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

    fn enable(&self, enabled: bool, by: &str, now: Timestamp) -> Result<bool> {
        self.change("switch the CA", |db| {
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

    fn enabled(&self) -> Result<bool> {
        self.look("read whether the CA is enabled", enabled)
    }

    fn listed(&self) -> Result<Vec<Listed>> {
        self.look("list devices", |db| {
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
                    valid_until: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_unix_seconds),
                })
            })?
            .collect()
        })
    }

    fn issued(&self, device: &str) -> Result<Vec<IssuedRow>> {
        self.look("list certificates", |db| {
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

    fn import(&self, entries: &[(SerialNumber, Timestamp)], now: Timestamp) -> Result<usize> {
        let missing: Vec<_> = self.look("look for revocations", |db| {
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
        self.change("take revocations over", |db| {
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

    fn revoked(&self, expired_before: Timestamp) -> Result<Revoked> {
        self.look("list revocations", |db| {
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

    fn take_list_number(&self, above: u64) -> Result<u64> {
        let above = i64::try_from(above).unwrap_or(i64::MAX - 1);
        let number: i64 = self.change("take the number of a list", |db| {
            let number = db.query_row(
                "UPDATE issuing SET list = max(list, ?1) + 1 RETURNING list",
                [above],
                |row| row.get(0),
            )?;
            Ok(number)
        })?;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    fn audit(&self, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let failed = |source| Error::Database {
            step: "read the audit log",
            source,
        };
        let connection = self.lock();
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
}

/// Why this device gets nothing, whatever the key.
fn refusal(db: &Transaction<'_>, ask: &Ask) -> Result<Option<Refusal>, Failed> {
    if !enabled(db)? {
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

fn revoke_one(db: &Transaction<'_>, serial: &str, since: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO revocations (serial, since) VALUES (?1, ?2) ON CONFLICT (serial) DO NOTHING",
    )?
    .execute(params![serial, since.unix_seconds()])
    .map(drop)
}

/// The serial number as it is on the list, however its letters are, and whether it may enrol.
fn state(db: &Connection, device: &str) -> rusqlite::Result<Option<(String, bool)>> {
    db.prepare_cached("SELECT device, allowed FROM enrolments WHERE device = ?1")?
        .query_row([device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn enabled(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT enabled FROM issuing", [], |row| row.get(0))
}

/// Appends to the audit log.
fn log(
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
