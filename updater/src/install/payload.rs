//! Which payload brings an image into the slot: the delta from what runs, or the full one.

use std::fmt;

use firmware_delta::{Expectation, ImageId};
use metadata_schema::release::{Image, Payload};

use crate::lifecycle::ImageRef;

/// What a payload starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// Nothing.
    Full,
    /// The image that runs.
    Delta,
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Delta => "delta",
        })
    }
}

/// A payload, and what it must turn into what.
#[derive(Clone, Debug)]
pub(super) struct Choice<'a> {
    pub(super) kind: PayloadKind,
    pub(super) payload: &'a Payload,
    pub(super) expectation: Expectation,
}

/// The delta from `running`, if the release has one, otherwise the full payload.
pub(super) fn choose<'a>(image: &'a Image, running: Option<&ImageRef>) -> Choice<'a> {
    let new = ImageId {
        length: image.length,
        sha256: *image.sha256.as_bytes(),
    };
    let delta = running.and_then(|old| Some((old, image.deltas.get(&old.sha256)?)));
    match delta {
        Some((old, payload)) => {
            let old = ImageId {
                length: old.length,
                sha256: *old.sha256.as_bytes(),
            };
            let expectation = Expectation {
                head: *payload.head.as_bytes(),
                new,
                old: Some(old),
            };
            Choice {
                kind: PayloadKind::Delta,
                payload,
                expectation,
            }
        }
        None => {
            let expectation = Expectation {
                head: *image.full.head.as_bytes(),
                new,
                old: None,
            };
            Choice {
                kind: PayloadKind::Full,
                payload: &image.full,
                expectation,
            }
        }
    }
}
