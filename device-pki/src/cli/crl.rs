use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::Result;
use device_pki::folder::DEFAULT_CRL_DAYS;

use super::keys::PassphraseArgs;
use super::say;

/// Write new revocation lists of all CAs, before the old ones are overdue
#[derive(Debug, Args)]
pub(super) struct CrlArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Days until the next lists are due
    #[arg(long, default_value_t = DEFAULT_CRL_DAYS)]
    days: u32,
    /// Take over what this list revokes first, or the lists in this folder: of CAs of this PKI, issued elsewhere
    ///
    /// An API server issues the list of its CA by itself. Before device-pki issues one of that CA, it has to know the server's last.
    #[arg(long, value_name = "FILE|FOLDER")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl CrlArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        super::take_over(&pki, &self.from, out)?;
        let lists = self
            .passphrase
            .ceremony(&pki, |ceremony| pki.write_crls(self.days, ceremony))?;
        for kind in pki.kinds().filter(|kind| !pki.has_key(*kind)) {
            say(out, &format!("{kind:?}: no new list, its key is not here"))?;
        }
        for list in &lists {
            let (issuer, number, due) = (list.issuer(), list.number(), list.next_update());
            say(
                out,
                &format!(
                    "{}.crl  number {number}, {} revoked, next due {due}  {issuer}",
                    list.issuer_ski(),
                    list.len()
                ),
            )?;
        }
        Ok(())
    }
}
