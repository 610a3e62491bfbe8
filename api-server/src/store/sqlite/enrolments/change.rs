//! How the database is changed and looked at.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::SqliteStore;
use crate::error::{Error, Result};

impl SqliteStore {
    /// One change as a whole, with the audit entries that it makes: all of it is durable, or nothing has happened.
    pub(super) fn change<T>(
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

    pub(super) fn look<T>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        work(&self.lock()).map_err(|source| Error::Database { step, source })
    }
}

/// Why a change is not made: the database's reason, or ours.
pub(super) enum Failed {
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
