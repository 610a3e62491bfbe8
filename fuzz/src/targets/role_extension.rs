//! Any bytes as the extension that says what a person may sign: read as a strict DER library reads it.

use device_pki::{Certificate, SignerRole};
use pkcs8::der::Decode;
use pkcs8::der::asn1::Utf8StringRef;

use super::der_tree::{Node, element};
use super::pki::{pki, signed_part};

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
/// `[3] EXPLICIT`, the extensions of a certificate
const EXTENSIONS: u8 = 0xa3;
/// Our extension: 1.3.6.1.4.1.32473.1.1
const NAME: [u8; 12] = [6, 10, 0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 1, 1];
/// Most roles that an extension may have.
const MOST: usize = 64;

/// See the module.
pub fn run(bytes: &[u8]) {
    let value = element(OCTET_STRING, bytes);
    let extension = element(SEQUENCE, &[&NAME[..], &value].concat());
    let extensions = element(EXTENSIONS, &element(SEQUENCE, &extension));
    let tbs = signed_part(pki().carol.der());
    let mut members: Vec<Vec<u8>> = tbs.inside().iter().map(Node::write).collect();
    members.pop();
    members.push(extensions);
    let tbs = Node::read(&element(SEQUENCE, &members.concat())).unwrap();
    let read = Certificate::from_der("leaf", &pki().firmware.sign(&tbs));
    match (read, clearly(bytes)) {
        (Ok(leaf), Some(roles)) => {
            assert_eq!(leaf.roles(), Some(roles.as_slice()));
            for role in roles {
                let again: SignerRole = role.to_string().parse().expect("reads back");
                assert_eq!(again, role);
            }
        }
        (Err(_), None) => {}
        (Err(why), Some(_)) => assert!(bytes.len() > 8_000, "{why}"),
        (Ok(leaf), None) => panic!("{:?}", leaf.roles()),
    }
}

fn clearly(bytes: &[u8]) -> Option<Vec<SignerRole>> {
    let names = Vec::<Utf8StringRef<'_>>::from_der(bytes).ok()?;
    if names.len() > MOST {
        return None;
    }
    Some(
        names
            .iter()
            .filter_map(|name| name.as_str().parse().ok())
            .collect(),
    )
}
