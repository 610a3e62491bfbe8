//! How far a download is: for a person, a log, or nobody.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Is told how far the work is.
pub trait Progress: Send {
    /// A payload begins.
    fn begin(&mut self, what: &str, payload_bytes: u64);
    /// Bytes of the payload that have been applied.
    fn advance(&mut self, done: u64);
    /// The payload is done, or was given up.
    fn end(&mut self);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _what: &str, _payload_bytes: u64) {}
    fn advance(&mut self, _done: u64) {}
    fn end(&mut self) {}
}

/// Tells whoever asks, from another thread: what is under way, the bytes that are done, and those that there are.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Option<(String, u64, u64)>>>);

impl Shared {
    /// How far it is, if a payload is under way.
    pub fn now(&self) -> Option<(String, u64, u64)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Nothing is under way.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Progress for Shared {
    fn begin(&mut self, what: &str, payload_bytes: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((what.to_owned(), 0, payload_bytes));
    }

    fn advance(&mut self, done: u64) {
        if let Some(now) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            now.1 = done;
        }
    }

    fn end(&mut self) {
        self.clear();
    }
}

/// A bar on standard error; nothing is drawn if that is not a terminal.
///
/// Drawn by ourselves: what a library for it brings along takes 60 KB of a device's program.
#[derive(Debug, Default)]
pub struct Bar {
    payload: Option<Payload>,
}

#[derive(Debug)]
struct Payload {
    what: String,
    length: u64,
    begun: Instant,
    drawn: Option<Instant>,
}

/// How often the bar is drawn.
const REDRAWN: Duration = Duration::from_millis(200);
/// How many characters the bar takes.
const WIDTH: u64 = 30;

impl Progress for Bar {
    fn begin(&mut self, what: &str, payload_bytes: u64) {
        self.payload = std::io::stderr().is_terminal().then(|| Payload {
            what: what.to_owned(),
            length: payload_bytes,
            begun: Instant::now(),
            drawn: None,
        });
    }

    fn advance(&mut self, done: u64) {
        let Some(payload) = &mut self.payload else {
            return;
        };
        let now = Instant::now();
        if payload.drawn.is_none_or(|at| now - at >= REDRAWN) {
            payload.drawn = Some(now);
            let line = line(&payload.what, done, payload.length, now - payload.begun);
            draw(&format!("\r{line}\x1b[K"));
        }
    }

    fn end(&mut self) {
        if self
            .payload
            .take()
            .is_some_and(|payload| payload.drawn.is_some())
        {
            draw("\r\x1b[K");
        }
    }
}

/// A terminal that cannot be written to keeps nothing from being done.
fn draw(text: &str) {
    let mut terminal = std::io::stderr();
    let _drawn = terminal.write_all(text.as_bytes());
    let _drawn = terminal.flush();
}

/// The bar after `done` of `length` bytes and so much time.
fn line(what: &str, done: u64, length: u64, time: Duration) -> String {
    let full = done.min(length).saturating_mul(WIDTH) / length.max(1);
    let bar: String = (0..WIDTH)
        .map(|at| if at < full { '#' } else { '.' })
        .collect();
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1000) / milliseconds;
    format!(
        "{what:<30.30} {bar} {} of {}  {}/s",
        bytes(done),
        bytes(length),
        bytes(rate)
    )
}

/// A number of bytes in the largest unit of which there is a whole one.
pub fn bytes(number: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => {
            let tenths = (number % unit).saturating_mul(10) / unit;
            format!("{}.{tenths} {name}", number / unit)
        }
        None => format!("{number} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn the_bar() {
        let half = line("rootfs 1.0.0 (delta)", 1024, 2048, Duration::from_secs(2));
        let expected = "rootfs 1.0.0 (delta)           ###############............... 1.0 KiB of 2.0 KiB  512 B/s";
        assert_eq!(half, expected);
        let odd = line(&"x".repeat(40), 5, 0, Duration::ZERO);
        assert!(odd.starts_with(&format!("{} ...", "x".repeat(30))), "{odd}");
    }
}
