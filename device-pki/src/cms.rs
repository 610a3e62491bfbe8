//! Certificates in a bag: degenerate SignedData of the Cryptographic Message Syntax (RFC 5652, section 5.2), "certs-only", and
//! its base64, as EST sends them (RFC 7030, section 4.1.3).
//!
//! ```
//! # use device_pki::{Authority, KeyAlgorithm, KeyPair, Organisation, SystemEntropy, Validity, cms};
//! # let corp = Organisation::new("Example Corp", "corp.example", "example")?;
//! # let key = KeyPair::generate(KeyAlgorithm::P384, &mut SystemEntropy)?;
//! # let start = "2026-01-01T00:00:00Z".parse().unwrap();
//! # let root = Authority::root(corp, key, Validity::days(start, 9125), &mut SystemEntropy)?;
//! let bag = cms::certs_only(&[root.certificate()]);
//! assert_eq!(cms::read_certs_only("bag", &bag)?, [root.certificate().clone()]);
//! # Ok::<(), device_pki::Error>(())
//! ```

use crate::certificate::Certificate;
use crate::der::{self, Reader, SEQUENCE};
use crate::error::{Error, Result};
use crate::pem_text;

/// Largest bag that is read.
pub const MAX_LENGTH: usize = 128 * 1024;
/// Most certificates that are read from a bag.
const MAX_CERTIFICATES: usize = 32;

const SET: u8 = 0x31;
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
/// `[0]`, constructed
const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed
const CONTEXT_1: u8 = 0xa1;
/// id-signedData
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// id-data
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];

/// A bag of certificates in DER, in which a set is sorted (X.690, section 11.6).
pub fn certs_only(certificates: &[&Certificate]) -> Vec<u8> {
    let mut ders: Vec<&[u8]> = certificates.iter().map(|c| c.der().as_ref()).collect();
    ders.sort_unstable();
    let signed_data = [
        der::write(INTEGER, &[1]),
        der::write(SET, &[]),
        der::write(SEQUENCE, &der::write(OID, DATA)),
        der::write(CONTEXT_0, &ders.concat()),
        der::write(SET, &[]),
    ];
    let signed_data = der::write(SEQUENCE, &signed_data.concat());
    let content = [
        der::write(OID, SIGNED_DATA),
        der::write(CONTEXT_0, &signed_data),
    ];
    der::write(SEQUENCE, &content.concat())
}

/// The certificates in a bag. What it says of signers and revocation lists is passed over: nobody needs it.
///
/// # Errors
/// If it is too large, no such bag in DER, or a certificate in it is malformed.
pub fn read_certs_only(what: &str, bytes: &[u8]) -> Result<Vec<Certificate>> {
    let bad = |reason: &str| Error::malformed(what, "a bag of certificates (PKCS#7)", reason);
    if bytes.len() > MAX_LENGTH {
        return Err(bad("it is too large"));
    }
    let certificates = members(bytes).ok_or_else(|| bad("its structure is another one"))?;
    let mut reader = Reader::new(certificates);
    let mut read = Vec::new();
    while !reader.is_empty() {
        let (der, _) = reader
            .element(SEQUENCE)
            .ok_or_else(|| bad("it has something else than certificates"))?;
        if read.len() >= MAX_CERTIFICATES {
            return Err(bad("it has too many certificates"));
        }
        read.push(Certificate::from_der(what, der)?);
    }
    Ok(read)
}

fn members(bytes: &[u8]) -> Option<&[u8]> {
    let mut all = Reader::new(bytes);
    let mut content = Reader::new(all.content(SEQUENCE)?);
    let kind = content.content(OID)?;
    let mut wrapped = Reader::new(content.content(CONTEXT_0)?);
    let mut signed = Reader::new(wrapped.content(SEQUENCE)?);
    signed.content(INTEGER)?;
    signed.content(SET)?;
    let mut inner = Reader::new(signed.content(SEQUENCE)?);
    let inner_kind = inner.content(OID)?;
    let certificates = signed.content(CONTEXT_0)?;
    let mut rest = signed;
    if rest.content(CONTEXT_1).is_some() {
        signed = rest;
    }
    signed.content(SET)?;
    let whole = all.is_empty() && content.is_empty() && wrapped.is_empty() && signed.is_empty();
    (whole && kind == SIGNED_DATA && inner_kind == DATA).then_some(certificates)
}

/// Base64 in lines of 64 (RFC 4648, section 4), as bodies of EST are sent.
pub fn base64(bytes: &[u8]) -> String {
    let armoured = pem_text::encode("X", bytes);
    let lines = armoured.lines().filter(|line| !line.starts_with('-'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Bytes from base64, whatever white space it has.
///
/// # Errors
/// If it is too large or no base64.
pub fn from_base64(what: &str, text: &[u8]) -> Result<Vec<u8>> {
    let bad = |reason: &str| Error::malformed(what, "base64", reason);
    if text.len() > MAX_LENGTH.saturating_mul(2) {
        return Err(bad("it is too large"));
    }
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let joined: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if joined.is_empty() || !joined.iter().all(known) {
        return Err(bad("there are other characters in it, or none"));
    }
    // A PEM reader is a base64 reader: one that is here already.
    let armoured = [b"-----BEGIN X-----\n", &*joined, b"\n-----END X-----\n"].concat();
    let (_, content) = pem_text::first(what, &armoured).map_err(|_| bad("it is cut off"))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestPki;

    #[test]
    fn a_bag_reads_back_sorted() {
        let pki = TestPki::new("cms");
        let all = [&pki.root, &pki.devices, &pki.servers].map(crate::Authority::certificate);
        let mut sorted: Vec<Certificate> = all.into_iter().cloned().collect();
        sorted.sort_by(|a, b| a.der().as_ref().cmp(b.der().as_ref()));
        let bag = certs_only(&all);
        assert_eq!(read_certs_only("bag", &bag).unwrap(), sorted);
        let text = base64(&bag);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(from_base64("bag", text.as_bytes()).unwrap(), bag);
        assert_eq!(read_certs_only("bag", &certs_only(&[])).unwrap(), []);
        for cut in [1, 20, bag.len() - 1] {
            assert!(read_certs_only("bag", &bag[..cut]).is_err(), "{cut}");
        }
        assert!(read_certs_only("bag", &[&bag[..], &[0]].concat()).is_err());
        for bad in [&b""[..], b"a", b"-----", b"AA=A", "ä".as_bytes()] {
            assert!(from_base64("x", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn openssl_reads_it() {
        let pki = TestPki::new("cms");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag.p7");
        let bag = certs_only(&[pki.root.certificate(), pki.devices.certificate()]);
        std::fs::write(&path, &bag).unwrap();
        let said = std::process::Command::new("openssl")
            .args(["pkcs7", "-inform", "DER", "-print_certs", "-noout", "-in"])
            .arg(&path)
            .output();
        // Where OpenSSL is, it agrees; the tests with peers require it.
        if let Ok(said) = said {
            let said = String::from_utf8(said.stdout).unwrap();
            assert!(
                said.contains("Root CA") && said.contains("Device-Issuing CA"),
                "{said}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            drop(read_certs_only("x", &bytes));
            drop(from_base64("x", &bytes));
        }

        #[test]
        fn base64_is_the_same_both_ways(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..300)) {
            proptest::prop_assert_eq!(from_base64("x", base64(&bytes).as_bytes()).unwrap(), bytes);
        }
    }
}
