//! Object identifiers of our own.
//!
//! They stand under the enterprise number 32473, which RFC 5612 sets aside for documentation. Whoever runs this system
//! for real registers a number with IANA (free of charge) and puts it into [`ARC`] before the first CA is made: the
//! identifiers are part of every certificate after that.

/// The arc of all identifiers below: 1.3.6.1.4.1.32473.
pub const ARC: [u64; 7] = [1, 3, 6, 1, 4, 1, 32473];

/// Certificate extension: the TUF roles that a firmware signer may sign, a SEQUENCE OF UTF8String.
pub const SIGNER_ROLES: [u64; 9] = [1, 3, 6, 1, 4, 1, 32473, 1, 1];

/// Extended key usage: TLS server of the API. Only the server CA and what it issues have it, so that no device's
/// certificate can stand for the API server.
pub const API_SERVER: [u64; 9] = [1, 3, 6, 1, 4, 1, 32473, 2, 1];

/// Extended key usage: first enrolment by a device's factory identity (IDevID of IEEE 802.1AR). It stands alone in such a
/// certificate, which therefore opens no ordinary TLS connection.
pub const FACTORY_IDENTITY: [u64; 9] = [1, 3, 6, 1, 4, 1, 32473, 2, 2];

/// Extended key usage: operator of the API server. Only the Operator CA and what it issues have it.
pub const OPERATOR: [u64; 9] = [1, 3, 6, 1, 4, 1, 32473, 2, 3];

/// The DER content of [`API_SERVER`].
pub(crate) const API_SERVER_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 2, 1];
/// The DER content of [`FACTORY_IDENTITY`].
pub(crate) const FACTORY_IDENTITY_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 2, 2];
/// The DER content of [`OPERATOR`].
pub(crate) const OPERATOR_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 2, 3];
/// The DER content of id-kp-serverAuth (RFC 5280, section 4.2.1.12).
pub(crate) const SERVER_AUTH_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// The DER content of id-kp-clientAuth.
pub(crate) const CLIENT_AUTH_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// The DER content of id-kp-codeSigning.
pub(crate) const CODE_SIGNING_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
/// The DER content of [`SIGNER_ROLES`].
pub(crate) const SIGNER_ROLES_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 1, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_and_numbers_agree() {
        for (numbers, der) in [
            (API_SERVER, API_SERVER_DER),
            (FACTORY_IDENTITY, FACTORY_IDENTITY_DER),
            (OPERATOR, OPERATOR_DER),
            (SIGNER_ROLES, SIGNER_ROLES_DER),
        ] {
            assert_eq!(numbers[..7], ARC);
            let oid = x509_parser::der_parser::Oid::from(&numbers).unwrap();
            assert_eq!(oid.as_bytes(), der);
        }
    }
}
