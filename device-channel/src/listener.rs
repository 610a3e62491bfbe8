//! Sockets that we listen on: our own, or those that systemd has opened for us.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use crate::error::{Error, Result};
use crate::streams::Plain;
use crate::target::Target;

/// A socket that takes connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    /// With the path that is removed in the end, if the socket is our own.
    Unix(UnixListener, Option<PathBuf>),
}

/// Sockets that were open when the program began (`LISTEN_FDS`, `sd_listen_fds(3)`). systemd decides where they listen.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Std>);

#[derive(Debug)]
enum Std {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Inherited {
    /// Takes them from the environment; none if nothing was meant for this process.
    ///
    /// # Errors
    /// If one is not a listening TCP or Unix socket.
    pub fn of_the_environment() -> Result<Self> {
        let failed = |source| Error::Io {
            step: "take over a socket from systemd (ListenStream=, Accept=no)",
            source,
        };
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..given.len() {
            // Asked for as one kind, a socket of the other kind is left where it is.
            let socket = match given.take_unix_listener(index) {
                Ok(socket) => socket.map(Std::Unix),
                Err(_) => given
                    .take_tcp_listener(index)
                    .map_err(failed)?
                    .map(Std::Tcp),
            };
            sockets.extend(socket);
        }
        Ok(Self(sockets))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn listeners(self) -> Result<Vec<Listener>> {
        let adopt = |socket| match socket {
            Std::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Listener::Tcp(TcpListener::from_std(socket)?))
            }
            Std::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Listener::Unix(UnixListener::from_std(socket)?, None))
            }
        };
        let adopted: io::Result<Vec<_>> = self.0.into_iter().map(adopt).collect();
        adopted.map_err(|source| Error::Io {
            step: "use a socket from systemd",
            source,
        })
    }
}

impl Listener {
    pub(crate) async fn bind(target: &Target) -> Result<Self> {
        let bound = match target {
            Target::Tcp { .. } => match target.addresses().await {
                Ok(addresses) => TcpListener::bind(addresses.as_slice()).await.map(Self::Tcp),
                Err(source) => Err(source),
            },
            Target::Unix(path) => bind_unix(path)
                .await
                .map(|socket| Self::Unix(socket, Some(path.clone()))),
        };
        bound.map_err(|source| Error::Listen {
            address: target.to_string(),
            source,
        })
    }

    /// Whether only programs of this host reach it.
    pub(crate) fn stays_here(&self) -> bool {
        match self {
            Self::Unix(..) => true,
            Self::Tcp(socket) => socket
                .local_addr()
                .is_ok_and(|address| address.ip().to_canonical().is_loopback()),
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tcp(socket) => socket
                .local_addr()
                .map_or_else(|_| "?".to_owned(), |address| address.to_string()),
            Self::Unix(socket, _) => socket
                .local_addr()
                .ok()
                .and_then(|address| Some(format!("unix:{}", address.as_pathname()?.display())))
                .unwrap_or_else(|| "unix:?".to_owned()),
        }
    }

    /// The next connection, from which address it comes, and that address as text.
    pub(crate) async fn accept(&self) -> io::Result<(Plain, Option<IpAddr>, String)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Plain::Tcp(stream), Some(address.ip()), address.to_string()))
            }
            Self::Unix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                Ok((Plain::Unix(stream), None, "a program".to_owned()))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, Some(path)) = self {
            // Somebody may have removed it already.
            std::fs::remove_file(path).ok();
        }
    }
}

/// A socket that nobody listens on any more is what a run that was killed has left, and makes way.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            let dead = matches!(
                tokio::net::UnixStream::connect(path).await,
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused
            );
            if !(socket && dead) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}
