//! An API server.

use std::net::IpAddr;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};

use crate::error::{Error, Result};
use crate::name::Organisation;

/// An API server: the names under which devices reach it.
#[derive(Clone, Debug, Default)]
pub struct ApiServer {
    /// What people call it, and the name of its folder; if empty, its first DNS name or IP address.
    pub name: String,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub addresses: Vec<IpAddr>,
}

impl ApiServer {
    /// What people call it.
    pub fn name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let address = || self.addresses.first().map(ToString::to_string);
        self.dns_names
            .first()
            .cloned()
            .or_else(address)
            .unwrap_or_default()
    }

    pub(super) fn params(&self, organisation: &Organisation) -> Result<CertificateParams> {
        if self.dns_names.is_empty() && self.addresses.is_empty() {
            let why = "has neither a DNS name nor an IP address";
            return Err(Error::Name {
                what: "API server",
                found: String::new(),
                why,
            });
        }
        let dns = self.dns_names.iter().map(|name| {
            let acceptable = name == "localhost" || crate::name::is_domain(name);
            let why = "is no lower-case DNS name";
            if acceptable {
                super::dns(name)
            } else {
                Err(Error::Name {
                    what: "API server",
                    found: name.clone(),
                    why,
                })
            }
        });
        let addresses = self
            .addresses
            .iter()
            .map(|address| Ok(SanType::IpAddress(*address)));
        let subject = super::subject(Some(organisation), &self.name());
        let purposes = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            super::api_server_purpose(),
        ];
        let mut params = super::leaf(subject, purposes);
        params.subject_alt_names = dns.chain(addresses).collect::<Result<_>>()?;
        Ok(params)
    }
}
