//! The folder that the demo plays in, and the programs that it runs there.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::{Failure, Screen};

/// The programs of the workspace that users run.
const PROGRAMS: [&str; 4] = ["repo-tool", "updater", "api-server", "device-pki"];

/// Where the demo plays, and with what.
pub struct World {
    root: PathBuf,
    programs: PathBuf,
    port: u16,
    enrolment_port: u16,
    screen: Screen,
    server: Option<Child>,
    _temporary: Option<TempDir>,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The command as one would type it.
    pub command: String,
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl World {
    /// Makes the folder and builds the programs.
    ///
    /// # Errors
    /// If the folder is not empty, or the programs cannot be built.
    pub fn new(keep: Option<&Path>, screen: &Screen) -> Result<Self, Failure> {
        let (root, temporary) = match keep {
            Some(folder) => {
                std::fs::create_dir_all(folder)
                    .map_err(Failure::io(format!("make {}", folder.display())))?;
                let used =
                    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
                if used {
                    return Err(Failure::Other(format!("{} is not empty", folder.display())));
                }
                let root = folder
                    .canonicalize()
                    .map_err(Failure::io(format!("find {}", folder.display())))?;
                (root, None)
            }
            None => {
                let temporary = TempDir::with_prefix("firmware-demo-")
                    .map_err(Failure::io("make a temporary folder"))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let [port, enrolment_port] = free_ports().map_err(Failure::io("find free ports"))?;
        let programs = program_folder()?;
        let screen = screen.clone();
        let world = Self {
            root,
            programs,
            port,
            enrolment_port,
            screen,
            server: None,
            _temporary: temporary,
        };
        world.screen.title(&world.root);
        {
            let _busy = world.screen.busy("building the programs");
            world.build(&["--workspace", "--bins"])?;
        }
        Ok(world)
    }

    /// What is said goes here.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// A path in the demo's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Port of the API server on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Port on 127.0.0.1 where devices enrol.
    pub fn enrolment_port(&self) -> u16 {
        self.enrolment_port
    }

    /// Builds programs of the workspace with cargo.
    ///
    /// # Errors
    /// If cargo fails.
    pub fn build(&self, arguments: &[&str]) -> Result<(), Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let mut command = Command::new(cargo);
        command
            .arg("build")
            .arg("--quiet")
            .arg("--manifest-path")
            .arg(manifest)
            .args(arguments);
        command.env("CARGO_TARGET_DIR", self.target_folder());
        let output = command.output().map_err(Failure::io("run cargo"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::Other(format!(
            "cargo build failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )))
    }

    /// Runs a program in the demo's folder and waits for its end.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Ended, Failure> {
        self.run_with(program, arguments, Stdio::piped())
    }

    fn run_with(&self, program: &str, arguments: &[&str], errors: Stdio) -> Result<Ended, Failure> {
        let path = if PROGRAMS.contains(&program) {
            self.program(program)
        } else {
            PathBuf::from(program)
        };
        let mut command = Command::new(path);
        command
            .args(arguments)
            .current_dir(&self.root)
            // What the demo's people remember is no concern of whoever runs it.
            .env("XDG_STATE_HOME", self.root.join("state"))
            .stdin(Stdio::null())
            .stderr(errors);
        let begin = Instant::now();
        let output = command
            .output()
            .map_err(Failure::io(format!("run {program}")))?;
        Ok(Ended::new(
            format!("{program} {}", arguments.join(" ")),
            &output,
            begin.elapsed().as_secs_f64(),
        ))
    }

    /// Runs a program whose progress people may watch: on a terminal its standard error goes there.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn watch(&self, program: &str, arguments: &[&str]) -> Result<Ended, Failure> {
        if self.screen.shows_progress() {
            self.run_with(program, arguments, Stdio::inherit())
        } else {
            self.run_with(program, arguments, Stdio::piped())
        }
    }

    /// Runs a program that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn succeed(&self, program: &str, arguments: &[&str]) -> Result<Ended, Failure> {
        self.run(program, arguments)?.must_end(0, "")
    }

    /// Starts the API server and remembers to end it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_server(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        let log = self.path("api-server.log");
        let log =
            std::fs::File::create(&log).map_err(Failure::io(format!("make {}", log.display())))?;
        let mut command = Command::new(self.program("api-server"));
        command
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.server = Some(command.spawn().map_err(Failure::io("run api-server"))?);
        Ok(())
    }

    fn target_folder(&self) -> PathBuf {
        self.programs
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ended = server.kill();
            let _reaped = server.wait();
        }
    }
}

impl Ended {
    fn new(command: String, output: &Output, seconds: f64) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let code = output.status.code().unwrap_or(-1);
        Self {
            command,
            code,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            seconds,
        }
    }

    /// Checks how it ended: the exit code, and a text that must stand in what it said.
    ///
    /// # Errors
    /// If either differs.
    pub fn must_end(self, code: i32, text: &str) -> Result<Self, Failure> {
        if self.code == code && (self.stdout.contains(text) || self.stderr.contains(text)) {
            return Ok(self);
        }
        let expected = if text.is_empty() {
            format!("exit code {code}")
        } else {
            format!("exit code {code} and {text:?}")
        };
        let found = format!("exit code {}\n{}\n{}", self.code, self.stdout, self.stderr);
        Err(Failure::Step {
            step: self.command,
            expected,
            found,
        })
    }

    /// Standard output as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<serde_json::Value, Failure> {
        let malformed = |e: serde_json::Error| {
            Failure::Other(format!("{}: {e}: {}", self.command, self.stdout))
        };
        serde_json::from_str(&self.stdout).map_err(malformed)
    }
}

/// The folder of the running program, which is where cargo puts the others.
fn program_folder() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(Failure::io("find the running program"))?;
    let folder = own
        .parent()
        .ok_or_else(|| Failure::Other("the running program has no folder".to_owned()))?;
    // Tests run one folder deeper.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    Ok(folder.to_owned())
}

fn free_ports() -> std::io::Result<[u16; 2]> {
    let (one, other) = (
        TcpListener::bind(("127.0.0.1", 0))?,
        TcpListener::bind(("127.0.0.1", 0))?,
    );
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}
