//! What somebody can do with stolen keys: `docs/THREAT_MODEL.md`, "Who steals what", for these keys and this repository.

use metadata_schema::gate::When;
use metadata_schema::name::RoleName;
use metadata_schema::threshold::Authority;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::capacity::hands;
use super::{Facts, Missing, RoleLoss, anchor_name, of};

/// What a thief can do, or cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Power {
    /// In one word.
    pub reach: Reach,
    /// In a sentence.
    pub text: String,
}

/// What a thief can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reach {
    /// Nothing with these keys alone.
    Nothing,
    /// Devices can be kept from news.
    Freeze,
    /// Devices can be shown old and new files together.
    Mix,
    /// The time that devices believe can be pushed.
    Time,
    /// New revocation lists can be kept from devices.
    HideLists,
    /// Firmware of one product.
    Product,
    /// Firmware of every product.
    Everything,
    /// Root itself.
    Root,
    /// Devices that still hold an old root can be led elsewhere.
    OldRoot,
    /// Certificates.
    Certify,
}

fn power(reach: Reach, text: impl Into<String>) -> Power {
    Power {
        reach,
        text: text.into(),
    }
}

/// Everything that the stolen keys can do together.
pub(super) fn powers(facts: &Facts, missing: &Missing, roles: &[RoleLoss]) -> Vec<Power> {
    let mut powers = Vec::new();
    let has_root = of(roles, "root").is_some_and(|root| root.thief_can_sign);
    // Keys of machines need no certificate: root may name any.
    let online = missing.has_stolen("timestamp") && missing.has_stolen("snapshot");
    let announces = online || has_root;
    machines(facts, missing, announces, roles, &mut powers);
    for role in roles.iter().filter(|role| !role.stolen.is_empty()) {
        people(role, announces, &mut powers);
    }
    certifiers(facts, missing, has_root, &mut powers);
    old_roots(facts, missing, &mut powers);
    powers
}

fn machines(
    facts: &Facts,
    missing: &Missing,
    announces: bool,
    roles: &[RoleLoss],
    powers: &mut Vec<Power>,
) {
    let day = |time: Option<Timestamp>| time.map_or_else(|| "they expire".to_owned(), day);
    let has = |role| missing.has_stolen(role);
    match (has("timestamp"), has("snapshot")) {
        (true, true) => {
            let people = roles.iter().filter(|role| !is_machine(&role.role));
            let first = people.filter_map(|role| role.expires).min();
            powers.push(power(
                Reach::Mix,
                format!(
                    "show devices signed versions of targets and products that never stood together, and nothing newer, until {}",
                    day(first)
                ),
            ));
            let text = "push the time that devices believe, by a week in total";
            powers.push(power(Reach::Time, text));
        }
        (true, false) => powers.push(power(
            Reach::Freeze,
            format!(
                "keep devices at a state that was published, with new timestamps for its snapshot, until {}",
                day(facts.expiry("snapshot"))
            ),
        )),
        (false, true) => powers.push(power(
            Reach::Nothing,
            "snapshot: nothing alone, for a snapshot counts only if a timestamp names it",
        )),
        (false, false) => {}
    }
    if has("pki") {
        powers.push(if announces {
            let text = "keep new revocation lists from devices that do not have them yet";
            power(Reach::HideLists, text)
        } else {
            let text = "pki: nothing alone, for lists are signed by their CAs, and snapshot says which are new";
            power(Reach::Nothing, text)
        });
    }
}

fn people(role: &RoleLoss, announces: bool, powers: &mut Vec<Power>) {
    let (name, count) = (&role.role, role.stolen.len());
    if is_machine(name) {
        return;
    }
    if !role.thief_can_sign {
        let text = format!("{name}: nothing, {count} of {} signatures", role.needed);
        powers.push(power(Reach::Nothing, text));
        return;
    }
    if name == "root" {
        powers.push(power(
            Reach::Root,
            "root: name their own keys for snapshot and timestamp, put certified keys in other places, lower the time that devices \
             believe; not add keys that no CA has certified for the role, nor go below the devices' least thresholds",
        ));
    } else if !announces {
        powers.push(power(
            Reach::Nothing,
            format!(
                "{name}: enough signatures, but nobody to announce them: keep the machine with the online keys from publishing what \
                 you have not made"
            ),
        ));
    } else if name == "targets" {
        powers.push(power(
            Reach::Everything,
            "targets: ship firmware of every product, and push the time that devices believe as far as they like",
        ));
    } else {
        let text = format!("{name}: ship firmware to the devices of {name}");
        powers.push(power(Reach::Product, text));
    }
}

fn certifiers(facts: &Facts, missing: &Missing, has_root: bool, powers: &mut Vec<Power>) {
    for ca in &missing.cas {
        let what = if *ca == anchor_name(&facts.anchor) {
            "certify anybody, also CAs, and own devices that begin over the network"
        } else {
            "certify signers of their own"
        };
        let limit = if has_root {
            "; with root's keys, have them sign whatever they like"
        } else {
            "; not have them sign for devices that have begun, for neither root nor targets names them"
        };
        powers.push(power(Reach::Certify, format!("{ca}: {what}{limit}")));
    }
}

/// Keys that root has retired still count on devices that have not met the root which did.
fn old_roots(facts: &Facts, missing: &Missing, powers: &mut Vec<Power>) {
    let mut led: Vec<String> = Vec::new();
    let current = facts.roots.len().saturating_sub(1);
    for (root, _) in facts.roots.iter().take(current) {
        let by = Authority {
            keys: &root.keys,
            role: &root.root,
            certificates: &root.certificates,
        };
        if hands(&facts.walk, missing, &RoleName::root(), &by, When::Walk).thief_can_sign() {
            led.push(format!("v{}", root.common.version));
        }
    }
    if !led.is_empty() {
        let versions = led.join(", ");
        let text = format!(
            "lead devices that still hold root {versions} elsewhere, as long as they have not met the newer roots nor a revocation list"
        );
        powers.push(power(Reach::OldRoot, text));
    }
}

fn is_machine(role: &str) -> bool {
    matches!(role, "snapshot" | "timestamp" | "pki")
}

/// The day of a time.
pub(super) fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}
