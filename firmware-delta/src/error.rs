//! Why a payload was refused or could not be applied.

use std::io;

use thiserror::Error;

use crate::digest::Hex;
use crate::expectation::ImageId;
use crate::format::PayloadKind;

/// Everything that can go wrong while a payload is read. Frames are counted from 0, the header is not one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The header is not the one that the manifest names.
    #[error("payload header has digest {}, the manifest names {}", Hex(.found), Hex(.expected))]
    HeadMismatch {
        /// What the manifest says.
        expected: [u8; 32],
        /// What the received bytes hash to.
        found: [u8; 32],
    },
    /// The authenticated header does not begin with the mark of a payload.
    #[error("not a firmware payload: it begins with {found:02x?}")]
    NotAPayload {
        /// The first bytes of the header.
        found: [u8; 8],
    },
    /// The payload was made for a newer reader.
    #[error("payload needs {part} version {needed}, this reader knows up to {known}")]
    UnsupportedVersion {
        /// Which part of the format: `format`, `prediction model` or `container recipe`.
        part: &'static str,
        /// The version that the payload asks for.
        needed: u16,
        /// The highest version that this reader knows.
        known: u16,
    },
    /// The payload uses compression that this reader was not built with.
    #[error("payload uses codecs {needed:#b}, this reader knows {known:#b}")]
    UnsupportedCodecs {
        /// Bit set of the codecs used in the payload.
        needed: u32,
        /// Bit set of the codecs known here.
        known: u32,
    },
    /// The payload packs blocks with another edition of a library, which would pack them to other bytes.
    #[error("payload packs blocks with {library} of edition {needed}, this reader has {known}")]
    OtherLibrary {
        /// Which library.
        library: &'static str,
        /// The edition that the payload was made with; 0 if it says none.
        needed: u16,
        /// The edition that is built in; 0 if the payload should not need it.
        known: u16,
    },
    /// A field of the authenticated header makes no sense.
    #[error("payload header: {field} is {found}, expected {expected}")]
    HeaderField {
        /// Name of the field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: u64,
    },
    /// A full payload was expected and a delta came, or the other way round.
    #[error("payload is {found}, the manifest promises {expected}")]
    WrongKind {
        /// What the manifest says.
        expected: PayloadKind,
        /// What the header says.
        found: PayloadKind,
    },
    /// The header declares another old or new image than the manifest.
    #[error("payload header declares {image} image {found}, the manifest names {expected}")]
    WrongImage {
        /// `old` or `new`.
        image: &'static str,
        /// What the manifest says.
        expected: ImageId,
        /// What the header says.
        found: ImageId,
    },
    /// The old image at hand is not the one that the delta starts from.
    #[error("old image is {found}, the delta starts from {expected}")]
    OldMismatch {
        /// What the delta starts from.
        expected: ImageId,
        /// What was read.
        found: ImageId,
    },
    /// The applier was given an old image although none was expected, or none although one was.
    #[error("the caller {} an old image, its expectation {} one",
        if *.given { "gave" } else { "gave no proof of" },
        if *.given { "does not name" } else { "names" })]
    OldNotAsExpected {
        /// Whether an old image was given.
        given: bool,
    },
    /// A length in the payload is above what this receiver is ready to spend.
    #[error("{what} of {found} bytes is above the limit of {limit} bytes")]
    AboveLimit {
        /// What is too long.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The length.
        found: u64,
    },
    /// A frame is not the one that was announced; nothing of it was decoded.
    #[error("frame {frame} has digest {}, announced was {}", Hex(.found), Hex(.expected))]
    FrameMismatch {
        /// Index of the frame.
        frame: u64,
        /// What the frame before it, or the header, announced.
        expected: [u8; 32],
        /// What the received bytes hash to.
        found: [u8; 32],
    },
    /// An authentic frame breaks the format's rules; nothing of it was written.
    #[error("frame {frame} is malformed")]
    Frame {
        /// Index of the frame.
        frame: u64,
        /// Which rule.
        #[source]
        fault: FrameFault,
    },
    /// The old image could not be read.
    #[error("cannot read {length} bytes at offset {offset} of the old image")]
    ReadOld {
        /// Where.
        offset: u64,
        /// How many bytes.
        length: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The new image could not be written.
    #[error("cannot write the output of frame {frame} at offset {offset} of the new image")]
    WriteNew {
        /// Index of the frame.
        frame: u64,
        /// Where in the new image.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The payload could not be read (only [`crate::inspect`] reads by itself).
    #[error("cannot read the payload at offset {offset}")]
    ReadPayload {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The payload ends before its last frame.
    #[error("payload ends after {found} bytes, within frame {frame} (it has {expected} bytes)")]
    Truncated {
        /// The frame that is not complete; 0 also if the header is not.
        frame: u64,
        /// Length of the payload as its header says; the header's length if not even that is there.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// Bytes follow the last frame.
    #[error("payload goes on after its last frame, which ends at byte {expected}")]
    TrailingBytes {
        /// Where the last frame ended.
        expected: u64,
    },
    /// All frames were applied and the new image is still not the promised one.
    #[error("new image is {found}, promised was {expected}")]
    NewMismatch {
        /// What the manifest says.
        expected: ImageId,
        /// What was written.
        found: ImageId,
    },
    /// The bytes of a checkpoint are damaged or of another version.
    #[error("checkpoint is damaged: {field}")]
    CheckpointDamaged {
        /// What about it.
        field: &'static str,
    },
    /// The checkpoint belongs to another payload than the manifest names.
    #[error("checkpoint is of payload {}, the manifest names {}", Hex(.found), Hex(.expected))]
    CheckpointForeign {
        /// The head that the manifest says.
        expected: [u8; 32],
        /// The head that the checkpoint was taken of.
        found: [u8; 32],
    },
    /// What stands in the slot is not what had been written when the checkpoint was taken.
    #[error("the slot holds {found}, the checkpoint was taken after {expected}")]
    PrefixMismatch {
        /// What the checkpoint says.
        expected: ImageId,
        /// What was read back.
        found: ImageId,
    },
    /// What stands in the slot could not be read back.
    #[error("cannot read back the new image at offset {offset}")]
    ReadPrefix {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A call after an error, which would go on from half a state.
    #[error("the payload was refused before; start or resume anew")]
    Spent,
    /// The decompressor could not be set up.
    #[error("cannot set up the decompressor")]
    Decompressor {
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Which rule of the format an authentic frame breaks. Only a publisher with signing keys, or a bug of
/// its tool, can cause one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameFault {
    /// The frame ends within a field.
    #[error("{field} needs {expected} bytes, {found} are left")]
    Short {
        /// The field.
        field: &'static str,
        /// Bytes that it needs.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Bytes are left over behind a complete part.
    #[error("{found} bytes are left over behind the {part}")]
    LeftOver {
        /// Behind what.
        part: &'static str,
        /// How many bytes.
        found: u64,
    },
    /// A kind of frame that this version does not know.
    #[error("unknown frame kind {found}")]
    Kind {
        /// The kind.
        found: u8,
    },
    /// A codec that this version does not know, or that the header does not list.
    #[error(
        "{stream} stream uses codec {found}, which the header does not list or this reader does not know"
    )]
    Codec {
        /// Which stream.
        stream: &'static str,
        /// The codec.
        found: u8,
    },
    /// A length is not what the rest of the frame or of the payload leaves for it.
    #[error("{field} is {found}, expected {expected}")]
    Length {
        /// Which length.
        field: &'static str,
        /// What it should be, or at most.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// A stream does not decompress to the length that it declares.
    #[error("{stream} stream does not decode to the {expected} bytes that it declares")]
    Decode {
        /// Which stream.
        stream: &'static str,
        /// The declared length.
        expected: u64,
    },
    /// A block of the old image does not unpack to the length that the recipe declares.
    #[error("block at offset {offset} of the old image does not unpack to {expected} bytes")]
    Unpack {
        /// Where in the old image it is.
        offset: u64,
        /// The declared length.
        expected: u64,
    },
    /// A block does not pack to the length that the recipe declares.
    #[error("segment {segment} does not pack to {expected} bytes")]
    Pack {
        /// Index of the segment within the frame.
        segment: u64,
        /// The declared length.
        expected: u64,
    },
    /// A number is cut off, too long, or not in its shortest form.
    #[error("{part} has a bad number at byte {at}")]
    Number {
        /// What it is in.
        part: &'static str,
        /// Offset in that, decoded.
        at: u64,
    },
    /// A way of prediction that this version does not know.
    #[error("unknown mode of prediction {found}")]
    Mode {
        /// The mode.
        found: u64,
    },
    /// The map of addresses is not where the header says: it is the first frame if the header declares prediction, and no other.
    #[error("frame is {} map of addresses", if *.is_map { "an unexpected" } else { "not the" })]
    Map {
        /// Whether it is one.
        is_map: bool,
    },
    /// An entry of the control stream yields nothing.
    #[error("control entry {entry} is empty")]
    EmptyEntry {
        /// Index of the entry within the frame.
        entry: u64,
    },
    /// A copy reaches outside of the old image.
    #[error(
        "copy of {length} bytes at offset {offset} is outside of the old image of {old_length} bytes"
    )]
    Outside {
        /// Offset in the old image, or where the arithmetic stopped.
        offset: u64,
        /// Bytes to copy.
        length: u64,
        /// Length of the old image; 0 in a full payload.
        old_length: u64,
    },
    /// The chain ends before the declared number of frames, or goes on behind it.
    #[error("chain {} after {found} frames, the header declares {expected}",
        if *.ends { "ends" } else { "goes on" })]
    Count {
        /// Whether the chain ended early.
        ends: bool,
        /// Frames that the header declares.
        expected: u64,
        /// Frames so far.
        found: u64,
    },
}

impl PatchError {
    /// What can be done about it, in one sentence for an operator.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::HeadMismatch { .. } | Self::FrameMismatch { .. } => {
                "the bytes were changed or mixed up on the way: download again, from another mirror if it persists"
            }
            Self::Truncated { .. } => "the download stopped early: resume it",
            Self::TrailingBytes { .. } => "the mirror appends bytes: use another one",
            Self::UnsupportedVersion { .. }
            | Self::UnsupportedCodecs { .. }
            | Self::OtherLibrary { .. } => {
                "use the full payload, install an update in between that brings a newer updater, or publish for this reader's version"
            }
            Self::AboveLimit { .. } => {
                "publish with smaller frames, or raise the limits of this receiver"
            }
            Self::OldMismatch { .. } => {
                "the running image was modified or is another release: use the full payload"
            }
            Self::OldNotAsExpected { .. } | Self::Spent => {
                "a bug in the calling program: report it"
            }
            Self::NotAPayload { .. }
            | Self::HeaderField { .. }
            | Self::WrongKind { .. }
            | Self::WrongImage { .. }
            | Self::Frame { .. }
            | Self::NewMismatch { .. } => {
                "the manifest or the payload was built wrongly: build and sign the release again"
            }
            Self::ReadOld { .. } | Self::WriteNew { .. } | Self::ReadPrefix { .. } => {
                "check the storage: the running firmware is untouched"
            }
            Self::ReadPayload { .. } => "check that the payload can be read",
            Self::CheckpointDamaged { .. }
            | Self::CheckpointForeign { .. }
            | Self::PrefixMismatch { .. } => {
                "discard the checkpoint and start from the first frame"
            }
            Self::Decompressor { .. } => "free memory and try again",
        }
    }

    pub(crate) fn frame(frame: u64, fault: FrameFault) -> Self {
        Self::Frame { frame, fault }
    }
}
