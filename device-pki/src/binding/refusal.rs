//! Refusals, as sentences that a release manager understands.

use metadata_schema::gate::{MAX_CHAIN, Refusal};
use metadata_schema::key::PublicKey;
use metadata_schema::time::Timestamp;

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::path::{Purpose, Refused};
use crate::role::SignerRole;

pub(super) fn no_certificate(key: &PublicKey) -> Refusal {
    Refusal(format!("no certificate for key {}", key.id().short()))
}

pub(super) fn long_chain(key: &PublicKey, length: usize) -> Refusal {
    let id = key.id().short();
    Refusal(format!(
        "chain of {length} certificates for key {id}, at most {MAX_CHAIN}"
    ))
}

pub(super) fn unreadable(key: &PublicKey, error: &Error) -> Refusal {
    Refusal(format!(
        "unreadable certificate for key {}: {error}",
        key.id().short()
    ))
}

pub(super) fn other_key(leaf: &Certificate, key: &PublicKey) -> Refusal {
    Refusal(format!(
        "{} is for another key than {}",
        named(leaf),
        key.id().short()
    ))
}

pub(super) fn unusable_key(leaf: &Certificate, error: &Error) -> Refusal {
    Refusal(format!("{} is of no use here: {error}", named(leaf)))
}

pub(super) fn other_role(leaf: &Certificate, wanted: &SignerRole) -> Refusal {
    let roles = leaf.roles().unwrap_or_default();
    if roles.is_empty() {
        return Refusal(format!(
            "{} names no role to sign, needed is {wanted}",
            named(leaf)
        ));
    }
    let listed: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let plural = if listed.len() == 1 { "role" } else { "roles" };
    Refusal(format!(
        "{} is for {plural} {}, not for {wanted}",
        named(leaf),
        listed.join(", ")
    ))
}

pub(super) fn unknown_time(leaf: &Certificate) -> Refusal {
    Refusal(format!(
        "{}: it is not known at what time it has to be valid",
        named(leaf)
    ))
}

pub(super) fn revoked(chain: &[Certificate], index: usize, since: Timestamp) -> Refusal {
    Refusal(format!(
        "{} was revoked on {}",
        nth(chain, index),
        day(since)
    ))
}

pub(super) fn path(chain: &[Certificate], anchor: &TrustAnchor, why: &Refused) -> Refusal {
    let date = |index: usize, of: fn(&Certificate) -> Timestamp| {
        chain.get(index).map(of).map_or_else(String::new, day)
    };
    let anchor = anchor.certificate();
    Refusal(match why {
        Refused::NotYet(index) => {
            format!(
                "{} is not valid before {}",
                nth(chain, *index),
                date(*index, Certificate::not_before)
            )
        }
        Refused::Expired(index) => {
            format!(
                "{} expired on {}",
                nth(chain, *index),
                date(*index, Certificate::not_after)
            )
        }
        Refused::Purpose(index) => {
            format!(
                "{} is not for {}",
                nth(chain, *index),
                Purpose::CodeSigning.in_words()
            )
        }
        Refused::KeyUsage(0) => format!("{}: its key may not sign data", nth(chain, 0)),
        Refused::KeyUsage(index) => {
            format!("{} may not sign certificates", nth(chain, *index))
        }
        Refused::Anchor => format!(
            "trust anchor {} is valid from {} to {} only",
            anchor.subject(),
            day(anchor.not_before()),
            day(anchor.not_after())
        ),
        Refused::UnknownIssuer => no_path(chain, anchor, "its issuer is unknown"),
        Refused::Path(reason) => no_path(chain, anchor, reason),
    })
}

fn no_path(chain: &[Certificate], anchor: &Certificate, reason: &str) -> String {
    let leaf = nth(chain, 0);
    format!(
        "{leaf} does not lead to the trust anchor {}: {reason}",
        anchor.subject()
    )
}

/// "certificate of Carol (serial 0a1b2c3d)"
fn named(certificate: &Certificate) -> String {
    let serial = certificate.serial().short();
    format!(
        "certificate of {} (serial {serial})",
        certificate.common_name()
    )
}

/// The leaf, or a CA above it.
fn nth(chain: &[Certificate], index: usize) -> String {
    match (index, chain.first(), chain.get(index)) {
        (0, Some(leaf), _) => named(leaf),
        (_, Some(leaf), Some(issuer)) => {
            format!(
                "{}, which issued that of {},",
                named(issuer),
                leaf.common_name()
            )
        }
        _ => "certificate".to_owned(),
    }
}

/// A date, without the time of day.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}
