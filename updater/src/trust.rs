//! From the configured trust to the gate that every signature passes.

use std::collections::BTreeMap;
use std::sync::Arc;

use device_pki::{Certificate, Crl, Gate, Thresholds, TrustAnchor, list_target};
use metadata_schema::gate::{Certificates, PlainTuf};
use metadata_schema::roles::Targets;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::{AtTargets, SharedGate};

/// What a refresh believes besides TUF.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Only keys whose holders' certificates lead to the anchor.
    Pki {
        /// The root CA that the device left the factory with.
        anchor: Box<TrustAnchor>,
        /// The least that signatures must come to.
        thresholds: Thresholds,
    },
    /// TUF alone, for repositories without certificates and for conformance tests.
    Plain,
}

impl Trust {
    /// The gate, with these revocation lists in force.
    pub fn gate(&self, crls: Vec<Crl>) -> SharedGate {
        match self {
            Self::Plain => Arc::new(PlainTuf),
            Self::Pki { anchor, thresholds } => Arc::new(Gate::new(
                TrustAnchor::clone(anchor),
                crls,
                thresholds.clone(),
            )),
        }
    }

    /// The certificate that became valid last among those of root and targets, and the anchor; none without certificates.
    pub fn newest_certificate(&self, set: &AtTargets) -> Option<Certificate> {
        let gate = self.bare()?;
        [&set.root().certificates, &set.targets().certificates]
            .map(|certificates| gate.newest(certificates))
            .into_iter()
            .max_by_key(Certificate::not_before)
    }

    /// The latest date that CAs have put on these certificates or on revocation lists of theirs: it has certainly passed.
    pub fn witnessed(
        &self,
        certificates: &Certificates,
        lists: impl Iterator<Item = Crl>,
    ) -> Option<Timestamp> {
        let gate = self.bare()?;
        let issuers = gate.issuers(certificates);
        let signed = |list: &Crl| issuers.values().any(|ca| list.verify(ca).is_ok());
        let listed = lists.filter(signed).map(|list| list.this_update()).max();
        Some(gate.newest(certificates).not_before()).max(listed)
    }

    /// The CAs whose revocation lists matter for what is trusted now, by subject key identifier in hex.
    pub fn issuers(&self, set: &AtTargets) -> BTreeMap<String, Certificate> {
        let Some(gate) = self.bare() else {
            return BTreeMap::new();
        };
        let mut issuers = gate.issuers(&set.root().certificates);
        issuers.extend(gate.issuers(&set.targets().certificates));
        issuers
    }

    /// The CAs whose lists a role carries and that no signer's chain has, by subject key identifier in hex: what devices and
    /// servers are judged by. What the anchor did not certify is passed over.
    pub fn other_issuers(&self, lists: &Targets) -> BTreeMap<String, Certificate> {
        let Self::Pki { anchor, .. } = self else {
            return BTreeMap::new();
        };
        let mut issuers = BTreeMap::new();
        for (path, file) in &lists.targets {
            match list_target::issuer(anchor, path, file) {
                Ok(found) => issuers.extend(found),
                Err(why) => tracing::warn!(%path, %why, "this revocation list is passed over"),
            }
        }
        issuers
    }

    fn bare(&self) -> Option<Gate> {
        let Self::Pki { anchor, thresholds } = self else {
            return None;
        };
        let anchor = TrustAnchor::clone(anchor);
        Some(Gate::new(anchor, Vec::new(), thresholds.clone()))
    }
}
