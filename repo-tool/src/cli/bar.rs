//! Progress bars on standard error, on a terminal only: one for each file that is worked on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use repo_tool::Progress;

use crate::output::printable;

/// Files that take less long get no bar of their own.
const PATIENCE: Duration = Duration::from_millis(200);

/// The bars of one piece of work.
pub(crate) struct Bar {
    bars: MultiProgress,
    shown: Mutex<BTreeMap<String, Shown>>,
}

struct Shown {
    since: Instant,
    stage: String,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(crate) fn new(silent: bool) -> Self {
        let bars = MultiProgress::new();
        if silent {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self {
            bars,
            shown: Mutex::default(),
        }
    }

    pub(crate) fn show(&self, progress: Progress<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let file = shown
            .entry(progress.file.to_owned())
            .or_insert_with(|| Shown {
                since: Instant::now(),
                stage: String::new(),
                bar: None,
            });
        let complete = progress.total > 0 && progress.done >= progress.total;
        if file.bar.is_none() && (complete || file.since.elapsed() < PATIENCE) {
            if complete {
                shown.remove(progress.file);
            }
            return;
        }
        let bar = file.bar.get_or_insert_with(|| self.begin(progress.file));
        if file.stage != progress.stage {
            progress.stage.clone_into(&mut file.stage);
            bar.reset();
            bar.set_prefix(file.stage.clone());
        }
        if progress.total > 0 {
            bar.set_length(progress.total);
        }
        bar.set_position(progress.done);
    }

    pub(crate) fn finish(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in shown.values().filter_map(|file| file.bar.as_ref()) {
            bar.finish_and_clear();
        }
    }

    fn begin(&self, file: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::no_length());
        let template = "{msg:50!} {prefix:>11} {bar:20} {bytes:>10} {bytes_per_sec:>12}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(printable(&[file.to_owned()]));
        bar
    }
}
