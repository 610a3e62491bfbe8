use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use repo_tool::{Result, RootChange, TopRole};

use super::people;
use crate::Context;

/// Stage a new root version with other signers
///
/// It is published when a threshold of the current root's signers and one of the new root's have signed.
#[derive(Args, Debug)]
pub(crate) struct RotateRootArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// A person who joins, as a certificate chain; once for each
    #[arg(long = "add-signer", value_name = "PEM")]
    add: Vec<PathBuf>,

    /// A person who leaves: name as in the certificate, or the first digits (8 or more) of the key id
    #[arg(long, value_name = "NAME|KEY")]
    remove: Vec<String>,

    /// A new threshold
    #[arg(long)]
    threshold: Option<NonZeroU32>,

    /// Which role's signers change [default: both]
    #[arg(long, value_enum)]
    role: Vec<RoleArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    Root,
    Targets,
}

impl RotateRootArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let chosen = self.role.iter().map(|role| match role {
            RoleArg::Root => TopRole::Root,
            RoleArg::Targets => TopRole::Targets,
        });
        let roles = if self.role.is_empty() {
            vec![TopRole::Root, TopRole::Targets]
        } else {
            chosen.collect()
        };
        let add = people(&self.add)?;
        let change = RootChange {
            roles,
            add,
            remove: self.remove,
            threshold: self.threshold,
        };
        repository.rotate_root(&change, context.now)?;
        super::show::answer(&repository.show()?, context);
        Ok(())
    }
}
