//! The path from a certificate to the trust anchor (RFC 5280, section 6): by rustls-webpki, and the rules around it.
//!
//! Beyond webpki: the purpose has to be *there* in the leaf and in every CA below the anchor (a certificate without EKU
//! is for nothing, not for anything), key usage is asked for, the path is the chain that was given and nothing else, and
//! the anchor itself has to be valid.

use metadata_schema::time::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter};

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::oid;
use crate::signed::ALGORITHMS;

/// What a path is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Signing firmware metadata.
    CodeSigning,
    /// Being a device: both TLS purposes.
    Device,
    /// Being an API server.
    ApiServer,
    /// Enrolling by an identity from the factory.
    FactoryIdentity,
    /// Operating an API server.
    Operator,
}

impl Purpose {
    /// The EKUs that leaf and CAs must all have.
    pub(crate) fn required(self) -> &'static [&'static [u8]] {
        match self {
            Self::CodeSigning => &[oid::CODE_SIGNING_DER],
            Self::Device => &[oid::CLIENT_AUTH_DER, oid::SERVER_AUTH_DER],
            Self::ApiServer => &[oid::SERVER_AUTH_DER, oid::API_SERVER_DER],
            Self::FactoryIdentity => &[oid::FACTORY_IDENTITY_DER],
            Self::Operator => &[oid::CLIENT_AUTH_DER, oid::OPERATOR_DER],
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::CodeSigning => "code signing",
            Self::Device => "a device (clientAuth and serverAuth)",
            Self::ApiServer => "an API server",
            Self::FactoryIdentity => "enrolment by an identity from the factory",
            Self::Operator => "an operator",
        }
    }
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, present: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let present = present.collect::<Result<Vec<_>, _>>()?;
        let has = |oid: &&[u8]| present.contains(&KeyPurposeId::new(oid));
        if self.required().iter().all(has) {
            return Ok(());
        }
        // The error type has no other public way to say it.
        let nothing = webpki::KeyUsage::required(oid::CODE_SIGNING_DER);
        let error = webpki::Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
            required: nothing,
            present: present.iter().map(KeyPurposeId::to_decoded_oid).collect(),
        });
        Err(error)
    }
}

/// Why a path was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// This certificate of the chain is not for the purpose.
    Purpose(usize),
    /// This certificate of the chain is not valid yet.
    NotYet(usize),
    /// This certificate of the chain is not valid any more.
    Expired(usize),
    /// The key of this certificate may not sign what it has signed.
    KeyUsage(usize),
    /// The anchor is not valid.
    Anchor,
    /// No path from the leaf reaches the anchor.
    UnknownIssuer,
    /// Anything else that webpki refuses.
    Path(String),
}

impl Refused {
    /// The reason, with the certificate that it is about.
    pub(crate) fn in_words(&self, chain: &[Certificate]) -> String {
        let name = |index: &usize| chain.get(*index).map_or("", Certificate::common_name);
        match self {
            Self::Purpose(index) => format!("{} is not for this purpose", name(index)),
            Self::NotYet(index) => format!("{} is not valid yet", name(index)),
            Self::Expired(index) => format!("{} has expired", name(index)),
            Self::KeyUsage(index) => format!("the key of {} may not sign this", name(index)),
            Self::Anchor => "the anchor itself is not valid at this time".to_owned(),
            Self::UnknownIssuer => "no certificate of its issuer leads to the anchor".to_owned(),
            Self::Path(reason) => reason.clone(),
        }
    }
}

/// When to judge a chain, for who only knows that it is `time` or later: at the time of issue of the newest certificate
/// on the path, if that is later.
///
/// A certificate of the future says that the clock is behind: nobody but a CA can make one. What has expired at `time`
/// has expired at any later time, too.
pub(crate) fn not_before(
    time: Timestamp,
    chain: &[Certificate],
    anchor: &TrustAnchor,
) -> Timestamp {
    chain
        .iter()
        .chain([anchor.certificate()])
        .map(Certificate::not_before)
        .fold(time, Timestamp::max)
}

/// When to judge the chain of an identity from the factory: it has no end, but its CA has. What the CA issued while it was
/// valid stays good, until it is revoked.
pub(crate) fn while_issuers_last(
    time: Timestamp,
    chain: &[Certificate],
    anchor: &TrustAnchor,
) -> Timestamp {
    let issuers = chain.iter().skip(1).chain([anchor.certificate()]);
    issuers
        .map(Certificate::not_after)
        .fold(time, Timestamp::min)
}

/// Checks that `chain`, leaf first and without the anchor, leads to `anchor`, for a purpose, at a time.
pub(crate) fn verify(
    chain: &[Certificate],
    anchor: &TrustAnchor,
    purpose: Purpose,
    time: Timestamp,
) -> Result<(), Refused> {
    // First the same questions certificate by certificate, so that a refusal can name which one and why.
    for (index, certificate) in chain.iter().enumerate() {
        if time < certificate.not_before() {
            return Err(Refused::NotYet(index));
        }
        if time > certificate.not_after() {
            return Err(Refused::Expired(index));
        }
        if !purpose
            .required()
            .iter()
            .all(|oid| certificate.has_purpose(oid))
        {
            return Err(Refused::Purpose(index));
        }
        // RFC 5280, section 6.1.4 (n), and section 4.2.1.3 for the leaf: webpki leaves it to us.
        let may_sign = if index == 0 {
            certificate.may_sign_data()
        } else {
            certificate.may_sign_certificates()
        };
        if !may_sign {
            return Err(Refused::KeyUsage(index));
        }
    }
    if !anchor.valid_at(time) {
        return Err(Refused::Anchor);
    }
    let other = |reason: String| Refused::Path(reason);
    let (leaf, issuers) = chain
        .split_first()
        .ok_or_else(|| other("empty chain".to_owned()))?;
    let end_entity = EndEntityCert::try_from(leaf.der()).map_err(|e| other(in_words(&e)))?;
    let issuers: Vec<CertificateDer<'_>> = issuers
        .iter()
        .map(|certificate| certificate.der().clone())
        .collect();
    let seconds = u64::try_from(time.unix_seconds()).unwrap_or(0);
    let path = end_entity
        .verify_for_usage(
            ALGORITHMS,
            std::slice::from_ref(anchor.webpki()),
            &issuers,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            purpose,
            None,
            None,
        )
        .map_err(|e| match e {
            webpki::Error::UnknownIssuer => Refused::UnknownIssuer,
            e => other(in_words(&e)),
        })?;
    if path
        .intermediate_certificates()
        .map(webpki::Cert::der)
        .eq(issuers.iter().cloned())
    {
        Ok(())
    } else {
        Err(other(
            "the chain has certificates that are not on the path".to_owned(),
        ))
    }
}

/// What webpki says, in words of the field.
pub(crate) fn in_words(error: &webpki::Error) -> String {
    use webpki::Error as E;
    match error {
        E::InvalidSignatureForPublicKey => "a signature on the path is wrong".to_owned(),
        E::PathLenConstraintViolated => "the path is longer than a CA on it allows".to_owned(),
        E::MaximumPathDepthExceeded => "the path is too long".to_owned(),
        E::CaUsedAsEndEntity => "a CA's certificate stands in the place of a leaf".to_owned(),
        E::EndEntityUsedAsCa => {
            "a certificate on the path was issued by one that is no CA".to_owned()
        }
        E::NameConstraintViolation => {
            "its names are outside of what its issuer may name".to_owned()
        }
        E::CertRevoked => "it was revoked".to_owned(),
        E::RequiredEkuNotFoundContext(_) => {
            "a certificate on the path is not for this purpose".to_owned()
        }
        other => other.to_string(),
    }
}
