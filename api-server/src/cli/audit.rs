use std::io::Write;
use std::path::{Path, PathBuf};

use api_server::store::audit::Chain;
use api_server::store::enrolments::Enrolments as _;
use api_server::{Error, Result};
use clap::Args;

/// Print the audit log and check its chain of hashes
///
/// The last line has the hash of the last entry. Note it elsewhere: it shows later that nothing before it was changed, and
/// that the log was not cut off. Ends with exit code 8 if an entry was changed, removed or put in.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Folder of the server's data
    #[arg(long, value_name = "DIR", env = "API_SERVER_DATA")]
    data: Option<PathBuf>,
    /// As JSON, one entry on a line
    #[arg(long)]
    json: bool,
}

impl AuditArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let store = super::store(self.data.as_deref())?;
        let failed = |source| Error::Io {
            step: "write to",
            path: Path::new("standard output").to_owned(),
            source,
        };
        let mut chain = Chain::default();
        store.audit(&mut |entry| {
            if !chain.follows(&entry) {
                let number = entry.number;
                return Err(Error::Audit { number });
            }
            if self.json {
                let text = serde_json::to_string(&entry).map_err(std::io::Error::other);
                return writeln!(out, "{}", text.map_err(failed)?).map_err(failed);
            }
            let (number, at, event) = (entry.number, entry.at, &entry.event);
            let (device, detail) = (&entry.device, &entry.detail);
            writeln!(out, "{number:>6}  {at}  {event:<12} {device:<20} {detail}").map_err(failed)
        })?;
        let (number, hash) = chain.head();
        if self.json {
            return Ok(());
        }
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(
            out,
            "{number} entries, whole; the last one's hash is {hash}"
        )
        .map_err(failed)
    }
}
