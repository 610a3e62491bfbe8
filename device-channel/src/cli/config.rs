//! The configuration file: its members are words of the command line, and are read as such.

use std::path::{Path, PathBuf};

use clap::Parser;
use device_channel::{Error, Result};
use device_pki::durable;

use super::{Cli, Command, CommonArgs, ConnectArgs, ListenArgs};

/// Largest configuration file that is read.
const CONFIG_LIMIT: u64 = 64 * 1024;

impl Cli {
    /// These options, and what the file has where they say nothing.
    pub(super) fn with_file(self, path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Config {
            what: path.display().to_string(),
            reason,
            hint: "members are named like the options, without the dashes in front: see --help",
        };
        let text = durable::read_bounded(path, CONFIG_LIMIT)?;
        let text = String::from_utf8(text).map_err(|e| bad(e.to_string()))?;
        let table: toml::Table = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = match &self.command {
            Command::Listen(_) => "listen",
            Command::Connect(_) => "connect",
        };
        let mut words = vec!["device-channel".to_owned(), name.to_owned()];
        for (member, value) in &table {
            words.extend(option(member, value, folder).map_err(bad)?);
        }
        let read = Self::try_parse_from(words).map_err(|e| {
            let text = e.to_string();
            bad(text.lines().next().unwrap_or_default().to_owned())
        })?;
        let command = match (self.command, read.command) {
            (Command::Listen(given), Command::Listen(file)) => Command::Listen(given.or(file)),
            (Command::Connect(given), Command::Connect(file)) => Command::Connect(given.or(file)),
            (given, _) => given,
        };
        Ok(Self { command })
    }
}

impl ListenArgs {
    fn or(self, file: Self) -> Self {
        Self {
            accept: either(self.accept, file.accept),
            forward: self.forward.or(file.forward),
            listen: self.listen.or(file.listen),
            max_per_peer: self.max_per_peer.or(file.max_per_peer),
            common: self.common.or(file.common),
        }
    }
}

impl ConnectArgs {
    fn or(self, file: Self) -> Self {
        Self {
            peer: self.peer.or(file.peer),
            listen: self.listen.or(file.listen),
            to: self.to.or(file.to),
            common: self.common.or(file.common),
        }
    }
}

impl CommonArgs {
    fn or(self, file: Self) -> Self {
        // Whoever gives one kind of identity does not mean the other.
        let own = self.identity.is_some() || self.certificate.is_some();
        let of_file = |path: Option<PathBuf>| path.filter(|_| !own);
        Self {
            config: self.config,
            anchor: self.anchor.or(file.anchor),
            identity: self.identity.or(of_file(file.identity)),
            certificate: self.certificate.or(of_file(file.certificate)),
            key: self.key.or(of_file(file.key)),
            crl: either(self.crl, file.crl),
            max_overdue: self.max_overdue.or(file.max_overdue),
            metrics: self.metrics.or(file.metrics),
            max_connections: self.max_connections.or(file.max_connections),
            handshake_time: self.handshake_time.or(file.handshake_time),
            idle_time: self.idle_time.or(file.idle_time),
            drain_time: self.drain_time.or(file.drain_time),
            plaintext_beyond_this_host: self.plaintext_beyond_this_host
                || file.plaintext_beyond_this_host,
        }
    }
}

/// A member of the file as words of the command line; relative paths are relative to the file's folder.
fn option(member: &str, value: &toml::Value, folder: &Path) -> Result<Vec<String>, String> {
    let is_path = ["anchor", "identity", "certificate", "key", "crl"].contains(&member);
    let word = |value: &toml::Value| match value {
        toml::Value::String(text) if is_path => Ok(folder.join(text).display().to_string()),
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        _ => Err(format!("{member} is neither a text nor a number")),
    };
    match value {
        _ if member == "config" => Err("a configuration file names no other".to_owned()),
        toml::Value::Boolean(true) => Ok(vec![format!("--{member}")]),
        toml::Value::Boolean(false) => Ok(Vec::new()),
        toml::Value::Array(values) => values
            .iter()
            .map(|value| Ok(format!("--{member}={}", word(value)?)))
            .collect(),
        value => Ok(vec![format!("--{member}={}", word(value)?)]),
    }
}

fn either<T>(given: Vec<T>, file: Vec<T>) -> Vec<T> {
    if given.is_empty() { file } else { given }
}
