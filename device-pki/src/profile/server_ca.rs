//! The CA that certifies API servers.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::name::Organisation;

/// serverAuth and the private purpose by which devices know an API server; without clientAuth, so that nothing it
/// issues can stand for a device.
pub(crate) fn params(organisation: &Organisation) -> CertificateParams {
    let mut params = super::ca(
        organisation,
        &format!("{} Server CA", organisation.name()),
        0,
    );
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        super::api_server_purpose(),
    ];
    params
}
