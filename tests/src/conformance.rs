//! The command line that the public TUF conformance suite drives (version 2 of its protocol), before the client that devices run:
//! the same refresh, metadata store and HTTP transport, with TUF alone as trust and without TLS.
//!
//! ```text
//! tuf-conformance-client --metadata-dir DIR init ROOT_JSON
//! tuf-conformance-client --metadata-dir DIR --metadata-url URL refresh
//! tuf-conformance-client --metadata-dir DIR --metadata-url URL --target-name NAME... --target-base-url URL --target-dir DIR download
//! ```
//!
//! Exit code 0 if the command succeeded, else 1.

mod artifact;
mod failure;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use device_pki::durable;
use metadata_schema::gate::PlainTuf;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::RootWalk;
use updater::error::Error;
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::transport::http::{Http, Settings};
use updater::trust::Trust;

pub use artifact::file_name;
pub use failure::Failure;

/// Refresh TUF metadata and download targets as a device does, for the TUF conformance suite
#[derive(Debug, Parser)]
#[command(name = "tuf-conformance-client")]
struct Arguments {
    /// Where trusted metadata is kept
    #[arg(long, value_name = "DIR")]
    metadata_dir: PathBuf,
    /// Where the repository's metadata is served
    #[arg(long, value_name = "URL")]
    metadata_url: Option<String>,
    /// A target to download; may be given again
    #[arg(long, value_name = "NAME")]
    target_name: Vec<String>,
    /// Where the repository's targets are served
    #[arg(long, value_name = "URL")]
    target_base_url: Option<String>,
    /// Where downloaded targets are kept
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Trust a root, without asking the repository for anything
    Init {
        /// The root metadata
        root: PathBuf,
    },
    /// Bring the top-level metadata up to date
    Refresh,
    /// Bring the metadata up to date, then fetch targets
    Download,
}

/// Runs one command.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            let _printed = usage.print();
            return ExitCode::from(u8::from(usage.use_stderr()));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(source) => Err(Failure::Runtime(source)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _said = write!(std::io::stderr(), "{}", failure.in_full());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let store = MetadataStore::open(&arguments.metadata_dir).map_err(Error::from)?;
    match &arguments.command {
        Command::Init { root } => init(&store, root),
        Command::Refresh => {
            let metadata = needed(arguments.metadata_url.as_ref(), "--metadata-url")?;
            let mut transport = transport(metadata, metadata)?;
            let trust = Trust::Plain;
            let mut client = client(&mut transport, &store, &trust);
            client.refresh(&root(&store)?, now()).await?;
            Ok(())
        }
        Command::Download => download(arguments, &store).await,
    }
}

/// The root has to be one; whether it may be trusted is the user's word.
fn init(store: &MetadataStore, path: &std::path::Path) -> Result<(), Failure> {
    let bytes = durable::read_bounded(path, Limits::default().root_length)?;
    RootWalk::from_trusted(&bytes, Arc::new(PlainTuf)).map_err(Error::from)?;
    store.save_root(&bytes).map_err(Error::from)?;
    Ok(())
}

async fn download(arguments: &Arguments, store: &MetadataStore) -> Result<(), Failure> {
    let metadata = needed(arguments.metadata_url.as_ref(), "--metadata-url")?;
    let targets = needed(arguments.target_base_url.as_ref(), "--target-base-url")?;
    let folder = needed(arguments.target_dir.as_ref(), "--target-dir")?;
    if arguments.target_name.is_empty() {
        return Err(Failure::Option("--target-name"));
    }
    let mut transport = transport(metadata, targets)?;
    let trust = Trust::Plain;
    let mut client = client(&mut transport, store, &trust);
    let mut set = client.refresh(&root(store)?, now()).await?;
    durable::create_dir_durable(folder, 0o755)?;
    for name in &arguments.target_name {
        let path = TargetPath::new(name)?;
        let target = client.find(&mut set, &path).await?;
        let target = target.ok_or_else(|| Failure::NoTarget(name.clone()))?;
        let file = folder.join(file_name(name));
        if !artifact::is_there(&file, &target) {
            artifact::fetch(client.transport, &target, &file).await?;
        }
    }
    Ok(())
}

fn transport(metadata: &str, targets: &str) -> Result<Http, Failure> {
    let usual = Settings::default();
    Ok(Http::without_tls(&usual, metadata, targets).map_err(Error::from)?)
}

fn client<'a>(transport: &'a mut Http, store: &'a MetadataStore, trust: &'a Trust) -> Client<'a> {
    Client {
        transport,
        store,
        trust,
        limits: Limits::default(),
    }
}

/// The root that is trusted already.
fn root(store: &MetadataStore) -> Result<Vec<u8>, Failure> {
    let root = store.load(&RoleName::root()).map_err(Error::from)?;
    root.ok_or(Failure::NoRoot)
}

fn needed<'a, T>(value: Option<&'a T>, option: &'static str) -> Result<&'a T, Failure> {
    value.ok_or(Failure::Option(option))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}
