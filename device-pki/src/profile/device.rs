//! A device: its working identity (LDevID of IEEE 802.1AR), and the one that the factory gives it (IDevID).

use rcgen::string::PrintableString;
use rcgen::{CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose};

use crate::error::Result;
use crate::name::{DeviceUrn, Organisation};
use crate::oid;

/// A device, by its serial number.
#[derive(Clone, Debug)]
pub struct Device {
    /// The serial number: letters, digits and inner `-`.
    pub serial: String,
}

impl Device {
    pub(super) fn params(&self, organisation: &Organisation) -> Result<CertificateParams> {
        let purposes = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let (urn, mut params) = self.named(organisation, purposes)?;
        let host = format!(
            "{}.{}",
            self.serial.to_ascii_lowercase(),
            organisation.device_domain()
        );
        params.subject_alt_names = vec![super::uri(urn.as_str())?, super::dns(&host)?];
        Ok(params)
    }

    /// The identity from the factory: the serial number and the URN, and no host's name.
    pub(super) fn factory_params(&self, organisation: &Organisation) -> Result<CertificateParams> {
        let purpose = ExtendedKeyUsagePurpose::Other(oid::FACTORY_IDENTITY.to_vec());
        let (urn, mut params) = self.named(organisation, vec![purpose])?;
        params.subject_alt_names = vec![super::uri(urn.as_str())?];
        Ok(params)
    }

    fn named(
        &self,
        organisation: &Organisation,
        purposes: Vec<ExtendedKeyUsagePurpose>,
    ) -> Result<(DeviceUrn, CertificateParams)> {
        let urn = organisation.device_urn(&self.serial)?;
        let mut subject = super::subject(Some(organisation), &self.serial);
        // id-at-serialNumber (X.520, a PrintableString): where 802.1AR has the serial number.
        let serial = PrintableString::try_from(self.serial.as_str())
            .map_err(|_| super::not_ascii(&self.serial))?;
        subject.push(
            DnType::from_oid(&[2, 5, 4, 5]),
            DnValue::PrintableString(serial),
        );
        Ok((urn, super::leaf(subject, purposes)))
    }
}
