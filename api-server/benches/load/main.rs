//! What devices cost the API server: memory while they are connected and say nothing, CPU for reports, and whether a report that
//! was acknowledged survives `kill -9`.
//!
//! ```text
//! cargo bench -p api-server --bench load
//! ```
//!
//! The server is a process of its own with one thread, over loopback, with full mutual TLS and its store on disk. CPU is all of that
//! process (/proc/PID/stat), memory its resident set.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a benchmark"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api_server::{Config, Server, SqliteStore, Store as _};
use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    ApiServer, Clock, Device, DeviceReport, Identity, Leaf, Organisation, Protection, ReportEvent,
    RevocationPolicy, Revocations, SystemEntropy, Trust, tls,
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const NAME: &str = "api.corp.example";
/// Connections that say nothing.
const IDLE: usize = 4000;
/// Devices that report, each over one connection.
const DEVICES: usize = 32;
/// Reports of each device: fewer than the store keeps.
const REPORTS: usize = 150;
/// What the kernel counts CPU in (`sysconf(_SC_CLK_TCK)` on Linux).
const TICKS: f64 = 100.0;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mark, folder] = args.as_slice()
        && mark == "--serve"
    {
        return serve(Path::new(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let devices = prepare(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(idle(folder.path(), &devices));
    runtime.block_on(reports(folder.path(), &devices));
}

fn ceremony<T>(work: impl FnOnce(&mut Ceremony<'_>) -> T) -> T {
    work(&mut Ceremony {
        now: Clock::System.now().plus_seconds(-3600),
        protection: Protection::FileMode,
        entropy: &mut SystemEntropy,
    })
}

/// A PKI with a server and devices.
fn prepare(folder: &Path) -> Vec<Arc<ClientConfig>> {
    let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
    let path = folder.join("pki");
    let pki = ceremony(|c| PkiFolder::create(&path, &corp, Algorithms::STANDARD, c)).unwrap();
    let issue = |leaf: &Leaf| {
        let issued = ceremony(|c| pki.issue(leaf, KeySource::Generate, None, c)).unwrap();
        Identity::load(&issued.chain_path, &issued.key_path.unwrap()).unwrap()
    };
    issue(&Leaf::ApiServer(ApiServer {
        name: "api".to_owned(),
        dns_names: vec![NAME.to_owned()],
        addresses: Vec::new(),
    }));
    fs::create_dir(folder.join("repository")).unwrap();
    let trust = Trust {
        anchor: pki.anchor().unwrap(),
        revocations: Arc::new(Revocations::default()),
        policy: RevocationPolicy::Available,
        clock: Clock::System,
    };
    (0..DEVICES)
        .map(|number| {
            let serial = format!("SN-{number}");
            let identity = issue(&Leaf::Device(Device { serial }));
            Arc::new(tls::device_client(&identity, &trust).unwrap())
        })
        .collect()
}

fn serve(folder: &Path) {
    let listen = "127.0.0.1:0".parse().unwrap();
    let path = |name: &str| folder.join(name);
    let mut config = Config::new(listen, path("pki"), path("repository"), path("data"));
    let limits = &mut config.limits;
    limits.connections = 2 * IDLE;
    limits.connections_per_device = IDLE;
    (limits.idle, limits.head) = (Duration::from_secs(600), Duration::from_secs(600));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(config).await.unwrap();
        println!("{}", server.local_addr().port());
        server.run(std::future::pending()).await.unwrap();
    });
}

/// The server, killed in the end.
struct Running(Child, u16);

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--serve")
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        Self(child, line.trim().parse().unwrap())
    }

    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let (_, after) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS
    }

    fn resident_kib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL: nothing is tidied up.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn connect(port: u16, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let connector = TlsConnector::from(Arc::clone(client));
    connector.connect(name, stream).await.unwrap()
}

/// One request on a connection that stays; returns the status.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> u16 {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "hung up");
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

async fn idle(folder: &Path, devices: &[Arc<ClientConfig>]) {
    let server = Running::start(folder);
    let mut open = Vec::new();
    let mut before = 0.0;
    for number in 0..IDLE + DEVICES {
        if number == DEVICES {
            before = server.resident_kib();
        }
        let mut stream = connect(server.1, &devices[number % DEVICES]).await;
        assert_eq!(ask(&mut stream, HEALTH).await, 200);
        open.push(stream);
    }
    let grown = server.resident_kib() - before;
    println!(
        "{IDLE} idle connections: {:.1} KiB each; the whole server {:.0} MiB",
        grown / IDLE as f64,
        server.resident_kib() / 1024.0
    );
    for stream in open.iter_mut().rev().take(100) {
        assert_eq!(ask(stream, HEALTH).await, 200, "they are still served");
    }
}

fn report(device: usize) -> (String, Vec<u8>) {
    let report = DeviceReport {
        format: device_pki::report::FORMAT,
        id: DeviceReport::random_id(&mut SystemEntropy).unwrap(),
        device: format!("urn:example:device:SN-{device}").parse().unwrap(),
        sent: Clock::System.now(),
        product: "router-x".to_owned(),
        hardware: "rev-b".to_owned(),
        slot: "B".to_owned(),
        firmware_version: "1.1.0".to_owned(),
        event: ReportEvent::Committed,
        detail: "health check passed".to_owned(),
        bytes_downloaded: 12_345,
        payload_kind: "delta".to_owned(),
    };
    let body = serde_json::to_vec(&report).unwrap();
    let mut request = format!(
        "POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    (report.id, request)
}

async fn reports(folder: &Path, devices: &[Arc<ClientConfig>]) {
    let server = Running::start(folder);
    let port = server.1;
    let mut streams = Vec::new();
    for client in devices {
        let mut stream = connect(port, client).await;
        assert_eq!(ask(&mut stream, HEALTH).await, 200);
        streams.push(stream);
    }
    let (cpu, began) = (server.cpu(), Instant::now());
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(device, mut stream)| {
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for _ in 0..REPORTS {
                    let (id, request) = report(device);
                    assert_eq!(ask(&mut stream, &request).await, 201);
                    acknowledged.push(id);
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = BTreeSet::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    let (cpu, seconds) = (server.cpu() - cpu, began.elapsed().as_secs_f64());
    drop(server);
    let store = SqliteStore::open(&folder.join("data")).unwrap();
    let mut kept = BTreeSet::new();
    for device in 0..DEVICES {
        let reports = store.reports(&format!("urn:example:device:SN-{device}"));
        kept.extend(reports.unwrap().into_iter().map(|report| report.id));
    }
    let lost = acknowledged.difference(&kept).count();
    let count = acknowledged.len() as f64;
    println!(
        "{count} reports: {:.0} for a second of CPU, {:.0} a second; {lost} lost over kill -9",
        count / cpu,
        count / seconds
    );
    assert_eq!(lost, 0);
}
