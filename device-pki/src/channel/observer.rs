//! A verifier that remembers whose certificate it was shown, so that a refusal can be told with a name.

use std::sync::OnceLock;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error as TlsError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::Certificate;
use crate::tls::Verifier;

/// The verifier of one connection.
#[derive(Debug)]
pub(super) struct Observer {
    verifier: Verifier,
    claimed: OnceLock<String>,
}

impl Observer {
    pub(super) fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            claimed: OnceLock::new(),
        }
    }

    /// Whom the certificate names, whether that is true or not; none if none was shown that can be read.
    pub(super) fn claimed(&self) -> Option<&str> {
        self.claimed.get().map(String::as_str)
    }

    fn note(&self, leaf: &CertificateDer<'_>) {
        if let Ok(leaf) = Certificate::from_der("peer certificate", leaf) {
            let name = leaf
                .device()
                .map_or_else(|| leaf.subject().to_owned(), |urn| urn.as_str().to_owned());
            // Filled once: a handshake has one certificate.
            self.claimed.set(name).ok();
        }
    }
}

impl ClientCertVerifier for Observer {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        ClientCertVerifier::root_hint_subjects(&self.verifier)
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.note(leaf);
        self.verifier.verify_client_cert(leaf, issuers, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ClientCertVerifier::verify_tls12_signature(&self.verifier, message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ClientCertVerifier::verify_tls13_signature(&self.verifier, message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(&self.verifier)
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.note(leaf);
        self.verifier
            .verify_server_cert(leaf, issuers, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls12_signature(&self.verifier, message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls13_signature(&self.verifier, message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(&self.verifier)
    }
}
