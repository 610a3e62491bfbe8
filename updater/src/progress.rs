//! How far a download is: for a person, a log, or nobody.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

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

/// A bar on standard error; nothing is drawn if that is not a terminal.
#[derive(Debug, Default)]
pub struct Bar {
    bar: Option<ProgressBar>,
}

impl Progress for Bar {
    fn begin(&mut self, what: &str, payload_bytes: u64) {
        let template = "{msg:30!} {bar:30} {bytes:>10} of {total_bytes:>10}  {bytes_per_sec:>12}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(payload_bytes)
            .with_style(style)
            .with_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = Some(bar);
    }

    fn advance(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
