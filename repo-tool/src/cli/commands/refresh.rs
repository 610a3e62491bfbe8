use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;

use crate::Context;

/// Sign timestamp and snapshot anew with the online keys, where they are due
///
/// To be run by a timer, several times a day. What has more than half of its time left stays as it is.
#[derive(Args, Debug)]
pub(crate) struct RefreshArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Whatever time is left
    #[arg(long)]
    force: bool,
}

impl RefreshArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let publication = context
            .open(&self.folder)?
            .refresh(context.now, self.force)?;
        super::publish::answer(&publication, context);
        Ok(())
    }
}
