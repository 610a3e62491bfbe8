use std::path::PathBuf;

use clap::Args;
use device_pki::{Certificate, durable};
use repo_tool::Result;

use crate::Context;

/// Longest certificate that is read.
const ISSUER_LIMIT: u64 = 64 * 1024;

/// Stage certificate revocation lists, in PEM or DER
///
/// A list must be signed by the anchor or by a CA that it certified, and its number may not fall. The online key signs it
/// into the repository at the next `publish`. Devices take all of them: the lists of signers' CAs say whose signatures count, those
/// of devices' and servers' CAs whom devices talk to.
#[derive(Args, Debug)]
pub(crate) struct AddCrlArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The lists
    #[arg(required = true, value_name = "CRL")]
    lists: Vec<PathBuf>,

    /// Certificate of a CA that no signer's chain has, such as that of the devices; once for each. It is remembered
    #[arg(long, value_name = "PEM")]
    issuer: Vec<PathBuf>,
}

impl AddCrlArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
        let mut lists = Vec::new();
        for path in &self.lists {
            lists.push((
                path.display().to_string(),
                durable::read_bounded(path, limit)?,
            ));
        }
        let mut issuers = Vec::new();
        for path in &self.issuer {
            let text = durable::read_bounded(path, ISSUER_LIMIT)?;
            issuers.push(Certificate::from_pem(&path.display().to_string(), &text)?);
        }
        let staged = repository.add_crls_of(&lists, &issuers, context.now)?;
        context.output.answer(&staged, || {
            let lines = staged.iter().flat_map(|crl| {
                [
                    format!(
                        "{}: number {}, {} revoked, next by {}",
                        crl.issuer, crl.number, crl.revoked, crl.next_update
                    ),
                    format!("  {}", crl.path),
                ]
            });
            lines.collect()
        });
        super::show::say_voided(&repository.show()?, context);
        Ok(())
    }
}
