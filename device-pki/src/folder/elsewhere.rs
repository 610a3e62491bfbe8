//! Lists that the same CAs issued elsewhere: an API server issues those of the CA that it has the key of.
//!
//! Whoever issues a CA's next list has to know what the last one had, or what was revoked there would be good again. So the lists
//! in `crl/` and those that are handed in are taken over before a list is made: what they revoke stays revoked, and the
//! next list has a higher number than theirs.

use super::generations::Place;
use super::{CaState, PkiFolder};
use crate::crl::Crl;
use crate::error::{Error, Result};

impl PkiFolder {
    /// Takes over lists that CAs of this PKI issued elsewhere. Returns how many certificates are revoked by that which were not.
    ///
    /// # Errors
    /// If no CA of this PKI issued one of them, or an index cannot be read or written: then some may have been taken over.
    pub fn take_over(&self, lists: &[Crl]) -> Result<usize> {
        let _lock = self.lock()?;
        let places = self.places();
        let mut new = 0_usize;
        for list in lists {
            let mut found = false;
            for place in &places {
                if is_by(place, list)? {
                    let mut state = place.state()?;
                    let before = state.clone();
                    new = new.saturating_add(state.take_over(list));
                    if state != before {
                        place.save_state(&state)?;
                    }
                    found = true;
                }
            }
            if !found {
                return Err(Error::Crl {
                    issuer: list.issuer().to_owned(),
                    reason: format!("no CA in {} signed it", self.path.display()),
                });
            }
        }
        Ok(new)
    }

    /// The same for the list in `crl/`, which somebody may have put there. What is no list, or one that the CA did not sign, is
    /// replaced: nothing in it could be believed, and it must not keep a revocation from being published.
    pub(super) fn take_over_own(&self, place: &Place, state: &mut CaState) -> Result<()> {
        let path = place.crl_path(self)?;
        if !path.exists() {
            return Ok(());
        }
        match Crl::load(&path) {
            Ok(list) if is_by(place, &list)? => {
                state.take_over(&list);
                Ok(())
            }
            Ok(_) | Err(Error::Malformed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_by(place: &Place, list: &Crl) -> Result<bool> {
    let ca = place.certificate()?;
    Ok(ca.subject_key_id().as_deref() == Some(list.issuer_ski()) && list.verify(&ca).is_ok())
}
