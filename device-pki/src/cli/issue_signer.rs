use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::folder::KeySource;
use device_pki::{FirmwareSigner, KeyAlgorithm, Leaf, Result, SignerRole, SubjectKey, durable};

use super::keys::PassphraseArgs;

/// Longest request or key file that is read.
const LIMIT: u64 = 32 * 1024;

/// Certify a person who signs firmware
///
/// The person makes the key (Ed25519, ECDSA P-256 or P-384, RSA or ML-DSA; `repo-tool keygen`, a token, OpenSSL) and hands in a
/// certification request or the public key; without either, a key is made here and encrypted with the passphrase of the CA keys.
#[derive(Debug, Args)]
pub(super) struct IssueSignerArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Name of the person
    #[arg(long)]
    name: String,
    /// What the person may sign: root, targets, or delegated:NAME; may be given several times
    #[arg(long = "role", required = true, value_name = "ROLE")]
    roles: Vec<SignerRole>,
    /// Certification request in PEM; only its public key is taken
    #[arg(long, value_name = "FILE", conflicts_with = "public_key")]
    csr: Option<PathBuf>,
    /// Public key in PEM
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Make the key here, with this algorithm: ed25519, p256, p384 or ml-dsa-65 [default: ed25519]
    #[arg(long, conflicts_with_all = ["csr", "public_key"])]
    algorithm: Option<KeyAlgorithm>,
    /// Days that the certificate is valid [default: 730]
    #[arg(long)]
    days: Option<u32>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl IssueSignerArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        let source = match (&self.csr, &self.public_key) {
            (Some(path), _) => {
                let text = durable::read_bounded(path, LIMIT)?;
                let what = path.display().to_string();
                KeySource::Given(SubjectKey::from_request_pem(&what, &text)?)
            }
            (None, Some(path)) => {
                let text = durable::read_bounded(path, LIMIT)?;
                let what = path.display().to_string();
                KeySource::Given(SubjectKey::from_public_key_pem(&what, &text)?)
            }
            (None, None) => self
                .algorithm
                .map_or(KeySource::Generate, KeySource::GenerateFor),
        };
        let leaf = Leaf::FirmwareSigner(FirmwareSigner {
            name: self.name,
            roles: self.roles,
        });
        let issued = self.passphrase.ceremony_of(
            &pki,
            matches!(source, KeySource::Given(_)),
            |ceremony| pki.issue(&leaf, source, self.days, ceremony),
        )?;
        super::say_issued(out, &issued)
    }
}
