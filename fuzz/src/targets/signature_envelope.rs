//! Any bytes as a signed file: the reader agrees with serde_json wherever that reader is exact.

use metadata_schema::MetadataError;
use metadata_schema::envelope::{Envelope, MAX_SIGNATURES, Signature};
use metadata_schema::json::{Json, Refused};
use metadata_schema::name::RoleName;
use serde_json::Value;

/// Numbers with more digits than this are beyond what serde_json reads at all.
const MOST_DIGITS: usize = 300;

/// See the module.
pub fn run(bytes: &[u8]) {
    let ours = Json::read(bytes);
    let theirs = serde_json::from_slice::<Value>(bytes);
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        // Canonical JSON cannot express it, or it is too deep.
        (Err(why), Ok(_)) => {
            let expected = matches!(
                why.what,
                Refused::Duplicate(_) | Refused::NotInteger | Refused::TooDeep
            );
            assert!(expected, "serde_json reads what we refuse: {why}");
            return;
        }
        (Ok(ours), Err(why)) => {
            assert!(
                has_long_number(&ours),
                "we read what serde_json refuses: {why}"
            );
            return;
        }
        (Err(_), Err(_)) => return,
    };
    same(&ours, &theirs);
    let read = Envelope::read(&RoleName::root(), bytes);
    match (read, envelope(&theirs)) {
        (Ok(read), Some(signatures)) => {
            let found: Vec<(&str, &[u8])> = read.signatures.iter().map(parts).collect();
            let expected: Vec<(&str, &[u8])> = signatures
                .iter()
                .map(|(key, bytes)| (key.as_str(), bytes.as_slice()))
                .collect();
            assert_eq!(found, expected);
            let again = Envelope::read(&RoleName::root(), &read.to_bytes()).expect("reads back");
            assert_eq!(again.payload(), read.payload());
            assert_eq!(again.signatures.len(), read.signatures.len());
        }
        (Err(MetadataError::Shape { .. }), None) => {}
        (read, expected) => panic!("{read:?}, where {expected:?} was expected"),
    }
}

fn parts(signature: &Signature) -> (&str, &[u8]) {
    (signature.key.as_str(), &signature.bytes)
}

/// The same value, but for integers that serde_json rounds.
fn same(ours: &Json, theirs: &Value) {
    match (ours, theirs) {
        (Json::Null, Value::Null) => {}
        (Json::Bool(a), Value::Bool(b)) => assert_eq!(a, b),
        (Json::String(a), Value::String(b)) => assert_eq!(a, b),
        (Json::Integer(a), Value::Number(b)) => match (b.as_u64(), b.as_i64()) {
            (Some(b), _) => assert_eq!(**a, b.to_string()),
            (_, Some(b)) => assert_eq!(**a, b.to_string()),
            _ => nearly(a.parse().ok(), b.as_f64()),
        },
        (Json::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| same(a, b));
        }
        (Json::Object(a), Value::Object(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().for_each(|(name, a)| same(a, &b[name]));
        }
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}

/// serde_json does not round to the nearest.
fn nearly(ours: Option<f64>, theirs: Option<f64>) {
    let (ours, theirs) = (ours.expect("digits"), theirs.expect("digits"));
    assert!(
        (ours - theirs).abs() <= ours.abs() * 1e-14,
        "{ours} {theirs}"
    );
}

fn has_long_number(json: &Json) -> bool {
    match json {
        Json::Integer(digits) => digits.len() > MOST_DIGITS,
        Json::Array(items) => items.iter().any(has_long_number),
        Json::Object(members) => members.values().any(has_long_number),
        _ => false,
    }
}

/// The signatures that count as such, if the file is a signed one: TUF 1.0.34, section 4.2, read from another library's
/// value.
fn envelope(file: &Value) -> Option<Vec<(String, Vec<u8>)>> {
    let file = file.as_object()?;
    file.get("signed")?;
    let entries = file.get("signatures")?.as_array()?;
    if entries.len() > MAX_SIGNATURES {
        return None;
    }
    let mut keys: Vec<&str> = Vec::new();
    let mut signatures = Vec::new();
    for entry in entries {
        let entry = entry.as_object()?;
        let key = entry.get("keyid")?.as_str()?;
        let sig = entry.get("sig")?.as_str()?;
        if keys.contains(&key) {
            return None;
        }
        keys.push(key);
        if let Some(bytes) = from_hex(sig) {
            signatures.push((key.to_owned(), bytes));
        }
    }
    Some(signatures)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}
