//! Places for connections that have not shown who they are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for handshakes: so many in all, and a share of them for each source address.
#[derive(Debug)]
pub struct Handshakes {
    places: Arc<Semaphore>,
    share: usize,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

/// A handshake's place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    handshakes: Arc<Handshakes>,
    source: IpAddr,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Handshakes {
    /// So many places (at most `Semaphore::MAX_PERMITS` count), and of them `share` for one address (IPv6: one /64).
    pub fn new(places: usize, share: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            share,
            sources: Mutex::default(),
        })
    }

    /// Waits for a place. None only if there are no places to wait for any more, which does not happen.
    pub async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Takes the place for an address, unless that has its share already.
    pub fn take(
        self: &Arc<Self>,
        permit: Option<OwnedSemaphorePermit>,
        address: IpAddr,
    ) -> Option<Place> {
        let source = source(address);
        let mut sources = self.lock();
        let taken = sources.entry(source).or_default();
        if *taken >= self.share {
            return None;
        }
        *taken = taken.saturating_add(1);
        drop(sources);
        Some(Place {
            handshakes: Arc::clone(self),
            source,
            _permit: permit,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Counts are whole even if a thread panicked: every change is a single assignment.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.handshakes.lock();
        match sources.get_mut(&self.source) {
            Some(taken) if *taken > 1 => *taken = taken.saturating_sub(1),
            _ => drop(sources.remove(&self.source)),
        }
    }
}

/// Whom an address stands for: an IPv6 host has a whole /64 to itself.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_a_share_and_gets_it_back() {
        let handshakes = Handshakes::new(8, 2);
        let take = |address: &str| handshakes.take(None, address.parse().unwrap());
        let first = take("2001:db8::1").unwrap();
        let second = take("2001:db8::2").unwrap();
        assert!(take("2001:db8::3").is_none(), "the same /64");
        assert!(take("2001:db8:0:1::1").is_some());
        drop(first);
        let third = take("2001:db8::3").unwrap();
        let four = [take("192.0.2.1"), take("::ffff:192.0.2.1")];
        assert!(take("192.0.2.1").is_none() && take("192.0.2.2").is_some());
        drop((second, third, four));
        assert!(handshakes.lock().is_empty());
    }
}
