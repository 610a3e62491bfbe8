use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use device_pki::folder::KeySource;
use device_pki::{CaKind, Device, Error, Leaf, Result, SubjectKey, durable};

use super::keys::PassphraseArgs;
use super::say;

/// Longest list of serial numbers that is read.
const LIST_LIMIT: u64 = 64 * 1024 * 1024;
/// Devices whose keys are in memory at once, and that the index is written for once.
const AT_ONCE: usize = 1000;
/// Longest request that is read.
const REQUEST_LIMIT: u64 = 32 * 1024;

/// Give devices their identity in the factory (IDevID of IEEE 802.1AR), by which they enrol later
///
/// A batch from a list of serial numbers, with keys made here, or one device on the line that made its key itself. What
/// was certified before is passed over, so a batch that was cut off is simply repeated. The certificates have no end and
/// open no connection but that of enrolment.
#[derive(Debug, Args)]
pub(super) struct ProvisionArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// List of serial numbers: the first column of a CSV file; a line `serial` at its beginning is the heading
    #[arg(long, value_name = "FILE", conflicts_with_all = ["serial", "csr"], required_unless_present = "serial")]
    csv: Option<PathBuf>,
    /// Serial number of one device
    #[arg(long)]
    serial: Option<String>,
    /// Certification request of that device in PEM; only its public key is taken
    #[arg(long, value_name = "FILE", requires = "serial")]
    csr: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl ProvisionArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = super::tokens::open(&self.dir)?;
        let serials = match (&self.csv, self.serial) {
            (Some(path), _) => serials(path)?,
            (None, serial) => serial.into_iter().collect(),
        };
        // All of them first: a batch is not left in the middle by a name that no device can have.
        for serial in &serials {
            pki.organisation().device_urn(serial)?;
        }
        let (mut new, mut known) = (0_usize, 0_usize);
        self.passphrase.ceremony(&pki, |ceremony| {
            pki.add(CaKind::Factory, ceremony)?;
            let ca = pki.authority(CaKind::Factory, ceremony.protection)?;
            let mut batch = Vec::new();
            for serial in &serials {
                let device = Device {
                    serial: serial.clone(),
                };
                let folder = self.dir.join("factory").join(serial);
                if self.csr.is_none() && folder.join("chain.pem").exists() {
                    known = known.saturating_add(1);
                    continue;
                }
                let source = match &self.csr {
                    Some(path) => {
                        let text = durable::read_bounded(path, REQUEST_LIMIT)?;
                        let what = path.display().to_string();
                        KeySource::Given(SubjectKey::from_request_pem(&what, &text)?)
                    }
                    None => KeySource::Generate,
                };
                new = new.saturating_add(1);
                batch.push((Leaf::FactoryDevice(device), source));
                if batch.len() >= AT_ONCE {
                    pki.issue_batch(&ca, std::mem::take(&mut batch), None, ceremony)?;
                }
            }
            pki.issue_batch(&ca, batch, None, ceremony)?;
            Ok(())
        })?;
        let place = self.dir.join("factory");
        say(
            out,
            &format!("Provisioned {new} devices, {known} were before"),
        )?;
        say(out, &format!("  identities  {}/SERIAL/", place.display()))
    }
}

fn serials(path: &Path) -> Result<Vec<String>> {
    let bytes = durable::read_bounded(path, LIST_LIMIT)?;
    let bad = |reason: String| Error::Malformed {
        what: path.display().to_string(),
        expected: "a list of serial numbers",
        reason,
    };
    let text = String::from_utf8(bytes).map_err(|e| bad(e.to_string()))?;
    let column = text.lines().map(|line| {
        let field = line.split([',', ';', '\t']).next().unwrap_or_default();
        field.trim().trim_matches('"').to_owned()
    });
    let serials: Vec<String> = column
        .enumerate()
        .filter(|(line, text)| {
            let heading = *line == 0 && text.eq_ignore_ascii_case("serial");
            !heading && !text.is_empty()
        })
        .map(|(_, text)| text)
        .collect();
    let mut sorted: Vec<String> = serials.iter().map(|s| s.to_ascii_lowercase()).collect();
    sorted.sort();
    if let Some(twice) = sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(a),
        _ => None,
    }) {
        return Err(bad(format!(
            "{twice} stands in it twice, however its letters are"
        )));
    }
    if serials.is_empty() {
        return Err(bad("there is none in it".to_owned()));
    }
    Ok(serials)
}
