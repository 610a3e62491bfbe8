//! Slow retrieval: the server keeps the device waiting, a byte at a time or for ever, so that it never gets to the end.

use std::time::Duration;

use tests::simulator::Fault;
use tests::simulator::serve::Served;
use updater::transport::NetworkLimits;
use updater::transport::http::{Http, Settings};

use crate::support::{START, plan, still_follows, trusted, verdict, world};

const FILES: [&str; 5] = [
    "metadata/3.root.json",
    "metadata/timestamp.json",
    "metadata/4.snapshot.json",
    "metadata/3.targets.json",
    "metadata/3.lamp.json",
];

/// Over HTTP: a trickle, and silence.
#[test]
fn trickles_and_silence_over_http() {
    for (what, pause) in [("a byte at a time", 5), ("silence", 60_000)] {
        for file in FILES {
            let (mut honest, device) = world(plan());
            honest.add_target("targets", "top", b"top");
            honest.add_target("lamp", "lamp/new", b"new");
            honest.publish_root().publish();
            let mut evil = honest.clone();
            let pause = Duration::from_millis(pause);
            evil.fault(file, Fault::Slow { piece: 1, pause });
            let served = Served::start(evil).unwrap();
            let limits = NetworkLimits {
                silence: Duration::from_millis(300),
                window: Duration::from_millis(200),
                minimum_rate: 5000,
                attempts: 1,
                ..NetworkLimits::DEFAULT
            };
            let settings = Settings {
                limits,
                ..Settings::default()
            };
            let (metadata, targets) = (served.metadata_url(), served.targets_url());
            let mut http = Http::without_tls(&settings, &metadata, &targets).unwrap();
            let end = verdict(device.download(&mut http, "lamp/new"));
            // Silence is given up by itself or by the window, whichever is shorter.
            assert_eq!(end, "too slow", "{what} of {file}");
            if file.ends_with("root.json") {
                assert_eq!(trusted(&device), START);
            }
            still_follows(&device, &mut honest);
        }
    }
}

/// A pace that is just fast enough, and a file that then takes too long in all: whatever the transport.
#[test]
fn files_that_take_too_long_in_all() {
    for file in FILES {
        let (mut honest, device) = world(plan());
        honest.add_target("targets", "top", b"top");
        honest.add_target("lamp", "lamp/new", b"new");
        honest.publish_root().publish();
        let mut evil = honest.clone();
        let pause = Duration::from_millis(2);
        evil.fault(file, Fault::Slow { piece: 1, pause });
        evil.network_mut().total = Duration::from_millis(100);
        evil.network_mut().minimum_rate = u64::MAX;
        assert_eq!(
            verdict(device.download(&mut evil, "lamp/new")),
            "too late",
            "{file}"
        );
        still_follows(&device, &mut honest);
    }
}
