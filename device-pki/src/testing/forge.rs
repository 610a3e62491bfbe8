//! Certificates taken apart and signed again, for what no CA software would write.

use crate::certificate::Certificate;
use crate::der::{self, Reader, SEQUENCE};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
/// `[0] EXPLICIT`, the version
const VERSION: u8 = 0xa0;
/// `[3] EXPLICIT`, the extensions
const EXTENSIONS: u8 = 0xa3;

/// The members of a TBSCertificate (RFC 5280, section 4.1.2), each a whole element.
#[derive(Clone)]
pub(crate) struct Forged {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
    /// The algorithm outside of what is signed.
    pub(crate) outer_algorithm: Vec<u8>,
}

impl Forged {
    pub(crate) fn from(certificate: &Certificate) -> Self {
        let mut outer = Reader::new(Reader::new(certificate.der()).content(SEQUENCE).unwrap());
        let mut tbs = Reader::new(outer.content(SEQUENCE).unwrap());
        let mut next = |tag| tbs.element(tag).unwrap().0.to_vec();
        let version = next(VERSION);
        let serial = next(INTEGER);
        let [algorithm, issuer, validity, subject, public_key] = [(); 5].map(|()| next(SEQUENCE));
        let list = tbs.content(EXTENSIONS).unwrap();
        let mut list = Reader::new(Reader::new(list).content(SEQUENCE).unwrap());
        let mut extensions = Vec::new();
        while let Some((extension, _)) = list.element(SEQUENCE) {
            extensions.push(extension.to_vec());
        }
        Self {
            version,
            serial,
            outer_algorithm: algorithm.clone(),
            algorithm,
            issuer,
            validity,
            subject,
            public_key,
            extensions,
        }
    }

    /// Without the extension of that identifier.
    pub(crate) fn without(mut self, oid: &[u8]) -> Self {
        let name = der::write(OID, oid);
        let count = self.extensions.len();
        self.extensions
            .retain(|extension| !extension.windows(name.len()).any(|bytes| bytes == name));
        assert_eq!(self.extensions.len() + 1, count, "no such extension");
        self
    }

    pub(crate) fn with(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        let mut content = der::write(OID, oid);
        if critical {
            content.extend(der::write(BOOLEAN, &[0xff]));
        }
        content.extend(der::write(OCTET_STRING, value));
        self.extensions.push(der::write(SEQUENCE, &content));
        self
    }

    pub(crate) fn serial(mut self, bytes: &[u8]) -> Self {
        self.serial = der::write(INTEGER, bytes);
        self
    }

    /// The certificate in DER, signed by this key.
    pub(crate) fn sign(&self, key: &impl rcgen::SigningKey) -> Vec<u8> {
        let mut tbs = [
            &self.version,
            &self.serial,
            &self.algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.public_key,
        ]
        .map(Clone::clone)
        .concat();
        if !self.extensions.is_empty() {
            let list = der::write(SEQUENCE, &self.extensions.concat());
            tbs.extend(der::write(EXTENSIONS, &list));
        }
        let tbs = der::write(SEQUENCE, &tbs);
        let signature = rcgen::SigningKey::sign(key, &tbs).unwrap();
        let signature = der::write(der::BIT_STRING, &[&[0], &signature[..]].concat());
        der::write(
            SEQUENCE,
            &[tbs, self.outer_algorithm.clone(), signature].concat(),
        )
    }

    pub(crate) fn sign_pem(&self, key: &impl rcgen::SigningKey) -> String {
        pem(&self.sign(key))
    }
}

pub(crate) fn pem(der: &[u8]) -> String {
    crate::pem_text::encode("CERTIFICATE", der)
}
