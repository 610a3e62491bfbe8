//! The root walk (5.3), with its files fetched and stored.
//!
//! `root.json` is what was confirmed: a root that held by itself at the reference time, under the revocation lists. Until the
//! walk has come to such a root, its steps are kept in `root_history`, so that a walk which is cut off, by its limit or by the
//! power, goes on where it was. They are verified again, from the confirmed root on, and so are the keys that they retired
//! since. They save requests and decide nothing: where they lead nowhere they are forgotten, and the walk begins again.

use std::sync::Arc;

use device_pki::Crl;
use metadata_schema::gate::PlainTuf;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::{AtRoot, ConfirmedRoot, RootWalk};

use super::{Client, RunClock};
use crate::error::Error;
use crate::transport::{Part, fetch};

/// Most bytes of steps that are kept: some hundreds of roots. What is beyond is walked, and fetched again by the next run. It
/// also bounds what a thief of keys that lead nowhere can have written to a device's flash in each run.
const MAX_HISTORY: u64 = 4 * 1024 * 1024;

/// Where a walk begins.
pub(super) struct Start {
    /// The walk from the root that is trusted because of where it comes from, before its first step.
    walk: RootWalk,
    /// The file of that root.
    bytes: Vec<u8>,
    /// What was confirmed last, if anything was: root and its file.
    confirmed: Option<(RootWalk, Vec<u8>)>,
}

impl Start {
    /// Whether this is the file of the root that was confirmed last.
    fn has_confirmed(&self, bytes: &[u8]) -> bool {
        let confirmed = self.confirmed.as_ref();
        confirmed.is_some_and(|(_, file)| file == bytes)
    }
}

/// A walk under way.
struct Walked {
    walk: RootWalk,
    /// The file of the newest root.
    newest: Vec<u8>,
    /// How many steps came from the history.
    resumed: u32,
    /// Bytes in the history.
    kept: u64,
    /// Whether the limit ended it, and not the repository.
    cut: bool,
}

impl Client<'_> {
    /// From the stored root, or the factory's if that is newer (new firmware may bring one), to the current one.
    pub(super) async fn root(
        &mut self,
        factory_root: &[u8],
        clock: &mut RunClock<'_>,
    ) -> Result<AtRoot, Error> {
        let start = self.start(factory_root)?;
        let mut resume = true;
        let confirmed = loop {
            let mut walked = Self::begin(&start);
            if resume {
                self.resume(&mut walked)?;
            }
            let resumed = walked.resumed > 0;
            match self.finish_walk(walked, &start, clock).await {
                // A thief of keys that are revoked, or of ones that have run out, can make steps, and no end that holds.
                Err(Error::Metadata(why)) if resumed => {
                    tracing::warn!(%why, "the walk that was begun leads nowhere: it begins again");
                    self.store.forget_walk()?;
                    resume = false;
                }
                ended => break ended?,
            }
        };
        // 5.3.10
        Ok(confirmed.in_force()?)
    }

    fn start(&self, factory_root: &[u8]) -> Result<Start, Error> {
        let role = RoleName::root();
        // The walk goes without revocation lists, its end is judged under them: see `RootWalk::confirm`.
        let trusted = |bytes: &[u8]| RootWalk::from_trusted(bytes, self.trust.gate(Vec::new()));
        let Some(stored) = self.store.load(&role)? else {
            return Ok(Start {
                walk: trusted(factory_root)?,
                bytes: factory_root.to_vec(),
                confirmed: None,
            });
        };
        let confirmed = trusted(&stored).map_err(|e| self.damaged(&role, &e))?;
        let factory = trusted(factory_root)?;
        let newer = factory.root().common.version > confirmed.root().common.version;
        let (walk, bytes) = if newer {
            let walk = factory.in_place_of(confirmed.root());
            (walk, factory_root.to_vec())
        } else {
            (confirmed.clone(), stored.clone())
        };
        Ok(Start {
            walk,
            bytes,
            confirmed: Some((confirmed, stored)),
        })
    }

    fn begin(start: &Start) -> Walked {
        Walked {
            walk: start.walk.clone(),
            newest: start.bytes.clone(),
            resumed: 0,
            kept: 0,
            cut: false,
        }
    }

    /// Takes the steps that are in the history.
    fn resume(&self, walked: &mut Walked) -> Result<(), Error> {
        loop {
            let next = walked.walk.next_version()?;
            let taken = match self.store.load_step(next) {
                Ok(None) => break,
                Ok(Some(bytes)) => match walked.walk.step(&bytes) {
                    Ok(()) => Ok(bytes),
                    Err(why) => Err(why.to_string()),
                },
                Err(why) => Err(why.to_string()),
            };
            let bytes = match taken {
                Ok(bytes) => bytes,
                Err(why) => {
                    // It proves nothing and is fetched again.
                    tracing::warn!(version = %next, why, "a step of the walk is damaged");
                    break;
                }
            };
            walked.resumed = walked.resumed.saturating_add(1);
            walked.kept = walked.kept.saturating_add(length(&bytes));
            walked.newest = bytes;
        }
        if walked.resumed == 0 {
            // Of a walk that is over.
            self.store.forget_walk()?;
        }
        Ok(())
    }

    /// Takes the steps that the repository has, and confirms what they lead to.
    async fn finish_walk(
        &mut self,
        mut walked: Walked,
        start: &Start,
        clock: &mut RunClock<'_>,
    ) -> Result<ConfirmedRoot, Error> {
        self.steps(&mut walked).await?;
        let Walked {
            walk, newest, cut, ..
        } = walked;
        let version = walk.root().common.version;
        let witnessed = self.witnessed(start)?;
        let settled = clock.after(walk.retired(), walk.root().common.issued, witnessed);
        let confirmed = match walk.confirm(settled.reference.0, self.gate()?) {
            Ok(confirmed) => confirmed,
            Err(source) if cut => {
                return Err(Error::WalkCut {
                    steps: self.limits.root_rotations,
                    version,
                    source,
                });
            }
            Err(e) => {
                self.store.forget_walk()?;
                return Err(e.into());
            }
        };
        clock.settle(settled)?;
        if !start.has_confirmed(&newest) {
            // Before the root takes its place, so that it cannot be forgotten.
            self.drop_what_was_retired(&confirmed, start, &newest)?;
            self.store.save_root(&newest)?;
        }
        Ok(confirmed)
    }

    /// A time that has certainly passed on the word of the CAs alone, by the root that was confirmed last: whoever signs the
    /// next ones has no part in it.
    fn witnessed(&self, start: &Start) -> Result<Option<Timestamp>, Error> {
        let Some((confirmed, _)) = &start.confirmed else {
            return Ok(None);
        };
        let lists = self.store.load_crls()?.into_iter();
        let lists = lists.filter_map(|(_, bytes)| Crl::from_der("list", &bytes).ok());
        Ok(self.trust.witnessed(&confirmed.root().certificates, lists))
    }

    async fn steps(&mut self, walked: &mut Walked) -> Result<(), Error> {
        // 5.3.3: a bounded number of steps; what is beyond is taken up by the next run.
        for _ in 0..self.limits.root_rotations {
            let next = walked.walk.next_version()?;
            let name = format!("{next}.root.json");
            let limit = self.limits.root_length;
            let Some(bytes) = fetch(self.transport, Part::Metadata, &name, limit).await? else {
                return Ok(());
            };
            walked.walk.step(&bytes)?;
            walked.kept = walked.kept.saturating_add(length(&bytes));
            if walked.kept <= MAX_HISTORY {
                self.store.save_step(next, &bytes)?;
            }
            walked.newest = bytes;
        }
        walked.cut = true;
        Ok(())
    }

    /// Deletes the local timestamp and snapshot if a key of theirs was retired, to recover from a fast-forward attack (5.3.11),
    /// and each of them that the former root's keys signed and the new root's did not, as where a threshold was raised. So what
    /// is there is signed by the keys of the stored root, or damaged.
    fn drop_what_was_retired(
        &self,
        confirmed: &ConfirmedRoot,
        start: &Start,
        newest: &[u8],
    ) -> Result<(), Error> {
        let new = trusted(newest)?;
        let former = start.confirmed.as_ref().map(|(walk, _)| walk);
        for role in [RoleName::timestamp(), RoleName::snapshot()] {
            let stale = confirmed.retired().online()
                || self.store.load(&role)?.is_some_and(|bytes| {
                    let by_former = former.is_some_and(|root| root.signs(&role, &bytes));
                    by_former && !new.signs(&role, &bytes)
                });
            if stale {
                self.store.remove(&role)?;
            }
        }
        Ok(())
    }
}

fn trusted(bytes: &[u8]) -> Result<RootWalk, metadata_schema::MetadataError> {
    RootWalk::from_trusted(bytes, Arc::new(PlainTuf))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
