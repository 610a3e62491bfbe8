//! What stands on the server under which name, and what an attacker puts there instead.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::RoleName;
use sha2::{Digest as _, Sha512};

use super::{Bytes, Simulator};

/// What is served instead of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Other bytes.
    Bytes(Bytes),
    /// Not there.
    Missing,
    /// A failure of the server, with this HTTP status.
    Status(u16),
    /// The file, then zeros without end.
    Endless,
    /// The file, piece by piece with pauses.
    Slow {
        /// Bytes in a piece.
        piece: usize,
        /// The pause before each.
        pause: Duration,
    },
    /// So many bytes of the file, then the connection breaks.
    Cut(usize),
}

impl Simulator {
    /// Serves something else under a name such as `metadata/2.root.json`, from now on.
    pub fn fault(&mut self, name: &str, fault: Fault) -> &mut Self {
        self.faults.insert(name.to_owned(), fault);
        self
    }

    /// Serves other bytes under a name.
    pub fn replace(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        self.fault(name, Fault::Bytes(bytes.into()))
    }

    /// Serves again what should be served.
    pub fn heal(&mut self) -> &mut Self {
        self.faults.clear();
        self
    }

    /// What was asked for since the last call, in order: names such as `metadata/2.root.json`, as they were before encoding.
    pub fn take_requests(&mut self) -> Vec<String> {
        std::mem::take(&mut self.requests)
    }

    /// What is served under a name, and what is wrong with it. This counts as a request.
    pub(super) fn answer(&mut self, name: &str) -> (Option<Bytes>, Option<Fault>) {
        self.requests.push(name.to_owned());
        let fault = self.faults.get(name).cloned();
        match &fault {
            Some(Fault::Missing) => (None, fault),
            Some(Fault::Bytes(bytes)) => (Some(Arc::clone(bytes)), None),
            _ => (self.file(name), fault),
        }
    }

    /// The file of a name such as `metadata/timestamp.json` or `targets/dir/HASH.name`, without any fault.
    pub fn file(&mut self, name: &str) -> Option<Bytes> {
        if let Some(name) = name.strip_prefix("metadata/") {
            self.metadata_file(name)
        } else {
            self.target_file(name.strip_prefix("targets/")?)
        }
    }

    fn metadata_file(&mut self, name: &str) -> Option<Bytes> {
        let stem = name.strip_suffix(".json")?;
        if stem == "timestamp" {
            return Some(self.timestamp.bytes());
        }
        let numbered = stem.split_once('.');
        let numbered = numbered.and_then(|(n, role)| Some((n.parse::<u64>().ok()?, role)));
        if let Some((version, "root")) = numbered {
            return self.root.of_version(version);
        }
        if !self.root.value().consistent_snapshot {
            return match stem {
                "snapshot" => Some(self.snapshot.bytes()),
                role => Some(self.targets.get_mut(role)?.bytes()),
            };
        }
        match numbered? {
            (version, "snapshot") => self.snapshot.of_version(version),
            (version, role) => self.targets.get_mut(role)?.of_version(version),
        }
    }

    fn target_file(&self, name: &str) -> Option<Bytes> {
        if !self.root.value().consistent_snapshot {
            return self.contents.get(name)?.last().map(Arc::clone);
        }
        let cut = name.rfind('/').map_or(0, |slash| slash + 1);
        let (folder, file) = name.split_at(cut);
        let (digest, file) = file.split_once('.')?;
        let contents = self.contents.get(&format!("{folder}{file}"))?;
        let found = contents.iter().find(|content| has_digest(content, digest));
        found.map(Arc::clone)
    }

    /// Writes the repository into a folder as static files: `metadata/` and `targets/`, every version there has been. Role names
    /// are percent-encoded in file names; target paths stand as they are.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn dump(&mut self, folder: &Path) -> std::io::Result<()> {
        let metadata = folder.join("metadata");
        std::fs::create_dir_all(&metadata)?;
        for (name, bytes) in self.all_metadata() {
            put(&metadata.join(name), &bytes)?;
        }
        for (path, contents) in &self.contents {
            let cut = path.rfind('/').map_or(0, |slash| slash + 1);
            let (parent, file) = path.split_at(cut);
            let parent = folder.join("targets").join(parent);
            std::fs::create_dir_all(&parent)?;
            for content in contents {
                let name = if self.root.value().consistent_snapshot {
                    format!("{}.{file}", Sha256Digest::of(content))
                } else {
                    file.to_owned()
                };
                put(&parent.join(name), content)?;
            }
        }
        Ok(())
    }

    fn all_metadata(&mut self) -> Vec<(String, Bytes)> {
        let consistent = self.root.value().consistent_snapshot;
        let name = |version: u64, stem: &str| {
            if consistent {
                format!("{version}.{stem}.json")
            } else {
                format!("{stem}.json")
            }
        };
        let mut files = Vec::new();
        for version in self.root.versions() {
            let bytes = self.root.of_version(version).unwrap();
            files.push((format!("{version}.root.json"), bytes));
        }
        files.push(("timestamp.json".to_owned(), self.timestamp.bytes()));
        for version in self.snapshot.versions() {
            let bytes = self.snapshot.of_version(version).unwrap();
            files.push((name(version, "snapshot"), bytes));
        }
        for (role, document) in &mut self.targets {
            for version in document.versions() {
                let bytes = document.of_version(version).unwrap();
                files.push((name(version, &stem(role)), bytes));
            }
        }
        files
    }
}

fn stem(role: &RoleName) -> String {
    role.file_stem()
}

fn has_digest(content: &[u8], digest: &str) -> bool {
    if digest.len() == 64 {
        return Sha256Digest::of(content).to_string() == digest;
    }
    hex::encode(Sha512::digest(content)) == digest
}

#[allow(
    clippy::disallowed_methods,
    reason = "a copy for other programs to read: nothing depends on its lasting"
)]
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}
