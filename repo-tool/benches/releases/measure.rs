//! Time, CPU and memory of this process.

use std::fmt;
use std::fs;
use std::ops::Add;
use std::time::Instant;

/// What something took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// By the clock on the wall.
    pub(crate) seconds: f64,
    /// CPU of all threads, and of children that were waited for.
    pub(crate) cpu: f64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            cpu: self.cpu + other.cpu,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s (CPU {:.2} s)", self.seconds, self.cpu)
    }
}

/// Does something, and says what it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (start, before) = (Instant::now(), cpu());
    let done = work();
    let cost = Cost {
        seconds: start.elapsed().as_secs_f64(),
        cpu: cpu() - before,
    };
    (done, cost)
}

/// CPU seconds so far: utime, stime, cutime and cstime of proc(5), in hundredths.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks = fields
        .skip(11)
        .take(4)
        .map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// The greatest resident set so far, in MiB.
pub(crate) fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
