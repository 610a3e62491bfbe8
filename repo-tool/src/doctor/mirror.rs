//! Looking at what devices are served.

use std::error::Error as _;

use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;

use super::facts::{MirrorFact, MirrorState};
use crate::error::{Error, Result};
use crate::inventory::{Inventory, Phase};
use crate::push::TIMESTAMP;
use crate::remote::{Checked, Remote};
use crate::repository::Repository;

impl Repository {
    /// How `remote` stands to what is published here. Metadata that its timestamp leads to is read back, payloads are not.
    pub(super) fn mirror(&self, remote: &dyn Remote) -> Result<MirrorFact> {
        let mut fact = MirrorFact {
            url: remote.name().to_owned(),
            timestamp: None,
            expires: None,
            state: MirrorState::Empty,
        };
        let ours = self.inventory()?;
        fact.state = match look(remote, &ours, &mut fact) {
            Ok(state) => state,
            Err(error) => MirrorState::Unreachable(chain(&error)),
        };
        Ok(fact)
    }
}

fn look(remote: &dyn Remote, ours: &Inventory, fact: &mut MirrorFact) -> Result<MirrorState> {
    let limit = Limits::default().timestamp_length;
    let Some(there) = remote.read(TIMESTAMP, limit)? else {
        return Ok(MirrorState::Empty);
    };
    let role = RoleName::timestamp();
    let theirs = match Inventory::of_timestamp(&there.bytes) {
        Ok(theirs) => theirs,
        Err(error) => return Ok(MirrorState::Different(chain(&error))),
    };
    let (our, their) = (ours.versions.get(&role), theirs.versions.get(&role));
    fact.timestamp = their.map(|version| version.number());
    fact.expires = theirs.expires;
    if their != our {
        let behind = their < our;
        return Ok(if behind {
            MirrorState::Behind
        } else {
            MirrorState::Ahead
        });
    }
    if there.bytes != ours.timestamp {
        return Ok(MirrorState::Different(TIMESTAMP.to_owned()));
    }
    for item in ours
        .items
        .values()
        .filter(|item| item.phase != Phase::Targets)
    {
        match remote.check(&item.path, item.exactly(), &item.hashes)? {
            Checked::Same => {}
            Checked::Missing => return Ok(MirrorState::Incomplete(item.path.clone())),
            Checked::Differs(_) => return Ok(MirrorState::Different(item.path.clone())),
        }
    }
    Ok(MirrorState::Equal)
}

/// An error and its causes in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
