//! The one verifier of peers in TLS, for all sides.

use std::sync::Arc;

use metadata_schema::gate::MAX_CHAIN;
use metadata_schema::time::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, OtherError,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Clock, RevocationPolicy, Trust};
use crate::certificate::Certificate;
use crate::channel::Allowed;
use crate::error::Error;
use crate::identity::DeviceIdentity;
use crate::path::{self, Purpose, Refused};
use crate::revocations::Status;

/// Whom we expect at the other end.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// The API server whose name we asked for.
    ApiServer,
    /// Some device.
    AnyDevice,
    /// Some device by its identity from the factory, or nobody: a client without a certificate has a token.
    FactoryDevice,
    /// One of these devices.
    Devices(Arc<Allowed>),
}

/// Decides about the peer's certificate.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    expected: Expected,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(crate) fn new(trust: &Trust, expected: Expected, provider: &CryptoProvider) -> Self {
        Self {
            trust: trust.clone(),
            expected,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn purpose(&self) -> Purpose {
        match self.expected {
            Expected::ApiServer => Purpose::ApiServer,
            Expected::AnyDevice | Expected::Devices(_) => Purpose::Device,
            Expected::FactoryDevice => Purpose::FactoryIdentity,
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Certificate, TlsError> {
        let anchor = &self.trust.anchor;
        // The anchor at the end of a chain is needless and does no harm.
        let anchor_der = anchor.certificate().der();
        let issuers = issuers
            .strip_suffix(std::slice::from_ref(anchor_der))
            .unwrap_or(issuers);
        if issuers.len() >= MAX_CHAIN {
            return Err(refused(format!(
                "chain of more than {MAX_CHAIN} certificates"
            )));
        }
        let chain = std::iter::once(leaf)
            .chain(issuers)
            .map(|der| Certificate::from_der("peer certificate", der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(other)?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let now = match self.trust.clock {
            Clock::AtLeast(_) => {
                path::not_before(Timestamp::from_unix_seconds(seconds), &chain, anchor)
            }
            Clock::System | Clock::Fixed(_) => Timestamp::from_unix_seconds(seconds),
        };
        let judged_at = match self.expected {
            Expected::FactoryDevice => path::while_issuers_last(now, &chain, anchor),
            _ => now,
        };
        path::verify(&chain, anchor, self.purpose(), judged_at)
            .map_err(|why| in_tls(&why, &chain))?;
        self.not_revoked(&chain, now)?;
        chain
            .into_iter()
            .next()
            .ok_or(TlsError::NoCertificatesPresented)
    }

    fn not_revoked(&self, chain: &[Certificate], now: Timestamp) -> Result<(), TlsError> {
        let grace = match self.trust.policy {
            RevocationPolicy::Strict => Some(0),
            RevocationPolicy::Overdue(seconds) => Some(i64::from(seconds)),
            RevocationPolicy::Available => None,
        };
        let strict = grace.is_some();
        let issuers = chain
            .iter()
            .skip(1)
            .chain([self.trust.anchor.certificate()]);
        for (certificate, issuer) in chain.iter().zip(issuers) {
            let fresh_at = grace.map(|grace| now.plus_seconds(-grace));
            match self
                .trust
                .revocations
                .status(issuer, certificate.serial(), fresh_at)
            {
                Status::Good => {}
                Status::Revoked(_) => return Err(CertificateError::Revoked.into()),
                Status::Unknown if strict => {
                    return Err(CertificateError::UnknownRevocationStatus.into());
                }
                Status::Stale(_) if strict => {
                    return Err(CertificateError::ExpiredRevocationList.into());
                }
                Status::Unknown | Status::Stale(_) => {}
            }
        }
        Ok(())
    }

    /// The rules for a device after its path was verified: exactly one URN, and one that we want.
    fn is_expected_device(&self, leaf: &Certificate) -> Result<(), TlsError> {
        let device = DeviceIdentity::from_verified(leaf).map_err(other)?;
        match &self.expected {
            Expected::Devices(allowed) if !allowed.admits(device.urn()) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let certificate = self.verify(leaf, issuers, now)?;
        if matches!(self.expected, Expected::ApiServer) {
            if !certificate.uris().is_empty() {
                return Err(refused(format!(
                    "{} is no API server",
                    certificate.subject()
                )));
            }
            let name_matches = webpki::EndEntityCert::try_from(leaf)
                .is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(name).is_ok());
            if !name_matches {
                return Err(CertificateError::NotValidForName.into());
            }
        } else {
            self.is_expected_device(&certificate)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        !matches!(self.expected, Expected::FactoryDevice)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let certificate = self.verify(leaf, issuers, now)?;
        self.is_expected_device(&certificate)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls12_signature(self, message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls13_signature(self, message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// The reason as the alert that tells the peer, where there is one for it (RFC 8446, section 6.2).
fn in_tls(why: &Refused, chain: &[Certificate]) -> TlsError {
    match why {
        Refused::NotYet(_) => CertificateError::NotValidYet.into(),
        Refused::Expired(_) | Refused::Anchor => CertificateError::Expired.into(),
        Refused::Purpose(_) | Refused::KeyUsage(_) => CertificateError::InvalidPurpose.into(),
        Refused::UnknownIssuer => CertificateError::UnknownIssuer.into(),
        Refused::Path(reason) => {
            let subject = chain.first().map_or("", Certificate::subject);
            refused(format!("certificate of {subject}: {reason}"))
        }
    }
}

fn refused(reason: String) -> TlsError {
    other(Error::Tls { reason })
}

fn other(error: Error) -> TlsError {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}
