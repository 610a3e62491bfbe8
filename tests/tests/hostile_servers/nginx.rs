//! Servers and proxies that others wrote: nginx with mutual TLS, and tinyproxy. Run by `tests/peers`, which installs them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use updater::transport::Part;
use updater::transport::http::Proxy;

use crate::pki;
use crate::server::{http, outcome, patient, streamed};

const GOOD: &str = "{\"signed\": {}}";
/// Names as they stand on disk: what nginx decodes is what was meant.
const NAMES: &[&str] = &[
    "a b", "a#b", "a?b=c", "100%", "%41", "a+b&c", "é", "e\u{301}", "🐧", "...", "a:b@c",
];

/// A program that ends with its test.
struct Running {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Running {
    fn start(program: &str, arguments: &[&str], folder: TempDir, port: u16) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}; tests/peers installs it"));
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < Duration::from_secs(10),
                "{program}: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            folder,
            port,
            child,
        }
    }

    /// nginx with mutual TLS, in front of a folder with metadata and targets.
    fn nginx(protocol: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for part in ["metadata", "targets"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        let write = |path: PathBuf, bytes: &[u8]| std::fs::write(path, bytes).unwrap();
        write(root.join("metadata/timestamp.json"), GOOD.as_bytes());
        write(root.join("targets/payload"), b"0123456789");
        for name in NAMES {
            let text = format!("this is {name}");
            std::fs::create_dir_all(root.join("targets").join(name)).unwrap();
            write(root.join("targets").join(name).join(name), text.as_bytes());
            write(
                root.join("metadata").join(format!("1.{name}.json")),
                format!("{{{text}").as_bytes(),
            );
        }
        let port = free_port();
        let listen = if protocol == "h2" { "ssl http2" } else { "ssl" };
        let (pki, here) = (pki::folder(), folder.path());
        let (pki, here) = (pki.display(), here.display());
        let configuration = format!(
            r"
            daemon off; master_process off; error_log {here}/error.log; pid {here}/pid;
            events {{ worker_connections 64; }}
            http {{
                log_format lines '$connection $server_protocol $status $request_uri';
                access_log {here}/access.log lines;
                client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;
                uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;
                gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
                server {{
                    listen 127.0.0.1:{port} {listen};
                    ssl_protocols TLSv1.3;
                    ssl_certificate {pki}/servers/api/chain.pem;
                    ssl_certificate_key {pki}/servers/api/key.pem;
                    ssl_client_certificate {pki}/trust-anchor.pem;
                    ssl_verify_client on; ssl_verify_depth 4;
                    root {here}/root;
                    location = /metadata/moved.json {{ return 302 timestamp.json; }}
                    location = /metadata/away.json {{ return 301 https://elsewhere.example/x; }}
                    location = /metadata/busy.json {{ return 503; }}
                    location = /targets/forbidden {{ return 403; }}
                }}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        write(file.clone(), configuration.as_bytes());
        let error_log = folder.path().join("error.log").display().to_string();
        let file = file.display().to_string();
        Self::start("nginx", &["-e", &error_log, "-c", &file], folder, port)
    }

    /// tinyproxy, for whoever says the password.
    fn tinyproxy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = folder.path().join("log");
        let configuration = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nBasicAuth user secret\nLogFile \"{}\"\nLogLevel Connect\n",
            log.display()
        );
        let file = folder.path().join("tinyproxy.conf");
        std::fs::write(&file, configuration).unwrap();
        let file = file.display().to_string();
        Self::start("tinyproxy", &["-d", "-c", &file], folder, port)
    }

    fn base(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(Path::new(self.folder.path()).join(name)).unwrap()
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
#[ignore = "needs nginx: tests/peers"]
async fn nginx_over_both_protocols() {
    for (protocol, logged) in [("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2.0")] {
        let nginx = Running::nginx(protocol);
        let mut http = http(&nginx.base(), patient(), Proxy::None);
        let metadata = [
            ("timestamp.json", GOOD),
            ("2.root.json", "not there"),
            ("moved.json", GOOD),
            (
                "away.json",
                "metadata has to come from the server that is configured",
            ),
            ("busy.json", "status 503"),
        ];
        for (file, expected) in metadata {
            let found = outcome(&mut http, Part::Metadata, file, 1000).await;
            assert!(found.contains(expected), "{protocol} {file}: {found}");
        }
        for name in NAMES {
            let target = format!("{name}/{name}");
            let found = outcome(&mut http, Part::Targets, &target, 1000).await;
            assert_eq!(found, format!("this is {name}"), "{protocol}");
            let role = format!("1.{name}.json");
            let found = outcome(&mut http, Part::Metadata, &role, 1000).await;
            assert_eq!(found, format!("{{this is {name}"), "{protocol}");
        }
        let found = outcome(&mut http, Part::Targets, "forbidden", 1000).await;
        assert_eq!(found, "not there");
        let found = outcome(&mut http, Part::Targets, "payload", 9).await;
        assert!(
            found.contains("longer than the 9 bytes that it may have: it announces 10"),
            "{found}"
        );
        assert_eq!(
            streamed(&mut http, 4, 10).await,
            ("whole".to_owned(), b"456789".to_vec())
        );
        assert_eq!(streamed(&mut http, 10, 10).await.0, "not there");

        let log = nginx.log("access.log");
        assert!(log.lines().all(|line| line.contains(logged)), "{log}");
        let connections: std::collections::BTreeSet<_> = log
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        // What is announced too long is not read: that costs a connection of HTTP/1.1, and a stream of HTTP/2.
        let expected = if protocol == "h2" { 1 } else { 2 };
        assert!(connections.len() <= expected, "{log}");
    }
}

#[tokio::test]
#[ignore = "needs nginx and tinyproxy: tests/peers"]
async fn through_tinyproxy() {
    let nginx = Running::nginx("h2");
    let proxy = Running::tinyproxy();
    let through = |user: &str| Proxy::Through {
        url: format!("http://{user}127.0.0.1:{}", proxy.port),
        except: String::new(),
    };
    let mut with = http(&nginx.base(), patient(), through("user:secret@"));
    for _ in 0..3 {
        let found = outcome(&mut with, Part::Metadata, "timestamp.json", 1000).await;
        assert_eq!(found, GOOD);
    }
    let tunnels = proxy.log("log").matches("CONNECT 127.0.0.1").count();
    assert_eq!(tunnels, 1, "{}", proxy.log("log"));
    // HTTP/2 is agreed upon through the tunnel, too.
    assert!(nginx.log("access.log").contains("HTTP/2.0"));

    let mut without = http(&nginx.base(), patient(), through(""));
    let found = outcome(&mut without, Part::Metadata, "timestamp.json", 1000).await;
    assert!(found.contains("proxy authorization required"), "{found}");
}
