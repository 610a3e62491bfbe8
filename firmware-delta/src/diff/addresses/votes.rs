//! From votes to a map: of what is named at one old address the most frequent new one counts, and a piece of the map has
//! to be worth what it costs.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "host side: weights are numbers of votes"
)]

use crate::predict::{Map, Piece};

/// What was at `old` is `shift` further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Vote {
    old: u64,
    shift: u64,
}

impl Vote {
    pub(super) fn new(old: u64, new: u64) -> Self {
        Self {
            old,
            shift: new.wrapping_sub(old),
        }
    }

    /// Whether both addresses are below these: what is not is no address, but bytes that look like one.
    pub(super) fn is_below(self, old: u64, new: u64) -> bool {
        self.old < old && self.old.wrapping_add(self.shift) < new
    }
}

/// Votes that agree, one behind the other.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    last: u64,
    shift: u64,
    weight: usize,
}

/// Fewest votes that make a piece between two that agree with each other, and between two that do not.
const WORTH: (usize, usize) = (3, 2);

/// The map of at most `most` pieces; `None` if there is nothing in it.
pub(super) fn map(votes: &mut [Vote], most: usize) -> Option<Map> {
    votes.sort_unstable();
    let mut runs: Vec<Run> = votes
        .chunk_by(|a, b| a.old == b.old)
        .filter_map(elected)
        .collect();
    merge(&mut runs);
    // Step by step, so that what is a little better outweighs what is a little worse.
    for least in 2..=WORTH.0 {
        thin(&mut runs, (least, least.min(WORTH.1)));
    }
    let mut least = WORTH.1;
    while runs.len() > most {
        least = least.saturating_mul(2);
        thin(&mut runs, (least, least));
    }
    let end = runs.last()?.last.saturating_add(1);
    let pieces = runs.iter().map(|run| Piece {
        start: run.start,
        shift: run.shift,
    });
    Some(Map::new(pieces.collect(), end))
}

/// The shift that most votes for one address are for.
fn elected(votes: &[Vote]) -> Option<Run> {
    let best = votes
        .chunk_by(|a, b| a.shift == b.shift)
        .max_by_key(|same| same.len())?;
    let vote = best.first()?;
    Some(Run {
        start: vote.old,
        last: vote.old,
        shift: vote.shift,
        weight: best.len(),
    })
}

/// Joins neighbours that agree.
fn merge(runs: &mut Vec<Run>) {
    let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs.drain(..) {
        match joined.last_mut() {
            Some(last) if last.shift == run.shift => {
                last.weight += run.weight;
                last.last = run.last;
            }
            _ => joined.push(run),
        }
    }
    *runs = joined;
}

/// Takes out runs that are too light; their neighbours take their place.
fn thin(runs: &mut Vec<Run>, (between_equals, between_others): (usize, usize)) {
    loop {
        let before = runs.len();
        let mut kept: Vec<Run> = Vec::with_capacity(before);
        for (index, run) in runs.iter().enumerate() {
            let next = runs.get(index + 1).map(|next| next.shift);
            let last = kept.last().map(|last| last.shift);
            let least = if next == last {
                between_equals
            } else {
                between_others
            };
            match kept.last_mut() {
                Some(last) if last.shift == run.shift => {
                    last.weight += run.weight;
                    last.last = run.last;
                }
                _ if run.weight >= least => kept.push(*run),
                _ => {}
            }
        }
        *runs = kept;
        if runs.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agrees_makes_a_piece() {
        let mut votes = Vec::new();
        // From 100 on 8 further, from 200 on 16 further, and two mistakes.
        for old in [100, 110, 120, 130] {
            votes.extend([Vote::new(old, old + 8); 3]);
        }
        votes.push(Vote::new(110, 5000));
        votes.push(Vote::new(125, 7));
        for old in [200, 210] {
            votes.extend([Vote::new(old, old + 16); 3]);
        }
        let map = map(&mut votes, 10).unwrap();
        assert_eq!(map.len(), 2);
        let cases = [
            (99, None),
            (100, Some(108)),
            (125, Some(133)),
            (210, Some(226)),
            (211, None),
        ];
        for (old, new) in cases {
            assert_eq!(map.new_address(old), new, "{old}");
        }
    }

    #[test]
    fn what_is_no_address_has_no_vote() {
        assert!(Vote::new(10, 20).is_below(11, 21));
        assert!(!Vote::new(10, 20).is_below(10, 21));
        assert!(!Vote::new(10, 20).is_below(11, 20));
        assert!(!Vote::new(10, u64::MAX).is_below(11, 1 << 40));
    }

    #[test]
    fn a_map_has_an_end() {
        let mut votes: Vec<_> = (0..1000)
            .flat_map(|at| vec![Vote::new(at * 10, at * 11); 2 + usize::from(at % 100 == 0) * 50])
            .collect();
        assert!(map(&mut votes, 20).unwrap().len() <= 20);
        assert!(map(&mut [], 20).is_none());
    }
}
