//! Which TUF keys count: those whose holder's certificate binds them to the device's trust anchor.
//!
//! [`Gate`] implements [`SignerGate`], which `metadata-schema` asks in its one threshold check. A key is bound to a
//! role if, in this order:
//!
//! 1. there is a certificate for it, whose public key is the TUF key;
//! 2. its role extension names the role, or the product if the role is one of its bins;
//! 3. every certificate of its chain, and the anchor, is valid at the time that counts ([`When`]), or, if one of them
//!    was issued later than that, at the time when it was: such a certificate says that the device's clock is behind;
//! 4. its path leads to the anchor, and the leaf and every CA on it are for code signing;
//! 5. neither it nor one of its issuers is on the current revocation lists.
//!
//! Snapshot and timestamp are authorised by root and need no certificate; neither does the delegated role `pki`, whose
//! targets are revocation lists: the CA's own signature on them counts, and this role's keys are online.

mod refusal;
mod thresholds;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use metadata_schema::bins;
use metadata_schema::gate::{
    Certificates, Holder, MAX_CHAIN, Refusal, Requirement, Signer, SignerGate, When,
};
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::crl::{self, Crl};
use crate::path::{self, Purpose};
use crate::revocations::{Revocations, Status};
use crate::role::SignerRole;

pub use thresholds::{Roles, Thresholds};

/// Admits the keys that certificates bind to the trust anchor.
#[derive(Debug)]
pub struct Gate {
    anchor: TrustAnchor,
    revocations: Revocations,
    thresholds: Thresholds,
    unlisted: Mutex<BTreeSet<String>>,
}

impl Gate {
    /// A gate for devices with this anchor, that knows these revocation lists.
    ///
    /// A list that its issuer did not sign counts for nothing, as if it were not there.
    pub fn new(anchor: TrustAnchor, crls: Vec<Crl>, thresholds: Thresholds) -> Self {
        Self {
            anchor,
            revocations: Revocations::new(crls),
            thresholds,
            unlisted: Mutex::default(),
        }
    }

    /// The CAs that issued the certificates in `certificates`, and the anchor: by subject key identifier in hex.
    ///
    /// Only CAs of chains that lead to the anchor: a chain proves nothing by standing in metadata, and a made-up CA that
    /// claims a real one's identifier must not be able to replace its revocation list. What cannot be read or does not
    /// lead there is passed over. This is for knowing which lists to fetch ([`crl::crl_target_path`]) and for checking
    /// them ([`Crl::verify`]).
    pub fn issuers(&self, certificates: &Certificates) -> BTreeMap<String, Certificate> {
        self.chains(certificates)
            .flat_map(|chain| chain.into_iter().skip(1))
            .chain([self.anchor.certificate().clone()])
            .filter_map(|ca| ca.subject_key_id().map(|id| (id, ca)))
            .collect()
    }

    /// The certificate among these, or the anchor's, that became valid last: it is that late, or later. Only certificates of
    /// chains that lead to the anchor count, so that nobody else can say what time it is.
    pub fn newest(&self, certificates: &Certificates) -> Certificate {
        self.chains(certificates).flatten().fold(
            self.anchor.certificate().clone(),
            |newest, other| {
                if other.not_before() > newest.not_before() {
                    other
                } else {
                    newest
                }
            },
        )
    }

    /// The chains that lead to the anchor, leaf first.
    fn chains(&self, certificates: &Certificates) -> impl Iterator<Item = Vec<Certificate>> {
        let read = |chain: &[String]| -> Option<Vec<Certificate>> {
            let chain = chain.iter().take(MAX_CHAIN);
            chain
                .map(|pem| Certificate::from_pem("issuer", pem.as_bytes()).ok())
                .collect()
        };
        certificates
            .iter()
            .filter_map(move |(_, chain)| read(chain))
            .filter(|chain| {
                let time = path::not_before(Timestamp::EPOCH, chain, &self.anchor);
                path::verify(chain, &self.anchor, Purpose::CodeSigning, time).is_ok()
            })
    }

    /// The CAs met so far for which there is no revocation list: what they issued was accepted unchecked.
    pub fn unlisted(&self) -> Vec<String> {
        self.unlisted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Whether a key is bound to a role by a chain of PEM certificates, leaf first.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub fn bound(
        &self,
        key: &PublicKey,
        role: &RoleName,
        chain: &[String],
        when: When,
    ) -> Result<Holder, Refusal> {
        let Some(wanted) = SignerRole::of(&certified(role)).filter(|_| needs_certificate(role))
        else {
            return Ok(Holder(key.id().to_string()));
        };
        let chain = parse(key, chain)?;
        let leaf = chain.first().ok_or_else(|| refusal::no_certificate(key))?;
        let own = leaf
            .subject_key()
            .map_err(|e| refusal::unusable_key(leaf, &e))?;
        if key.spki_der() != Some(&own.der()) {
            return Err(refusal::other_key(leaf, key));
        }
        if !leaf.roles().unwrap_or_default().contains(&wanted) {
            return Err(refusal::other_role(leaf, &wanted));
        }
        let time = match when {
            When::Walk => Timestamp::EPOCH,
            When::At(time) => time,
            _ => return Err(refusal::unknown_time(leaf)),
        };
        let time = path::not_before(time, &chain, &self.anchor);
        path::verify(&chain, &self.anchor, Purpose::CodeSigning, time)
            .map_err(|why| refusal::path(&chain, &self.anchor, &why))?;
        self.not_revoked(&chain)?;
        Ok(Holder(person(leaf)))
    }

    fn not_revoked(&self, chain: &[Certificate]) -> Result<(), Refusal> {
        let issuers = chain.iter().skip(1).chain([self.anchor.certificate()]);
        for (index, (certificate, issuer)) in chain.iter().zip(issuers).enumerate() {
            match self.revocations.status(issuer, certificate.serial(), None) {
                Status::Good | Status::Stale(_) => {}
                Status::Revoked(since) => return Err(refusal::revoked(chain, index, since)),
                Status::Unknown => {
                    let mut unlisted = self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
                    unlisted.insert(issuer.subject().to_owned());
                }
            }
        }
        Ok(())
    }
}

impl SignerGate for Gate {
    fn admit(&self, signer: &Signer<'_>) -> Result<Holder, Refusal> {
        self.bound(signer.key, signer.role, signer.chain, signer.when)
    }

    fn requirement(&self, role: &RoleName) -> Requirement {
        self.thresholds.of(role)
    }
}

/// The role that certificates and thresholds speak of: for a bin, the product whose files it lists. Nobody gains by naming a
/// role so: whoever delegates to it still says which keys are its own.
fn certified(role: &RoleName) -> Cow<'_, RoleName> {
    match bins::product_of(role).filter(needs_certificate) {
        Some(product) => Cow::Owned(product),
        None => Cow::Borrowed(role),
    }
}

/// Whether a role's keys count only with certificates.
fn needs_certificate(role: &RoleName) -> bool {
    !matches!(role.as_str(), "snapshot" | "timestamp" | crl::ROLE)
}

fn parse(key: &PublicKey, chain: &[String]) -> Result<Vec<Certificate>, Refusal> {
    if chain.len() > MAX_CHAIN {
        return Err(refusal::long_chain(key, chain.len()));
    }
    chain
        .iter()
        .map(|pem| Certificate::from_pem("certificate", pem.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|e| refusal::unreadable(key, &e))
}

/// The holder: the person's URN, or if the certificate has none, its subject.
fn person(leaf: &Certificate) -> String {
    match leaf.uris() {
        [only] => only.clone(),
        _ => leaf.subject().to_owned(),
    }
}

#[cfg(test)]
mod tests;
