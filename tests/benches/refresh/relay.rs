//! Counts the bytes between a client and the server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A relay to a server. Its threads end with the process.
pub(crate) struct Relay {
    address: SocketAddr,
    counts: Arc<[AtomicUsize; 2]>,
}

impl Relay {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts: Arc<[AtomicUsize; 2]> = Arc::default();
        let counted = Arc::clone(&counts);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                for (index, from, to) in [
                    (0, server.try_clone().unwrap(), client.try_clone().unwrap()),
                    (1, client, server),
                ] {
                    let counted = Arc::clone(&counted);
                    thread::spawn(move || pass(from, to, &counted[index]));
                }
            }
        });
        Self { address, counts }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes to the client and from it since the last call.
    pub(crate) fn take(&self) -> (usize, usize) {
        let take = |index: usize| self.counts[index].swap(0, Ordering::SeqCst);
        (take(0), take(1))
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count.fetch_add(length, Ordering::SeqCst);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _closed_already = to.shutdown(Shutdown::Write);
}
