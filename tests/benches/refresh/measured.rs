//! What one run of a client cost.

use std::fmt;
use std::str::FromStr;

/// The figures of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// CPU in nanoseconds.
    pub(crate) cpu: u64,
    /// Greatest resident set in KiB.
    pub(crate) peak: u64,
    pub(crate) requests: usize,
    /// Bytes of answers on the wire, heads and all.
    pub(crate) bytes_in: usize,
    /// Bytes of requests on the wire.
    pub(crate) bytes_out: usize,
}

impl Measured {
    /// CPU and memory of this process so far.
    pub(crate) fn of_this_process() -> Self {
        let mut cpu = 0;
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            cpu += stat.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        Self {
            cpu,
            peak: peak.parse().unwrap(),
            ..Self::default()
        }
    }

    /// Each figure's median.
    pub(crate) fn median(runs: &[Self]) -> Self {
        fn middle<T: Ord + Copy>(runs: &[Measured], of: impl Fn(&Measured) -> T) -> T {
            let mut values: Vec<T> = runs.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        }
        Self {
            cpu: middle(runs, |m| m.cpu),
            peak: middle(runs, |m| m.peak),
            requests: middle(runs, |m| m.requests),
            bytes_in: middle(runs, |m| m.bytes_in),
            bytes_out: middle(runs, |m| m.bytes_out),
        }
    }

    /// How much more another costs.
    pub(crate) fn relative_to(&self, ours: &Self, name: &str) -> String {
        let ratio = |theirs: f64, ours: f64| theirs / ours.max(1.0);
        format!(
            "{name} takes {:.1} times the CPU, {:.1} times the memory, {} requests more",
            ratio(self.cpu as f64, ours.cpu as f64),
            ratio(self.peak as f64, ours.peak as f64),
            self.requests as i64 - ours.requests as i64,
        )
    }
}

/// Plain: what a child says of itself. Alternate: a row of the table.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{} {}", self.cpu, self.peak);
        }
        write!(
            f,
            "{:>8} {:>10} {:>11} {:>9.1} {:>10.1}",
            self.requests,
            self.bytes_in,
            self.bytes_out,
            self.cpu as f64 / 1e6,
            self.peak as f64 / 1024.0,
        )
    }
}

impl FromStr for Measured {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let (cpu, peak) = line.trim().split_once(' ').ok_or(())?;
        Ok(Self {
            cpu: cpu.parse().map_err(drop)?,
            peak: peak.parse().map_err(drop)?,
            ..Self::default()
        })
    }
}
