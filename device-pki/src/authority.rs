//! A certification authority in memory: certificate and key, no files, no clock.
//!
//! ```
//! use device_pki::{Authority, CaKind, Device, KeyAlgorithm, KeyPair, Leaf, Organisation, SubjectKey,
//!     SystemEntropy, Validity};
//! # use metadata_schema::time::Timestamp;
//! # let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
//! let random = &mut SystemEntropy;
//! let corp = Organisation::new("Example Corp", "corp.example", "example")?;
//! let key = KeyPair::generate(KeyAlgorithm::P384, random)?;
//! let root = Authority::root(corp, key, Validity::days(now, 9125), random)?;
//! let key = KeyPair::generate(KeyAlgorithm::P256, random)?;
//! let devices = root.subordinate(CaKind::DeviceIssuing, key, Validity::days(now, 1825), random)?;
//! let key = KeyPair::generate(KeyAlgorithm::P256, random)?;
//! let device = Leaf::Device(Device { serial: "SN-0001".to_owned() });
//! let certificate =
//!     devices.issue(&device, &SubjectKey::of(&key)?, Validity::days(now, 90), random)?;
//! assert_eq!(certificate.device().unwrap().as_str(), "urn:example:device:SN-0001");
//! # Ok::<(), device_pki::Error>(())
//! ```

use metadata_schema::time::Timestamp;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, PublicKeyData,
    RevokedCertParams,
};

use crate::ca_key::{CaKey, Signer};
use crate::certificate::Certificate;
use crate::crl::Crl;
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::name::Organisation;
use crate::profile::{self, CaKind, Leaf, Validity};
use crate::serial_number::SerialNumber;
use crate::subject_key::SubjectKey;

/// A CA: what it is, its certificate, and its private key.
#[derive(Debug)]
pub struct Authority {
    kind: CaKind,
    organisation: Organisation,
    certificate: Certificate,
    key: CaKey,
}

/// What a revocation list says.
#[derive(Clone, Debug)]
pub struct CrlContent {
    /// Its number, higher than that of any earlier list of this CA.
    pub number: u64,
    /// When it is issued.
    pub this_update: Timestamp,
    /// By when the next one comes.
    pub next_update: Timestamp,
    /// Serial numbers, and since when they are revoked.
    pub revoked: Vec<(SerialNumber, Timestamp)>,
}

impl Authority {
    /// A root CA with a certificate that it signs itself.
    ///
    /// # Errors
    /// If the certificate cannot be written.
    pub fn root(
        organisation: Organisation,
        key: impl Into<CaKey>,
        validity: Validity,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        let (kind, key) = (CaKind::Root, key.into());
        let mut params = kind.params(&organisation);
        profile::finish(&mut params, validity, entropy)?;
        let signer = Signer::new(&key);
        let written = params.self_signed(&signer);
        let certificate = read_back(&params, &signer, written)?;
        Ok(Self {
            kind,
            organisation,
            certificate,
            key,
        })
    }

    /// A CA below this one.
    ///
    /// # Errors
    /// If the certificate cannot be written or would outlive this CA's.
    pub fn subordinate(
        &self,
        kind: CaKind,
        key: impl Into<CaKey>,
        validity: Validity,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        let key = key.into();
        let certificate = self.sign(kind.params(&self.organisation), &key, validity, entropy)?;
        Ok(Self {
            kind,
            organisation: self.organisation.clone(),
            certificate,
            key,
        })
    }

    /// A later generation of a CA below this one: its name says which, so that nobody takes one for the other.
    ///
    /// # Errors
    /// As [`Authority::subordinate`].
    pub fn generation(
        &self,
        kind: CaKind,
        number: usize,
        key: impl Into<CaKey>,
        validity: Validity,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        let mut params = kind.params(&self.organisation);
        let name = params.distinguished_name.get(&rcgen::DnType::CommonName);
        if let Some(rcgen::DnValue::Utf8String(name)) = name {
            let name = format!("{name} G{number}");
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
        }
        let key = key.into();
        let certificate = self.sign(params, &key, validity, entropy)?;
        Ok(Self {
            kind,
            organisation: self.organisation.clone(),
            certificate,
            key,
        })
    }

    /// A CA whose certificate and key were kept somewhere.
    ///
    /// # Errors
    /// If the key is not the certificate's.
    pub fn new(
        kind: CaKind,
        organisation: Organisation,
        certificate: Certificate,
        key: impl Into<CaKey>,
    ) -> Result<Self> {
        let key = key.into();
        if key.public_key_der() != certificate.public_key_der() {
            return Err(Error::KeyMismatch {
                subject: certificate.subject().to_owned(),
            });
        }
        Ok(Self {
            kind,
            organisation,
            certificate,
            key,
        })
    }

    /// Issues a certificate for a public key.
    ///
    /// # Errors
    /// If the profile cannot hold the names or the key, the certificate would outlive this CA, or this CA is not the
    /// one for it.
    pub fn issue(
        &self,
        leaf: &Leaf,
        key: &SubjectKey,
        validity: Validity,
        entropy: &mut dyn Entropy,
    ) -> Result<Certificate> {
        let refuse = |expected, found: &str| {
            Err(Error::Algorithm {
                purpose: "a certificate",
                expected,
                found: found.to_owned(),
            })
        };
        if leaf.issuer() != self.kind {
            return refuse("another CA", self.kind.folder());
        }
        if !matches!(leaf, Leaf::FirmwareSigner(_)) && !key.in_tls() {
            return refuse("Ed25519, P-256 or P-384, for TLS", key.algorithm());
        }
        self.sign(leaf.params(&self.organisation)?, key, validity, entropy)
    }

    /// Issues a revocation list.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn crl(&self, content: &CrlContent) -> Result<Crl> {
        let revoked_certs = content.revoked.iter().map(|(serial, since)| {
            Ok(RevokedCertParams {
                serial_number: rcgen::SerialNumber::from_slice(serial.as_bytes()),
                revocation_time: profile::date(*since)?,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let params = CertificateRevocationListParams {
            this_update: profile::date(content.this_update)?,
            next_update: profile::date(content.next_update)?,
            crl_number: rcgen::SerialNumber::from(content.number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect::<Result<_>>()?,
            key_identifier_method: self.key_id_method(),
        };
        let signer = Signer::new(&self.key);
        let list = params
            .signed_by(&self.issuer(&signer)?)
            .map_err(|source| signer.reason(self.certificate.subject(), source))?;
        Crl::from_der("revocation list", list.der())
    }

    /// Which CA this is.
    pub fn kind(&self) -> CaKind {
        self.kind
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The CA's key.
    pub fn key(&self) -> &CaKey {
        &self.key
    }

    /// The organisation that runs it.
    pub fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    pub(crate) fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        validity: Validity,
        entropy: &mut dyn Entropy,
    ) -> Result<Certificate> {
        let issuer = &self.certificate;
        // An identity from the factory outlives the CA that issued it (IEEE 802.1AR-2018, section 8.7).
        let endless = self.kind == CaKind::Factory && validity.is_unlimited();
        if validity.not_before < issuer.not_before()
            || validity.not_before > issuer.not_after()
            || (validity.not_after > issuer.not_after() && !endless)
            || validity.not_before >= validity.not_after
        {
            return Err(Error::Validity {
                not_before: validity.not_before.to_string(),
                not_after: validity.not_after.to_string(),
                issuer_not_before: issuer.not_before().to_string(),
                issuer_not_after: issuer.not_after().to_string(),
            });
        }
        profile::finish(&mut params, validity, entropy)?;
        let signer = Signer::new(&self.key);
        let written = params.signed_by(key, &self.issuer(&signer)?);
        read_back(&params, &signer, written)
    }

    fn issuer<'a>(&'a self, signer: &'a Signer<'a>) -> Result<Issuer<'a, &'a Signer<'a>>> {
        Issuer::from_ca_cert_der(self.certificate.der(), signer).map_err(|source| Error::Issue {
            subject: self.certificate.subject().to_owned(),
            source,
        })
    }

    fn key_id_method(&self) -> KeyIdMethod {
        let id = self
            .certificate
            .subject_key_id()
            .and_then(|id| hex::decode(id).ok());
        id.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified)
    }
}

/// What was written, read as everybody else will read it.
fn read_back(
    params: &CertificateParams,
    signer: &Signer<'_>,
    written: Result<rcgen::Certificate, rcgen::Error>,
) -> Result<Certificate> {
    let subject = || {
        let name = params.distinguished_name.get(&rcgen::DnType::CommonName);
        match name {
            Some(rcgen::DnValue::Utf8String(name)) => name.clone(),
            _ => String::new(),
        }
    };
    let certificate = written.map_err(|source| signer.reason(&subject(), source))?;
    Certificate::from_der("certificate", certificate.der())
}
