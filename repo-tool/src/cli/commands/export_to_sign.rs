use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;

use crate::Context;

/// Write the exact bytes that somebody is to sign elsewhere: in an HSM, a key service, behind an air gap
///
/// For each role that the key may sign, a file ROLE.vN.KEY.to-sign with the bytes, and a JSON file that says what they are,
/// how openssl would sign them, and how the signature is brought back.
#[derive(Args, Debug)]
pub(crate) struct ExportToSignArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Whose key: a name as in the certificate, a key id, or its first 8 digits or more
    #[arg(long, value_name = "NAME|KEYID")]
    key: String,

    /// Folder for the files
    out: PathBuf,
}

impl ExportToSignArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let exported = context
            .open(&self.folder)?
            .export_to_sign(&self.key, &self.out)?;
        context.output.answer(&exported, || {
            let lines = exported.iter().flat_map(|to_sign| {
                [
                    format!(
                        "{} v{} for {}, {}: {}",
                        to_sign.role,
                        to_sign.version,
                        to_sign.holder,
                        to_sign.scheme,
                        self.out.join(&to_sign.file).display()
                    ),
                    format!("  sha256   {}", to_sign.sha256),
                    format!("  sign     {}", to_sign.openssl),
                    format!("  return   {}", to_sign.import),
                ]
            });
            lines.collect()
        });
        Ok(())
    }
}
