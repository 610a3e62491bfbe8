//! python-tuf, in a process of its own that asks for its files through a pipe.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tests::simulator::Simulator;
use updater::error::TransportError;
use updater::transport::Part;

use crate::Peer;
use crate::pull::pull;
use crate::scenario::{LOOKUPS, Outcome, Scenario};

/// The process.
pub(crate) struct PythonTuf {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl PythonTuf {
    /// Starts it by the `python3` of the path, which must have `tuf`.
    pub(crate) fn start() -> Self {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/differential/python_tuf.py"
        );
        let mut process = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    fn say(&mut self, value: &Value) {
        writeln!(self.questions, "{value}").unwrap();
        self.questions.flush().unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("python3 said {line:?}: {e}"))
    }

    fn round(&mut self, round: &Value, repository: &mut Simulator) -> Outcome {
        self.say(round);
        loop {
            let heard = self.hear();
            match heard["get"].as_str() {
                Some(name) => {
                    let answer = answer(repository, name);
                    self.say(&answer);
                }
                None => return outcome(&heard),
            }
        }
    }
}

impl Drop for PythonTuf {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _status = self.process.wait();
    }
}

impl Peer for PythonTuf {
    fn name(&self) -> &'static str {
        "python-tuf"
    }

    fn run(&mut self, scenario: &Scenario) -> Vec<Outcome> {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let root = hex::encode(scenario.first_root());
        let states = scenario.states();
        let rounds = states.into_iter().map(|(mut repository, now)| {
            let round = json!({
                "folder": folder.path(), "root": root, "now": now.to_string(), "lookups": LOOKUPS,
            });
            self.round(&round, &mut repository)
        });
        rounds.collect()
    }
}

fn answer(repository: &mut Simulator, name: &str) -> Value {
    let (part, path) = match name.split_once('/') {
        Some(("metadata", path)) => (Part::Metadata, path),
        Some((_, path)) => (Part::Targets, path),
        None => panic!("python3 asks for {name}"),
    };
    match pull(repository, part, path) {
        Ok(Some(bytes)) => json!({ "bytes": hex::encode(bytes) }),
        Ok(None) => json!({ "status": 404 }),
        Err(TransportError::Status { status, .. }) => json!({ "status": status }),
        Err(e) => panic!("the simulator fails: {e}"),
    }
}

fn outcome(heard: &Value) -> Outcome {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(why) = heard["refused"].as_str() {
        return Outcome {
            refresh: Err(why.to_owned()),
            lookups: Vec::new(),
        };
    }
    let versions = [0, 1, 2, 3].map(|index| heard["versions"][index].as_u64().unwrap());
    let lookups = heard["lookups"].as_array().unwrap().iter();
    let lookups = lookups.map(|lookup| match (&lookup["refused"], &lookup["found"]) {
        (Value::String(why), _) => Err(why.clone()),
        (_, Value::Null) => Ok(None),
        (_, found) => Ok(Some((found[0].as_u64().unwrap(), text(&found[1])))),
    });
    Outcome {
        refresh: Ok(versions),
        lookups: lookups.collect(),
    }
}
