//! The demo: builds a PKI, a repository, a server and two devices in a temporary folder, and plays the life of three releases and
//! six attacks on them with the programs that users run. Every step has an expected end; the demo fails if one differs.

mod attacks;
mod devices;
mod images;
mod keepers;
mod releases;
mod screen;
mod world;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub use screen::Screen;
pub use world::{Ended, World};

/// Play the whole story: PKI, signed releases, delta update, rollback, and attacks that must fail
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo demo")]
pub struct Arguments {
    /// Print one JSON object for each step
    #[arg(long)]
    json: bool,
    /// Keep everything in this folder, which must be empty or not there, and say what to try next
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Use these two files as the images of release 1 and 2
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    images: Option<Vec<PathBuf>>,
}

/// What ends the demo early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A step did not end as it must.
    #[error("{step}: expected {expected}\n  found: {found}")]
    Step {
        /// The step.
        step: String,
        /// How it must end.
        expected: String,
        /// How it ended.
        found: String,
    },
    /// A file or program could not be used.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Anything else that went wrong while preparing.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Runs the demo with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(e) => return screen::usage(&e),
    };
    let screen = Screen::new(arguments.json);
    match play(&arguments, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen.failed(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Plays the story.
///
/// # Errors
/// The first step that does not end as it must.
pub fn play(arguments: &Arguments, screen: &Screen) -> Result<(), Failure> {
    let mut world = World::new(arguments.keep.as_deref(), screen)?;
    let images = images::compose(&world, arguments.images.as_deref())?;
    keepers::pki(&mut world)?;
    keepers::repository(&world)?;
    devices::server(&mut world)?;
    devices::provision(&world)?;
    devices::enrol(&world)?;
    releases::first(&world, &images)?;
    releases::second(&world, &images)?;
    releases::third(&world, &images)?;
    attacks::tampered_payload(&world, &images)?;
    attacks::replayed_repository(&world)?;
    attacks::one_signer(&world, &images)?;
    attacks::revoked_signer(&world, &images)?;
    devices::channel(&world)?;
    attacks::revoked_device(&world)?;
    devices::reports(&world)?;
    screen.done(arguments.keep.as_deref(), &world);
    Ok(())
}
