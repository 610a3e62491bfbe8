//! Three years of a fleet, under a moving clock: devices enrol, renew, sleep, are stolen; the server fails for a week; the CA that certifies
//! them is replaced, and its successor stolen. The device's side is the updater's own, on files; the server's side is the API server's own
//! issuer and registry. What is between them, TLS over a network, is left out: a handshake is the judgement that it would come to.
//!
//! `cargo test` has a small fleet; `tests/crash` one of a thousand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::result_large_err,
    reason = "tests"
)]

mod device;
mod server;

use std::collections::BTreeMap;

use device::{Contact, Device};
use server::Server;

/// Days of the story.
const LAST: i64 = 3 * 365;
/// Everybody has enrolled by then.
const ENROLLED: i64 = 30;
/// The server answers nobody.
const OUTAGE: std::ops::Range<i64> = 200..207;
/// Some devices are stolen, and revoked.
const THEFT: i64 = 300;
/// The Device-Issuing CA is replaced by its second generation, while it is good.
const ROLLOVER: i64 = 420;
/// The key of the second generation is stolen. Three days later it is revoked, and the third one certifies.
const COMPROMISE: i64 = 700;
const RECOVERY: i64 = COMPROMISE + 3;
/// Then everybody is awake.
const AWAKE: i64 = LAST - 60;

/// What a fleet came to.
struct Ended {
    honest: usize,
    stolen: usize,
    certificates: usize,
    /// Most renewals on one day when nothing had happened.
    busiest: usize,
    /// Devices that came back by their identities from the factory after they had been away for longer than a certificate is good.
    back: usize,
}

async fn three_years(fleet: usize) -> Ended {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let mut server = Server::new(&folder.path().join("server"));
    let mut devices: Vec<Device> = (0..fleet)
        .map(|number| Device::new(number, folder.path(), AWAKE))
        .collect();
    server.allow(devices.iter().map(Device::serial));
    let stolen = |number: usize| number % 50 == 7;
    let mut forged = Vec::new();
    let mut renewed: BTreeMap<i64, usize> = BTreeMap::new();
    for day in 0..LAST {
        server.begin(day);
        match day {
            THEFT => {
                for device in devices.iter().filter(|d| stolen(d.number)) {
                    server.revoke(&device.serial());
                }
            }
            ROLLOVER => server.replace_ca(),
            COMPROMISE => forged = server.steal(&[devices[1].serial(), "SN-NOBODY".to_owned()]),
            RECOVERY => server.recover(),
            _ => {}
        }
        server.answers = !OUTAGE.contains(&day);
        if (COMPROMISE..RECOVERY).contains(&day) {
            assert!(forged.iter().all(|f| server.takes(f)), "it is a real theft");
            assert!(!forged.iter().any(|f| server.renews(f)), "it begets more");
        }
        if day >= RECOVERY {
            assert!(!forged.iter().any(|f| server.takes(f)), "day {day}");
        }
        for device in &mut devices {
            let before = server.issued;
            let contact = device.day(&mut server, day).await;
            if server.issued > before && day > ENROLLED {
                *renewed.entry(day).or_default() += 1;
            }
            let lost = stolen(device.number) && day > THEFT;
            match contact {
                Contact::Asleep => {}
                Contact::Accepted => {
                    assert!(server.answers && !lost, "day {day}: {}", device.serial());
                }
                Contact::NoAnswer => assert!(!server.answers, "day {day}: {}", device.serial()),
                Contact::Refused(why) => assert!(lost, "day {day}: {}: {why}", device.serial()),
            }
        }
    }
    let all = |lost: bool| devices.iter().filter(move |d| stolen(d.number) == lost);
    assert!(
        all(false).all(Device::is_connected),
        "an honest device is out"
    );
    assert!(!all(true).any(Device::is_connected), "a stolen one is in");
    server.check_audit();
    let calm = |day: i64| {
        [OUTAGE.end, ROLLOVER, RECOVERY, AWAKE]
            .iter()
            .all(|event| !(*event..event + 100).contains(&day))
    };
    Ended {
        honest: all(false).count(),
        stolen: all(true).count(),
        certificates: server.issued,
        busiest: renewed
            .iter()
            .filter(|(day, _)| calm(**day))
            .map(|(_, count)| *count)
            .max()
            .unwrap_or(0),
        back: devices.iter().map(|d| d.back).sum(),
    }
}

#[tokio::test]
async fn a_fleet_lives_through_three_years() {
    let ended = three_years(40).await;
    assert_eq!((ended.honest, ended.stolen), (39, 1));
    assert!(ended.back > 0, "nobody slept for long");
}

#[tokio::test]
#[ignore = "takes minutes: run tests/crash"]
async fn a_thousand_devices_live_through_three_years() {
    let ended = three_years(1000).await;
    println!(
        "three years, {} honest devices connected in the end, {} stolen ones refused; {} certificates; {} came back after their \
         certificates had run out; at most {} renewals on a calm day",
        ended.honest, ended.stolen, ended.certificates, ended.back, ended.busiest
    );
    assert_eq!((ended.honest, ended.stolen), (980, 20));
    // Spread evenly there are 1000 / 67 a day.
    assert!(ended.busiest < 100, "{} on one day", ended.busiest);
    let least = 980 * 3 * 365 / 90;
    assert!(ended.certificates > least / 2 && ended.certificates < 3 * least);
}
