//! The command line: `updater [--config FILE] COMMAND`.

mod bootstrap;
mod check;
mod enrol;
pub mod exit_code;
mod once;
mod output;
mod person;
mod run;
mod simulate;
mod status;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Parser, Subcommand};
use metadata_schema::time::Timestamp;

use crate::config::Config;
use crate::error::Error;
use crate::stop::Stop;
use crate::updater::Updater;

/// Keep a device's firmware up to date: verify, install, try, keep or roll back
///
/// Exit codes: 0 done or nothing to do, 2 usage, 3 network (try again), 4 metadata refused, 5 payload refused, 6 slot or storage
/// failed (the running firmware is untouched), 7 boot switch or trial failed, 8 configuration or identity, 9 not now: a policy, a
/// hook or the state of the device is against it, 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "updater", version)]
struct Arguments {
    /// The configuration; drop-ins are read from the folder of the same name that ends in .d
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/updater/updater.toml",
        global = true,
        env = "UPDATER_CONFIG"
    )]
    config: PathBuf,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Once(once::Once),
    Run(run::Run),
    Install(person::Install),
    /// Say what is offered, and whether and why it is taken; install nothing
    Check(check::Check),
    /// Say what runs, what is going on, what failed and what time it is taken to be
    Status(status::Status),
    Why(why::Why),
    Commit(person::Commit),
    Rollback(person::Rollback),
    Cancel(person::Cancel),
    Postpone(person::Postpone),
    Consent(person::Consent),
    History(why::History),
    Doctor(why::Doctor),
    /// Get this device's certificate, or renew it when it is time, as every run does first
    Enrol(enrol::Enrol),
    /// Begin to trust the repository, as a blank device does by itself on its first run; install nothing
    Bootstrap(bootstrap::Bootstrap),
    /// Act as the boot loader of a simulated device
    #[command(subcommand)]
    Simulate(simulate::Simulate),
}

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
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(e) => return output::usage(&e),
    };
    output::start_log();
    let context = Context {
        config: arguments.config,
        json: arguments.json,
    };
    let result = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(async {
            match arguments.command {
                Command::Once(command) => command.run(&context).await,
                Command::Run(command) => command.run(&context).await,
                Command::Check(command) => command.run(&context).await,
                Command::Enrol(command) => command.run(&context).await,
                Command::Bootstrap(command) => command.run(&context).await,
                Command::Install(command) => command.run(&context).await,
                Command::Doctor(command) => command.run(&context).await,
                Command::Status(command) => command.run(&context),
                Command::Why(command) => command.run(&context),
                Command::Commit(command) => command.run(&context),
                Command::Rollback(command) => command.run(&context),
                Command::Cancel(command) => command.run(&context),
                Command::Postpone(command) => command.run(&context),
                Command::Consent(command) => command.run(&context),
                Command::History(command) => command.run(&context),
                Command::Simulate(command) => command.run(&context),
            }
        }),
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
