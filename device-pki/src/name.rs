//! Names in certificates: the organisation, its people and its devices, as URNs (RFC 8141).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Who runs this PKI: what its names are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawOrganisation")]
pub struct Organisation {
    name: String,
    domain: String,
    namespace: String,
}

#[derive(Deserialize)]
struct RawOrganisation {
    name: String,
    domain: String,
    namespace: String,
}

impl TryFrom<RawOrganisation> for Organisation {
    type Error = Error;

    fn try_from(raw: RawOrganisation) -> Result<Self> {
        Self::new(&raw.name, &raw.domain, &raw.namespace)
    }
}

impl Organisation {
    /// An organisation: its name as people write it, its DNS domain, and the namespace of its URNs.
    ///
    /// ```
    /// let corp = device_pki::Organisation::new("Example Corp", "corp.example", "example")?;
    /// assert_eq!(corp.device_urn("SN-0001")?.to_string(), "urn:example:device:SN-0001");
    /// # Ok::<(), device_pki::Error>(())
    /// ```
    ///
    /// # Errors
    /// If one of the three is not usable in certificates.
    pub fn new(name: &str, domain: &str, namespace: &str) -> Result<Self> {
        let refuse = |what, found: &str, why| {
            Err(Error::Name {
                what,
                found: found.to_owned(),
                why,
            })
        };
        if !printable(name, 64) {
            return refuse("organisation", name, "is not 1 to 64 printable characters");
        }
        if !is_domain(domain) {
            return refuse("domain", domain, "is no lower-case DNS domain");
        }
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(2..=31).contains(&namespace.len())
            || !namespace.chars().all(alphanumeric)
            || namespace.starts_with('-')
            || namespace.ends_with('-')
        {
            return refuse(
                "namespace",
                namespace,
                "is not 2 to 31 lower-case letters, digits and inner '-'",
            );
        }
        Ok(Self {
            name: name.to_owned(),
            domain: domain.to_owned(),
            namespace: namespace.to_owned(),
        })
    }

    /// The name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The DNS domain of devices: `dev.<domain>`.
    pub fn device_domain(&self) -> String {
        format!("dev.{}", self.domain)
    }

    /// The DNS name of the API server: `api.<domain>`.
    pub fn api_domain(&self) -> String {
        format!("api.{}", self.domain)
    }

    /// The URN of a person.
    ///
    /// # Errors
    /// If the name is empty, too long, or has control characters.
    pub fn person_urn(&self, name: &str) -> Result<String> {
        if !printable(name, 64) {
            let why = "is not 1 to 64 printable characters";
            return Err(Error::Name {
                what: "person",
                found: name.to_owned(),
                why,
            });
        }
        Ok(format!(
            "urn:{}:person:{}",
            self.namespace,
            percent_encoded(name)
        ))
    }

    /// The URN of the device with this serial number.
    ///
    /// # Errors
    /// If the serial number is not letters, digits and inner `-`, at most 63 of them: it becomes a DNS label.
    pub fn device_urn(&self, serial: &str) -> Result<DeviceUrn> {
        format!("urn:{}:device:{serial}", self.namespace).parse()
    }
}

/// The name of one device: `urn:<namespace>:device:<serial number>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceUrn {
    text: String,
    serial_at: usize,
}

impl DeviceUrn {
    /// The whole URN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The serial number at its end.
    pub fn serial(&self) -> &str {
        self.text.get(self.serial_at..).unwrap_or_default()
    }
}

impl FromStr for DeviceUrn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why| Error::Name {
            what: "device URN",
            found: text.chars().take(120).collect(),
            why,
        };
        let mut parts = text.splitn(4, ':');
        let (Some("urn"), Some(namespace), Some("device"), Some(serial)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse(
                "is not of the form urn:<namespace>:device:<serial number>",
            ));
        };
        if !is_label(&namespace.to_ascii_lowercase()) || !is_label(&serial.to_ascii_lowercase()) {
            return Err(refuse(
                "a serial number is 1 to 63 letters, digits and inner '-'",
            ));
        }
        let serial_at = text.len().saturating_sub(serial.len());
        Ok(Self {
            text: text.to_owned(),
            serial_at,
        })
    }
}

impl fmt::Display for DeviceUrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for DeviceUrn {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DeviceUrn> for String {
    fn from(urn: DeviceUrn) -> Self {
        urn.text
    }
}

fn printable(text: &str, most: usize) -> bool {
    let length = text.chars().count();
    (1..=most).contains(&length) && !text.chars().any(char::is_control) && text.trim() == text
}

/// A DNS domain of at least two labels (RFC 1035, section 2.3.1), in lower case.
pub(crate) fn is_domain(text: &str) -> bool {
    text.len() <= 200 && text.contains('.') && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// All but unreserved characters percent-encoded (RFC 3986, section 2.1), so that two names never share a URN.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_become_urns() {
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        assert_eq!(
            corp.person_urn("Carol Müller").unwrap(),
            "urn:example:person:Carol%20M%C3%BCller"
        );
        let urn = corp.device_urn("SN-0001").unwrap();
        assert_eq!(
            (urn.as_str(), urn.serial()),
            ("urn:example:device:SN-0001", "SN-0001")
        );
        for bad in ["", "-a", "a-", "a.b", "a/b", "a b", "ä", &"x".repeat(64)] {
            assert!(corp.device_urn(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "urn:example:person:x",
            "urn:example:device",
            "URN:example:device:x",
            "x",
            "",
        ] {
            assert!(bad.parse::<DeviceUrn>().is_err(), "{bad:?}");
        }
        assert!(corp.person_urn("a\nb").is_err());
    }

    #[test]
    fn organisations_that_cannot_be() {
        for (name, domain, namespace) in [
            ("", "corp.example", "example"),
            ("Corp", "CORP.example", "example"),
            ("Corp", "localhost", "example"),
            ("Corp", "corp..example", "example"),
            ("Corp", "corp.example", "e:x"),
            ("Corp\n", "corp.example", "example"),
        ] {
            assert!(
                Organisation::new(name, domain, namespace).is_err(),
                "{name} {domain} {namespace}"
            );
        }
    }
}
