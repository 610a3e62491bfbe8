//! The CA in this server: it certifies devices that enrol, and issues its own revocation list.

use std::path::{Path, PathBuf};

use device_pki::{
    Authority, CaKey, CaKind, Certificate, Crl, CrlContent, Device, Leaf, Passphrase, SecretOf,
    SerialNumber, SubjectKey, SystemEntropy, TrustAnchor, Validity, durable,
};
use metadata_schema::time::Timestamp;

use crate::config::Est;
use crate::error::{Error, Result};
use crate::store::Enrolments;

/// The environment's word for the passphrase of the CA's key, or the PIN of its token.
pub const PASSPHRASE: &str = "API_SERVER_CA_PASSPHRASE";
/// Where its revocation list is, below the server's own data.
pub(crate) const LISTS: &str = "crl";
/// Certificates reach this far back, for clocks that are behind.
const BACKDATE: i64 = 60;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// After how many days a newer list is due; it is issued after a quarter of that.
const LIST_DAYS: i64 = 8;
const LIMIT: u64 = 64 * 1024;

/// Certifies devices.
#[derive(Debug)]
pub struct Issuer {
    authority: Authority,
    anchor: Certificate,
    days: u32,
    list: PathBuf,
}

impl Issuer {
    /// Opens the CA's key. `data` is the folder of the server's own data.
    ///
    /// # Errors
    /// If certificate and key are not usable or are no Device-Issuing CA's.
    pub fn open(est: &Est, anchor: &TrustAnchor, data: &Path) -> Result<Self> {
        let name = est.ca.display().to_string();
        let certificate = Certificate::from_pem(&name, &durable::read_bounded(&est.ca, LIMIT)?)?;
        let purposes = certificate.purposes();
        let both = ["clientAuth", "serverAuth"];
        if !certificate.is_ca() || !both.iter().all(|p| purposes.iter().any(|has| has == p)) {
            let reason = format!("{} certifies no devices", certificate.subject());
            return Err(Error::Config { what: name, reason });
        }
        let key = open_key(est)?;
        let ski = certificate.subject_key_id().unwrap_or_default();
        let lists = data.join(LISTS);
        durable::create_dir_durable(&lists, 0o755)?;
        let organisation = est.organisation.clone();
        Ok(Self {
            authority: Authority::new(CaKind::DeviceIssuing, organisation, certificate, key)?,
            anchor: anchor.certificate().clone(),
            days: est.days,
            list: lists.join(format!("{ski}.crl")),
        })
    }

    /// A certificate for a device: its names and purposes are ours, only the key is the device's.
    ///
    /// # Errors
    /// If the serial number or key is not acceptable, or the CA's own certificate has run out.
    pub fn issue(&self, device: &str, key: &SubjectKey, now: Timestamp) -> Result<Certificate> {
        let leaf = Leaf::Device(Device {
            serial: device.to_owned(),
        });
        let mut validity = Validity::days(now.plus_seconds(-BACKDATE), self.days);
        let own = self.authority.certificate();
        validity.not_before = validity.not_before.max(own.not_before());
        validity.not_after = validity.not_after.min(own.not_after());
        Ok(self
            .authority
            .issue(&leaf, key, validity, &mut SystemEntropy)?)
    }

    /// The certificates by which what it issues is verified (RFC 7030, section 4.1): its own and the trust anchor.
    pub fn certificates(&self) -> [&Certificate; 2] {
        [self.authority.certificate(), &self.anchor]
    }

    /// The URN of a device of this organisation.
    ///
    /// # Errors
    /// If the serial number is not acceptable.
    pub fn urn(&self, device: &str) -> Result<device_pki::DeviceUrn> {
        Ok(self.authority.organisation().device_urn(device)?)
    }

    /// Writes a new revocation list if there is something new or the last one grows old. `in_force` are the lists that the
    /// server judges by: what others of this CA revoke, such as `device-pki revoke` writes, is taken over.
    ///
    /// # Errors
    /// If the store or the list's file cannot be read or written.
    pub fn publish(
        &self,
        store: &dyn Enrolments,
        in_force: &[Crl],
        now: Timestamp,
    ) -> Result<bool> {
        let own = self.authority.certificate();
        let ski = own.subject_key_id().unwrap_or_default();
        let of_this_ca = |list: &&Crl| list.issuer_ski() == ski && list.verify(own).is_ok();
        let lists: Vec<&Crl> = in_force.iter().filter(of_this_ca).collect();
        for list in &lists {
            let entries: Vec<_> = list
                .entries()
                .map(|(s, since)| (s.clone(), since))
                .collect();
            store.import(&entries, now)?;
        }
        // What has expired is on one more list after that (RFC 5280, section 3.3).
        let revoked = store.revoked(now.plus_seconds(-LIST_DAYS * DAY))?;
        let newest = lists.iter().map(|list| list.number()).max().unwrap_or(0);
        // Another list may have the same number as ours: whichever counts has to have everything.
        let complete = |list: &&&Crl| {
            let has = |serial: &SerialNumber| list.revoked(serial).is_some();
            let fresh = now <= list.this_update().plus_seconds(LIST_DAYS * DAY / 4);
            fresh && revoked.entries.iter().all(|(serial, _)| has(serial))
        };
        let mut counting = lists.iter().filter(|list| list.number() == newest);
        let current = newest > 0
            && newest == revoked.number
            && self.list.exists()
            && counting.all(|list| complete(&list));
        if current {
            return Ok(false);
        }
        let number = store.take_list_number(newest)?;
        let list = self.authority.crl(&CrlContent {
            number,
            this_update: now,
            next_update: now.plus_seconds(LIST_DAYS * DAY),
            revoked: revoked.entries,
        })?;
        durable::write(&self.list, list.der(), durable::PUBLIC)?;
        tracing::info!(number, revoked = list.len(), "revocation list issued");
        Ok(true)
    }
}

/// Opens the CA's key by its passphrase or PIN, from the file of the configuration or from the environment.
fn open_key(est: &Est) -> Result<CaKey> {
    let ask = |_: SecretOf<'_>| {
        if let Some(path) = &est.passphrase {
            return Passphrase::read(path);
        }
        match std::env::var(PASSPHRASE) {
            Ok(text) if !text.is_empty() => Ok(Passphrase::new(text)),
            _ => Err(device_pki::Error::PassphraseNeeded {
                what: est.key.to_string(),
            }),
        }
    };
    CaKey::open(&est.key, &ask).map_err(|error| match error {
        device_pki::Error::PassphraseNeeded { what } => Error::Config {
            what,
            reason: format!(
                "it needs a passphrase or a PIN: give est.passphrase_file, or set {PASSPHRASE}"
            ),
        },
        error => error.into(),
    })
}
