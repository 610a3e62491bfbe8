//! Progress bars on standard error, on a terminal only.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use repo_tool::Progress;

use crate::output::printable;

/// One bar, which shows the file that is worked on.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// File and stage that the bar is for.
    shown: Mutex<(String, String)>,
}

impl Bar {
    pub(crate) fn new(silent: bool) -> Self {
        let bar = if silent {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length()
        };
        let template = "{msg:50!} {prefix:>11} {bar:20} {bytes:>10} {bytes_per_sec:>12}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            shown: Mutex::default(),
        }
    }

    pub(crate) fn show(&self, progress: Progress<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.0 != progress.file || shown.1 != progress.stage {
            *shown = (progress.file.to_owned(), progress.stage.to_owned());
            self.bar.reset();
            self.bar.set_message(printable(&[progress.file.to_owned()]));
            self.bar.set_prefix(progress.stage.to_owned());
        }
        if progress.total > 0 {
            self.bar.set_length(progress.total);
        }
        self.bar.set_position(progress.done);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
