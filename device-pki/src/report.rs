//! What a device reports to the API server: the JSON that both sides share.

use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::name::DeviceUrn;

/// The version of the format.
pub const FORMAT: u32 = 1;
/// Longest text in a field.
pub const MAX_TEXT: usize = 200;
/// Longest detail.
pub const MAX_DETAIL: usize = 4000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReportEvent {
    /// Looked for a release and found nothing to do.
    Checked,
    /// New firmware is in the inactive slot and will be tried.
    Installed,
    /// New firmware passed its health check and stays.
    Committed,
    /// New firmware failed, and the old one runs again.
    RolledBack,
    /// A release was refused.
    Refused,
}

impl std::fmt::Display for ReportEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Checked => "checked",
            Self::Installed => "installed",
            Self::Committed => "committed",
            Self::RolledBack => "rolled_back",
            Self::Refused => "refused",
        })
    }
}

/// A report. Fields that we do not know are passed over, so that newer devices can say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// [`FORMAT`].
    pub format: u32,
    /// 32 random hex digits: the same report sent twice counts once.
    pub id: String,
    /// The device. The server believes the certificate, and refuses a report that says otherwise.
    pub device: DeviceUrn,
    /// When the device sent it, by its own clock.
    pub sent: Timestamp,
    /// The product line.
    pub product: String,
    /// The hardware revision.
    pub hardware: String,
    /// The slot that the device runs from.
    pub slot: String,
    /// The firmware version that it runs.
    pub firmware_version: String,
    /// What happened.
    pub event: ReportEvent,
    /// More about it, for people.
    #[serde(default)]
    pub detail: String,
    /// How many bytes of payload were downloaded for it.
    #[serde(default)]
    pub bytes_downloaded: u64,
    /// `full` or `delta`; empty if nothing was downloaded.
    #[serde(default)]
    pub payload_kind: String,
}

impl DeviceReport {
    /// A new report identifier.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn random_id(entropy: &mut dyn Entropy) -> Result<String> {
        let mut bytes = [0_u8; 16];
        entropy.fill(&mut bytes)?;
        Ok(hex::encode(bytes))
    }

    /// Reads a report and checks its bounds.
    ///
    /// # Errors
    /// If it is malformed, of another format, or a text in it is too long or has control characters.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::malformed("report", "a device report", reason);
        let report: Self = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if report.format != FORMAT {
            return Err(bad(format!("format {}, expected {FORMAT}", report.format)));
        }
        let hex = report
            .id
            .chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        if report.id.len() != 32 || !hex {
            return Err(bad("its id is not 32 hex digits".to_owned()));
        }
        let texts = [
            ("product", &report.product),
            ("hardware", &report.hardware),
            ("slot", &report.slot),
            ("firmware_version", &report.firmware_version),
            ("payload_kind", &report.payload_kind),
        ];
        for (name, text) in texts {
            if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
                return Err(bad(format!(
                    "{name} is longer than {MAX_TEXT} bytes or has control characters"
                )));
            }
        }
        if report.detail.len() > MAX_DETAIL {
            return Err(bad(format!("detail is longer than {MAX_DETAIL} bytes")));
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> DeviceReport {
        DeviceReport {
            format: FORMAT,
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            device: "urn:example:device:SN-1".parse().unwrap(),
            sent: "2026-01-01T00:00:00Z".parse().unwrap(),
            product: "router-x".to_owned(),
            hardware: "rev-b".to_owned(),
            slot: "A".to_owned(),
            firmware_version: "1.0.0".to_owned(),
            event: ReportEvent::RolledBack,
            detail: String::new(),
            bytes_downloaded: 7,
            payload_kind: "delta".to_owned(),
        }
    }

    #[test]
    fn a_report_survives_json_with_unknown_fields() {
        let mut json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["event"], "rolled_back");
        json["battery"] = 80.into();
        assert_eq!(
            DeviceReport::from_json(json.to_string().as_bytes()).unwrap(),
            report()
        );
    }

    #[test]
    fn bounds_hold() {
        let refused = |change: fn(&mut DeviceReport)| {
            let mut report = report();
            change(&mut report);
            let json = serde_json::to_vec(&report).unwrap();
            assert!(DeviceReport::from_json(&json).is_err(), "{report:?}");
        };
        refused(|r| r.format = 2);
        refused(|r| r.id = "../../etc/passwd".to_owned());
        refused(|r| r.id = "0123456789ABCDEF0123456789abcdef".to_owned());
        refused(|r| r.product = "x".repeat(MAX_TEXT + 1));
        refused(|r| r.slot = "A\n".to_owned());
        refused(|r| r.detail = "x".repeat(MAX_DETAIL + 1));
    }
}
