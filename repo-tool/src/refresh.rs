//! The work of the online keys between releases: new timestamps and snapshots before the old ones expire.

use metadata_schema::name::RoleName;
use metadata_schema::roles::Role as _;
use metadata_schema::time::Timestamp;

use crate::assemble::sign_role;
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::publish::{Batch, Publication};
use crate::repository::Repository;
use crate::staged::Staged;

impl Repository {
    /// Signs anew what the online keys sign, where less than half of its time is left: `pki`, snapshot, timestamp. With
    /// `force`, whatever time is left. Does not touch what is staged.
    ///
    /// # Errors
    /// If nothing is published yet, or a device would refuse the result, for instance because root has expired.
    pub fn refresh(&self, now: Timestamp, force: bool) -> Result<Publication> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        state.staged = Staged::default();
        let (Some(snapshot), Some(timestamp)) =
            (&state.published.snapshot, &state.published.timestamp)
        else {
            return Err(Error::NothingStaged {
                path: self.layout.folder().to_owned(),
            });
        };
        let due = |role: &RoleName, expires: Timestamp| {
            let period =
                i64::from(self.settings.expiry_days.days(role)).saturating_mul(24 * 60 * 60);
            let left = expires.unix_seconds().saturating_sub(now.unix_seconds());
            force || left.saturating_mul(2) < period
        };
        let mut batch = Batch::default();
        let pki = RoleName::delegated(PKI_ROLE)?;
        if let Some(current) = state.published.delegated(&pki)?
            && due(&pki, current.common.expires)
        {
            let mut next = current.clone();
            next.common = state.next(&pki, &self.settings, now)?;
            let key = self.online_signer(&state, &pki)?;
            let envelope = sign_role(next.to_json(), &[&*key])?;
            batch.add(&pki, next.common.version, &envelope);
        }
        let new_snapshot =
            !batch.files.is_empty() || due(&RoleName::snapshot(), snapshot.common.expires);
        if !new_snapshot && !due(&RoleName::timestamp(), timestamp.common.expires) {
            return Ok(Publication::default());
        }
        self.add_online_roles(&state, &mut batch, now, new_snapshot)?;
        self.check(&state, &batch, now)?;
        let roles = self.write(&batch)?;
        self.record_publication(None, &roles, &batch, now)?;
        Ok(Publication {
            roles,
            files: Vec::new(),
        })
    }
}
