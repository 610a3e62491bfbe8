//! JSON files that carry their own digest, so that a bit which turned over on the flash is noticed and not believed: in a time floor
//! of 2026 it makes one of 2426, and the device would believe nothing from then on.
//!
//! The digest is the last member, `sha256`, of all text before it. It is no protection against somebody who writes the file. A file
//! without it is read as it is: former versions wrote none, and who edits one by hand takes the line out.

use std::borrow::Cow;

use metadata_schema::digest::Sha256Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Between the other members and the digest.
const BEFORE: &[u8] = b",\n  \"sha256\": \"";
/// After the digest.
const AFTER: &[u8] = b"\"\n}";
/// Letters of a digest.
const LETTERS: usize = 64;

/// The text of a JSON object with at least one member, and its digest.
pub(crate) fn seal(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    if let Some(body) = text.strip_suffix(b"\n}") {
        let digest = Sha256Digest::of(body).to_string();
        text.truncate(body.len());
        text.extend_from_slice(BEFORE);
        text.extend_from_slice(digest.as_bytes());
        text.extend_from_slice(AFTER);
    }
    Ok(text)
}

/// What is in such a text; or why it cannot be believed.
pub(crate) fn open<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(&believed(text)?).map_err(|e| e.to_string())
}

/// The object without its digest, which is right.
pub(crate) fn believed(text: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let Some((body, digest)) = split(text) else {
        return Ok(Cow::Borrowed(text));
    };
    if Sha256Digest::of(body).to_string().as_bytes() != digest {
        return Err(
            "its digest is not that of its text: bits have changed, or it was edited (then take the line `sha256` out)"
                .to_owned(),
        );
    }
    Ok(Cow::Owned([body, b"\n}"].concat()))
}

/// The text before the digest, and the digest; none if there is none.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_suffix(AFTER)?;
    let (body, digest) = text.split_at_checked(text.len().checked_sub(LETTERS)?)?;
    Some((body.strip_suffix(BEFORE)?, digest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_bit_that_changes_a_value_is_noticed() {
        let value = BTreeMap::from([("format", 2), ("security_floor", 17)]);
        let text = seal(&value).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["sha256"].as_str().unwrap().len(), LETTERS);
        let was: BTreeMap<String, u64> = open(&text).unwrap();
        assert_eq!((was["security_floor"], was.len()), (17, 2));
        for bit in 0..text.len() * 8 {
            let mut wrong = text.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let found = open::<BTreeMap<String, serde_json::Value>>(&wrong);
            let values = |name| {
                found
                    .as_ref()
                    .ok()
                    .and_then(|found| found.get(name)?.as_u64())
            };
            let same = values("format") == Some(2) && values("security_floor") == Some(17);
            assert!(found.is_err() || same, "bit {bit}");
        }
    }

    #[test]
    fn without_a_digest_it_is_read_as_it_is() {
        let found: BTreeMap<String, u64> = open(br#"{"format":1}"#).unwrap();
        assert_eq!(found["format"], 1);
        assert_eq!(seal(&BTreeMap::<u8, u8>::new()).unwrap(), b"{}");
        assert!(open::<BTreeMap<String, u64>>(b"").is_err());
    }
}
