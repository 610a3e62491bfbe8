//! What was seen, for Prometheus: its text format 0.0.4, for node_exporter's textfile collector.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::facts::MirrorState;
use super::{Diagnosis, Severity};

/// The metrics of a diagnosis, each gauge with help and type.
pub fn prometheus(diagnosis: &Diagnosis) -> String {
    let facts = &diagnosis.facts;
    let mut page = Page(String::new());
    page.gauge(
        "repo_tool_doctor_run_timestamp_seconds",
        "When repo-tool doctor looked.",
        [(Vec::new(), diagnosis.at.unix_seconds())],
    );
    let severities = [
        ("note", Severity::Note),
        ("warning", Severity::Warning),
        ("critical", Severity::Critical),
    ];
    page.gauge(
        "repo_tool_findings",
        "What repo-tool doctor found.",
        severities.map(|(name, severity)| {
            let count = i64::try_from(diagnosis.count(severity)).unwrap_or(i64::MAX);
            (vec![("severity", name.to_owned())], count)
        }),
    );
    let roles = facts.roles.iter();
    page.gauge(
        "repo_tool_role_expires_timestamp_seconds",
        "When published metadata expires.",
        roles.map(|role| {
            (
                vec![("role", role.role.clone())],
                role.expires.unix_seconds(),
            )
        }),
    );
    let roles = facts.roles.iter();
    page.gauge(
        "repo_tool_role_version",
        "Version of published metadata.",
        roles.map(|role| {
            let version = i64::try_from(role.version).unwrap_or(i64::MAX);
            (vec![("role", role.role.clone())], version)
        }),
    );
    let groups = facts.groups.iter();
    page.gauge(
        "repo_tool_signers_in_reserve",
        "People who can sign for a role beyond those who must; negative if it is locked.",
        groups.map(|group| {
            let reserve = i64::from(group.able).saturating_sub(i64::from(group.needed));
            (vec![("role", group.role.clone())], reserve)
        }),
    );
    let certificates = facts.certificates.iter();
    page.gauge(
        "repo_tool_certificate_expires_timestamp_seconds",
        "When certificates of signers and of their CAs run out.",
        certificates.map(|one| {
            let labels = vec![("subject", one.subject.clone()), ("kind", kind(one.ca))];
            (labels, one.until.unix_seconds())
        }),
    );
    let lists = facts.lists.iter();
    page.gauge(
        "repo_tool_crl_next_update_timestamp_seconds",
        "When the next revocation list of a CA is due.",
        lists.map(|list| {
            let labels = vec![("issuer", list.issuer.clone())];
            (labels, list.next_update.unix_seconds())
        }),
    );
    page.gauge(
        "repo_tool_staged_roles",
        "Roles that are staged and wait for signatures.",
        [(
            Vec::new(),
            i64::try_from(facts.staged.len()).unwrap_or(i64::MAX),
        )],
    );
    let mirror = facts.mirror.iter();
    page.gauge(
        "repo_tool_mirror_equal",
        "1 if the mirror serves what the folder has published.",
        mirror.map(|mirror| {
            let equal = i64::from(mirror.state == MirrorState::Equal);
            (vec![("url", mirror.url.clone())], equal)
        }),
    );
    page.0
}

fn kind(ca: bool) -> String {
    if ca { "ca" } else { "signer" }.to_owned()
}

type Labels = Vec<(&'static str, String)>;

struct Page(String);

impl Page {
    /// A metric and its samples; nothing if there are none. A sample whose labels were there already is left out.
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, i64)>) {
        let mut lines: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for (labels, value) in samples {
            let labels = written(&labels);
            if known.insert(labels.clone()) {
                lines.push(format!("{name}{labels} {value}"));
            }
        }
        if lines.is_empty() {
            return;
        }
        let text = lines.join("\n");
        // Writing to a string cannot fail.
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n{text}").ok();
    }
}

fn written(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pair = |(name, value): &(&'static str, String)| {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    let pairs: Vec<String> = labels.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(","))
}
