//! What the device trusted before: it sets the rollback floor, so a file that is there and cannot be used is an error and not
//! a fresh start.

use std::sync::Arc;

use metadata_schema::MetadataError;
use metadata_schema::envelope::Verified;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Snapshot, Timestamp};
use metadata_schema::trusted::AtRoot;

use super::Client;
use crate::error::{Error, StoreError};

/// A snapshot as it is stored, and verified.
pub(super) type LocalSnapshot = (Vec<u8>, Arc<Verified<Snapshot>>);

impl Client<'_> {
    /// The timestamp that is trusted so far.
    pub(super) fn local_timestamp(
        &self,
        root: &AtRoot,
    ) -> Result<Option<Verified<Timestamp>>, Error> {
        let role = RoleName::timestamp();
        let Some(bytes) = self.store.load(&role)? else {
            return Ok(None);
        };
        let recalled = root.recall_timestamp(&bytes);
        recalled.map(Some).map_err(|e| self.damaged(&role, &e))
    }

    /// The snapshot that is trusted so far, with its bytes.
    pub(super) fn local_snapshot(&self, root: &AtRoot) -> Result<Option<LocalSnapshot>, Error> {
        let role = RoleName::snapshot();
        let Some(bytes) = self.store.load(&role)? else {
            return Ok(None);
        };
        let recalled = root.recall_snapshot(&bytes);
        let snapshot = recalled.map_err(|e| self.damaged(&role, &e))?;
        Ok(Some((bytes, Arc::new(snapshot))))
    }

    /// A file of ours that is not what we stored.
    pub(super) fn damaged(&self, role: &RoleName, why: &MetadataError) -> Error {
        StoreError::Damaged {
            path: self.store.path(role),
            why: why.to_string(),
        }
        .into()
    }
}
