//! The CA that certifies devices in the factory (IDevID of IEEE 802.1AR).

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::name::Organisation;
use crate::oid;

/// The private purpose alone: what it issues opens no ordinary TLS connection, and only ever enrols.
pub(crate) fn params(organisation: &Organisation) -> CertificateParams {
    let name = format!("{} Factory CA", organisation.name());
    let mut params = super::ca(organisation, &name, 0);
    let purpose = ExtendedKeyUsagePurpose::Other(oid::FACTORY_IDENTITY.to_vec());
    params.extended_key_usages = vec![purpose];
    params
}
