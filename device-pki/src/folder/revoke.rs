//! Revoking certificates, and writing the revocation lists.

use super::{Ceremony, PkiFolder};
use crate::authority::CrlContent;
use crate::crl::Crl;
use crate::durable;
use crate::error::{Error, Result};
use crate::profile::CaKind;

/// After how many days a newer list is due.
pub const DEFAULT_CRL_DAYS: u32 = 30;

/// A certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number in hex.
    pub serial: String,
    /// The subject's common name.
    pub name: String,
    /// The CA that issued it, and whose list has it now.
    pub issuer: CaKind,
}

impl PkiFolder {
    /// Revokes certificates by serial number (at least its first eight digits), or all of one name, and writes a new
    /// list of their CA; no other CA's key is opened. What is revoked already stays so, with its first date.
    ///
    /// # Errors
    /// If nothing matches, or certificates of different names do.
    pub fn revoke(&self, wanted: &str, ceremony: &mut Ceremony<'_>) -> Result<Vec<Revoked>> {
        let lock = self.lock()?;
        let mut revoked = Vec::new();
        let mut changed = Vec::new();
        for issuer in CaKind::ALL {
            let mut state = self.state(issuer)?;
            for entry in state.find(wanted) {
                entry.revoked_at.get_or_insert(ceremony.now);
                let (serial, name) = (entry.serial.clone(), entry.name.clone());
                revoked.push(Revoked {
                    serial,
                    name,
                    issuer,
                });
            }
            changed.push((issuer, state));
        }
        let Some(first) = revoked.first() else {
            let folder = self.path.clone();
            return Err(Error::NotFound {
                wanted: wanted.to_owned(),
                folder,
            });
        };
        if revoked
            .iter()
            .any(|other| other.name != first.name || other.issuer != first.issuer)
        {
            return Err(Error::Ambiguous {
                wanted: wanted.to_owned(),
                count: revoked.len(),
            });
        }
        for (issuer, state) in changed {
            self.save_state(issuer, &state)?;
        }
        let issuer = first.issuer;
        drop(lock);
        self.write_crls_of(&[issuer], DEFAULT_CRL_DAYS, ceremony)?;
        Ok(revoked)
    }

    /// Issues a new revocation list of every CA whose key is here, valid for so many days, and writes them to
    /// `crl/<ski>.crl`. A CA whose key is kept elsewhere issues its list there: see [`PkiFolder::has_key`].
    ///
    /// # Errors
    /// If a CA's key cannot be opened or a step fails.
    pub fn write_crls(&self, days: u32, ceremony: &mut Ceremony<'_>) -> Result<Vec<Crl>> {
        let here: Vec<CaKind> = CaKind::ALL
            .into_iter()
            .filter(|kind| self.has_key(*kind))
            .collect();
        self.write_crls_of(&here, days, ceremony)
    }

    fn write_crls_of(
        &self,
        kinds: &[CaKind],
        days: u32,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Vec<Crl>> {
        let _lock = self.lock()?;
        durable::create_dir_durable(&self.path.join("crl"), 0o755)?;
        kinds
            .iter()
            .map(|&kind| {
                let ca = self.authority(kind, ceremony.protection)?;
                let mut state = self.state(kind)?;
                let number = state.take_crl_number();
                // The number is used up before anything is signed with it.
                self.save_state(kind, &state)?;
                let crl = ca.crl(&CrlContent {
                    number,
                    this_update: ceremony.now,
                    next_update: ceremony
                        .now
                        .plus_seconds(i64::from(days).saturating_mul(86_400)),
                    revoked: state.revoked()?,
                })?;
                durable::write(&self.crl_path(kind)?, crl.der(), durable::PUBLIC)?;
                Ok(crl)
            })
            .collect()
    }

    /// The revocation lists as they were written last.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn crls(&self) -> Result<Vec<Crl>> {
        CaKind::ALL
            .into_iter()
            .map(|kind| self.crl_path(kind))
            .map(|path| Crl::load(&path?))
            .collect()
    }
}
