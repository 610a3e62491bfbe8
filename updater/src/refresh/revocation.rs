//! Revocation lists: TUF targets `pki/SKI.crl`, authentic by the signature of the CA that issued them.
//!
//! The one that a device has stays in force until a newer one comes, so a list that is taken off the repository does not
//! un-revoke anybody.
//!
//! Lists of CAs that certified signers decide about firmware, so a refresh fails without them if they are published. The other
//! CAs' lists are for connections: the updater's own to its server, and those of `device-channel`, which reads them where they
//! are stored. One of these that cannot be had is said and left, and firmware is updated all the same.

use device_pki::{Certificate, Crl, crl_target_path};
use metadata_schema::name::RoleName;
use metadata_schema::trusted::{AtTargets, SharedGate};

use super::{Client, is_the_target};
use crate::error::{Error, StoreError};

/// Longest revocation list, in bytes: about 100,000 entries.
const MAX_LENGTH: u64 = 8 * 1024 * 1024;
/// Most lists of CAs that certified no signers.
const MAX_OTHERS: usize = 64;

impl Client<'_> {
    /// The gate, with the revocation lists that the device has.
    pub(super) fn gate(&self) -> Result<SharedGate, Error> {
        let mut crls = Vec::new();
        for (path, bytes) in self.store.load_crls()? {
            let what = path.display().to_string();
            let damaged = |e: device_pki::Error| StoreError::Damaged {
                path,
                why: e.to_string(),
            };
            crls.push(Crl::from_der(&what, &bytes).map_err(damaged)?);
        }
        Ok(self.trust.gate(crls))
    }

    /// Fetches the current lists of all CAs that the metadata names; says whether one was new.
    pub(super) async fn revocation_lists(&mut self, set: &mut AtTargets) -> Result<bool, Error> {
        let mut any_new = false;
        for (ski, issuer) in self.trust.issuers(set) {
            any_new |= self.revocation_list(set, &ski, &issuer).await?;
        }
        Ok(any_new)
    }

    /// Fetches the current lists of the CAs that certified no signers, as far as they can be had.
    pub(super) async fn other_lists(&mut self, set: &mut AtTargets) -> Result<(), Error> {
        let role = RoleName::delegated(device_pki::crl::ROLE).ok();
        let Some(lists) = role.and_then(|role| set.role(&role)) else {
            return Ok(());
        };
        let signers = self.trust.issuers(set);
        let mut others = self.trust.other_issuers(lists);
        others.retain(|ski, _| !signers.contains_key(ski));
        if others.len() > MAX_OTHERS {
            let count = others.len();
            tracing::warn!(count, most = MAX_OTHERS, "too many revocation lists");
        }
        for (ski, issuer) in others.iter().take(MAX_OTHERS) {
            match self.revocation_list(set, ski, issuer).await {
                Ok(true) => tracing::info!(ca = issuer.subject(), "new revocation list"),
                Ok(false) => {}
                Err(failed @ Error::Store(_)) => return Err(failed),
                Err(failed) => {
                    let (ca, why) = (issuer.subject(), failed.in_one_line());
                    tracing::warn!(ca, why, "no new revocation list");
                }
            }
        }
        Ok(())
    }

    /// Fetches the current list of a CA; says whether it is another than the stored one.
    async fn revocation_list(
        &mut self,
        set: &mut AtTargets,
        ski: &str,
        issuer: &Certificate,
    ) -> Result<bool, Error> {
        let path = crl_target_path(ski).map_err(Error::Identity)?;
        let Some(target) = self.find(set, &path).await? else {
            tracing::debug!(%path, "no revocation list is published");
            return Ok(false);
        };
        let stored = self.store.load_crl(ski)?;
        let unchanged = stored
            .as_ref()
            .is_some_and(|bytes| is_the_target(&target, bytes));
        if unchanged {
            return Ok(false);
        }
        let bytes = self.fetch_target(&target, MAX_LENGTH).await?;
        match accept(path.as_str(), issuer, &bytes, stored.as_deref()) {
            // A bundle may be older than what came over the network since.
            Err(Error::RevocationListRollback { .. }) if self.transport.offline() => {
                tracing::debug!(%path, "the stored revocation list is newer than the bundle's");
                return Ok(false);
            }
            accepted => accepted?,
        }
        self.store.save_crl(ski, &bytes)?;
        Ok(true)
    }
}

/// A list is accepted if its CA signed it, and its number (RFC 5280, section 5.2.3) is not below that of the stored one,
/// if the same CA signed that.
fn accept(
    path: &str,
    issuer: &Certificate,
    bytes: &[u8],
    stored: Option<&[u8]>,
) -> Result<(), Error> {
    let refused = |source| Error::RevocationList {
        path: path.to_owned(),
        source,
    };
    let crl = Crl::from_der(path, bytes).map_err(refused)?;
    crl.verify(issuer).map_err(refused)?;
    let stored = stored.and_then(|stored| Crl::from_der(path, stored).ok());
    match stored.filter(|stored| stored.verify(issuer).is_ok()) {
        Some(stored) if crl.number() < stored.number() => Err(Error::RevocationListRollback {
            path: path.to_owned(),
            trusted: stored.number().to_string(),
            found: crl.number().to_string(),
        }),
        _ => Ok(()),
    }
}
