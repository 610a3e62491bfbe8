//! What of a PKI expires when: its CAs, its revocation lists, and the newest certificate of everybody.

use std::collections::BTreeMap;

use metadata_schema::time::Timestamp;
use serde::Serialize;

use crate::error::Result;
use crate::folder::PkiFolder;
use crate::profile::CaKind;

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It has expired, or is overdue.
    Late,
    /// It will within the days that were looked at.
    Soon,
    /// It will not.
    Well,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How urgent it is.
    pub severity: Severity,
    /// Until when it holds.
    pub until: Timestamp,
    /// What it is.
    pub what: String,
    /// What to do, if something is to be done.
    pub advice: Option<String>,
}

/// Looks at all of a PKI, `days` ahead; what is most urgent comes first. Identities from the factory have no end and are left
/// out, and so is who has a newer certificate or is revoked.
///
/// # Errors
/// If a file cannot be read.
pub fn examine(pki: &PkiFolder, now: Timestamp, days: u32) -> Result<Vec<Finding>> {
    let soon = now.plus_seconds(i64::from(days).saturating_mul(86_400));
    let mut findings = Vec::new();
    let mut note = |until: Timestamp, what: String, advice: String| {
        let severity = if until < now {
            Severity::Late
        } else if until <= soon {
            Severity::Soon
        } else {
            Severity::Well
        };
        let advice = (severity != Severity::Well).then_some(advice);
        findings.push(Finding {
            severity,
            until,
            what,
            advice,
        });
    };
    let mut seen: Vec<CaKind> = Vec::new();
    for (kind, certificate) in pki.ca_certificates()? {
        // The newest generation comes first; former ones end by themselves.
        if seen.contains(&kind) {
            continue;
        }
        seen.push(kind);
        let advice = match kind {
            CaKind::Root => "ship a new trust anchor in signed firmware".to_owned(),
            _ => format!(
                "device-pki renew-ca {} {}",
                pki.path().display(),
                kind.folder()
            ),
        };
        let what = format!("CA {}", certificate.common_name());
        note(certificate.not_after(), what, advice);
    }
    for list in pki.crls()? {
        let advice = format!("device-pki crl {}", pki.path().display());
        let what = format!("revocation list {} of {}", list.number(), list.issuer());
        note(list.next_update(), what, advice);
    }
    for kind in pki.kinds().filter(|kind| *kind != CaKind::Root) {
        let state = pki.state(kind)?;
        let mut newest = BTreeMap::new();
        for entry in state.issued().iter().filter(|e| e.revoked_at.is_none()) {
            let until: &mut Timestamp = newest
                .entry((&entry.profile, &entry.name))
                .or_insert(entry.not_after);
            *until = entry.not_after.max(*until);
        }
        for ((profile, name), until) in newest {
            if until < Timestamp::MAX {
                let advice = format!("issue {name} a new certificate, or revoke it");
                note(until, format!("{profile} {name}"), advice);
            }
        }
    }
    findings.sort_by(|a, b| (a.severity, a.until, &a.what).cmp(&(b.severity, b.until, &b.what)));
    Ok(findings)
}
