//! The work of the online keys between releases: new timestamps and snapshots before the old ones expire.

use metadata_schema::name::RoleName;
use metadata_schema::roles::Role as _;
use metadata_schema::time::Timestamp;

use crate::assemble::sign_role;
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::publish::{Batch, Publication};
use crate::repository::{Repository, State};
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
        let due = |role: &RoleName, expires: Timestamp| force || self.half_gone(role, expires, now);
        let mut batch = Batch::default();
        self.renew_pki(&state, &mut batch, now, force)?;
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

    /// Adds the next version of `pki` to what is about to be published, if less than half of its time is left: nobody but an
    /// online key signs it, so no person should have to think of it.
    pub(crate) fn renew_pki(
        &self,
        state: &State,
        batch: &mut Batch,
        now: Timestamp,
        force: bool,
    ) -> Result<()> {
        let pki = RoleName::delegated(PKI_ROLE)?;
        let Some(current) = state.published.delegated(&pki)? else {
            return Ok(());
        };
        if force || self.half_gone(&pki, current.common.expires, now) {
            let mut next = current.clone();
            next.common = state.next(&pki, &self.settings, now)?;
            let key = self.online_signer(state, &pki)?;
            let envelope = sign_role(next.to_json(), &[&*key])?;
            batch.add(&pki, next.common.version, &envelope);
        }
        Ok(())
    }

    fn half_gone(&self, role: &RoleName, expires: Timestamp, now: Timestamp) -> bool {
        let period = i64::from(self.settings.expiry_days.days(role)).saturating_mul(24 * 60 * 60);
        let left = expires.unix_seconds().saturating_sub(now.unix_seconds());
        left.saturating_mul(2) < period
    }
}
