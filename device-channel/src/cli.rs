//! The command line, and the configuration file, whose members are named like the options.

mod config;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use device_channel::settings::{Files, IdentityFiles};
use device_channel::target::Target;
use device_channel::{Error, Inherited, Limits, Mode, Result, Settings, Sidecar, Stage};
use device_pki::service::Manager;
use device_pki::{Allowed, DeviceUrn};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Where devices come to, if nothing else is said.
const PORT: u16 = 7443;

/// Secure channels between devices, for programs in any language
///
/// A sidecar stands beside a program on each of two devices. The programs speak plaintext to it over this host's loopback or a
/// Unix socket; between the sidecars there is TLS 1.3, X25519MLKEM768 first, and both show the certificates that the devices
/// have anyway (what `updater` keeps in identity/current.pem).
///
///   gateway:  device-channel listen --accept 'urn:example:device:SENSOR-*' --forward 127.0.0.1:1883 ...
///   sensor:   device-channel connect --peer urn:example:device:GW-1 --listen 127.0.0.1:11883 --to gw-1.lan:7443 ...
///
/// Only devices pass for devices: an API server's or an operator's certificate is refused at the handshake, and so is one that
/// was revoked. SIGHUP looks at certificate and lists at once (every 2 seconds it happens by itself); what was revoked is closed
/// while it is open. SIGTERM takes nobody in any more and lets open channels end; a second one closes them.
///
/// Exit codes: 0 stopped, 2 usage, 3 cannot listen, 8 configuration, key or certificate, 1 anything else.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, verbatim_doc_comment)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Listen(ListenArgs),
    Connect(ConnectArgs),
}

/// Take in channels of other devices, and forward what they say to a program of this host
#[derive(Debug, Default, Args)]
struct ListenArgs {
    /// Who may come: a device's URN, or a pattern in which * stands for anything; may be given several times
    #[arg(long, value_name = "URN|PATTERN")]
    accept: Vec<String>,
    /// The program: HOST:PORT of this host, or unix:/PATH
    #[arg(long, value_name = "TARGET")]
    forward: Option<Target>,
    /// Where other devices come to; systemd's sockets count more [default: [::]:7443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Most channels at once of one device [default: 64]
    #[arg(long, value_name = "NUMBER")]
    max_per_peer: Option<usize>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Open a channel to one other device for each connection of a program of this host
#[derive(Debug, Default, Args)]
struct ConnectArgs {
    /// The device at the other end: no other may answer
    #[arg(long, value_name = "URN")]
    peer: Option<String>,
    /// Where the program comes to: HOST:PORT of this host, or unix:/PATH; systemd's sockets count more
    #[arg(long, value_name = "TARGET")]
    listen: Option<Target>,
    /// Where the other device listens. The name is not believed, the certificate is
    #[arg(long, value_name = "HOST:PORT")]
    to: Option<Target>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Default, Args)]
struct CommonArgs {
    /// Configuration file (TOML) with members named like the options; options count more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Trust anchor: the root CA's certificate
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Key and chain in one file, as the updater keeps it: STATE/identity/current.pem
    #[arg(long, value_name = "FILE", conflicts_with_all = ["certificate", "key"])]
    identity: Option<PathBuf>,
    /// Chain, if it has a file of its own
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Key, not encrypted, if it has a file of its own
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Revocation list, or folder with files *.crl; may be given several times
    #[arg(long = "crl", value_name = "PATH")]
    crl: Vec<PathBuf>,
    /// Refuse whose issuer's list is missing, or overdue by more days than this. Without it, lists that are there count
    /// however old they are: a network that is cut off goes on
    #[arg(long, value_name = "DAYS")]
    max_overdue: Option<u16>,
    /// Tell /metrics (Prometheus) and /healthz there, over plain HTTP
    #[arg(long, value_name = "LOOPBACK:PORT")]
    metrics: Option<SocketAddr>,
    /// Most channels at once [default: 1024]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// Seconds to connect and to shake hands [default: 10]
    #[arg(long, value_name = "SECONDS")]
    handshake_time: Option<u32>,
    /// Seconds without a byte after which a channel is closed, 0 for never [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    idle_time: Option<u32>,
    /// Seconds that open channels get on SIGTERM [default: 30]
    #[arg(long, value_name = "SECONDS")]
    drain_time: Option<u32>,
    /// Let plaintext leave this host: only where the network in between is as safe as this host
    #[arg(long)]
    plaintext_beyond_this_host: bool,
}

impl Cli {
    pub(crate) fn run(self) -> Result<()> {
        let config = match &self.command {
            Command::Listen(args) => args.common.config.clone(),
            Command::Connect(args) => args.common.config.clone(),
        };
        let given = match config {
            None => self,
            Some(file) => self.with_file(&file)?,
        };
        let inherited = Inherited::of_the_environment()?;
        let settings = match given.command {
            Command::Listen(args) => args.settings()?,
            Command::Connect(args) => args.settings(!inherited.is_empty())?,
        };
        log();
        serve(settings, inherited)
    }
}

impl ListenArgs {
    fn settings(self) -> Result<Settings> {
        if self.accept.is_empty() {
            return Err(missing(
                "accept",
                "say who may come: --accept 'urn:NAMESPACE:device:*' for every device under the anchor",
            ));
        }
        let mut allowed = Allowed::default();
        for text in &self.accept {
            allowed = if text.contains('*') {
                allowed.pattern(text)
            } else {
                allowed.device(urn("accept", text)?)
            };
        }
        let mode = Mode::Listen {
            accept: Arc::new(allowed),
            listen: self
                .listen
                .unwrap_or_else(|| (std::net::Ipv6Addr::UNSPECIFIED, PORT).into()),
            forward: self.forward.ok_or_else(|| {
                missing(
                    "forward",
                    "say where the program listens: --forward 127.0.0.1:1883",
                )
            })?,
        };
        let mut settings = self.common.settings(mode)?;
        settings.limits.per_peer = self.max_per_peer.unwrap_or(settings.limits.per_peer);
        Ok(settings)
    }
}

impl ConnectArgs {
    fn settings(self, has_sockets: bool) -> Result<Settings> {
        let peer = self.peer.ok_or_else(|| {
            missing(
                "peer",
                "say which device has to answer: --peer urn:NAMESPACE:device:SERIAL",
            )
        })?;
        // With sockets of systemd, ours is not used.
        let unused = || {
            has_sockets.then(|| Target::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 0,
            })
        };
        let mode = Mode::Connect {
            peer: urn("peer", &peer)?,
            listen: self.listen.or_else(unused).ok_or_else(|| {
                missing(
                    "listen",
                    "say where the program comes to: --listen 127.0.0.1:11883",
                )
            })?,
            to: self.to.ok_or_else(|| {
                missing("to", "say where the other device listens: --to HOST:7443")
            })?,
        };
        self.common.settings(mode)
    }
}

impl CommonArgs {
    fn settings(self, mode: Mode) -> Result<Settings> {
        let identity = match (self.identity, self.certificate.zip(self.key)) {
            (Some(bundle), _) => IdentityFiles::Bundle(bundle),
            (None, Some((chain, key))) => IdentityFiles::Pair(chain, key),
            (None, None) => {
                return Err(missing(
                    "identity",
                    "give the updater's STATE/identity/current.pem, or --certificate and --key",
                ));
            }
        };
        let limits = Limits::default();
        let seconds = |given: Option<u32>, otherwise: Duration| {
            given.map_or(otherwise, |seconds| Duration::from_secs(seconds.into()))
        };
        Ok(Settings {
            mode,
            files: Files {
                anchor: self.anchor.ok_or_else(|| {
                    missing(
                        "anchor",
                        "give the root CA's certificate, which the device has from the factory",
                    )
                })?,
                identity,
                crls: self.crl,
                max_overdue: self.max_overdue,
            },
            limits: Limits {
                connections: self.max_connections.unwrap_or(limits.connections),
                handshake: seconds(self.handshake_time, limits.handshake),
                idle: seconds(self.idle_time, limits.idle),
                drain: seconds(self.drain_time, limits.drain),
                ..limits
            },
            metrics: self.metrics,
            plaintext_anywhere: self.plaintext_beyond_this_host,
        })
    }
}

fn missing(option: &str, hint: &'static str) -> Error {
    Error::Config {
        what: format!("--{option}"),
        reason: "it is given neither on the command line nor in a file".to_owned(),
        hint,
    }
}

fn urn(option: &str, text: &str) -> Result<DeviceUrn> {
    text.parse()
        .map_err(|error: device_pki::Error| Error::Config {
            what: format!("--{option} {text}"),
            reason: error.to_string(),
            hint: "a device is named as in its certificate, such as urn:example:device:SN-0001",
        })
}

fn serve(settings: Settings, inherited: Inherited) -> Result<()> {
    let failed = |step| move |source| Error::Io { step, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(failed("start threads"))?;
    runtime.block_on(async {
        let watched = |kind| signal(kind).map_err(failed("watch signals"));
        let mut terminate = watched(SignalKind::terminate())?;
        let mut interrupt = watched(SignalKind::interrupt())?;
        let mut hang_up = watched(SignalKind::hangup())?;
        let sidecar = Sidecar::bind(settings, inherited).await?;
        if let Some(address) = sidecar.metrics_addr() {
            tracing::info!(%address, "metrics");
        }
        let manager = Manager::of_the_environment();
        manager.status(&format!("listening on {}", sidecar.addresses().join(", ")));
        manager.say("READY=1");
        let reload = sidecar.reloader();
        let (stage, told) = watch::channel(Stage::Running);
        let running = sidecar.run(told);
        tokio::pin!(running);
        loop {
            tokio::select! {
                () = &mut running => return Ok(()),
                () = beaten(manager.beat()) => manager.say("WATCHDOG=1"),
                _ = hang_up.recv() => reload.notify_one(),
                _ = terminate.recv() => stop(&stage, &manager),
                _ = interrupt.recv() => stop(&stage, &manager),
            }
        }
    })
}

/// The first time lets open channels end, the second time closes them.
fn stop(stage: &watch::Sender<Stage>, manager: &Manager) {
    manager.say("STOPPING=1");
    stage.send_modify(|stage| {
        *stage = match stage {
            Stage::Running => Stage::Draining,
            Stage::Draining | Stage::Stopping => Stage::Stopping,
        };
    });
}

async fn beaten(beat: Option<Duration>) {
    match beat {
        Some(beat) => tokio::time::sleep(beat).await,
        None => std::future::pending().await,
    }
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
}
