//! Key objects of a token: finding them, and their public keys as everybody else writes them.

use cryptoki::error::Error as Failure;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::TokenUri;
use crate::der::{self, Reader};
use crate::subject_key::SubjectKey;

const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;
/// AlgorithmIdentifier of Ed25519 (RFC 8410, section 3), its content.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// id-ecPublicKey (RFC 5480)
const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// AlgorithmIdentifier of RSA (RFC 4055, section 1.2), its content.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// What tells one key of a token from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) handle: ObjectHandle,
    pub(super) label: String,
    pub(super) id: Vec<u8>,
}

impl Named {
    /// For people.
    pub(super) fn name(&self) -> String {
        if self.id.is_empty() {
            return format!("{:?}", self.label);
        }
        format!("{:?} (id {})", self.label, hex::encode(&self.id))
    }
}

/// The keys of one class that a URI names.
pub(super) fn find(
    session: &Session,
    class: ObjectClass,
    uri: &TokenUri,
) -> Result<Vec<Named>, Failure> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(
        uri.object
            .as_ref()
            .map(|label| Attribute::Label(label.clone().into_bytes())),
    );
    template.extend(uri.id.clone().map(Attribute::Id));
    let mut found = Vec::new();
    for handle in session.find_objects(&template)? {
        let mut named = Named {
            handle,
            label: String::new(),
            id: Vec::new(),
        };
        for attribute in
            session.get_attributes(handle, &[AttributeType::Label, AttributeType::Id])?
        {
            match attribute {
                Attribute::Label(label) => {
                    named.label = String::from_utf8_lossy(&label).into_owned();
                }
                Attribute::Id(id) => named.id = id,
                _ => {}
            }
        }
        found.push(named);
    }
    Ok(found)
}

/// The public key object that belongs to a private key: the one with its id, or without ids with its label.
pub(super) fn public_of(session: &Session, key: &Named) -> Result<Option<ObjectHandle>, Failure> {
    let same = if key.id.is_empty() {
        Attribute::Label(key.label.clone().into_bytes())
    } else {
        Attribute::Id(key.id.clone())
    };
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), same];
    Ok(session.find_objects(&template)?.first().copied())
}

/// The public key of a public key object.
///
/// # Errors
/// Why it is none that we verify with, in words.
pub(super) fn public_key(session: &Session, handle: ObjectHandle) -> Result<SubjectKey, String> {
    let wanted = [
        AttributeType::KeyType,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let (mut kind, mut params, mut point) = (None, Vec::new(), Vec::new());
    let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
    let attributes = session
        .get_attributes(handle, &wanted)
        .map_err(|e| e.to_string())?;
    for attribute in attributes {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::EcParams(bytes) => params = bytes,
            Attribute::EcPoint(bytes) => point = bytes,
            Attribute::Modulus(bytes) => modulus = bytes,
            Attribute::PublicExponent(bytes) => exponent = bytes,
            _ => {}
        }
    }
    let (algorithm, bits) = match kind {
        Some(KeyType::EC_EDWARDS) => (ED25519.to_vec(), unwrapped(&point).to_vec()),
        Some(KeyType::EC) => ([EC, &params].concat(), unwrapped(&point).to_vec()),
        Some(KeyType::RSA) => {
            let members = [integer(&modulus), integer(&exponent)].concat();
            (RSA.to_vec(), der::write(der::SEQUENCE, &members))
        }
        Some(other) => return Err(format!("it is a key of type {other}")),
        None => return Err("it says no key type".to_owned()),
    };
    let algorithm = der::write(der::SEQUENCE, &algorithm);
    let bits = der::write(der::BIT_STRING, &[&[0], bits.as_slice()].concat());
    let spki = der::write(der::SEQUENCE, &[algorithm, bits].concat());
    SubjectKey::from_der("its public key", &spki).map_err(|e| e.to_string())
}

/// The point in its OCTET STRING, as PKCS#11 3.1 has it (section 6.3.3), or bare, as some modules have it.
fn unwrapped(point: &[u8]) -> &[u8] {
    let mut reader = Reader::new(point);
    match reader.content(OCTET_STRING) {
        Some(inner) if reader.is_empty() => inner,
        _ => point,
    }
}

/// A positive INTEGER of bytes without sign.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let digits = start.and_then(|start| bytes.get(start..)).unwrap_or(&[0]);
    let negative = digits.first().is_some_and(|first| *first >= 0x80);
    let sign: &[u8] = if negative { &[0] } else { &[] };
    der::write(INTEGER, &[sign, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_with_and_without_their_octet_string() {
        let bare = [&[4_u8][..], &[7; 64]].concat();
        assert_eq!(unwrapped(&bare), bare);
        assert_eq!(unwrapped(&der::write(OCTET_STRING, &bare)), bare);
        assert_eq!(unwrapped(&der::write(OCTET_STRING, &[9; 32])), [9; 32]);
    }

    #[test]
    fn integers_are_positive_and_short() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]), [2, 1, 0]);
    }
}
