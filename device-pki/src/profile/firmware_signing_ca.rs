//! The CA that certifies the people who sign firmware. It stays offline.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::name::Organisation;

/// codeSigning only: what it issues can open no connection.
pub(crate) fn params(organisation: &Organisation) -> CertificateParams {
    let mut params = super::ca(
        organisation,
        &format!("{} Firmware-Signing CA", organisation.name()),
        0,
    );
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}
