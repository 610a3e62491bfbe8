//! Serial numbers of certificates.

use std::fmt;

/// The serial number of a certificate: with its issuer, what identifies it (RFC 5280, section 4.1.2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNumber(Vec<u8>);

impl SerialNumber {
    /// From big-endian bytes; leading zeros do not count.
    pub fn new(bytes: &[u8]) -> Self {
        Self(
            bytes
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect(),
        )
    }

    /// From hex digits, as [`std::fmt::Display`] writes them; none if they are no such.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok().map(|bytes| Self::new(&bytes))
    }

    /// The big-endian bytes, without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_do_not_count() {
        assert_eq!(
            SerialNumber::new(&[0, 0, 0x81, 0]),
            SerialNumber::new(&[0x81, 0])
        );
        assert_eq!(SerialNumber::new(&[0, 0x81, 0]).to_string(), "8100");
    }
}
