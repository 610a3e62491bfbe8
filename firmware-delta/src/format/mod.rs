//! The bytes of a payload: a header frame of fixed size, then frames. `docs/FORMATS-payload.md` says the same in words.
//!
//! Parsing takes bytes that were authenticated; emitting is what the host does. What can be
//! constructed can be emitted, and what was emitted parses to the same value.

pub(crate) mod bytes;
pub(crate) mod control;
pub(crate) mod frame;
mod header;
pub(crate) mod recipe;
pub(crate) mod varint;

pub use crate::chain::Link;
pub use frame::StreamKind;
pub use header::{Codecs, HEADER_LEN, Header, MAGIC, PayloadKind, VERSION};
