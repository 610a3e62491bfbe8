//! The root CA: the trust anchor that devices leave the factory with.

use rcgen::CertificateParams;

use crate::name::Organisation;

/// Signs only CAs and its own CRL: path length 1, so that the CAs below it are the last.
pub(crate) fn params(organisation: &Organisation) -> CertificateParams {
    super::ca(organisation, &format!("{} Root CA", organisation.name()), 1)
}
