//! Which signatures count in our PKI, and the check of one over a CRL.

use rustls_pki_types::SignatureVerificationAlgorithm;

use crate::der::{BIT_STRING, Reader, SEQUENCE};

/// The algorithms by which certificates and CRLs may be signed: those of our profiles, each with its own digest.
pub(crate) static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
];

/// The algorithms by which certification requests may be signed: those of [`ALGORITHMS`], and those of the keys that
/// people bring. A request proves that they hold the key, and nothing else.
static REQUESTS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P256_SHA512,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA512,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    webpki::aws_lc_rs::ML_DSA_44,
    webpki::aws_lc_rs::ML_DSA_65,
    webpki::aws_lc_rs::ML_DSA_87,
];

/// Whether `der`, a SEQUENCE of what is signed, algorithm and signature (RFC 5280, section 4.1.1), is signed by the key
/// whose SubjectPublicKeyInfo this is.
pub fn verify(der: &[u8], public_key: &[u8]) -> Result<(), &'static str> {
    verify_by(ALGORITHMS, der, public_key)
}

/// Whether a certification request (RFC 2986, section 4.2) is signed by the key whose SubjectPublicKeyInfo this is.
pub(crate) fn verify_request(der: &[u8], public_key: &[u8]) -> Result<(), &'static str> {
    verify_by(REQUESTS, der, public_key)
}

fn verify_by(
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    der: &[u8],
    public_key: &[u8],
) -> Result<(), &'static str> {
    let parts = || {
        let mut outer = Reader::new(Reader::new(der).content(SEQUENCE)?);
        let (message, _) = outer.element(SEQUENCE)?;
        let algorithm = outer.content(SEQUENCE)?;
        let signature = outer.content(BIT_STRING)?.strip_prefix(&[0])?;
        let mut key = Reader::new(Reader::new(public_key).content(SEQUENCE)?);
        let key_algorithm = key.content(SEQUENCE)?;
        let point = key.content(BIT_STRING)?.strip_prefix(&[0])?;
        Some((message, algorithm, signature, key_algorithm, point))
    };
    let (message, algorithm, signature, key_algorithm, point) = parts().ok_or("malformed")?;
    algorithms
        .iter()
        .find(|known| {
            known.signature_alg_id().as_ref() == algorithm
                && known.public_key_alg_id().as_ref() == key_algorithm
        })
        .ok_or("signed with an algorithm that is not used here, or that is not the key's")?
        .verify_signature(point, message, signature)
        .map_err(|_| "wrong signature")
}
