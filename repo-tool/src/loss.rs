//! Keys are lost or stolen: what can still be signed, what a thief can do, which devices can follow, and the way back.
//!
//! A plan is computed from what is published and from who is named (`plan` is pure); nothing is changed. The rules are those of
//! the devices: a signature counts if its holder's certificate is bound and not revoked, holders count once, and the devices'
//! own least thresholds hold. What thieves can do follows `docs/THREAT_MODEL.md`, "Who steals what".

mod capacity;
mod devices;
mod facts;
mod missing;
mod recovery;
mod thief;

use device_pki::TrustAnchor;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::repository::Repository;
use crate::schema::words::Time;

pub use devices::Devices;
pub use recovery::Step;
pub use thief::{Power, Reach};

pub(crate) use facts::Facts;
pub(crate) use missing::Missing;

/// Which keys are gone, and how.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// Nobody has these any more: people by name or key id, or `snapshot`, `timestamp`, `pki`.
    pub lost: Vec<String>,
    /// Somebody else has these: named likewise, or a CA by its name. Their holders are taken to have them no more.
    pub stolen: Vec<String>,
}

/// What follows from a loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LossPlan {
    /// Role by role, what can still be signed.
    pub roles: Vec<RoleLoss>,
    /// What a thief can do at once, and what not.
    pub thief: Vec<Power>,
    /// Which devices can follow, by the root that they hold.
    pub devices: Vec<Devices>,
    /// The way back, in order.
    pub steps: Vec<Step>,
}

/// A role after a loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleLoss {
    /// The role.
    pub role: String,
    /// Signatures that are needed: by the metadata or by the devices, whichever is more.
    pub needed: u32,
    /// Whether it can still be signed.
    pub can_sign: bool,
    /// Who can sign.
    pub able: Vec<String>,
    /// Whose keys are lost.
    pub lost: Vec<String>,
    /// Whose keys are stolen.
    pub stolen: Vec<String>,
    /// Whose keys count for nothing anyway, and why.
    pub unbound: Vec<String>,
    /// Whether a thief has enough keys.
    pub thief_can_sign: bool,
    /// When what is published expires.
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Timestamp>,
}

impl Repository {
    /// What follows if keys are lost or stolen, as things stand now.
    ///
    /// # Errors
    /// If a name means nobody, or nothing is published yet.
    pub fn plan_loss(&self, loss: &Loss, now: Timestamp) -> Result<LossPlan> {
        let facts = self.loss_facts(now)?;
        let missing = Missing::read(&facts, loss)?;
        Ok(plan(&facts, &missing))
    }
}

/// The plan: pure.
pub(crate) fn plan(facts: &Facts, missing: &Missing) -> LossPlan {
    let roles: Vec<RoleLoss> = facts
        .people_roles()
        .into_iter()
        .map(|role| capacity::of_people(facts, missing, &role))
        .chain(
            ["snapshot", "timestamp", "pki"].map(|role| capacity::of_machine(facts, missing, role)),
        )
        .collect();
    LossPlan {
        thief: thief::powers(facts, missing, &roles),
        devices: devices::devices(facts, missing),
        steps: recovery::steps(facts, missing, &roles),
        roles,
    }
}

/// The role of this name, in a plan.
pub(crate) fn of<'a>(roles: &'a [RoleLoss], name: &str) -> Option<&'a RoleLoss> {
    roles.iter().find(|role| role.role == name)
}

/// What a CA's certificate is called, and whether it is the anchor.
pub(crate) fn anchor_name(anchor: &TrustAnchor) -> &str {
    anchor.certificate().common_name()
}

/// Whether a role is one that every repository has.
pub(crate) fn is_top(role: &RoleName) -> bool {
    matches!(role.as_str(), "root" | "targets")
}
