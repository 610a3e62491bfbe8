//! The forms in which programs, tokens and services hand a signature over, brought to the one that TUF wants.
//!
//! TUF wants ECDSA signatures as ECDSA-Sig-Value in DER (RFC 3279, section 2.2.3); PKCS#11 and many services give the two
//! numbers one after the other (IEEE P1363). Everybody writes bytes as they are, in hex, or in base64.

use metadata_schema::key::{Family, PublicKey};

/// A form in which a signature was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) form: String,
    pub(super) bytes: Vec<u8>,
}

/// What a file may mean, the most direct reading first.
pub(super) fn candidates(key: &PublicKey, file: &[u8]) -> Vec<Candidate> {
    let mut found = vec![("bytes", file.to_vec())];
    let text: Option<String> = std::str::from_utf8(file)
        .ok()
        .map(|text| text.chars().filter(|c| !c.is_whitespace()).collect());
    if let Some(text) = text {
        if let Ok(bytes) = hex::decode(text.replace(':', "")) {
            found.push(("hex", bytes));
        }
        found.extend(base64(&text).map(|bytes| ("base64", bytes)));
    }
    let mut candidates = Vec::new();
    for (written, bytes) in found {
        if key.family() == Some(Family::Ecdsa) {
            candidates.extend(der(&bytes).map(|der| Candidate {
                form: format!("r and s as {written}"),
                bytes: der,
            }));
        }
        candidates.push(Candidate {
            form: written.to_owned(),
            bytes,
        });
    }
    candidates
}

/// ECDSA-Sig-Value of two numbers of the same length: 32 bytes each for P-256, 48 for P-384.
fn der(numbers: &[u8]) -> Option<Vec<u8>> {
    if !matches!(numbers.len(), 64 | 96) {
        return None;
    }
    let half = numbers.len().checked_div(2)?;
    let (r, s) = numbers.split_at_checked(half)?;
    let mut content = integer(r)?;
    content.extend(integer(s)?);
    tagged(0x30, &content)
}

/// INTEGER: no leading zeros but one that keeps it positive.
fn integer(number: &[u8]) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = number
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    tagged(0x02, &bytes)
}

/// Tag, length, content; at most 127 bytes, which these never exceed.
fn tagged(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(content.len())
        .ok()
        .filter(|length| *length < 128)?;
    let mut out = vec![tag, length];
    out.extend_from_slice(content);
    Some(out)
}

/// Base64 of either alphabet (RFC 4648, sections 4 and 5), padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut out = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit.wrapping_sub(b'A'),
            b'a'..=b'z' => digit.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => digit.wrapping_sub(b'0').wrapping_add(52),
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        buffer = (buffer << 6 | u32::from(value)) & 0xff_ffff;
        bits = bits.wrapping_add(6);
        if bits >= 8 {
            bits = bits.wrapping_sub(8);
            let byte = buffer.checked_shr(bits)? & 0xff;
            out.push(u8::try_from(byte).ok()?);
        }
    }
    // What is left over must be too short for a byte.
    (bits < 6 && !out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648_is_read() {
        let cases = [
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, expected) in cases {
            assert_eq!(base64(text).unwrap(), expected.as_bytes(), "{text}");
        }
        assert_eq!(base64("-_-_").unwrap(), base64("+/+/").unwrap());
        for bad in ["", "=", "Z", "Zg==x!", "Z$=="] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_numbers_become_der() {
        let mut numbers = [0_u8; 64];
        numbers[0] = 0x80;
        numbers[63] = 0x7f;
        let der = der(&numbers).unwrap();
        assert_eq!(der[..5], [0x30, 38, 0x02, 33, 0]);
        assert_eq!(der[37..], [0x02, 1, 0x7f]);
        assert_eq!(super::der(&[0; 64]).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        assert_eq!(super::der(&numbers[1..]), None);
    }
}
