//! What the server is told: where things are, and what it allows.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use device_pki::{Clock, KeySource, Organisation, durable};
use serde::Deserialize;

use crate::error::{Error, Result};

/// Largest configuration file that is read.
const LIMIT: u64 = 64 * 1024;

/// Where things are.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 for any free one.
    pub listen: SocketAddr,
    /// Folder with what is published.
    pub repository: PathBuf,
    /// Folder for the server's own data.
    pub data: PathBuf,
    /// The trust anchor.
    pub anchor: PathBuf,
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
    /// Revocation lists, or folders with files `*.crl`. Without current lists no device gets in.
    pub crls: Vec<PathBuf>,
    /// What the server allows.
    pub limits: Limits,
    /// What time it is: a test may fix it.
    pub clock: Clock,
    /// The CA in this server, if it certifies devices.
    pub est: Option<Est>,
}

/// `[est]`: this server certifies devices, by EST (RFC 7030).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Est {
    /// Address to listen on for devices that have no certificate yet, apart from those that have; port 0 for any free one.
    pub listen: SocketAddr,
    /// The Device-Issuing CA's certificate.
    pub ca: PathBuf,
    /// Its key: a file, encrypted or not, `env:NAME`, or a key on a PKCS#11 token by its URI (RFC 7512).
    #[serde(deserialize_with = "key_source")]
    pub key: KeySource,
    /// File whose first line is the key's passphrase or the token's PIN; without it, the environment has it.
    #[serde(rename = "passphrase_file")]
    pub passphrase: Option<PathBuf>,
    /// Whose devices they are: what their names are made of, as in `pki.json`.
    pub organisation: Organisation,
    /// Days that a certificate is valid.
    #[serde(default = "ninety")]
    pub days: u32,
    /// Who approves of a first enrolment.
    #[serde(default)]
    pub approval: Approval,
    /// What becomes of a device's former certificates once it has used a newer one.
    #[serde(default)]
    pub superseded: Superseded,
}

/// Who approves of a first enrolment of a device that is on the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Nobody has to: the list is enough.
    #[default]
    Automatic,
    /// A person, by `api-server devices approve`.
    Manual,
}

/// What becomes of certificates that were superseded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Superseded {
    /// They are revoked: a device has one certificate in force.
    #[default]
    Revoke,
    /// They expire by themselves: revocation lists stay shorter.
    Expire,
}

fn key_source<'de, D: serde::Deserializer<'de>>(from: D) -> Result<KeySource, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn ninety() -> u32 {
    90
}

/// What the server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once that have shown a device's certificate; further ones wait.
    pub connections: usize,
    /// Connections at once that have not finished their handshake; further ones wait.
    pub handshakes: usize,
    /// How many of those may come from one address (IPv6: one /64); further ones are closed.
    pub handshakes_per_address: usize,
    /// Connections at once of one device; a further one closes the oldest.
    pub connections_per_device: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request.
    pub head: Duration,
    /// Time for the body of a request.
    pub body: Duration,
    /// Time without a byte in either direction, after which a connection is closed.
    pub idle: Duration,
    /// Time that open requests get when the server stops.
    pub shutdown: Duration,
    /// How often files are looked at for newer certificates and revocation lists.
    pub reload: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshakes: 256,
            handshakes_per_address: 64,
            connections_per_device: 8,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
            reload: Duration::from_secs(2),
        }
    }
}

/// A configuration file: every member may also be given on the command line, which counts more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Address to listen on.
    pub listen: Option<SocketAddr>,
    /// Folder with what is published.
    pub repository: Option<PathBuf>,
    /// Folder for the server's own data.
    pub data: Option<PathBuf>,
    /// The trust anchor.
    pub anchor: Option<PathBuf>,
    /// The server's certificate chain.
    pub certificate: Option<PathBuf>,
    /// The server's key.
    pub key: Option<PathBuf>,
    /// Revocation lists, or folders with them.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// Connections at once.
    pub max_connections: Option<usize>,
    /// The CA in this server.
    pub est: Option<Est>,
}

impl Config {
    /// A configuration whose certificates are a folder of `device-pki init`, in which one server has been certified
    /// under the name `api`.
    pub fn new(
        listen: SocketAddr,
        pki: impl AsRef<Path>,
        repository: impl Into<PathBuf>,
        data: impl Into<PathBuf>,
    ) -> Self {
        let pki = pki.as_ref();
        Self {
            listen,
            repository: repository.into(),
            data: data.into(),
            anchor: pki.join("trust-anchor.pem"),
            certificate: pki.join("servers/api/chain.pem"),
            key: pki.join("servers/api/key.pem"),
            crls: vec![pki.join("crl")],
            limits: Limits::default(),
            clock: Clock::System,
            est: None,
        }
    }
}

impl ConfigFile {
    /// Reads a file; relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// If it cannot be read or has members that we do not know.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Config {
            what: path.display().to_string(),
            reason,
        };
        let bytes = durable::read_bounded(path, LIMIT)?;
        let text = std::str::from_utf8(&bytes).map_err(|e| bad(e.to_string()))?;
        let mut file: Self = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let single = [
            &mut file.repository,
            &mut file.data,
            &mut file.anchor,
            &mut file.certificate,
            &mut file.key,
        ];
        if let Some(est) = &mut file.est {
            est.key = est.key.clone().below(folder);
        }
        let est = file
            .est
            .iter_mut()
            .flat_map(|est| std::iter::once(&mut est.ca).chain(&mut est.passphrase));
        for path in single
            .into_iter()
            .flatten()
            .chain(&mut file.crls)
            .chain(est)
        {
            *path = folder.join(&*path);
        }
        Ok(file)
    }

    /// A complete configuration, if nothing is missing.
    ///
    /// # Errors
    /// Which option is missing.
    pub fn complete(self) -> Result<Config> {
        let missing = |option: &'static str| Error::Config {
            what: format!("--{option}"),
            reason: "it is given neither on the command line nor in a file".to_owned(),
        };
        let mut limits = Limits::default();
        limits.connections = self.max_connections.unwrap_or(limits.connections);
        Ok(Config {
            listen: self.listen.ok_or_else(|| missing("listen"))?,
            repository: self.repository.ok_or_else(|| missing("repository"))?,
            data: self.data.ok_or_else(|| missing("data"))?,
            anchor: self.anchor.ok_or_else(|| missing("anchor"))?,
            certificate: self.certificate.ok_or_else(|| missing("certificate"))?,
            key: self.key.ok_or_else(|| missing("key"))?,
            crls: self.crls,
            limits,
            clock: Clock::System,
            est: self.est,
        })
    }

    /// These members, and where one is missing that of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            repository: self.repository.or(other.repository),
            data: self.data.or(other.data),
            anchor: self.anchor.or(other.anchor),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
            crls: if self.crls.is_empty() {
                other.crls
            } else {
                self.crls
            },
            max_connections: self.max_connections.or(other.max_connections),
            est: self.est.or(other.est),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_counts_more_than_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        let text = "listen = \"127.0.0.1:1\"\nkey = \"key.pem\"\ncrls = [\"crl\"]\n";
        std::fs::write(&path, text).unwrap();
        let file = ConfigFile::read(&path).unwrap();
        assert_eq!(file.key, Some(folder.path().join("key.pem")));
        let given = ConfigFile {
            key: Some("other.pem".into()),
            ..ConfigFile::default()
        };
        let both = given.or(file);
        assert_eq!(both.key, Some("other.pem".into()));
        assert_eq!(both.crls, [folder.path().join("crl")]);
        let error = both.complete().unwrap_err().to_string();
        assert!(error.starts_with("--repository is not usable"), "{error}");
        std::fs::write(&path, "lisen = \"127.0.0.1:1\"").unwrap();
        assert!(ConfigFile::read(&path).is_err());
    }
}
