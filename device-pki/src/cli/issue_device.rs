use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::folder::KeySource;
use device_pki::{Device, Leaf, Result};

use super::keys::PassphraseArgs;

/// Certify a device
///
/// Its key is made here and kept unencrypted, readable for its owner only.
#[derive(Debug, Args)]
pub(super) struct IssueDeviceArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Serial number of the device: letters, digits and inner '-'
    #[arg(long)]
    serial: String,
    /// Days that the certificate is valid [default: 90]
    #[arg(long)]
    days: Option<u32>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl IssueDeviceArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        let leaf = Leaf::Device(Device {
            serial: self.serial,
        });
        let issued = self.passphrase.ceremony(&pki, |ceremony| {
            pki.issue(&leaf, KeySource::Generate, self.days, ceremony)
        })?;
        super::say_issued(out, &issued)
    }
}
