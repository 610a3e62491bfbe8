//! A PKI with devices, sidecars as processes, and programs behind them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    ApiServer, CaKind, Clock, Device, Identity, Leaf, Operator, Organisation, Protection,
    SystemEntropy, durable,
};
use metadata_schema::time::Timestamp;
use tempfile::TempDir;

/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) pki: PkiFolder,
}

pub(crate) fn ceremony<T>(now: Timestamp, work: impl FnOnce(&mut Ceremony<'_>) -> T) -> T {
    let protection = Protection::FileMode;
    work(&mut Ceremony {
        now,
        protection,
        entropy: &mut SystemEntropy,
    })
}

pub(crate) fn days_ago(days: i64) -> Timestamp {
    Clock::System.now().plus_seconds(-days * 86_400)
}

impl World {
    /// A PKI of a month ago, with current lists.
    pub(crate) fn new() -> Self {
        Self::since(30)
    }

    pub(crate) fn since(days: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let path = folder.path().join("pki");
        let pki = ceremony(days_ago(days), |c| {
            PkiFolder::create(&path, &corp, Algorithms::STANDARD, c)
        })
        .unwrap();
        let world = Self { folder, pki };
        world.lists();
        world
    }

    /// New lists.
    pub(crate) fn lists(&self) {
        self.lists_of(Clock::System.now());
    }

    pub(crate) fn lists_of(&self, now: Timestamp) {
        ceremony(now, |c| self.pki.write_crls(30, c)).unwrap();
    }

    /// Puts lists of other CAs by the same names in their places.
    pub(crate) fn forge_lists(&self) {
        let other = Self::since(100);
        self.remove_lists();
        for entry in fs::read_dir(other.path("pki/crl")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, self.path("pki/crl").join(path.file_name().unwrap())).unwrap();
        }
    }

    pub(crate) fn remove_lists(&self) {
        let folder = self.path("pki/crl");
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file with key and chain of a device that was certified now.
    pub(crate) fn device(&self, serial: &str) -> PathBuf {
        self.device_at(serial, Clock::System.now())
    }

    pub(crate) fn device_at(&self, serial: &str, at: Timestamp) -> PathBuf {
        let device = Leaf::Device(Device {
            serial: serial.to_owned(),
        });
        self.bundle(serial, &device, at)
    }

    pub(crate) fn server(&self, name: &str) -> PathBuf {
        let server = Leaf::ApiServer(ApiServer {
            name: name.to_owned(),
            dns_names: vec!["api.corp.example".to_owned()],
            addresses: vec!["127.0.0.1".parse().unwrap()],
        });
        self.bundle(name, &server, Clock::System.now())
    }

    pub(crate) fn operator(&self, name: &str) -> PathBuf {
        let operator = Leaf::Operator(Operator {
            name: name.to_owned(),
        });
        ceremony(days_ago(0), |c| self.pki.add(CaKind::Operator, c)).unwrap();
        self.bundle(name, &operator, Clock::System.now())
    }

    pub(crate) fn factory(&self, serial: &str) -> PathBuf {
        let device = Leaf::FactoryDevice(Device {
            serial: serial.to_owned(),
        });
        ceremony(days_ago(0), |c| self.pki.add(CaKind::Factory, c)).unwrap();
        self.bundle(serial, &device, Clock::System.now())
    }

    fn bundle(&self, name: &str, leaf: &Leaf, at: Timestamp) -> PathBuf {
        let issued = ceremony(at, |c| self.pki.issue(leaf, KeySource::Generate, None, c)).unwrap();
        let identity = Identity::load(&issued.chain_path, &issued.key_path.unwrap()).unwrap();
        let path = self.path(&format!("{name}.pem"));
        let text = identity.bundle().unwrap();
        durable::write(&path, text.as_bytes(), durable::SECRET).unwrap();
        path
    }

    pub(crate) fn revoke(&self, what: &str) {
        ceremony(Clock::System.now(), |c| self.pki.revoke(what, c)).unwrap();
    }

    pub(crate) fn anchor(&self) -> PathBuf {
        self.path("pki/trust-anchor.pem")
    }

    /// What every sidecar of this world is told.
    pub(crate) fn common(&self, identity: &Path) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        vec![
            "--anchor".to_owned(),
            text(&self.anchor()),
            "--identity".to_owned(),
            text(identity),
            "--crl".to_owned(),
            text(&self.path("pki/crl")),
        ]
    }

    /// A sidecar that takes devices in.
    pub(crate) fn listen(
        &self,
        identity: &Path,
        accept: &str,
        forward: &str,
        more: &[&str],
    ) -> Sidecar {
        let mut args = vec!["listen", "--accept", accept, "--forward", forward];
        args.extend(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
        args.extend(more);
        Sidecar::start(&args, &self.common(identity))
    }

    /// A sidecar that opens channels.
    pub(crate) fn connect(&self, identity: &Path, peer: &str, to: &str, more: &[&str]) -> Sidecar {
        let peer = format!("urn:example:device:{peer}");
        let mut args = vec!["connect", "--peer", &peer, "--to", to];
        if !more.contains(&"--listen") {
            args.extend(["--listen", "127.0.0.1:0"]);
        }
        args.extend(["--metrics", "127.0.0.1:0"]);
        args.extend(more);
        Sidecar::start(&args, &self.common(identity))
    }
}

/// A sidecar that runs, and what it has said so far.
pub(crate) struct Sidecar {
    pub(crate) child: Child,
    said: Arc<Mutex<String>>,
}

impl Sidecar {
    pub(crate) fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_device-channel"));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
            .env("RUST_LOG", "debug,rustls=info")
            .env("NO_COLOR", "1");
        command
    }

    pub(crate) fn start(args: &[&str], common: &[String]) -> Self {
        let mut command = Self::command();
        command.args(args).args(common);
        let sidecar = Self::spawned(command);
        sidecar.wait_for("ready");
        sidecar
    }

    pub(crate) fn spawned(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (out, into) = (child.stderr.take().unwrap(), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let mut text = into.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { child, said }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says this, and returns the line.
    pub(crate) fn wait_for(&self, what: &str) -> String {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Some(line) = self.said().lines().find(|line| line.contains(what)) {
                return line.to_owned();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("never said {what:?}:\n{}", self.said());
    }

    /// Waits until a line has all of this, after so many bytes.
    pub(crate) fn wait_after(&self, before: usize, what: &[&str]) {
        let end = Instant::now() + SOON;
        let has_all = |line: &str| what.iter().all(|what| line.contains(what));
        while Instant::now() < end {
            if self.said()[before..].lines().any(has_all) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("never said {what:?}:\n{}", &self.said()[before..]);
    }

    /// An address that follows after `mark`.
    fn address(&self, mark: &str) -> String {
        let line = self.wait_for(mark);
        let (_, after) = line.split_once("address=").unwrap();
        after.trim().trim_matches('"').to_owned()
    }

    /// Where it listens.
    pub(crate) fn at(&self) -> String {
        self.address("listening")
    }

    pub(crate) fn to(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// What it answers over HTTP.
    pub(crate) fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address("metrics")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Waits until a metric has this value.
    pub(crate) fn wait_for_metric(&self, line: &str) {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if self.http("/metrics").lines().any(|found| found == line) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("never {line:?}:\n{}", self.http("/metrics"));
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> i32 {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("goes on:\n{}", self.said());
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A program behind a sidecar: each connection is served by a thread of its own.
pub(crate) fn program(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A program that says back what it hears.
pub(crate) fn echo() -> String {
    program(|mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    })
    .to_string()
}

/// Sends a line over a connection and reads it back.
pub(crate) fn talk(stream: &mut TcpStream) {
    stream.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
}

/// Whether a connection ends without having said anything: with a reset, never with an end as if all were said.
pub(crate) fn is_cut(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    matches!(stream.read_to_end(&mut rest), Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset)
}

/// A port that nobody listens on.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

/// Copies a file's content over another, as a renewal does: with one rename.
pub(crate) fn replace(path: &Path, with: &Path) {
    durable::write(path, &fs::read(with).unwrap(), durable::SECRET).unwrap();
}
