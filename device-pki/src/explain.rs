//! For what a chain would be accepted, and why not for the rest: the same checks that everybody makes, put into words.

use metadata_schema::time::Timestamp;

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::path::{self, Purpose};
use crate::revocations::{Revocations, Status};

/// All purposes, as people call them.
const PURPOSES: [(Purpose, &str); 5] = [
    (Purpose::Device, "device"),
    (Purpose::ApiServer, "API server"),
    (Purpose::FactoryIdentity, "enrolling device"),
    (Purpose::Operator, "operator"),
    (Purpose::CodeSigning, "firmware signer"),
];

/// Says line by line for what a chain, leaf first, would be accepted under an anchor at a time, and what the revocation lists say
/// of it. The anchor at its end is needless and does no harm.
pub fn explain(
    chain: &[Certificate],
    anchor: &TrustAnchor,
    lists: &Revocations,
    now: Timestamp,
) -> Vec<String> {
    let chain = match chain.split_last() {
        Some((last, rest)) if last == anchor.certificate() && !rest.is_empty() => rest,
        _ => chain,
    };
    let mut lines = vec![format!(
        "Under {} at {now}",
        anchor.certificate().common_name()
    )];
    for (purpose, name) in PURPOSES {
        let judged_at = match purpose {
            Purpose::FactoryIdentity => path::while_issuers_last(now, chain, anchor),
            _ => now,
        };
        let names_device = chain.first().and_then(Certificate::device).is_some();
        let needs_device = matches!(purpose, Purpose::Device | Purpose::FactoryIdentity);
        let said = match path::verify(chain, anchor, purpose, judged_at) {
            Err(why) => format!("refused: {}", why.in_words(chain)),
            Ok(()) if needs_device && !names_device => {
                "refused: it does not name exactly one device".to_owned()
            }
            Ok(()) => "accepted".to_owned(),
        };
        lines.push(format!("  as {name:<17} {said}"));
    }
    let issuers = chain.iter().skip(1).chain([anchor.certificate()]);
    for (certificate, issuer) in chain.iter().zip(issuers) {
        let said = match lists.status(issuer, certificate.serial(), Some(now)) {
            Status::Good => "is not revoked".to_owned(),
            Status::Revoked(since) => format!("was REVOKED at {since}: refused everywhere"),
            Status::Unknown => {
                "no list of its issuer was given: servers refuse it, devices do not".to_owned()
            }
            Status::Stale(due) => {
                format!("its issuer's list was due at {due}: servers refuse it, devices do not")
            }
        };
        lines.push(format!("  {}: {said}", certificate.common_name()));
    }
    lines
}
