//! The modes stream of a frame: how its decoded bytes are read, run by run.
//!
//! ```text
//! runs until the end: (length * 8 + mode), then, but for mode 0, signed changes of the biases since the run before
//! ```

use crate::error::FrameFault;
use crate::format::frame::Fault;
use crate::format::varint;
use crate::predict::{Bias, Mode};

/// `length` decoded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) length: u64,
    /// `None`: copied as they are.
    pub(crate) mode: Option<Mode>,
    pub(crate) bias: Bias,
}

/// Reads runs one by one: none of them is stored.
pub(crate) struct Runs<'a> {
    total: usize,
    rest: &'a [u8],
    /// Decoded bytes that no run was for.
    left: u64,
    bias: Bias,
}

impl<'a> Runs<'a> {
    /// `decoded` is how many bytes the frame decodes to.
    pub(crate) fn new(modes: &'a [u8], decoded: u64) -> Self {
        Self {
            total: modes.len(),
            rest: modes,
            left: decoded,
            bias: Bias::default(),
        }
    }

    /// The next run; `None` behind the last.
    pub(crate) fn next(&mut self) -> Fault<Option<Run>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let head = self.number()?;
        let length = head >> 3;
        let left = self.left.checked_sub(length).filter(|_| length > 0);
        self.left = left.ok_or(FrameFault::Length {
            field: "length of a run of modes",
            expected: self.left,
            found: length,
        })?;
        let number = usize::try_from(head & 7).unwrap_or(usize::MAX);
        let mode = match number.checked_sub(1) {
            None => None,
            Some(index) => {
                let mode = Mode::ALL.get(index).copied();
                Some(mode.ok_or(FrameFault::Mode { found: head & 7 })?)
            }
        };
        if let Some(mode) = mode {
            self.bias.old = self.moved(self.bias.old)?;
            self.bias.new = self.moved(self.bias.new)?;
            if mode.has_pointers() {
                self.bias.old_pointer = self.moved(self.bias.old_pointer)?;
                self.bias.new_pointer = self.moved(self.bias.new_pointer)?;
            }
        }
        Ok(Some(Run {
            length,
            mode,
            bias: self.bias,
        }))
    }

    fn moved(&mut self, bias: u64) -> Fault<u64> {
        let change = varint::unfold(self.number()?);
        Ok(bias.wrapping_add_signed(change))
    }

    fn number(&mut self) -> Fault<u64> {
        varint::number(&mut self.rest, self.total, "modes stream")
    }
}

/// The modes stream of `runs`.
#[cfg(feature = "diff")]
pub(crate) fn emit(runs: &[Run]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut bias = Bias::default();
    for run in runs {
        let number = Mode::ALL.iter().position(|mode| Some(*mode) == run.mode);
        let number = number.map_or(0, |index| {
            u64::try_from(index).unwrap_or(0).saturating_add(1)
        });
        varint::put(&mut bytes, run.length << 3 | number);
        let Some(mode) = run.mode else { continue };
        let mut change = |before: &mut u64, now: u64| {
            let change = now.wrapping_sub(*before).cast_signed();
            varint::put(&mut bytes, varint::fold(change));
            *before = now;
        };
        change(&mut bias.old, run.bias.old);
        change(&mut bias.new, run.bias.new);
        if mode.has_pointers() {
            change(&mut bias.old_pointer, run.bias.old_pointer);
            change(&mut bias.new_pointer, run.bias.new_pointer);
        }
    }
    bytes
}

#[cfg(all(test, feature = "diff"))]
mod tests {
    use super::*;

    fn runs() -> Vec<Run> {
        let bias = Bias {
            old: 7,
            new: u64::MAX,
            old_pointer: 1 << 63,
            new_pointer: 5,
        };
        let run = |length, mode, bias| Run { length, mode, bias };
        let first = Bias {
            old: 7,
            new: 9,
            ..Bias::default()
        };
        vec![
            run(3, Some(Mode::Arm64), first),
            run(1 << 20, Some(Mode::Absolute64), bias),
            run(1, None, bias),
        ]
    }

    #[test]
    fn runs_come_back() {
        let bytes = emit(&runs());
        let mut back = Runs::new(&bytes, (1 << 20) + 4);
        for run in runs() {
            assert_eq!(back.next().unwrap(), Some(run));
        }
        assert_eq!(back.next().unwrap(), None);
    }

    #[test]
    fn lies_are_refused() {
        let all = |bytes: &[u8], decoded| {
            let mut runs = Runs::new(bytes, decoded);
            while runs.next()?.is_some() {}
            Ok::<_, FrameFault>(())
        };
        let bytes = emit(&runs());
        all(&bytes, 1 << 21).unwrap();
        assert!(all(&bytes, 1 << 20).is_err(), "longer than the frame");
        assert!(all(&bytes[..bytes.len() - 2], 1 << 21).is_err(), "cut off");
        assert!(all(&[0], 9).is_err(), "an empty run");
        assert!(all(&[8 + 7, 0, 0], 9).is_err(), "an unknown mode");
    }
}
