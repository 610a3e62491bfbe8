//! The first refresh of a device that trusts nothing yet, or nothing any more: see [`crate::bootstrap`].

use device_pki::Crl;
use metadata_schema::name::Version;
use metadata_schema::trusted::{AtTargets, RootWalk};

use super::{Client, RunClock};
use crate::error::{BootstrapError, Error};
use crate::transport::{Part, fetch};
use crate::trust::Trust;

impl Client<'_> {
    /// A refresh that begins with a root from the network, and takes nothing on trust that a revocation list could speak against.
    /// The store has to be empty, and is worth nothing unless this succeeds.
    ///
    /// # Errors
    /// As of a refresh; if the root is not signed by a threshold of keys that are bound to the trust anchor; if a CA that
    /// certified signers has no current revocation list.
    pub(crate) async fn refresh_blank(
        &mut self,
        version: Version,
        clock: &mut RunClock<'_>,
    ) -> Result<AtTargets, Error> {
        if matches!(self.trust, Trust::Plain) {
            return Err(BootstrapError::NoAnchor.into());
        }
        let name = format!("{version}.root.json");
        let limit = self.limits.root_length;
        let root = fetch(self.transport, Part::Metadata, &name, limit).await?;
        let root = root.ok_or(BootstrapError::NoRoot { version })?;
        RootWalk::from_network(&root, version, self.trust.gate(Vec::new()))?;
        self.refresh_again(&root, clock).await
    }

    /// A refresh that begins with `root`, and takes nothing on trust that a revocation list could speak against. The store has to be
    /// empty, but for revocation lists.
    ///
    /// # Errors
    /// As of a refresh; if a CA that certified signers has no current revocation list.
    pub(crate) async fn refresh_again(
        &mut self,
        root: &[u8],
        clock: &mut RunClock<'_>,
    ) -> Result<AtTargets, Error> {
        let set = self.refresh_by(root, clock).await?;
        self.all_lists_are_current(&set, clock)?;
        Ok(set)
    }

    /// Root and targets hold under the lists that there are; here there must be one of every CA that certified somebody, current by
    /// the latest time that anything verified speaks of: the reference time alone may be an old build time.
    fn all_lists_are_current(&self, set: &AtTargets, clock: &RunClock<'_>) -> Result<(), Error> {
        let certified = self.trust.newest_certificate(set);
        let mut now = clock.reference().0.max(clock.floor().time());
        now = certified.map_or(now, |newest| now.max(newest.not_before()));
        let mut lists = Vec::new();
        for (ski, ca) in self.trust.issuers(set) {
            let issuer = ca.subject().to_owned();
            let Some(list) = self.store.load_crl(&ski)? else {
                return Err(BootstrapError::NoRevocationList { issuer }.into());
            };
            let list = Crl::from_der("revocation list", &list)
                .and_then(|list| list.verify(&ca).map(|()| list))
                .map_err(Error::Identity)?;
            now = now.max(list.this_update());
            lists.push((issuer, list.next_update()));
        }
        match lists.into_iter().find(|(_, due)| *due < now) {
            Some((issuer, next_update)) => Err(BootstrapError::StaleRevocationList {
                issuer,
                next_update,
                now,
            }
            .into()),
            None => Ok(()),
        }
    }
}
