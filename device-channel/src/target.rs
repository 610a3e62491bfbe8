//! Where plaintext comes from or goes to: on this host, unless somebody says otherwise.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpStream, UnixStream};

use crate::streams::Plain;

/// `HOST:PORT`, or `unix:` and the absolute path of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host by name or address, and a port.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Target {
    /// Whether plaintext stays on this host: a Unix socket, `localhost`, or an address that is not routed. What another name
    /// stands for can change, so that no other name is of this host.
    ///
    /// ```
    /// use device_channel::target::Target;
    /// let stays = |text: &str| text.parse::<Target>().unwrap().stays_here();
    /// assert!(stays("127.0.0.1:1883") && stays("[::1]:1883") && stays("localhost:1883") && stays("unix:/run/broker"));
    /// assert!(!stays("0.0.0.0:1883") && !stays("192.0.2.7:1883") && !stays("broker:1883"));
    /// ```
    pub fn stays_here(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => host
                .parse::<IpAddr>()
                .map_or(host == "localhost", |address| {
                    address.to_canonical().is_loopback()
                }),
        }
    }

    /// Connects; of a name's addresses only those that stay here, unless `anywhere`.
    pub(crate) async fn connect(&self, anywhere: bool) -> io::Result<Plain> {
        match self {
            Self::Unix(path) => Ok(Plain::Unix(UnixStream::connect(path).await?)),
            Self::Tcp { .. } => {
                let addresses: Vec<SocketAddr> = self
                    .addresses()
                    .await?
                    .into_iter()
                    .filter(|address| anywhere || address.ip().to_canonical().is_loopback())
                    .collect();
                let stream = TcpStream::connect(addresses.as_slice()).await?;
                stream.set_nodelay(true)?;
                Ok(Plain::Tcp(stream))
            }
        }
    }

    /// What its name stands for at this moment.
    pub(crate) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Unix(_) => Ok(Vec::new()),
            Self::Tcp { host, port } => Ok(tokio::net::lookup_host((host.as_str(), *port))
                .await?
                .collect()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(
                    "the path after unix: has to be absolute, such as unix:/run/broker.sock"
                        .to_owned(),
                )
            };
        }
        let bad =
            || "expected HOST:PORT, such as 127.0.0.1:1883 or [::1]:1883, or unix:/PATH".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(bad)?,
            None if host.contains(':') => return Err(bad()),
            None => host,
        };
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port: port.parse().map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for good in [
            "127.0.0.1:1883",
            "[::1]:80",
            "host.example:1",
            "unix:/run/a b",
        ] {
            assert_eq!(good.parse::<Target>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "host",
            ":1",
            "host:",
            "host:65536",
            "::1:80",
            "[::1:80",
            "unix:a",
            "unix:",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
