use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;

use crate::Context;

/// Throw away what is staged, or some of its roles
#[derive(Args, Debug)]
pub(crate) struct UnstageArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Only these roles: root, targets, or names of products
    roles: Vec<String>,

    /// Even if people have signed it
    #[arg(long)]
    yes: bool,
}

impl UnstageArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let roles = self.roles.iter().map(|name| super::role(name));
        let roles = roles.collect::<Result<Vec<_>>>()?;
        let dropped = repository.unstage(&roles, self.yes, context.now)?;
        context.output.answer(&dropped, || {
            let roles = dropped.roles.iter();
            let mut lines: Vec<String> = roles
                .map(|(role, version)| format!("dropped {role} v{version}"))
                .collect();
            let signatures = dropped.signatures.iter();
            lines.extend(signatures.map(|whose| format!("  with the signature of {whose}")));
            lines
        });
        Ok(())
    }
}
