//! `updater run` as a program: its socket, its signals, what it tells a service manager, and the commands beside it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use updater::slot::SlotName;

use super::world::{World, holds, image};

/// The program, built if it is not there yet or was built from older sources.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap().to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "updater"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    folder.join("updater")
}

struct Service {
    child: Child,
    socket: PathBuf,
    /// What the service manager was told, and when.
    manager: Receiver<(Instant, String)>,
}

impl Service {
    fn start(world: &World, program: &Path) -> Self {
        Self::watched(world, program, Duration::from_millis(400))
    }

    /// One that is to say that all is well within so much time, each time.
    fn watched(world: &World, program: &Path, watchdog: Duration) -> Self {
        let notify = world.path("notify");
        let _none_there = std::fs::remove_file(&notify);
        let manager = UnixDatagram::bind(&notify).unwrap();
        let (telling, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 1000];
            while let Ok(length) = manager.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if telling.send((Instant::now(), text)).is_err() {
                    break;
                }
            }
        });
        let child = Command::new(program)
            .arg("--config")
            .arg(world.path("device/updater.toml"))
            .arg("run")
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self {
            child,
            socket: world.path("device/state/socket"),
            manager: told,
        };
        service.is_told("READY=1");
        service
    }

    /// What the manager is told next.
    fn told(&self) -> (Instant, String) {
        self.manager.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// Waits until the service manager is told this.
    fn is_told(&self, what: &str) {
        while !self.told().1.starts_with(what) {}
    }

    /// How often it fed the watchdog until it said this, and the longest time in between.
    fn fed_until(&self, what: &str) -> (usize, Duration) {
        let (mut times, mut longest, mut last) = (0, Duration::ZERO, None);
        loop {
            let (at, said) = self.told();
            if said.contains(what) {
                return (times, longest);
            }
            if said.starts_with("WATCHDOG=1") {
                times += 1;
                longest = longest.max(last.map_or(Duration::ZERO, |last| at - last));
                last = Some(at);
            }
        }
    }

    fn asks(&self, request: &Value) -> Value {
        asks(&self.socket, request)
    }

    fn idle(&self) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.asks(&json!({"do": "status"}));
            if status["service"]["busy"] == false {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn ends_well(mut self) {
        self.signal("-TERM");
        self.is_told("STOPPING=1");
        assert!(self.child.wait().unwrap().success());
        assert!(!self.socket.exists());
    }
}

fn asks(socket: &Path, request: &Value) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
    }
}

fn command(world: &World, program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .arg("--config")
        .arg(world.path("device/updater.toml"))
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_asked_over_its_socket() {
    let world = World::new().await;
    let program = program();
    let new = image(1, 4_000_000);
    world.release("1.0.0", &new);
    let drop_ins = world.path("device/updater.d");
    std::fs::create_dir_all(&drop_ins).unwrap();
    let policy = drop_ins.join("10-policy.toml");
    let metrics = "metrics = 'updater.prom'\n";
    std::fs::write(&policy, format!("{metrics}[policy]\nautomatic = 'none'\n")).unwrap();
    let service = Service::start(&world, &program);
    let mode = std::fs::metadata(&service.socket).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    service.is_told("WATCHDOG=1");

    let status = service.idle();
    let held = status["held"].as_str().unwrap();
    assert!(held.contains("nobody has consented"), "{status}");
    let why = said(&command(&world, &program, &["why"]));
    assert!(why.contains("1.0.0") && why.contains("waits"), "{why}");
    let checked = command(&world, &program, &["check"]);
    assert!(checked.status.success() && said(&checked).contains("nobody has consented"));
    let nothing = command(&world, &program, &["commit"]);
    assert_eq!(nothing.status.code(), Some(9), "{}", said(&nothing));
    assert!(said(&nothing).contains("nothing is on trial"));
    let measured = std::fs::read_to_string(world.path("device/updater.prom")).unwrap();
    assert!(measured.contains("updater_release_waits 1"), "{measured}");

    // A slow download is stopped, and the next one goes on.
    std::fs::write(&policy, format!("{metrics}[network]\nrate = 1000000\n")).unwrap();
    service.signal("-HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(service.idle()["ok"], true);
    assert_eq!(service.asks(&json!({"do": "install"}))["ok"], true);
    let begun = Instant::now();
    loop {
        let status = service.asks(&json!({"do": "status"}));
        if status["service"]["progress"]["done"].as_u64() > Some(500_000) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{status}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(service.asks(&json!({"do": "check"}))["exit_code"], 9);
    let cancelled = command(&world, &program, &["cancel"]);
    assert!(cancelled.status.success(), "{}", said(&cancelled));
    let status = service.idle();
    assert!(
        status["service"]["last"]["said"]
            .as_str()
            .unwrap()
            .contains("stopped"),
        "{status}"
    );
    assert_eq!(status["installation"]["stage"], "installing");

    std::fs::write(&policy, "").unwrap();
    assert_eq!(service.asks(&json!({"do": "reload"}))["ok"], true);
    let installed = command(&world, &program, &["install"]);
    assert!(installed.status.success(), "{}", said(&installed));
    assert!(
        said(&installed).contains("installed 1.0.0 in slot B"),
        "{}",
        said(&installed)
    );
    assert!(holds(&world.slot(SlotName::B), &new));
    service.ends_well();

    assert_eq!(world.restart(), SlotName::B);
    let kept = command(&world, &program, &["commit"]);
    assert!(
        kept.status.success() && said(&kept).contains("well and stays"),
        "{}",
        said(&kept)
    );
    let history = said(&command(&world, &program, &["history"]));
    for what in ["opted-out", "held", "stopped", "installed", "committed"] {
        assert!(history.contains(what), "{what}: {history}");
    }
    let doctor = command(&world, &program, &["doctor"]);
    assert!(doctor.status.success(), "{}", said(&doctor));
    assert!(said(&doctor).contains("answers"), "{}", said(&doctor));
    world.ask_at(1);
    std::fs::remove_file(world.path("device/a.img")).unwrap();
    let doctor = command(&world, &program, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let text = said(&doctor);
    assert!(
        text.contains("WRONG    slots") && text.contains("WRONG    server"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_well_at_a_signal_and_the_next_goes_on() {
    let world = World::new().await;
    let program = program();
    let new = image(1, 4_000_000);
    world.release("1.0.0", &new);
    world.configure("[network]\nrate = 1000000\n");
    let mut run = Command::new(&program)
        .arg("--config")
        .arg(world.path("device/updater.toml"))
        .arg("once")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    // It listens to nobody, so `cancel` signals it.
    let cancelled = command(&world, &program, &["cancel"]);
    assert!(said(&cancelled).contains("stops"), "{}", said(&cancelled));
    assert!(run.wait().unwrap().success());
    world.configure("");
    let done = command(&world, &program, &["--json", "once"]);
    let value: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(value["outcome"], "armed");
    assert!(value["downloaded"].as_u64().unwrap() < 3_900_000, "{value}");
    assert!(holds(&world.slot(SlotName::B), &new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_installed_by_the_service_or_without_one() {
    let world = World::new().await;
    let program = program();
    world.carry_into_the_cellar();
    world.configure(
        "[policy]\nmetered = 'none'\nmetered_command = ['true']\n[network]\nrate = 1000\n",
    );
    let first = image(1, 1_000_000);
    world.release("1.0.0", &first);
    world.bundle("one.bundle", &[]);
    let install = |file: &str| {
        Command::new(&program)
            .current_dir(world.path(""))
            .args(["--config", "device/updater.toml", "install", file])
            .output()
            .unwrap()
    };
    let service = Service::start(&world, &program);
    service.idle();
    let relative = service.asks(&json!({"do": "install", "file": "one.bundle"}));
    assert_eq!(relative["exit_code"], 2, "{relative}");
    let missing = install("none.bundle");
    assert_eq!(missing.status.code(), Some(4), "{}", said(&missing));
    let text = said(&missing);
    assert!(
        text.contains("none.bundle is not a bundle that can be used"),
        "{text}"
    );
    let installed = install("one.bundle");
    assert!(installed.status.success(), "{}", said(&installed));
    assert!(said(&installed).contains("installed 1.0.0 in slot B"));
    assert!(holds(&world.slot(SlotName::B), &first));
    service.ends_well();

    assert_eq!(world.restart(), SlotName::B);
    let kept = command(&world, &program, &["commit"]);
    assert!(kept.status.success(), "{}", said(&kept));
    world.release("1.1.0", &image(2, 1_000_000));
    world.bundle("two.bundle", &[]);
    // Whoever forbids installations forbids this one.
    let inhibit = world.path("device/inhibit");
    std::fs::create_dir_all(&inhibit).unwrap();
    let policy = format!("[policy]\ninhibit = '{}'\n", inhibit.display());
    world.configure(&policy);
    std::fs::write(inhibit.join("printing"), "a page is being printed\n").unwrap();
    let held = install("two.bundle");
    assert_eq!(held.status.code(), Some(9), "{}", said(&held));
    assert!(said(&held).contains("a page is being printed"));
    std::fs::remove_file(inhibit.join("printing")).unwrap();
    let installed = install("two.bundle");
    assert!(installed.status.success(), "{}", said(&installed));
    let history = said(&command(&world, &program, &["history"]));
    assert!(history.contains("two.bundle"), "{history}");
}

/// The watchdog is fed as long as work advances, however slowly and whoever asks meanwhile; and not when the storage hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_is_fed_by_work_and_by_nothing_else() {
    const WATCHDOG: Duration = Duration::from_secs(2);
    let world = World::new().await;
    let program = program();
    let new = image(1, 3_000_000);
    world.release("1.0.0", &new);
    world.configure("[policy]\nautomatic = 'none'\n[network]\nrate = 600000\n");
    let service = Service::watched(&world, &program, WATCHDOG);
    service.idle();

    // A slot that hangs at the first touch: a pipe that nobody writes to.
    let (slot, aside) = (world.path("device/b.img"), world.path("device/b.aside"));
    std::fs::rename(&slot, &aside).unwrap();
    let made = Command::new("mkfifo").arg(&slot).status().unwrap();
    assert!(made.success());
    assert_eq!(service.asks(&json!({"do": "install"}))["ok"], true);
    service.is_told("STATUS=at work");
    // It is fed for what advanced before, and then no more.
    std::thread::sleep(WATCHDOG);
    while service.manager.try_recv().is_ok() {}
    std::thread::sleep(WATCHDOG);
    let told = service.manager.try_recv();
    assert!(told.is_err(), "{told:?} while nothing advances");
    // It goes on, and the slot is no slot.
    drop(std::fs::OpenOptions::new().write(true).open(&slot).unwrap());
    service.is_told("STATUS=cannot measure");
    std::fs::remove_file(&slot).unwrap();
    std::fs::rename(&aside, &slot).unwrap();
    service.idle();

    // Five seconds of a download that is asked about all the time.
    assert_eq!(service.asks(&json!({"do": "install"}))["ok"], true);
    let (done, socket) = (AtomicBool::new(false), service.socket.clone());
    let (fed, longest) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                asks(&socket, &json!({"do": "status"}));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        service.is_told("STATUS=at work");
        let fed = service.fed_until("installed 1.0.0 in slot B");
        done.store(true, Ordering::SeqCst);
        fed
    });
    assert!(fed >= 5 && longest < WATCHDOG, "{fed} times, {longest:?}");
    assert!(holds(&world.slot(SlotName::B), &new));
}
