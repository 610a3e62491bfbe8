//! A person who operates API servers.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::error::Result;
use crate::name::Organisation;
use crate::oid;

/// An operator, by name.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The person's name.
    pub name: String,
}

impl Operator {
    /// No alternative name: a device or a server is known by one.
    pub(super) fn params(&self, organisation: &Organisation) -> Result<CertificateParams> {
        // The name has to be one that a person can have.
        organisation.person_urn(&self.name)?;
        let subject = super::subject(Some(organisation), &self.name);
        let purposes = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::Other(oid::OPERATOR.to_vec()),
        ];
        Ok(super::leaf(subject, purposes))
    }
}
