//! The command line: `updater [--config FILE] COMMAND`.

mod arguments;
mod bootstrap;
mod check;
mod enrol;
pub mod exit_code;
mod help;
mod once;
mod output;
mod person;
mod run;
mod simulate;
mod status;
mod verbs;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use metadata_schema::time::Timestamp;

use crate::config::Config;
use crate::error::Error;
use crate::stop::Stop;
use crate::updater::Updater;
use arguments::{Asked, CONFIG_VARIABLE, Given, Usage};
use verbs::What;

/// What commands work with.
struct Context {
    config: PathBuf,
    json: bool,
}

impl Context {
    fn config(&self) -> Result<Config, Error> {
        Ok(Config::load(&self.config)?)
    }

    /// Opens everything to look at it, also while another updater is at work.
    fn look(&self) -> Result<Updater, Error> {
        Updater::look(self.config()?)
    }

    fn open(&self) -> Result<Updater, Error> {
        Updater::open(self.config()?)
    }
}

/// Runs the program with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // What is generic is compiled where it is called, with a copy of all that it awaits: 94 KB of the program for devices.
    program(arguments.into_iter().collect())
}

fn program(arguments: Vec<OsString>) -> ExitCode {
    let asked = arguments::read(arguments, std::env::var_os(CONFIG_VARIABLE));
    let given = match asked {
        Ok(Asked::Command(given)) => given,
        Ok(Asked::Help(verb)) => return output::help(&help::help(verb)),
        Ok(Asked::Version) => {
            return output::help(concat!("updater ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Err(wrong) => return output::usage(&help::refusal(&wrong)),
    };
    let command = match command(&given) {
        Ok(command) => command,
        Err(wrong) => return output::usage(&help::refusal(&wrong)),
    };
    output::start_log();
    let context = Context {
        config: given.config,
        json: given.json,
    };
    let result = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(run(command, &context)),
        Err(e) => Err(Error::Restart { why: e.to_string() }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            output::error(&e, context.json);
            ExitCode::from(exit_code::of(&e))
        }
    }
}

/// A command with all that it needs.
enum Command {
    Status,
    Why,
    History(why::History),
    Doctor,
    Check,
    Once,
    Run,
    Install(person::Install),
    Commit(person::Commit),
    Rollback(person::Rollback),
    Cancel,
    Postpone(person::Postpone),
    Consent(person::Consent),
    Enrol(enrol::Enrol),
    Bootstrap(bootstrap::Bootstrap),
    Simulate(simulate::Simulate),
}

fn command(given: &Given) -> Result<Command, Usage> {
    Ok(match given.verb.what {
        What::Status => Command::Status,
        What::Why => Command::Why,
        What::History => Command::History(why::History::of(given)?),
        What::Doctor => Command::Doctor,
        What::Check => Command::Check,
        What::Once => Command::Once,
        What::Run => Command::Run,
        What::Install => Command::Install(person::Install::of(given)),
        What::Commit => Command::Commit(person::Commit::of(given)),
        What::Rollback => Command::Rollback(person::Rollback::of(given)),
        What::Cancel => Command::Cancel,
        What::Postpone => Command::Postpone(person::Postpone::of(given)?),
        What::Consent => Command::Consent(person::Consent::of(given)?),
        What::Enrol => Command::Enrol(enrol::Enrol::of(given)),
        What::Bootstrap => Command::Bootstrap(bootstrap::Bootstrap::of(given)),
        What::Simulate => Command::Simulate(simulate::Simulate::of(given)?),
    })
}

async fn run(command: Command, context: &Context) -> Result<(), Error> {
    match command {
        Command::Status => status::run(context),
        Command::Why => why::run(context),
        Command::History(command) => command.run(context),
        Command::Doctor => why::doctor(context).await,
        Command::Check => check::run(context).await,
        Command::Once => once::run(context).await,
        Command::Run => run::run(context).await,
        Command::Install(command) => command.run(context).await,
        Command::Commit(command) => command.run(context),
        Command::Rollback(command) => command.run(context),
        Command::Cancel => person::cancel(context),
        Command::Postpone(command) => command.run(context),
        Command::Consent(command) => command.run(context),
        Command::Enrol(command) => command.run(context).await,
        Command::Bootstrap(command) => command.run(context).await,
        Command::Simulate(command) => command.run(context),
    }
}

/// SIGTERM and Ctrl-C stop a run where it can be gone on with.
fn stop_on_signals(stop: &Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = stop.clone();
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stop.stop();
    });
}

/// The system clock: read here and nowhere else, and passed down.
fn system_time() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_seconds(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
}
