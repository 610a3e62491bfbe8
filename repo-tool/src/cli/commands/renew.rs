use std::path::PathBuf;

use clap::Args;
use metadata_schema::name::RoleName;
use repo_tool::{Repository, Result};

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
        let repository = Repository::open(&self.folder)?;
        let roles = self.roles.iter().map(|name| match name.as_str() {
            "root" => Ok(RoleName::root()),
            "targets" => Ok(RoleName::targets()),
            name => Ok(RoleName::delegated(name)?),
        });
        repository.renew(&roles.collect::<Result<Vec<_>>>()?, context.now)?;
        super::show::answer(&repository.show()?, context);
        Ok(())
    }
}
