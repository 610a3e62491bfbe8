use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use repo_tool::{Error, Publication, Repository, Result};

use crate::Context;

/// How often a folder that somebody works in is tried.
const AGAIN: Duration = Duration::from_millis(500);

/// Sign timestamp, snapshot and the role of revocation lists anew with the online keys, where they are due
///
/// To be run by a timer, several times a day (units for systemd: repo-tool/systemd). What has more than half of its time left
/// stays as it is, and what is staged is not touched. If repo.toml says where to publish to, what is published is pushed there, also
/// what an earlier run could not push. Ends with 0 if all is in order, whether something was due or not; with 4
/// if a device would refuse the result, for instance because root has expired; with 3 if it could not be pushed; with 6 if another repo-tool was at work all
/// the time.
#[derive(Args, Debug)]
pub(crate) struct RefreshArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Whatever time is left
    #[arg(long)]
    force: bool,

    /// How many seconds to wait for another repo-tool that is at work in the folder
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u32,
}

impl RefreshArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let to = repository.destination_if_any(None)?;
        let publication = self.refresh(&repository, context)?;
        super::publish::answer_and_push(&repository, &publication, to.as_ref(), context)
    }

    fn refresh(&self, repository: &Repository, context: &Context) -> Result<Publication> {
        let begun = Instant::now();
        let patience = Duration::from_secs(self.wait.into());
        loop {
            match repository.refresh(context.now, self.force) {
                Err(Error::Locked { .. }) if begun.elapsed() < patience => {
                    std::thread::sleep(AGAIN);
                }
                other => return other,
            }
        }
    }
}
