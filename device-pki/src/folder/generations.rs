//! Generations of a CA: the one that issues, and former ones, whose certificates and revocation lists live on.

use std::path::{Path, PathBuf};

use super::keys::{self, NewKey};
use super::{BACKDATE, CaState, Ceremony, PkiFolder};
use crate::authority::Authority;
use crate::certificate::{Certificate, MAX_PEM_LENGTH};
use crate::durable;
use crate::error::{Error, Result};
use crate::profile::{CaKind, Validity};

/// The folder of one generation of a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: CaKind,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn certificate(&self) -> Result<Certificate> {
        let path = self.path.join("ca.pem");
        let text = durable::read_bounded(&path, MAX_PEM_LENGTH.try_into().unwrap_or(u64::MAX))?;
        Certificate::from_pem(&path.display().to_string(), &text)
    }

    pub(super) fn authority(&self, pki: &PkiFolder, ceremony: &Ceremony<'_>) -> Result<Authority> {
        let key = self.key(pki, ceremony.protection)?;
        let organisation = pki.config.organisation.clone();
        Authority::new(self.kind, organisation, self.certificate()?, key)
    }

    pub(super) fn state(&self) -> Result<CaState> {
        CaState::load(&self.path.join("state.json"))
    }

    pub(super) fn save_state(&self, state: &CaState) -> Result<()> {
        state.save(&self.path.join("state.json"))
    }

    /// Where its revocation list goes.
    pub(super) fn crl_path(&self, pki: &PkiFolder) -> Result<PathBuf> {
        let ski = self.certificate()?.subject_key_id().unwrap_or_default();
        Ok(pki.path.join("crl").join(format!("{ski}.crl")))
    }
}

impl PkiFolder {
    /// Replaces a CA below the root by a new generation, with a key of its own. What the former one issued stays good, and it
    /// goes on issuing revocation lists: its folder is `<ca>-<eight digits of its key id>` from now on. The key of the new one
    /// is on the same token as that of the former, if nothing else was said.
    ///
    /// # Errors
    /// If the kind is the root, its key cannot be opened, or a step fails. Repeated, it goes on where it was cut off.
    pub fn renew(&self, kind: CaKind, ceremony: &mut Ceremony<'_>) -> Result<Certificate> {
        if kind == CaKind::Root {
            return Err(Error::Name {
                what: "CA",
                found: kind.folder().to_owned(),
                why: "is the trust anchor, which devices replace by signed firmware",
            });
        }
        let lock = self.lock()?;
        let place = self.ca_path(kind);
        let new = self.path.join(format!("{}.new", kind.folder()));
        if !new.join("ca.pem").exists() {
            durable::remove_dir_durable(&new)?;
            self.make_generation(kind, &new, ceremony)?;
        }
        if place.exists() {
            let former = Place {
                kind,
                path: place.clone(),
            };
            let ski = former.certificate()?.subject_key_id().unwrap_or_default();
            let digits = ski.get(..8).unwrap_or(&ski);
            durable::place_dir(&place, &self.former_path(kind, digits))?;
        }
        durable::place_dir(&new, &place)?;
        drop(lock);
        self.write_crls_of(&self.places_of(kind), super::DEFAULT_CRL_DAYS, ceremony)?;
        self.ca_certificate(kind)
    }

    fn make_generation(
        &self,
        kind: CaKind,
        path: &Path,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<()> {
        let root = self.authority(CaKind::Root, ceremony.protection)?;
        let generation = self.places_of(kind).len().saturating_add(1);
        let validity = Validity::days(ceremony.now.plus_seconds(-BACKDATE), kind.default_days());
        let beside = self.place(kind).token()?;
        let NewKey { key, token } = self.new_key(kind, beside, ceremony)?;
        let ca = root.generation(kind, generation, key, validity, ceremony.entropy)?;
        let mut issued = self.state(CaKind::Root)?;
        issued.enter(ca.certificate(), kind.folder());
        self.save_state(CaKind::Root, &issued)?;
        durable::create_dir_durable(path, 0o700)?;
        keys::keep(path, ca.key(), token.as_ref(), ceremony)?;
        CaState::default().save(&path.join("state.json"))?;
        let pem = ca.certificate().pem();
        durable::write(&path.join("ca.pem"), pem.as_bytes(), durable::PUBLIC)
    }

    /// All generations of all CAs, the root first, the newest of each first.
    pub(super) fn places(&self) -> Vec<Place> {
        let all = CaKind::ALL.into_iter();
        all.flat_map(|kind| self.places_of(kind)).collect()
    }

    /// The generations of a CA, the newest first.
    pub(super) fn places_of(&self, kind: CaKind) -> Vec<Place> {
        let prefix = format!("{}-", kind.folder());
        let entries = std::fs::read_dir(&self.path).into_iter().flatten();
        let mut former: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        former.sort();
        std::iter::once(self.ca_path(kind))
            .chain(former)
            .filter(|path| path.join("ca.pem").exists())
            .map(|path| Place { kind, path })
            .collect()
    }

    /// The certificates of all generations of all CAs, the root first, the newest of each CA first.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn ca_certificates(&self) -> Result<Vec<(CaKind, Certificate)>> {
        let places = self.places();
        places
            .iter()
            .map(|place| Ok((place.kind, place.certificate()?)))
            .collect()
    }

    fn former_path(&self, kind: CaKind, digits: &str) -> PathBuf {
        self.path.join(format!("{}-{digits}", kind.folder()))
    }
}
