use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::Result;

use super::keys::PassphraseArgs;
use super::say;

/// Revoke a certificate, or all certificates of a name, and write new revocation lists
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Serial number (its first eight digits do), or the exact name of the holder
    #[arg(value_name = "SERIAL-OR-NAME")]
    wanted: String,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl RevokeArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        let revoked = self
            .passphrase
            .ceremony(&pki, |ceremony| pki.revoke(&self.wanted, ceremony))?;
        for certificate in &revoked {
            say(
                out,
                &format!(
                    "Revoked {} (serial {})",
                    certificate.name, certificate.serial
                ),
            )?;
            let list = certificate.list.display();
            say(out, &format!("  list to publish  {list}"))?;
        }
        Ok(())
    }
}
