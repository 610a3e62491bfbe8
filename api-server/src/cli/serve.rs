use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use api_server::config::ConfigFile;
use api_server::{Error, Result, Server};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

/// Serve until SIGTERM or SIGINT; SIGHUP looks for newer certificates and revocation lists at once
///
/// Files are looked at every few seconds as well. RUST_LOG sets what is logged to standard error, such as
/// api_server=debug.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Configuration file (TOML) with members named like the options; options count more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Folder with what is published
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// Folder for the server's own data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Trust anchor: the root CA's certificate
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// The server's certificate chain
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The server's key, not encrypted
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Revocation list, or folder with files *.crl; may be given several times
    #[arg(long = "crl", value_name = "PATH")]
    crls: Vec<PathBuf>,
    /// Most connections at once [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
}

impl ServeArgs {
    pub(super) fn run(self) -> Result<()> {
        log();
        let file = self
            .config
            .as_deref()
            .map(ConfigFile::read)
            .transpose()?
            .unwrap_or_default();
        let given = ConfigFile {
            listen: self.listen,
            repository: self.repository,
            data: self.data,
            anchor: self.anchor,
            certificate: self.certificate,
            key: self.key,
            crls: self.crls,
            max_connections: self.max_connections,
            est: None,
        };
        let config = given.or(file).complete()?;
        let failed = |step| {
            move |source| Error::Io {
                step,
                path: PathBuf::from("this process"),
                source,
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(failed("start threads in"))?;
        runtime.block_on(async {
            let mut terminate =
                signal(SignalKind::terminate()).map_err(failed("watch signals of"))?;
            let mut hang_up = signal(SignalKind::hangup()).map_err(failed("watch signals of"))?;
            let server = Server::bind(config).await?;
            tracing::info!(address = %server.local_addr(), "listening");
            let reloader = server.reloader();
            server
                .run(async move {
                    loop {
                        tokio::select! {
                            _ = terminate.recv() => break,
                            _ = tokio::signal::ctrl_c() => break,
                            _ = hang_up.recv() => reloader.reload(),
                        }
                    }
                })
                .await
        })
    }
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // Where nobody reads the log any more, the server goes on without it.
        .log_internal_errors(false)
        .init();
}
