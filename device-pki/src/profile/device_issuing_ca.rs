//! The CA that certifies devices (LDevID of IEEE 802.1AR).

use rcgen::{
    CertificateParams, CidrSubnet, ExtendedKeyUsagePurpose, GeneralSubtree, NameConstraints,
};

use crate::name::Organisation;

/// Both TLS purposes, for devices talk to the API server and to each other; without the API server's own purpose, so
/// that nothing it issues can stand for the API server. DNS names under `dev.<domain>` only, no IP addresses (RFC 5280,
/// section 4.2.1.10).
pub(crate) fn params(organisation: &Organisation) -> CertificateParams {
    let mut params = super::ca(
        organisation,
        &format!("{} Device-Issuing CA", organisation.name()),
        0,
    );
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(organisation.device_domain())],
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    params
}
