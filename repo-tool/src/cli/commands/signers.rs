use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use metadata_schema::name::RoleName;
use repo_tool::signers::ListedRole;
use repo_tool::{Error, Keyholder, Repository, Result, SignerChange};

use super::people;
use crate::Context;

/// List the people who sign, and stage who joins, leaves or comes with a new key
///
/// Roles are root, targets, and names of products. People are named as in their certificate, or by the first digits (8 or more) of
/// their key id; who joins is given as a certificate chain. Several changes can be staged one after the other, and are signed as one
/// event. A new root is published when a threshold of the current root's signers and one of the new root's have signed.
#[derive(Args, Debug)]
pub(crate) struct SignersArgs {
    #[command(subcommand)]
    command: SignersCommand,
}

#[derive(Debug, Subcommand)]
enum SignersCommand {
    /// Show who signs which role, and how many must
    List {
        /// Folder of the repository
        folder: PathBuf,
    },
    /// Let people sign a role
    Add {
        /// Folder of the repository
        folder: PathBuf,

        /// Who joins: certificate chains
        #[arg(value_name = "PEM", required = true)]
        people: Vec<PathBuf>,

        /// A role that they are to sign; once for each
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,

        /// A new threshold
        #[arg(long)]
        threshold: Option<NonZeroU32>,
    },
    /// Let people sign no more
    Remove {
        /// Folder of the repository
        folder: PathBuf,

        /// Who leaves
        #[arg(value_name = "NAME|KEY", required = true)]
        names: Vec<String>,

        /// A role that they leave; once for each [default: all that they sign]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,

        /// A new threshold
        #[arg(long, requires = "roles")]
        threshold: Option<NonZeroU32>,
    },
    /// Put somebody in another's place, or a person's new key or certificate in the old one's
    Replace {
        /// Folder of the repository
        folder: PathBuf,

        /// Who leaves or whose old key, and the chain of who comes or the new one; several pairs at once
        #[arg(value_names = ["NAME|KEY", "PEM"], num_args = 2.., required = true)]
        pairs: Vec<String>,

        /// A role where that happens; once for each [default: all that they sign]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Change how many people must sign
    Threshold {
        /// Folder of the repository
        folder: PathBuf,

        /// How many
        threshold: NonZeroU32,

        /// A role; once for each
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
}

impl SignersArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let named = |roles: &[String]| -> Result<Vec<RoleName>> {
            roles.iter().map(|name| super::role(name)).collect()
        };
        let (folder, change) = match self.command {
            SignersCommand::List { folder } => {
                let roles = Repository::open(&folder)?.signers()?;
                context.output.answer(&roles, || lines(&roles));
                return Ok(());
            }
            SignersCommand::Add {
                folder,
                people: files,
                roles,
                threshold,
            } => {
                let change = SignerChange {
                    roles: named(&roles)?,
                    add: people(&files)?,
                    threshold,
                    ..SignerChange::default()
                };
                (folder, change)
            }
            SignersCommand::Remove {
                folder,
                names,
                roles,
                threshold,
            } => {
                let change = SignerChange {
                    roles: named(&roles)?,
                    remove: names,
                    threshold,
                    ..SignerChange::default()
                };
                (folder, change)
            }
            SignersCommand::Replace {
                folder,
                pairs,
                roles,
            } => {
                let mut replace = Vec::new();
                for pair in pairs.chunks(2) {
                    let [name, chain] = pair else {
                        return Err(Error::Argument {
                            what: "signer",
                            found: pair.concat(),
                            expected: "NAME and PEM, in pairs",
                        });
                    };
                    replace.push((name.clone(), Keyholder::read(Path::new(chain))?));
                }
                let change = SignerChange {
                    roles: named(&roles)?,
                    replace,
                    ..SignerChange::default()
                };
                (folder, change)
            }
            SignersCommand::Threshold {
                folder,
                threshold,
                roles,
            } => {
                let change = SignerChange {
                    roles: named(&roles)?,
                    threshold: Some(threshold),
                    ..SignerChange::default()
                };
                (folder, change)
            }
        };
        stage(&folder, &change, context)
    }
}

fn stage(folder: &Path, change: &SignerChange, context: &Context) -> Result<()> {
    let repository = context.open(folder)?;
    repository.change_signers(change, context.now)?;
    super::show::answer(&repository.show()?, context);
    Ok(())
}

fn lines(roles: &[ListedRole]) -> Vec<String> {
    let mut lines = Vec::new();
    for role in roles {
        let count = role.signers.len();
        lines.push(format!("{}: {} of {count}", role.role, role.threshold));
        for signer in &role.signers {
            let short: String = signer.key.chars().take(8).collect();
            let until = signer.certificate_until;
            let until =
                until.map_or_else(String::new, |until| format!("  certificate until {until}"));
            let algorithm = signer.algorithm.unwrap_or("unknown");
            lines.push(format!(
                "  {:<20} key {short}  {algorithm:<8}{until}",
                signer.name
            ));
        }
    }
    lines
}
