//! Revoking certificates, and writing the revocation lists.

use std::path::PathBuf;

use super::generations::Place;
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
    /// The file of that list.
    pub list: PathBuf,
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
        for place in self.places() {
            let mut state = place.state()?;
            let mut any = false;
            for entry in state.find(wanted) {
                entry.revoked_at.get_or_insert(ceremony.now);
                any = true;
                revoked.push(Revoked {
                    serial: entry.serial.clone(),
                    name: entry.name.clone(),
                    issuer: place.kind,
                    list: place.crl_path(self)?,
                });
            }
            if any {
                changed.push((place, state));
            }
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
        let mut places = Vec::new();
        for (place, state) in changed {
            place.save_state(&state)?;
            places.push(place);
        }
        drop(lock);
        self.write_crls_of(&places, DEFAULT_CRL_DAYS, ceremony)?;
        Ok(revoked)
    }

    /// Issues a new revocation list of every CA whose key is here, valid for so many days, and writes them to
    /// `crl/<ski>.crl`. What the lists there revoke stays revoked. A CA whose key is kept elsewhere issues its list there: see [`PkiFolder::has_key`].
    ///
    /// # Errors
    /// If a CA's key cannot be opened or a step fails.
    pub fn write_crls(&self, days: u32, ceremony: &mut Ceremony<'_>) -> Result<Vec<Crl>> {
        let mut here = self.places();
        here.retain(Place::has_key);
        self.write_crls_of(&here, days, ceremony)
    }

    pub(super) fn write_crls_of(
        &self,
        places: &[Place],
        days: u32,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Vec<Crl>> {
        let _lock = self.lock()?;
        durable::create_dir_durable(&self.path.join("crl"), 0o755)?;
        let mut lists = Vec::new();
        for place in places {
            let ca = place.authority(self, ceremony)?;
            let mut state = place.state()?;
            self.take_over_own(place, &mut state)?;
            let number = state.take_crl_number();
            // The number is used up before anything is signed with it.
            place.save_state(&state)?;
            let seconds = i64::from(days).saturating_mul(86_400);
            let crl = ca.crl(&CrlContent {
                number,
                this_update: ceremony.now,
                next_update: ceremony.now.plus_seconds(seconds),
                revoked: state.revoked()?,
            })?;
            durable::write(&place.crl_path(self)?, crl.der(), durable::PUBLIC)?;
            lists.push(crl);
        }
        Ok(lists)
    }

    /// The revocation lists as they were written last.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn crls(&self) -> Result<Vec<Crl>> {
        let places = self.places();
        places
            .iter()
            .map(|place| Crl::load(&place.crl_path(self)?))
            .collect()
    }
}
