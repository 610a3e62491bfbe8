//! What the device trusted before: it sets the rollback floor, so a file that is there and cannot be used is an error and not
//! a fresh start.

use metadata_schema::MetadataError;
use metadata_schema::envelope::Verified;
use metadata_schema::gate::PlainTuf;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Snapshot, Timestamp};
use metadata_schema::trusted::{AtRoot, RootWalk};

use super::Client;
use crate::error::Error;

/// A snapshot as it is stored, and verified.
pub(super) type LocalSnapshot = (Vec<u8>, Verified<Snapshot>);

impl Client<'_> {
    /// The root to start from: the stored one, or the factory's if that is newer (new firmware may bring one). Says whether it
    /// is stored already.
    pub(super) fn newest_local_root(&self, factory_root: &[u8]) -> Result<(Vec<u8>, bool), Error> {
        let plain = || std::sync::Arc::new(PlainTuf);
        let role = RoleName::root();
        let factory = RootWalk::from_trusted(factory_root, plain())?;
        let Some(stored) = self.store.load(&role)? else {
            return Ok((factory_root.to_vec(), false));
        };
        let walk = RootWalk::from_trusted(&stored, plain()).map_err(|e| self.damaged(&role, &e))?;
        if factory.root().common.version > walk.root().common.version {
            return Ok((factory_root.to_vec(), false));
        }
        Ok((stored, true))
    }

    /// The timestamp that is trusted so far.
    pub(super) fn local_timestamp(
        &self,
        root: &AtRoot,
    ) -> Result<Option<Verified<Timestamp>>, Error> {
        let role = RoleName::timestamp();
        let Some(bytes) = self.store.load(&role)? else {
            return Ok(None);
        };
        self.recalled(root, &role, &bytes, root.recall_timestamp(&bytes))
    }

    /// The snapshot that is trusted so far, with its bytes.
    pub(super) fn local_snapshot(&self, root: &AtRoot) -> Result<Option<LocalSnapshot>, Error> {
        let role = RoleName::snapshot();
        let Some(bytes) = self.store.load(&role)? else {
            return Ok(None);
        };
        let recalled = self.recalled(root, &role, &bytes, root.recall_snapshot(&bytes))?;
        Ok(recalled.map(|snapshot| (bytes, snapshot)))
    }

    /// A local file that the current keys did not sign is either of keys that were rotated, which an earlier root tells, or
    /// damaged.
    fn recalled<T>(
        &self,
        root: &AtRoot,
        role: &RoleName,
        bytes: &[u8],
        recalled: Result<T, MetadataError>,
    ) -> Result<Option<T>, Error> {
        match recalled {
            Ok(value) => Ok(Some(value)),
            Err(MetadataError::Threshold(_))
                if self.signed_by_an_earlier_root(root, role, bytes)? =>
            {
                Ok(None)
            }
            Err(e) => Err(self.damaged(role, &e)),
        }
    }

    fn signed_by_an_earlier_root(
        &self,
        root: &AtRoot,
        role: &RoleName,
        bytes: &[u8],
    ) -> Result<bool, Error> {
        let newest = root.root().common.version.number();
        for number in (1..newest).rev() {
            let Some(version) = Version::new(number) else {
                break;
            };
            let Some(earlier) = self.store.load_root(version)? else {
                continue;
            };
            let gate = std::sync::Arc::new(PlainTuf);
            if RootWalk::from_trusted(&earlier, gate).is_ok_and(|walk| walk.signs(role, bytes)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
