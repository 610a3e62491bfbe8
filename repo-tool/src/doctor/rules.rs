//! The rules: from what was seen to what has to be done.

use std::cmp::Reverse;

use metadata_schema::time::Timestamp;

use super::facts::{
    CertificateFact, Facts, GroupFact, ListFact, MirrorFact, MirrorState, RoleFact, StagedFact,
};
use super::{DAY, DoctorOptions, Finding, Severity, horizon};

/// An event that waits longer than this for signatures has been forgotten, or is in somebody's way.
const STAGED_TOO_LONG: i64 = 7 * DAY;
/// Clocks of two machines may differ by so many seconds without anybody having to know.
const CLOCK_TOLERANCE: i64 = 5 * 60;

/// What was found, the most urgent first.
pub(super) fn judge(facts: &Facts, options: &DoctorOptions, now: Timestamp) -> Vec<Finding> {
    let rules = Rules { options, now };
    let mut findings = Vec::new();
    findings.extend(rules.clock(facts.newest_issue));
    if facts.roles.is_empty() {
        findings.push(rules.nothing_published(!facts.staged.is_empty()));
    }
    findings.extend(facts.roles.iter().filter_map(|role| rules.role(role)));
    findings.extend(facts.groups.iter().filter_map(|group| rules.group(group)));
    let certificates = facts.certificates.iter();
    findings.extend(certificates.filter_map(|one| rules.certificate(one)));
    findings.extend(facts.lists.iter().filter_map(|list| rules.list(list)));
    findings.extend(facts.unlisted.iter().map(|ca| rules.unlisted(ca)));
    for key in facts.online_keys.iter().filter(|key| key.mode & 0o077 != 0) {
        let path = key.path.display().to_string();
        findings.push(Finding {
            severity: Severity::Critical,
            check: "online-key-open",
            text: format!("others can read or change this key (mode {:o})", key.mode),
            mend: Some(format!("chmod 600 {path}")),
            subject: path,
        });
    }
    findings.extend(
        facts
            .staged
            .iter()
            .filter_map(|staged| rules.staged(staged)),
    );
    findings.extend(
        facts
            .mirror
            .iter()
            .filter_map(|mirror| rules.mirror(mirror)),
    );
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

struct Rules<'a> {
    options: &'a DoctorOptions,
    now: Timestamp,
}

impl Rules<'_> {
    fn command(&self, verb: &str, rest: &str) -> String {
        let line = format!("repo-tool {verb} {} {rest}", self.options.named);
        line.trim_end().to_owned()
    }

    fn left(&self, until: Timestamp) -> i64 {
        until.unix_seconds().saturating_sub(self.now.unix_seconds())
    }

    /// Whether something that lasts `period` seconds and is renewed at half time is late: a quarter of it is left.
    fn is_late(&self, until: Timestamp, period: i64) -> bool {
        until <= horizon(self.options, self.now) && self.left(until).saturating_mul(4) < period
    }

    fn clock(&self, newest: Option<Timestamp>) -> Option<Finding> {
        let newest = newest?;
        let behind = newest
            .unix_seconds()
            .saturating_sub(self.now.unix_seconds());
        (behind > CLOCK_TOLERANCE).then(|| Finding {
            severity: Severity::Critical,
            check: "clock",
            subject: "this machine's clock".to_owned(),
            text: format!(
                "it says {}, but published metadata was issued at {newest}: one of the two clocks is wrong",
                self.now
            ),
            mend: Some("timedatectl status".to_owned()),
        })
    }

    fn nothing_published(&self, staged: bool) -> Finding {
        let verb = if staged { "status" } else { "add-release" };
        Finding {
            severity: Severity::Note,
            check: "nothing-published",
            subject: self.options.named.clone(),
            text: "nothing is published yet".to_owned(),
            mend: Some(self.command(verb, "")),
        }
    }

    fn role(&self, role: &RoleFact) -> Option<Finding> {
        let expired = role.expires <= self.now;
        let due = if role.online {
            self.is_late(role.expires, role.period)
        } else {
            role.expires <= horizon(self.options, self.now)
        };
        if !expired && !due {
            return None;
        }
        let when = when(role.expires, self.now);
        let (text, mend) = if role.online {
            let text = format!("{when}: `refresh` has not run, or could not");
            (text, self.command("refresh", ""))
        } else {
            let then = format!("{when}; renew it, and have it signed");
            (then, self.command("renew", &role.role))
        };
        Some(Finding {
            severity: if expired {
                Severity::Critical
            } else {
                Severity::Warning
            },
            check: "role-expires",
            subject: role.role.clone(),
            text,
            mend: Some(mend),
        })
    }

    fn group(&self, group: &GroupFact) -> Option<Finding> {
        let (needed, able, then) = (group.needed, group.able, group.able_then);
        let (severity, check, text) = if able < needed {
            let text = format!("{needed} people must sign, {able} can: nobody can change it now");
            (Severity::Critical, "locked-out", text)
        } else if then < needed {
            let days = self.options.within_days;
            let text = format!(
                "{needed} people must sign; within {days} days certificates run out and {then} can"
            );
            (Severity::Warning, "locked-out-soon", text)
        } else if able == needed {
            let text = format!("{needed} people must sign and no more can: one loss locks you out");
            (Severity::Warning, "no-reserve", text)
        } else {
            return None;
        };
        let refused = group.people.iter().filter_map(|person| {
            let why = person.refused.as_ref()?;
            Some(format!("; {} does not count: {why}", person.name))
        });
        let text = refused.fold(text, |text, more| text + &more);
        let mend = self.command("signers add", &format!("PERSON.pem --role {}", group.role));
        Some(Finding {
            severity,
            check,
            subject: group.role.clone(),
            text,
            mend: Some(mend),
        })
    }

    fn certificate(&self, certificate: &CertificateFact) -> Option<Finding> {
        if certificate.until > horizon(self.options, self.now) {
            return None;
        }
        let expired = certificate.until <= self.now;
        let when = when(certificate.until, self.now);
        let name = &certificate.name;
        let (what, mend) = if certificate.anchor {
            let what = "the trust anchor; devices need firmware with a new one before that";
            (what.to_owned(), None)
        } else if certificate.ca {
            let what = "a CA that signers' certificates stand on".to_owned();
            (what, Some("device-pki --help".to_owned()))
        } else {
            let what = format!("signs for {}", certificate.roles.join(", "));
            let leaf = format!("device-pki issue-signer PKI --name {name} --public-key {name}.pub");
            let roles = certificate.roles.iter().map(|role| match role.as_str() {
                "root" | "targets" => format!(" --role {role}"),
                product => format!(" --role delegated:{product}"),
            });
            let leaf = roles.fold(leaf, |line, role| line + &role);
            let then = self.command(
                "signers replace",
                &format!("{name} PKI/signers/{name}/chain.pem"),
            );
            (what, Some(format!("{leaf} && {then}")))
        };
        let severity = if expired && certificate.ca {
            Severity::Critical
        } else {
            Severity::Warning
        };
        Some(Finding {
            severity,
            check: "certificate-expires",
            subject: name.clone(),
            text: format!("certificate {when} ({what})"),
            mend,
        })
    }

    fn list(&self, list: &ListFact) -> Option<Finding> {
        let (from, until) = (list.this_update, list.next_update);
        let period = until.unix_seconds().saturating_sub(from.unix_seconds());
        let overdue = until <= self.now;
        if !overdue && !self.is_late(until, period) {
            return None;
        }
        let text = if overdue {
            format!(
                "the next revocation list has been due since {until}: blank devices cannot begin"
            )
        } else {
            format!(
                "the next revocation list is due {}",
                in_time(self.left(until))
            )
        };
        Some(Finding {
            severity: if overdue {
                Severity::Critical
            } else {
                Severity::Warning
            },
            check: "crl-due",
            subject: list.issuer.clone(),
            text,
            mend: Some(self.lists()),
        })
    }

    fn unlisted(&self, ca: &str) -> Finding {
        Finding {
            severity: Severity::Warning,
            check: "crl-missing",
            subject: ca.to_owned(),
            text: "publishes no revocation list: what it revokes is not known to devices"
                .to_owned(),
            mend: Some(self.lists()),
        }
    }

    fn lists(&self) -> String {
        let add = self.command("add-crl", "PKI/crl/*.crl");
        format!(
            "device-pki crl PKI && {add} && {}",
            self.command("publish", "")
        )
    }

    fn staged(&self, staged: &StagedFact) -> Option<Finding> {
        let (role, version) = (&staged.role, staged.version);
        let finding = |severity, check, text, mend| {
            Some(Finding {
                severity,
                check,
                subject: role.clone(),
                text,
                mend: Some(mend),
            })
        };
        if version != staged.published.saturating_add(1) {
            let text = format!(
                "v{version} is staged and v{} is published: the event is out of date",
                staged.published
            );
            let mend = self.command("unstage", "");
            return finding(Severity::Warning, "staged-overtaken", text, mend);
        }
        let status = self.command("status", "");
        if staged.expires <= self.now {
            let text = format!("what is staged {}", when(staged.expires, self.now));
            let mend = self.command("renew", role);
            return finding(Severity::Warning, "staged-expired", text, mend);
        }
        let since = staged.since?;
        let age = self.now.unix_seconds().saturating_sub(since.unix_seconds());
        if age > STAGED_TOO_LONG {
            let text = format!("v{version} has waited for signatures since {since}");
            return finding(Severity::Warning, "staged-waits", text, status);
        }
        let text = format!("v{version} is staged and waits for signatures");
        finding(Severity::Note, "staged-waits", text, status)
    }

    fn mirror(&self, mirror: &MirrorFact) -> Option<Finding> {
        let push = self.command("push", &mirror.url);
        let expired = mirror.expires.is_some_and(|expires| expires <= self.now);
        let (severity, text, mend) = match &mirror.state {
            MirrorState::Equal => return None,
            MirrorState::Behind if expired => {
                let text = "serves an older state, whose timestamp has expired".to_owned();
                (Severity::Critical, text, push)
            }
            MirrorState::Behind => (Severity::Warning, "serves an older state".to_owned(), push),
            MirrorState::Ahead => {
                let text =
                    "serves a newer state: somebody published from another folder".to_owned();
                (Severity::Warning, text, self.command("status", ""))
            }
            MirrorState::Different(what) => {
                let text = format!("serves other bytes than the folder has: {what}");
                (
                    Severity::Critical,
                    text,
                    self.command("push --dry-run", &mirror.url),
                )
            }
            MirrorState::Incomplete(what) => {
                let text = format!("does not serve what its own timestamp leads to: {what}");
                (Severity::Critical, text, push)
            }
            MirrorState::Empty => (Severity::Critical, "serves no repository".to_owned(), push),
            MirrorState::Unreachable(why) => {
                let mend = format!("curl -I {}/metadata/timestamp.json", mirror.url);
                (Severity::Critical, format!("cannot be read: {why}"), mend)
            }
        };
        Some(Finding {
            severity,
            check: "mirror",
            subject: mirror.url.clone(),
            text,
            mend: Some(mend),
        })
    }
}

fn when(until: Timestamp, now: Timestamp) -> String {
    let left = until.unix_seconds().saturating_sub(now.unix_seconds());
    if left <= 0 {
        format!("expired on {until}")
    } else {
        format!("expires {}, on {until}", in_time(left))
    }
}

/// "in 3 days" or "in 5 hours".
fn in_time(seconds: i64) -> String {
    let (days, hours) = (seconds.div_euclid(DAY), seconds.div_euclid(60 * 60));
    match (days, hours) {
        (0, 1) => "in 1 hour".to_owned(),
        (0, hours) => format!("in {hours} hours"),
        (1, _) => "in 1 day".to_owned(),
        (days, _) => format!("in {days} days"),
    }
}

#[cfg(test)]
mod tests;
