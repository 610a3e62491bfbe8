use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use repo_tool::Result;

use crate::Context;

/// Longest file of a signature: ML-DSA-87 in hex is 9.3 KB.
const LIMIT: u64 = 64 * 1024;

/// Take a signature that was made elsewhere
///
/// The file may hold the bytes as they are, in hex, or in base64; ECDSA signatures in DER, or as r and s one after the other.
/// It is verified against what is staged before it is kept.
#[derive(Args, Debug)]
pub(crate) struct ImportSignatureArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The role that was signed: root, targets, or a product
    #[arg(long)]
    role: String,

    /// Whose key: a name as in the certificate, a key id, or its first 8 digits or more
    #[arg(long, value_name = "NAME|KEYID")]
    key: String,

    /// The signature
    file: PathBuf,
}

impl ImportSignatureArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let role = super::role(&self.role)?;
        let bytes = durable::read_bounded(&self.file, LIMIT)?;
        let taken = repository.import_signature(&role, &self.key, &bytes, context.now)?;
        context.output.answer(&taken, || {
            let again = if taken.repeated {
                "was here already"
            } else {
                "added"
            };
            vec![format!(
                "{again}: {} over {} v{}, sha256 {} (came as {})",
                taken.holder, taken.role, taken.version, taken.sha256, taken.form
            )]
        });
        super::status::say_next(&repository.status(context.now)?, context);
        Ok(())
    }
}
