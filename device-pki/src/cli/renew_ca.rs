use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::folder::PkiFolder;
use device_pki::{CaKind, Error, Result};

use super::keys::PassphraseArgs;
use super::say;
use super::tokens::TokenArgs;

/// Replace a CA below the root by a new generation, with a new key
///
/// What the former one issued stays good, and `crl` goes on writing its revocation list. Revoke it by its name if it is not to
/// be trusted any more. The root is not replaced here: devices take a new trust anchor from signed firmware.
#[derive(Debug, Args)]
pub(super) struct RenewCaArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Which CA: firmware-signing-ca, device-issuing-ca, server-ca, factory-ca or operator-ca
    #[arg(value_name = "CA", value_parser = kind)]
    ca: CaKind,
    /// Take over what this list revokes first, or the lists in this folder: of CAs of this PKI, issued elsewhere
    ///
    /// An API server issues the list of its CA by itself. Before device-pki issues one of that CA, it has to know the server's last.
    #[arg(long, value_name = "FILE|FOLDER")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

fn kind(text: &str) -> Result<CaKind> {
    let found = CaKind::ALL.into_iter().find(|kind| kind.folder() == text);
    found.ok_or_else(|| Error::Name {
        what: "CA",
        found: text.to_owned(),
        why: "is none of firmware-signing-ca, device-issuing-ca, server-ca, factory-ca, operator-ca",
    })
}

impl RenewCaArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = PkiFolder::open(&self.dir)?.with_tokens(self.tokens.tokens_of(self.ca)?);
        super::take_over(&pki, &self.from, out)?;
        let certificate = self
            .passphrase
            .ceremony(&pki, |ceremony| pki.renew(self.ca, ceremony))?;
        say(
            out,
            &format!("{} issues from now on", certificate.subject()),
        )?;
        say(out, &format!("  valid until {}", certificate.not_after()))?;
        let list = pki.crl_path(self.ca)?;
        say(out, &format!("  its list    {}", list.display()))
    }
}
