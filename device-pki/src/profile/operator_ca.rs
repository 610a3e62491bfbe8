//! The CA that certifies the operators of API servers.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::name::Organisation;
use crate::oid;

/// clientAuth and the private purpose; without serverAuth, so that nothing it issues can stand for a device or a server.
pub(crate) fn params(organisation: &Organisation) -> CertificateParams {
    let name = format!("{} Operator CA", organisation.name());
    let mut params = super::ca(organisation, &name, 0);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::Other(oid::OPERATOR.to_vec()),
    ];
    params
}
