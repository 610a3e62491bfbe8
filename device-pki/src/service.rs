//! A program under a service manager: readiness, watchdog and status over systemd's notification socket (`sd_notify(3)`),
//! written by hand: a datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Longest that a manager may take to take what is said.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the service manager, if there is one.
#[derive(Debug)]
pub struct Manager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub fn of_the_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        let meant =
            variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let microseconds = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        Self {
            socket: variable("NOTIFY_SOCKET")
                .and_then(|name| connected(&name))
                // One that does not read is as good as gone.
                .filter(|socket| socket.set_write_timeout(Some(PATIENCE)).is_ok()),
            watchdog: microseconds.filter(|_| meant).map(Duration::from_micros),
        }
    }

    /// How often to say that all is well: half of the time after which the manager would give up. None, if nobody asks.
    pub fn beat(&self) -> Option<Duration> {
        let watchdog = self.watchdog.filter(|_| self.socket.is_some())?;
        Some((watchdog / 2).max(Duration::from_millis(1)))
    }

    /// Says something, such as `READY=1`. A manager that is gone keeps nothing from being done.
    pub fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            let _sent = socket.send(text.as_bytes());
        }
    }

    /// Says what is going on, for `systemctl status`.
    pub fn status(&self, text: &str) {
        let line: String = text.chars().filter(|c| !c.is_control()).take(500).collect();
        self.say(&format!("STATUS={line}"));
    }
}

/// A name that begins with `@` is one in the abstract name space.
fn connected(name: &str) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    let connected = match name.strip_prefix('@') {
        Some(name) => {
            let address = SocketAddr::from_abstract_name(name);
            address.and_then(|address| socket.connect_addr(&address))
        }
        None => socket.connect(name),
    };
    connected.ok().map(|()| socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, listener: &UnixDatagram) -> String {
        let manager = Manager {
            socket: connected(name),
            watchdog: Some(Duration::from_secs(10)),
        };
        assert_eq!(manager.beat(), Some(Duration::from_secs(5)));
        manager.status("two\nlines");
        let mut bytes = [0; 100];
        let length = listener.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn says_what_it_does_by_either_kind_of_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        assert_eq!(said(path.to_str().unwrap(), &listener), "STATUS=twolines");
        let name = format!("service-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        assert_eq!(said(&format!("@{name}"), &listener), "STATUS=twolines");
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        let manager = Manager {
            socket: connected("/nowhere"),
            watchdog: Some(Duration::from_secs(10)),
        };
        manager.say("READY=1");
        assert_eq!(manager.beat(), None);
    }
}
