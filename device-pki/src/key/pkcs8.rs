//! Private keys as bytes: PKCS#8 version 1 (RFC 5208), which OpenSSL, nginx and curl load as well.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    ML_DSA_65_SIGNING, PqdsaKeyPair,
};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{KeyAlgorithm, KeyPair};
use crate::der;
use crate::error::{Error, Result};

/// id-Ed25519 (RFC 8410)
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// id-ecPublicKey (RFC 5480)
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// secp384r1
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// id-ml-dsa-65 (RFC 9881)
const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");

const OCTET_STRING: u8 = 0x04;
const VERSION_0: [u8; 3] = [0x02, 0x01, 0x00];
const VERSION_1: [u8; 3] = [0x02, 0x01, 0x01];

/// PrivateKeyInfo of an Ed25519 seed (RFC 8410, section 7), without the public key: version 1.
pub(super) fn ed25519(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let algorithm = der::write(der::SEQUENCE, &[0x06, 0x03, 0x2b, 0x65, 0x70]);
    let inner = Zeroizing::new(der::write(OCTET_STRING, seed));
    let key = Zeroizing::new(der::write(OCTET_STRING, &inner));
    let all = Zeroizing::new([VERSION_0.as_slice(), &algorithm, &key].concat());
    Zeroizing::new(der::write(der::SEQUENCE, &all))
}

/// ECPrivateKey (RFC 5915, section 3) of a scalar.
pub(super) fn ec_private_key(scalar: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = Zeroizing::new(der::write(OCTET_STRING, scalar));
    let all = Zeroizing::new([VERSION_1.as_slice(), &key].concat());
    Zeroizing::new(der::write(der::SEQUENCE, &all))
}

/// Reads PKCS#8, version 1 or 2.
pub(crate) fn read(what: &str, der_bytes: &[u8]) -> Result<KeyPair> {
    let bad =
        |reason: &dyn ToString| Error::malformed(what, "a PKCS#8 private key", reason.to_string());
    let info = PrivateKeyInfoRef::try_from(der_bytes).map_err(|e| bad(&e))?;
    let curve = || info.algorithm.parameters_oid().map_err(|e| bad(&e));
    if info.algorithm.oid == ED25519 {
        let mut reader = der::Reader::new(info.private_key.as_bytes());
        let seed = reader
            .content(OCTET_STRING)
            .and_then(|seed| <[u8; 32]>::try_from(seed).ok());
        let seed = Zeroizing::new(seed.ok_or_else(|| bad(&"the Ed25519 seed is not 32 bytes"))?);
        return Ok(KeyPair::ed25519(ed25519_dalek::SigningKey::from_bytes(
            &seed,
        )));
    }
    if info.algorithm.oid == ML_DSA_65 {
        let key = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, der_bytes).map_err(|e| bad(&e))?;
        return KeyPair::ml_dsa(key);
    }
    let (algorithm, curve) = match (info.algorithm.oid, curve()?) {
        (EC, P256) => (KeyAlgorithm::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        (EC, P384) => (KeyAlgorithm::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
        (oid, _) => {
            return Err(bad(&format!(
                "algorithm {oid}, expected Ed25519, P-256, P-384 or ML-DSA-65"
            )));
        }
    };
    let key = EcdsaKeyPair::from_private_key_der(curve, der_bytes).map_err(|e| bad(&e))?;
    KeyPair::ecdsa(algorithm, key)
}
