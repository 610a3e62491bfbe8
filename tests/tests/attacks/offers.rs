//! Offers that were taken back: whoever controls the network cannot bring them again.

use metadata_schema::digest::Sha256Digest;
use tests::simulator::Simulator;

use crate::support::{plan, still_follows, verdict, world};

const PATH: &str = "router/stable.release.json";

/// What a manifest says does not matter here: a device reads it after TUF has vouched for it.
const BAD: &[u8] = b"offers 1.1.0";
const AFTER: &[u8] = b"offers 1.0.0, 1.1.0 is withdrawn";

#[test]
fn an_offer_that_was_withdrawn_does_not_come_back() {
    let (mut honest, device) = world(plan());
    honest.add_target("router", PATH, BAD).publish();
    assert_eq!(
        device.download(&mut honest, PATH).unwrap().as_deref(),
        Some(BAD)
    );
    let mut before: Simulator = honest.clone();
    honest.add_target("router", PATH, AFTER).publish();
    assert_eq!(
        device.download(&mut honest, PATH).unwrap().as_deref(),
        Some(AFTER)
    );

    // The whole repository as it was, every signature good and nothing expired.
    let replayed = verdict(device.download(&mut before, PATH));
    assert_eq!(replayed, "timestamp: rollback 5 to 4");

    // The old manifest under the name of the new one.
    let mut mixed = honest.clone();
    let file = |bytes: &[u8]| {
        let digest = Sha256Digest::of(bytes);
        format!("targets/router/{digest}.stable.release.json")
    };
    mixed.replace(&file(AFTER), BAD);
    let refused = verdict(device.download(&mut mixed, PATH));
    assert!(
        refused.starts_with("router/stable.release.json: "),
        "{refused}"
    );

    // One that slept through the withdrawal sees what is served to it, until it hears of something newer.
    let sleeper = world(plan()).1;
    assert_eq!(
        sleeper.download(&mut before, PATH).unwrap().as_deref(),
        Some(BAD)
    );
    assert_eq!(
        sleeper.download(&mut honest, PATH).unwrap().as_deref(),
        Some(AFTER)
    );
    assert_eq!(
        verdict(sleeper.download(&mut before, PATH)),
        "timestamp: rollback 5 to 4"
    );
    still_follows(&device, &mut honest);
}
