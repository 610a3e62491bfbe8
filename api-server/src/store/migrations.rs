//! The shape of the database, one step for each version; `user_version` says how many were taken.

use std::path::Path;

use rusqlite::Connection;

use crate::error::{Error, Result};

/// The steps, oldest first. A step that was released is never changed; what comes later is a new one.
const STEPS: [&str; 2] = [
    "
    CREATE TABLE devices (
        urn TEXT PRIMARY KEY,
        certificate TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        last_sent INTEGER,
        product TEXT,
        hardware TEXT,
        slot TEXT,
        firmware_version TEXT,
        last_result TEXT,
        last_detail TEXT
    ) STRICT;
    CREATE TABLE reports (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        device TEXT NOT NULL REFERENCES devices (urn),
        id TEXT NOT NULL,
        received INTEGER NOT NULL,
        event TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (device, id)
    ) STRICT;
    CREATE INDEX reports_of_device ON reports (device, seq);
",
    "
    CREATE TABLE enrolments (
        device TEXT PRIMARY KEY COLLATE NOCASE,
        allowed INTEGER NOT NULL,
        since INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE certificates (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        serial TEXT NOT NULL UNIQUE,
        device TEXT NOT NULL,
        key BLOB NOT NULL,
        der BLOB NOT NULL,
        issued INTEGER NOT NULL,
        not_after INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX certificates_of_device ON certificates (device, seq);
    CREATE INDEX certificates_of_key ON certificates (key);
    CREATE TABLE revocations (
        serial TEXT PRIMARY KEY,
        since INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE tokens (
        hash TEXT PRIMARY KEY,
        device TEXT NOT NULL,
        expires INTEGER NOT NULL,
        key BLOB
    ) STRICT;
    CREATE TABLE requests (
        device TEXT PRIMARY KEY,
        key BLOB NOT NULL,
        approved INTEGER NOT NULL,
        asked INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE issuing (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        enabled INTEGER NOT NULL,
        list INTEGER NOT NULL
    ) STRICT;
    INSERT INTO issuing VALUES (1, 1, 0);
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        device TEXT NOT NULL,
        detail TEXT NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE (ABORT, 'the audit log is not changed'); END;
    CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
        BEGIN SELECT RAISE (ABORT, 'the audit log is not removed'); END;
",
];

/// Brings a database to the last version, each step as a whole.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let failed = |source| Error::Database {
        step: "bring the tables up to date",
        source,
    };
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    let found = version(connection).map_err(failed)?;
    let taken = usize::try_from(found)
        .ok()
        .filter(|taken| *taken <= STEPS.len());
    let taken = taken.ok_or_else(|| Error::DatabaseVersion {
        path: path.to_owned(),
        found,
        known: STEPS.len(),
    })?;
    for (step, number) in STEPS.iter().zip(1_i64..).skip(taken) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", number)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("x")).unwrap();
        migrate(&mut connection, Path::new("x")).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection, Path::new("x")).unwrap_err();
        assert!(
            matches!(error, Error::DatabaseVersion { found: 99, .. }),
            "{error}"
        );
    }
}
