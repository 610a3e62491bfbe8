//! A device: the updater's own keeping of its identity, awake on some days.

use std::path::{Path, PathBuf};

use device_pki::TrustAnchor;
use metadata_schema::time::Timestamp;
use updater::error::{Error, TransportError};
use updater::identity::keep::{Means, keep, note_refused};
use updater::identity::store::IdentityStore;
use updater::storage::Storage;

use crate::server::{Server, urn};

/// How a day ended.
pub(crate) enum Contact {
    /// It was off.
    Asleep,
    /// The server took its certificate.
    Accepted,
    /// The server did not answer.
    NoAnswer,
    /// The server does not take it, and certifies it no more.
    Refused(String),
}

pub(crate) struct Device {
    pub(crate) number: usize,
    state: PathBuf,
    /// The day on which it enrols.
    first: i64,
    /// When it is off: from and until.
    asleep: (i64, i64),
    connected: bool,
    /// How often it came back with a certificate that had run out.
    pub(crate) back: usize,
}

impl Device {
    pub(crate) fn new(number: usize, folder: &Path, awake: i64) -> Self {
        let state = folder.join(format!("device-{number}"));
        std::fs::create_dir_all(&state).unwrap();
        let lot = (number as i64)
            .wrapping_mul(2_654_435_761)
            .rem_euclid(1 << 30);
        let begins = 40 + lot % 900;
        // Most are away for days, one in ten for months, and the second for nearly all of the time.
        let away = if number % 10 == 3 {
            100 + lot % 200
        } else {
            lot % 40
        };
        let asleep = if number == 2 {
            (40, awake)
        } else {
            (begins, (begins + away).min(awake))
        };
        Self {
            number,
            state,
            first: lot % 30,
            asleep,
            connected: false,
            back: 0,
        }
    }

    pub(crate) fn serial(&self) -> String {
        format!("SN-{}", self.number)
    }

    /// Whether the server took it when it last asked.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// A day: as `updater once` does it, once in ten days and whenever the last time went wrong.
    pub(crate) async fn day(&mut self, server: &mut Server, day: i64) -> Contact {
        let off = day < self.first || (self.asleep.0..self.asleep.1).contains(&day);
        if off || (self.connected && (day + self.number as i64) % 10 != 0) {
            return Contact::Asleep;
        }
        let now = server.now();
        let store = IdentityStore::at(&self.state, &Storage::default());
        let ran_out = |identity: &device_pki::Identity| {
            identity.certificate().is_some_and(|c| c.not_after() < now)
        };
        let was_out = store.current().unwrap().is_some_and(|i| ran_out(&i));
        let mut why = String::new();
        self.connected = false;
        for _ in 0..2 {
            match self.keep(server, &store, now).await {
                Err(e @ Error::Transport(TransportError::NotAccepted { .. })) => {
                    why = e.in_one_line();
                    note_refused(&store).unwrap();
                    continue;
                }
                Err(_) if !server.answers => return Contact::NoAnswer,
                Err(e) => return Contact::Refused(e.in_one_line()),
                Ok(()) => {}
            }
            if !server.answers {
                return Contact::NoAnswer;
            }
            let current = store.current().unwrap().expect("it has enrolled");
            match server.connect(&current) {
                Ok(()) => {
                    self.connected = true;
                    self.back += usize::from(was_out);
                    return Contact::Accepted;
                }
                Err(refusal) => {
                    why = refusal;
                    note_refused(&store).unwrap();
                }
            }
        }
        Contact::Refused(why)
    }

    async fn keep(
        &self,
        server: &mut Server,
        store: &IdentityStore,
        now: Timestamp,
    ) -> Result<(), Error> {
        let anchor = TrustAnchor::new(server.root().clone()).unwrap();
        let means = Means {
            anchor: &anchor,
            urn: Some(urn(&self.serial())),
            serial: self.serial(),
            first: true,
            now: false,
        };
        let mut ca = server.for_device(self.serial());
        keep(store, &mut ca, &means, now).await.map(drop)
    }
}
