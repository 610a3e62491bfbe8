//! Sending, phase by phase.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use metadata_schema::limits::Limits;

use super::plan::{TIMESTAMP, Todo};
use super::{Phase, PushOptions};
use crate::error::{Error, Result};
use crate::inventory::Item;
use crate::progress::{OnProgress, Progress};
use crate::remote::{Checked, Content, Fetched, InsteadOf, Remote, Terms};

/// Files of one phase that are under way at once.
const AT_ONCE: usize = 4;
/// Files whose name says what is in them may be kept for so many seconds: a year.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// What has to be sent after all, of what is not plain: reads back what a push left that was cut off.
pub(super) fn settle<'a>(
    remote: &dyn Remote,
    plan: Vec<(Todo, &'a Item)>,
    options: &PushOptions,
) -> Result<Vec<&'a Item>> {
    let mut todo = Vec::new();
    for (what, item) in plan {
        let same = match what {
            Todo::Keep if !options.all => true,
            Todo::Send => false,
            Todo::Keep | Todo::Check => {
                remote.check(&item.path, item.exactly(), &item.hashes)? == Checked::Same
            }
            Todo::Differs => false,
        };
        if same {
            continue;
        }
        // A payload's name has its digest in it: whatever else stands there is damaged.
        let may_replace = matches!(item.phase, Phase::Targets | Phase::Timestamp);
        if what != Todo::Send && !may_replace && !options.replace_leftovers {
            return Err(Error::RemoteDiffers {
                remote: remote.name().to_owned(),
                path: item.path.clone(),
            });
        }
        todo.push(item);
    }
    Ok(todo)
}

/// A push under way.
pub(super) struct Job<'a> {
    pub(super) remote: &'a dyn Remote,
    pub(super) published: &'a Path,
    /// The timestamp that was there when the push began.
    pub(super) before: Option<&'a Fetched>,
    pub(super) timestamp_max_age: u32,
    pub(super) progress: OnProgress<'a>,
    pub(super) total: u64,
}

impl Job<'_> {
    /// Sends these files, which are in the order of their phases.
    pub(super) fn run(&self, todo: &[&Item]) -> Result<()> {
        let done = AtomicU64::new(0);
        for phase in todo.chunk_by(|a, b| a.phase == b.phase) {
            match phase.first().map(|item| item.phase) {
                Some(Phase::Targets | Phase::Roles) => self.together(phase, &done)?,
                _ => phase.iter().try_for_each(|item| self.send(item, &done))?,
            }
        }
        Ok(())
    }

    /// Files whose order does not matter, several at once. After a failure no further one is begun.
    fn together(&self, items: &[&Item], done: &AtomicU64) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.send(item, done) {
                    next.store(items.len(), Ordering::Relaxed);
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(items.len()) {
                scope.spawn(work);
            }
        });
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }

    fn send(&self, item: &Item, done: &AtomicU64) -> Result<()> {
        let terms = self.terms(item);
        if item.path == TIMESTAMP {
            self.nobody_was_faster()?;
        }
        let from = self.published.join(&item.path);
        let content = Content::File(&from, item.length);
        self.remote.write(&item.path, content, &terms)?;
        match self
            .remote
            .check(&item.path, item.exactly(), &item.hashes)?
        {
            Checked::Same => {}
            Checked::Differs(source) => {
                return Err(Error::RemoteContent {
                    remote: self.remote.name().to_owned(),
                    path: item.path.clone(),
                    source,
                });
            }
            Checked::Missing => {
                return Err(crate::remote::failed(
                    self.remote.name(),
                    "read back",
                    &item.path,
                    "it is not there",
                ));
            }
        }
        let sent = done.fetch_add(item.length, Ordering::Relaxed);
        (self.progress)(Progress {
            file: self.remote.name(),
            stage: "sent",
            done: sent.saturating_add(item.length),
            total: self.total,
        });
        Ok(())
    }

    /// The timestamp is still the one that the push began upon. Where the place can ask that in the same step as it writes,
    /// it does so as well.
    fn nobody_was_faster(&self) -> Result<()> {
        let limit = Limits::default().timestamp_length;
        let there = self.remote.read(TIMESTAMP, limit)?;
        if there.as_ref().map(|there| &there.bytes) == self.before.map(|before| &before.bytes) {
            return Ok(());
        }
        Err(Error::RemoteChanged {
            remote: self.remote.name().to_owned(),
            path: TIMESTAMP.to_owned(),
        })
    }

    fn terms(&self, item: &Item) -> Terms {
        let is_timestamp = item.path == TIMESTAMP;
        Terms {
            content_type: content_type(&item.path),
            cache_control: if is_timestamp {
                format!(
                    "public, max-age={}, must-revalidate",
                    self.timestamp_max_age
                )
            } else {
                FOREVER.to_owned()
            },
            instead_of: match (is_timestamp, self.before) {
                (true, None) => InsteadOf::Nothing,
                (true, Some(before)) => match &before.mark {
                    Some(mark) => InsteadOf::Marked(mark.clone()),
                    None => InsteadOf::Anything,
                },
                (false, _) => InsteadOf::Anything,
            },
        }
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "crl")) => "application/pkix-crl",
        _ => "application/octet-stream",
    }
}
