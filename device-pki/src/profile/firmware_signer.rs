//! A person who signs firmware: own certificate, own key of any type that metadata can have, named roles.

use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose};

use crate::error::{Error, Result};
use crate::name::Organisation;
use crate::oid;
use crate::role::{self, MAX_ROLES, SignerRole};

/// A person who signs firmware.
#[derive(Clone, Debug)]
pub struct FirmwareSigner {
    /// The person's name.
    pub name: String,
    /// The roles that the person may sign.
    pub roles: Vec<SignerRole>,
}

impl FirmwareSigner {
    pub(super) fn params(&self, organisation: &Organisation) -> Result<CertificateParams> {
        let refuse = |why| Error::Name {
            what: "signer",
            found: self.name.clone(),
            why,
        };
        match self.roles.len() {
            0 => return Err(refuse("has no role to sign")),
            1..=MAX_ROLES => {}
            _ => return Err(refuse("has more than 64 roles")),
        }
        let subject = super::subject(Some(organisation), &self.name);
        let mut params = super::leaf(subject, vec![ExtendedKeyUsagePurpose::CodeSigning]);
        params.subject_alt_names = vec![super::uri(&organisation.person_urn(&self.name)?)?];
        let roles =
            CustomExtension::from_oid_content(&oid::SIGNER_ROLES, role::encode(&self.roles));
        params.custom_extensions = vec![roles];
        Ok(params)
    }
}
