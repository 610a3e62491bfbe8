//! Prediction of addresses, the host's part: what is code and what are tables, what moved where, and which way of reading pays.
//!
//! ```text
//! both spaces -> layouts (ELF segments and raw code, each with its addresses) -> votes of pairs of instructions -> map -> modes, frame by frame
//! ```

mod choose;
mod elf;
mod evidence;
mod layout;
mod votes;

pub(super) use choose::{Part, choose};
use evidence::Evidence;
use layout::Layout;
use rayon::prelude::*;

use crate::diff::plan::PieceEntry;
use crate::predict::{Map, most_pieces};

/// What addresses are predicted by.
pub(super) struct Model {
    old: Layout,
    new: Layout,
    pub(super) map: Map,
}

/// Copied bytes that are looked at on their own.
const CHUNK: usize = 1 << 20;

impl Model {
    /// The model for `ops`, which make `new` of `old`; `None` if there is nothing that can be predicted.
    pub(super) fn of(
        old: &[u8],
        new: &[u8],
        ops: &[PieceEntry],
        frame_output: u32,
    ) -> Option<Self> {
        let (old_layout, new_layout) = rayon::join(|| Layout::of(old), || Layout::of(new));
        if !old_layout.has_code() || !new_layout.has_code() {
            return None;
        }
        let evidence = Evidence {
            old: (old, &old_layout),
            new: (new, &new_layout),
        };
        let mut votes: Vec<_> = copies(ops)
            .par_iter()
            .flat_map_iter(|copy| evidence.of(*copy))
            .filter(|vote| vote.is_below(old_layout.end(), new_layout.end()))
            .collect();
        let most = usize::try_from(most_pieces(frame_output)).unwrap_or(usize::MAX);
        let map = votes::map(&mut votes, most)?;
        Some(Self {
            old: old_layout,
            new: new_layout,
            map,
        })
    }
}

/// A copy: where it begins in the old and in the new space, and how long it is.
#[derive(Debug, Clone, Copy)]
struct Copy {
    old: usize,
    new: usize,
    length: usize,
}

/// The copies of `ops`, cut into pieces of a bounded length.
fn copies(ops: &[PieceEntry]) -> Vec<Copy> {
    let mut copies = Vec::new();
    let mut at = 0_usize;
    for op in ops {
        for from in (0..op.copy).step_by(CHUNK) {
            copies.push(Copy {
                old: op.old_offset.saturating_add(from),
                new: at.saturating_add(from),
                length: op.copy.saturating_sub(from).min(CHUNK),
            });
        }
        at = at.saturating_add(op.copy).saturating_add(op.extra);
    }
    copies
}
