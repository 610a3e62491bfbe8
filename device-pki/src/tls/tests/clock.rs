//! Wrong clocks: a device is never locked out because its clock is behind, and servers ask for every date.

use super::*;
use crate::testing::time;

fn trust(pki: &TestPki, clock: Clock, policy: RevocationPolicy) -> Trust {
    Trust {
        anchor: pki.anchor(),
        revocations: Arc::new(Revocations::new(pki.crls())),
        policy,
        clock,
    }
}

/// What wrong clocks make of certificates, at a device that knows no more than "it is this time or later".
///
/// By a right clock it is March 2026. The columns: a certificate that has ended, a current one, one of the future.
const TABLE: [(&str, &str, [bool; 3]); 5] = [
    ("1970", "1970-01-01T00:00:00Z", [true, true, true]),
    (
        "a floor that is behind",
        "2026-01-15T00:00:00Z",
        [true, true, true],
    ),
    ("right", "2026-03-01T12:00:00Z", [false, true, true]),
    ("years ahead", "2040-01-01T00:00:00Z", [false, false, false]),
    (
        "and corrected again",
        "2026-03-01T12:00:00Z",
        [false, true, true],
    ),
];

fn validities() -> [Validity; 3] {
    [
        Validity::days(time("2026-01-02T00:00:00Z"), 30),
        Validity::days(time("2026-02-01T00:00:00Z"), 90),
        Validity::days(time("2027-02-01T00:00:00Z"), 90),
    ]
}

#[test]
fn a_device_whose_clock_is_behind_believes_its_server() {
    let pki = TestPki::new("clock");
    let device = pki.device("SN-1");
    for (case, clock, expected) in TABLE {
        let found = validities().map(|validity| {
            let clock = Clock::AtLeast(time(clock));
            let near = trust(&pki, clock, RevocationPolicy::Available);
            let client = device_client(&device, &near).unwrap();
            let server = pki.server_valid(NAME, validity);
            // The server's own clock is right.
            let server = api_server(&server, &pki.trust(Vec::new())).unwrap();
            let outcome = run(meet(client, server, NAME));
            if let Err(why) = &outcome.client {
                assert!(why.contains("xpired"), "{case}: {why}");
            }
            outcome.client.is_ok()
        });
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn devices_whose_clocks_are_behind_believe_each_other() {
    let pki = TestPki::new("clock");
    let wanted = "urn:example:device:B2".parse().unwrap();
    let allowed = Arc::new(Allowed::default().pattern("urn:example:device:*"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (case, clock, expected) in TABLE {
        let found = validities().map(|validity| {
            let clock = Clock::AtLeast(time(clock));
            let trust = trust(&pki, clock, RevocationPolicy::Available);
            let near = pki.device_valid("A1", validity);
            let far = pki.device_valid("B2", validity);
            let (a, b) = tokio::io::duplex(64 * 1024);
            let (near, far) = runtime.block_on(async {
                tokio::join!(
                    crate::channel::connect(a, &near, &trust, &wanted),
                    crate::channel::accept(b, &far, &trust, Arc::clone(&allowed))
                )
            });
            assert_eq!(near.is_ok(), far.is_ok(), "{case}");
            near.is_ok()
        });
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn a_server_asks_for_every_date_and_takes_no_such_clock() {
    let pki = TestPki::new("clock");
    for (case, clock, expected) in [
        ("1970", "1970-01-01T00:00:00Z", [false, false, false]),
        ("right", "2026-03-01T12:00:00Z", [false, true, false]),
        ("years ahead", "2040-01-01T00:00:00Z", [false, false, false]),
    ] {
        let found = validities().map(|validity| {
            // Lists are not what is asked about here.
            let clock = Clock::Fixed(time(clock));
            let far = trust(&pki, clock, RevocationPolicy::Available);
            let client =
                device_client(&pki.device_valid("SN-1", validity), &pki.trust(Vec::new())).unwrap();
            let server = api_server(&pki.server(NAME), &far).unwrap();
            run(meet(client, server, NAME)).server.is_ok()
        });
        assert_eq!(found, expected, "{case}");
    }
    let lenient = trust(&pki, Clock::AtLeast(now()), RevocationPolicy::Strict);
    let error = api_server(&pki.server(NAME), &lenient).unwrap_err();
    assert!(error.to_string().contains("what time it is"), "{error}");
    let device = pki.device("SN-1");
    let chain = device.chain_der();
    assert!(verify_device(&chain, &lenient, now()).is_err());
    let exact = trust(&pki, Clock::Fixed(now()), RevocationPolicy::Strict);
    assert!(verify_device(&chain, &exact, now()).is_ok());
}
