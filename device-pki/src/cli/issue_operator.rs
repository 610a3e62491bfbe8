use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::folder::KeySource;
use device_pki::{CaKind, Leaf, Operator, Result, SubjectKey, durable};

use super::keys::PassphraseArgs;

/// Longest request that is read.
const LIMIT: u64 = 32 * 1024;

/// Certify an operator of API servers
///
/// Without a request, a key is made here and encrypted with the passphrase of the CA keys.
#[derive(Debug, Args)]
pub(super) struct IssueOperatorArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Name of the person
    #[arg(long)]
    name: String,
    /// Certification request in PEM; only its public key is taken
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Days that the certificate is valid [default: 365]
    #[arg(long)]
    days: Option<u32>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl IssueOperatorArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        let source = match &self.csr {
            Some(path) => {
                let text = durable::read_bounded(path, LIMIT)?;
                let what = path.display().to_string();
                KeySource::Given(SubjectKey::from_request_pem(&what, &text)?)
            }
            None => KeySource::Generate,
        };
        let leaf = Leaf::Operator(Operator { name: self.name });
        let issued = self.passphrase.ceremony_of(
            &pki,
            matches!(source, KeySource::Given(_)),
            |ceremony| {
                pki.add(CaKind::Operator, ceremony)?;
                pki.issue(&leaf, source, self.days, ceremony)
            },
        )?;
        super::say_issued(out, &issued)
    }
}
