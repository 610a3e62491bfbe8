//! Running programs of the integrator's: hooks, health checks, tools of boot loaders. The one place that does.
//!
//! A program gets a deadline and a process group of its own, which is killed as a whole when the deadline has passed. Of what it
//! writes, [`MAX_OUTPUT`] bytes of each stream are kept; the rest is read and forgotten, so a talkative one does not stand still.
//! What it leaves running in the background is not waited for.

use std::io::{self, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::pulse;

/// Most bytes of each stream that are kept.
pub const MAX_OUTPUT: usize = 16 * 1024;
/// Longest pause between two looks at a program that runs.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A program, and what it is given.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its path, or a name that is looked up in `PATH`.
    pub path: &'a Path,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Variables of its environment, besides those that we have.
    pub variables: &'a [(String, String)],
    /// What it reads on its standard input.
    pub input: &'a [u8],
    /// How long it may take.
    pub deadline: Duration,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its status; none if it was killed at the deadline.
    pub status: Option<ExitStatus>,
    /// The beginning of what it wrote to standard output.
    pub output: Vec<u8>,
    /// The beginning of what it wrote to standard error.
    pub errors: Vec<u8>,
}

impl<'a> Program<'a> {
    /// A program without arguments, variables or input.
    pub fn new(path: &'a Path, deadline: Duration) -> Self {
        Self {
            path,
            arguments: &[],
            variables: &[],
            input: &[],
            deadline,
        }
    }

    /// Runs it to its end, or to the deadline.
    ///
    /// # Errors
    /// If it cannot be started or waited for.
    pub fn run(&self) -> io::Result<Ended> {
        let mut child = Command::new(self.path)
            .args(self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(input(self.input)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let ended = wait(&mut child, self.deadline);
        if !matches!(&ended, Ok(ended) if ended.status.is_some()) {
            kill(&mut child);
        }
        ended
    }
}

impl Ended {
    /// Whether it ended by itself with this exit code.
    pub fn exited_with(&self, code: i32) -> bool {
        self.status.and_then(|status| status.code()) == Some(code)
    }

    /// How it ended, and the last line that it said, for people: the one on standard error before the one on standard output.
    pub fn describe(&self) -> String {
        let how = match self.status {
            None => "it took too long and was killed".to_owned(),
            Some(status) => status.to_string(),
        };
        let said = [&self.errors, &self.output]
            .into_iter()
            .find_map(|text| last_line(text));
        said.map_or(how.clone(), |said| format!("{how}: {said}"))
    }
}

/// The last line with anything on it: at most 200 characters, none of which moves the cursor.
fn last_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let plain = line.trim().chars().filter(|c| !c.is_control());
    Some(plain.take(200).collect())
}

/// Input of any length, without a second thread: a file in memory.
fn input(bytes: &[u8]) -> io::Result<Stdio> {
    if bytes.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = std::fs::File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn wait(child: &mut Child, deadline: Duration) -> io::Result<Ended> {
    let begin = Instant::now();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    if let Some(stream) = &stdout {
        rustix::io::ioctl_fionbio(stream, true)?;
    }
    if let Some(stream) = &stderr {
        rustix::io::ioctl_fionbio(stream, true)?;
    }
    let mut pause = Duration::from_millis(1);
    loop {
        pulse::beat();
        let status = child.try_wait()?;
        drain(stdout.as_mut(), &mut output);
        drain(stderr.as_mut(), &mut errors);
        if status.is_some() || begin.elapsed() >= deadline {
            return Ok(Ended {
                status,
                output,
                errors,
            });
        }
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Reads what is there, at most a few pipes full at a time, and keeps the beginning of it.
fn drain(stream: Option<&mut impl io::Read>, kept: &mut Vec<u8>) {
    let Some(stream) = stream else { return };
    let mut piece = [0; 4096];
    for _ in 0..64 {
        match stream.by_ref().read(&mut piece) {
            Ok(length) if length > 0 => {
                let room = MAX_OUTPUT.saturating_sub(kept.len()).min(length);
                kept.extend_from_slice(piece.get(..room).unwrap_or_default());
            }
            // The end, nothing at the moment, or a stream that is of no use any more.
            _ => return,
        }
    }
}

/// Kills the whole group. The child has not been waited for, so its number is still its own.
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _gone_already = kill_process_group(group, Signal::KILL);
    }
    let _gone_already = child.kill();
    let _status = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[u8], deadline: Duration) -> Ended {
        let variables = [("WHO".to_owned(), "you".to_owned())];
        let program = Program {
            arguments: &["-c", script],
            variables: &variables,
            input,
            ..Program::new(Path::new("sh"), deadline)
        };
        program.run().unwrap()
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn runs_with_input_and_environment() {
        let big = vec![b'x'; 1 << 20];
        let ended = shell("echo $WHO; wc -c; echo oops >&2; exit 21", &big, LONG);
        assert!(ended.exited_with(21));
        assert_eq!(ended.output, b"you\n1048576\n");
        assert_eq!(ended.describe(), "exit status: 21: oops");
    }

    #[test]
    fn keeps_the_beginning_of_much_output_and_lets_it_go_on() {
        let ended = shell("head -c 300000 /dev/zero; exit 3", b"", LONG);
        assert!(ended.exited_with(3));
        assert_eq!(ended.output.len(), MAX_OUTPUT);
    }

    #[test]
    fn the_whole_group_is_killed_at_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("children");
        let script = format!("sleep 60 & echo $! > {0}; wait", file.to_str().unwrap());
        let ended = shell(&script, b"", Duration::from_millis(700));
        assert!(ended.status.is_none());
        assert_eq!(ended.describe(), "it took too long and was killed");
        let child = std::fs::read_to_string(&file).unwrap();
        let stat = format!("/proc/{}/stat", child.trim());
        let gone = || match std::fs::read_to_string(&stat) {
            Err(_) => true,
            Ok(text) => text.contains(") Z "),
        };
        assert!((0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            gone()
        }));
    }

    #[test]
    fn what_it_leaves_in_the_background_is_not_waited_for() {
        let begin = Instant::now();
        let ended = shell("sleep 5 & echo done", b"", LONG);
        assert!(ended.exited_with(0) && begin.elapsed() < Duration::from_secs(4));
        assert_eq!(ended.output, b"done\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(
            Program::new(Path::new("/nowhere/at/all"), LONG)
                .run()
                .is_err()
        );
    }
}
