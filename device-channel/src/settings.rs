//! What a sidecar is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device_pki::{Allowed, DeviceUrn};

use crate::error::{Error, Result};
use crate::target::Target;

/// What a sidecar does, with which files, within which limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which end it is.
    pub mode: Mode,
    /// Certificate, key, anchor and lists.
    pub files: Files,
    /// What it allows.
    pub limits: Limits,
    /// Where metrics and health are told; nowhere if not given.
    pub metrics: Option<SocketAddr>,
    /// Whether plaintext may leave this host.
    pub plaintext_anywhere: bool,
}

/// Which end of channels.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Other devices come to it, and it forwards what they say.
    Listen {
        /// Who may come.
        accept: Arc<Allowed>,
        /// Where it listens, unless systemd has given it sockets.
        listen: SocketAddr,
        /// Where plaintext goes.
        forward: Target,
    },
    /// Programs of this host come to it, and it opens a channel for each connection.
    Connect {
        /// The device at the other end.
        peer: DeviceUrn,
        /// Where it listens, unless systemd has given it sockets.
        listen: Target,
        /// Where that device is to be found.
        to: Target,
    },
}

impl Mode {
    /// Whom the channels are with.
    pub fn allowed(&self) -> Arc<Allowed> {
        match self {
            Self::Listen { accept, .. } => Arc::clone(accept),
            Self::Connect { peer, .. } => Arc::new(Allowed::default().device(peer.clone())),
        }
    }
}

/// The files that a sidecar lives by. All are looked at again and again, and newer ones taken over.
#[derive(Clone, Debug)]
pub struct Files {
    /// The trust anchor, a root CA's certificate.
    pub anchor: PathBuf,
    /// The own certificate and key.
    pub identity: IdentityFiles,
    /// Revocation lists, or folders with files `*.crl`.
    pub crls: Vec<PathBuf>,
    /// By how many days a list may be overdue. None: lists that are there count, and a missing one counts as none.
    pub max_overdue: Option<u16>,
}

/// The own certificate and key.
#[derive(Clone, Debug)]
pub enum IdentityFiles {
    /// Key and chain in one file, as the updater keeps it.
    Bundle(PathBuf),
    /// Chain and key.
    Pair(PathBuf, PathBuf),
}

/// What a sidecar allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Channels at once.
    pub connections: usize,
    /// Channels at once of one device that came to us.
    pub per_peer: usize,
    /// Handshakes at once.
    pub handshakes: usize,
    /// How many of those may come from one address (IPv6: one /64).
    pub handshakes_per_address: usize,
    /// Time to connect, and time for the handshake.
    pub handshake: Duration,
    /// Time without a byte in either direction, after which a channel is closed; zero for no limit.
    pub idle: Duration,
    /// Time that open channels get when the sidecar stops.
    pub drain: Duration,
    /// How often files are looked at.
    pub reload: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            per_peer: 64,
            handshakes: 64,
            handshakes_per_address: 16,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(3600),
            drain: Duration::from_secs(30),
            reload: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// If plaintext would leave this host without being told to, or a limit is zero.
    pub fn check(&self) -> Result<()> {
        let (option, plain) = match &self.mode {
            Mode::Listen { forward, .. } => ("--forward", forward),
            Mode::Connect { listen, .. } => ("--listen", listen),
        };
        if !self.plaintext_anywhere && !plain.stays_here() {
            return Err(Error::config(
                format!("{option} {plain}"),
                "it is not on this host: what the channel protects would cross the network as plaintext",
                "use 127.0.0.1, [::1], localhost or unix:/PATH, or say --plaintext-beyond-this-host if that network is safe",
            ));
        }
        if let Mode::Connect {
            to: Target::Unix(_),
            ..
        } = &self.mode
        {
            return Err(Error::config(
                "--to",
                "a device is found at HOST:PORT",
                "give its address",
            ));
        }
        if let Some(metrics) = self.metrics.filter(|metrics| !metrics.ip().is_loopback()) {
            return Err(Error::config(
                format!("--metrics {metrics}"),
                "everybody on the network could read who talks to whom",
                "use an address of this host, such as 127.0.0.1:9464",
            ));
        }
        for (option, number) in [
            ("--max-connections", self.limits.connections),
            ("--max-per-peer", self.limits.per_peer),
        ] {
            if number == 0 {
                return Err(Error::config(
                    option,
                    "nothing could connect",
                    "give 1 or more",
                ));
            }
        }
        Ok(())
    }
}
