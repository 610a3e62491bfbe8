//! The trust anchor: the root CA that a device leaves the factory with.

use metadata_schema::time::Timestamp;
use rustls_pki_types::TrustAnchor as Anchor;

use crate::certificate::Certificate;
use crate::error::{Error, Result};

/// A root CA that is trusted because its holder was given it, not because somebody signed it (RFC 5280, section 6.1.1).
#[derive(Clone, Debug)]
pub struct TrustAnchor {
    certificate: Certificate,
    anchor: Anchor<'static>,
}

impl TrustAnchor {
    /// Reads the anchor from one PEM block.
    ///
    /// # Errors
    /// If it is no certificate of a CA.
    pub fn from_pem(text: &[u8]) -> Result<Self> {
        Self::new(Certificate::from_pem("trust anchor", text)?)
    }

    /// Takes a CA certificate as the anchor.
    ///
    /// # Errors
    /// If it is no certificate of a CA.
    pub fn new(certificate: Certificate) -> Result<Self> {
        if !certificate.is_ca() {
            let reason = format!("{} is no CA", certificate.subject());
            return Err(Error::malformed("trust anchor", "a CA certificate", reason));
        }
        let anchor = webpki::anchor_from_trusted_cert(certificate.der())
            .map_err(|e| Error::malformed("trust anchor", "a CA certificate", e))?
            .to_owned();
        Ok(Self {
            certificate,
            anchor,
        })
    }

    /// The anchor's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether the anchor itself is valid at a time: webpki does not ask that.
    pub(crate) fn valid_at(&self, time: Timestamp) -> bool {
        (self.certificate.not_before()..=self.certificate.not_after()).contains(&time)
    }

    pub(crate) fn webpki(&self) -> &Anchor<'static> {
        &self.anchor
    }
}
