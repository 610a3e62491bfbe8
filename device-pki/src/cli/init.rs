use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::folder::{Algorithms, Ceremony, PkiFolder};
use device_pki::{CaKind, Organisation, Protection, Result, ScryptCost, SystemEntropy};

use super::keys::PassphraseArgs;
use super::say;
use super::tokens::TokenArgs;

/// Make a new PKI: a root CA, and below it the CAs for signers, devices, the factory, servers and operators
///
/// The private keys of the CAs are in files, encrypted with one passphrase, or on PKCS#11 tokens (--key). Give trust-anchor.pem to every device.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Folder to make
    dir: PathBuf,
    /// Name of the organisation, as it stands in certificates
    #[arg(long, value_name = "NAME")]
    organisation: String,
    /// DNS domain: devices get names below dev.DOMAIN
    #[arg(long, value_name = "DOMAIN")]
    domain: String,
    /// Namespace of URNs: devices are urn:NAMESPACE:device:SERIAL
    #[arg(long, value_name = "NAMESPACE")]
    namespace: String,
    /// Work to try a passphrase: `portable` takes 16 MiB, and OpenSSL can open the keys; `memory-hard` takes 128 MiB, and it cannot
    #[arg(long, value_name = "COST", default_value = "portable")]
    scrypt: ScryptCost,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl InitArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let organisation = Organisation::new(&self.organisation, &self.domain, &self.namespace)?;
        let tokens = self.tokens.tokens()?;
        let passphrase = match tokens.for_all() {
            true => None,
            false => Some(self.passphrase.choose()?),
        };
        let protection = passphrase
            .as_ref()
            .map_or(Protection::FileMode, |passphrase| {
                Protection::Passphrase(passphrase, self.scrypt)
            });
        let mut ceremony = Ceremony {
            now: self.passphrase.now(),
            protection,
            entropy: &mut SystemEntropy,
        };
        let pki = PkiFolder::create_on(
            &self.dir,
            &organisation,
            Algorithms::STANDARD,
            tokens,
            &mut ceremony,
        )?;
        for kind in [CaKind::Factory, CaKind::Operator] {
            pki.add(kind, &mut ceremony)?;
        }
        say(
            out,
            &format!(
                "Made the PKI of {} in {}",
                organisation.name(),
                self.dir.display()
            ),
        )?;
        say(
            out,
            &format!("  trust anchor      {}", pki.anchor_path().display()),
        )?;
        say(
            out,
            &format!("  revocation lists  {}", self.dir.join("crl").display()),
        )
    }
}
