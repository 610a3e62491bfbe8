use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use device_pki::folder::KeySource;
use device_pki::{ApiServer, Leaf, Result};

use super::keys::PassphraseArgs;

/// Certify an API server
///
/// Its key is made here and kept unencrypted, readable for its owner only.
#[derive(Debug, Args)]
pub(super) struct IssueServerArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// What people call it, and the name of its folder [default: the first DNS name or IP address]
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// DNS name under which devices reach it; may be given several times
    #[arg(long, required_unless_present = "ip")]
    dns: Vec<String>,
    /// IP address under which devices reach it; may be given several times
    #[arg(long)]
    ip: Vec<IpAddr>,
    /// Days that the certificate is valid [default: 90]
    #[arg(long)]
    days: Option<u32>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl IssueServerArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        let leaf = Leaf::ApiServer(ApiServer {
            name: self.name,
            dns_names: self.dns,
            addresses: self.ip,
        });
        let issued = self.passphrase.ceremony(&pki, |ceremony| {
            pki.issue(&leaf, KeySource::Generate, self.days, ceremony)
        })?;
        super::say_issued(out, &issued)
    }
}
