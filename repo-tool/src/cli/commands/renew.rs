use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;

use crate::Context;

/// Stage roles again with a later expiry, to be signed by their people
#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The roles: root, targets, or names of products
    #[arg(required = true)]
    roles: Vec<String>,
}

impl RenewArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let roles = self.roles.iter().map(|name| super::role(name));
        repository.renew(&roles.collect::<Result<Vec<_>>>()?, context.now)?;
        super::show::answer(&repository.show()?, context);
        Ok(())
    }
}
