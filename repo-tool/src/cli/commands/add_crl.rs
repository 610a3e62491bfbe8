use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use repo_tool::{Repository, Result};

use crate::Context;

/// Stage certificate revocation lists, in PEM or DER
///
/// A list must be signed by a CA that issued a signer's certificate, or by the anchor, and its number may not fall. The
/// online key signs it into the repository at the next `publish`.
#[derive(Args, Debug)]
pub(crate) struct AddCrlArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The lists
    #[arg(required = true, value_name = "CRL")]
    lists: Vec<PathBuf>,
}

impl AddCrlArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = Repository::open(&self.folder)?;
        let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
        let mut lists = Vec::new();
        for path in &self.lists {
            lists.push((
                path.display().to_string(),
                durable::read_bounded(path, limit)?,
            ));
        }
        let staged = repository.add_crls(&lists, context.now)?;
        context.output.answer(&staged, || {
            let lines = staged.iter().map(|crl| {
                format!(
                    "{}: number {}, {} revoked, next by {}\n  {}",
                    crl.issuer, crl.number, crl.revoked, crl.next_update, crl.path
                )
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        Ok(())
    }
}
