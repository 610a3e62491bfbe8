//! Servers as processes: this crate's, and nginx, each with a client that shakes hands and asks for nothing much.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use device_pki::{Crl, tls};
use rustls::crypto::aws_lc_rs::kx_group::X25519;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{NAME, SIZES, World};

/// Handshakes that are counted, and before them.
const COUNTED: usize = 1000;
const WARM_UP: usize = 50;
/// What the kernel counts CPU in (`sysconf(_SC_CLK_TCK)` on Linux).
const TICKS: f64 = 100.0;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// Serves for ever, with lists of so many entries; says on which port.
pub(crate) fn serve(world: &World, entries: usize) {
    let trust = world.trust(&world.lists(entries));
    let config = Arc::new(tls::api_server(&world.server, &trust).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                let within = Duration::from_secs(10);
                let mut stream = tls::accept(config, stream, within).await.unwrap();
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    stream.write_all(ANSWER).await.ok();
                    stream.shutdown().await.ok();
                }
            });
        }
    });
}

/// A server that is ended with its value.
struct Running(Child, u16);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn ours(entries: usize) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--serve", &entries.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    Running(child, line.trim().parse().unwrap())
}

fn nginx(world: &World, folder: &Path, lists: &[Crl]) -> Option<Running> {
    let free = TcpListener::bind("127.0.0.1:0").ok()?;
    let port = free.local_addr().ok()?.port();
    drop(free);
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("server.pem", &world.server.bundle().unwrap());
    write("anchor.pem", &world.root.certificate().pem());
    write("lists.pem", &lists.iter().map(pem_of).collect::<String>());
    let at = folder.display();
    write(
        "nginx.conf",
        &format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3;\n\
             ssl_certificate {at}/server.pem; ssl_certificate_key {at}/server.pem; ssl_client_certificate {at}/anchor.pem;\n\
             ssl_verify_client on; ssl_verify_depth 2; ssl_crl {at}/lists.pem; ssl_session_cache off;\n\
             ssl_session_tickets off; keepalive_timeout 0; location / {{ return 204; }} }} }}\n"
        ),
    );
    let child = Command::new("nginx")
        .args(["-p", &at.to_string(), "-c", "nginx.conf", "-e"])
        .arg(folder.join("error.log"))
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let running = Running(child, port);
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(running);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn pem_of(list: &Crl) -> String {
    let lines = device_pki::cms::base64(list.der());
    format!(
        "-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n",
        lines.trim_end()
    )
}

/// CPU seconds of a server for the handshakes that are counted.
fn cost(server: &Running, client: &Arc<ClientConfig>) -> f64 {
    for _ in 0..WARM_UP {
        ask(server.1, client);
    }
    let before = cpu(server.0.id());
    for _ in 0..COUNTED {
        ask(server.1, client);
    }
    cpu(server.0.id()) - before
}

fn ask(port: u16, client: &Arc<ClientConfig>) {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // nginx may end without TLS's goodbye.
    stream.read_to_end(&mut answer).ok();
    assert!(
        answer.starts_with(b"HTTP/1.1 204"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS
}

pub(crate) fn compare(world: &World) {
    let hybrid = Arc::new(world.client(None));
    let classic = Arc::new(world.client(Some(X25519)));
    println!("\nover loopback, CPU of the server's process: us for each connection");
    println!("entries    this, hybrid    this, X25519    nginx, X25519    nginx / this");
    for entries in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let lists = world.lists(entries);
        let server = ours(entries);
        let each = |seconds: f64| seconds / COUNTED as f64 * 1e6;
        let (first, second) = (each(cost(&server, &hybrid)), each(cost(&server, &classic)));
        match nginx(world, folder.path(), &lists) {
            Some(server) => {
                let theirs = each(cost(&server, &classic));
                let ratio = theirs / second;
                println!("{entries:>7} {first:>15.0} {second:>15.0} {theirs:>16.0} {ratio:>15.2}");
            }
            None => println!("{entries:>7} {first:>15.0} {second:>15.0}     not installed"),
        }
    }
}
