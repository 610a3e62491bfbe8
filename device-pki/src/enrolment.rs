//! What a device checks of a certificate that it was just given, before it becomes this device's identity.

use metadata_schema::time::Timestamp;

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::key::KeyPair;
use crate::name::DeviceUrn;
use crate::path::{self, Purpose};

/// Puts a new identity together: `leaf`, its issuer from `issuers`, and the key that a certificate was asked for.
///
/// It has to be for this key, lead to the anchor, be for both purposes of a device, and name exactly the device `urn`, if that
/// is known. `now` is the time or earlier, as a device knows it.
///
/// # Errors
/// What is wrong with it.
pub fn accept(
    leaf: Certificate,
    issuers: &[Certificate],
    key: KeyPair,
    anchor: &TrustAnchor,
    urn: Option<&DeviceUrn>,
    now: Timestamp,
) -> Result<Identity> {
    let issuer = issuers.iter().find(|ca| {
        ca.raw_subject() == leaf.raw_issuer() && ca.subject_key_id() == leaf.authority_key_id()
    });
    let mut chain = vec![leaf];
    chain.extend(issuer.cloned());
    let now = path::not_before(now, &chain, anchor);
    let named = chain.first().and_then(Certificate::device);
    path::verify(&chain, anchor, Purpose::Device, now).map_err(|why| Error::Path {
        subject: chain.first().map_or("", Certificate::subject).to_owned(),
        anchor: anchor.certificate().subject().to_owned(),
        reason: why.in_words(&chain),
    })?;
    if named.is_none() || urn.is_some_and(|urn| named.as_ref() != Some(urn)) {
        return Err(Error::Peer {
            expected: urn.map_or_else(|| "one device".to_owned(), ToString::to_string),
            found: named.map_or_else(|| "no device".to_owned(), |urn| urn.to_string()),
        });
    }
    Identity::new(chain, key)
}
