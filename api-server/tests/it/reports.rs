//! Reports: whose they are, once each, and bounded.

use std::time::Duration;

use api_server::{Limits, Store};
use device_pki::{DeviceReport, DeviceUrn, ReportEvent, SystemEntropy};
use tokio::io::AsyncWriteExt;

use crate::world::{World, parse, read_all, start};

fn report(serial: &str, event: ReportEvent) -> DeviceReport {
    DeviceReport {
        format: device_pki::report::FORMAT,
        id: DeviceReport::random_id(&mut SystemEntropy).unwrap(),
        device: urn(serial),
        sent: start(),
        product: "router-x".to_owned(),
        hardware: "rev-b".to_owned(),
        slot: "B".to_owned(),
        firmware_version: "1.1.0".to_owned(),
        event,
        detail: "health check passed".to_owned(),
        bytes_downloaded: 12_345,
        payload_kind: "delta".to_owned(),
    }
}

fn urn(serial: &str) -> DeviceUrn {
    format!("urn:example:device:{serial}").parse().unwrap()
}

async fn send(world: &World, identity: &device_pki::Identity, body: &[u8]) -> crate::world::Answer {
    world
        .ask(
            identity,
            "POST /v1/reports",
            &["Content-Type: application/json"],
            body,
        )
        .await
}

fn json(report: &DeviceReport) -> Vec<u8> {
    serde_json::to_vec(report).unwrap()
}

#[tokio::test]
async fn a_report_is_kept_once_under_the_certificates_name() {
    let world = World::new().await;
    let device = world.device("SN-1");
    world.get(&device, "/healthz").await;
    let known = world.noted().await;
    assert_eq!(
        (known.len(), known[0].urn.as_str()),
        (1, "urn:example:device:SN-1")
    );
    assert_eq!(
        (known[0].firmware_version.as_deref(), known[0].reports),
        (None, 0)
    );

    let first = report("SN-1", ReportEvent::Committed);
    let answer = send(&world, &device, &json(&first)).await;
    assert_eq!(
        (answer.status, answer.json()["new"].as_bool()),
        (201, Some(true))
    );
    let mut replayed = first.clone();
    replayed.detail = "another text under the same id".to_owned();
    let answer = send(&world, &device, &json(&replayed)).await;
    assert_eq!(
        (answer.status, answer.json()["new"].as_bool()),
        (200, Some(false))
    );

    let store = world.store();
    let kept = store.reports("urn:example:device:SN-1").unwrap();
    assert!(matches!(kept.as_slice(), [only] if *only == first));
    let known = store.devices().unwrap();
    assert_eq!(known[0].firmware_version.as_deref(), Some("1.1.0"));
    assert_eq!(known[0].last_result.as_deref(), Some("committed"));
    assert_eq!(known[0].first_seen, start());

    // A check is no result, and a report that comes late does not set the registry back.
    let check = report("SN-1", ReportEvent::Checked);
    let mut late = report("SN-1", ReportEvent::RolledBack);
    late.sent = start().plus_seconds(-10);
    late.firmware_version = "1.0.0".to_owned();
    for report in [&check, &late] {
        assert_eq!(send(&world, &device, &json(report)).await.status, 201);
    }
    let known = store.devices().unwrap();
    assert_eq!(known[0].firmware_version.as_deref(), Some("1.1.0"));
    assert_eq!(
        (known[0].last_result.as_deref(), known[0].reports),
        (Some("committed"), 3)
    );

    // The same id of another device is another report.
    let other = world.device("SN-2");
    let mut same_id = report("SN-2", ReportEvent::Installed);
    same_id.id = first.id;
    assert_eq!(send(&world, &other, &json(&same_id)).await.status, 201);
}

#[tokio::test]
async fn a_clock_that_is_ahead_does_not_freeze_the_registry() {
    let world = World::new().await;
    let device = world.device("SN-1");
    let mut ahead = report("SN-1", ReportEvent::Committed);
    ahead.sent = start().plus_seconds(1_000_000_000);
    let mut after = report("SN-1", ReportEvent::RolledBack);
    after.firmware_version = "1.0.0".to_owned();
    for report in [&ahead, &after] {
        assert_eq!(send(&world, &device, &json(report)).await.status, 201);
    }
    let known = world.store().devices().unwrap();
    assert_eq!(known[0].firmware_version.as_deref(), Some("1.0.0"));
    assert_eq!(known[0].last_result.as_deref(), Some("rolled_back"));
}

#[tokio::test]
async fn a_locked_database_does_not_keep_devices_from_the_repository() {
    let world = World::new().await;
    let locked =
        rusqlite::Connection::open(world.folder.path().join("data/registry.sqlite")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    for serial in ["SN-1", "SN-2", "SN-3"] {
        let device = world.device(serial);
        let file = world.get(&device, "/repository/metadata/timestamp.json");
        let answer = tokio::time::timeout(Duration::from_secs(3), file).await;
        assert_eq!(answer.expect("devices wait for the database").status, 200);
    }
}

#[tokio::test]
async fn no_device_speaks_for_another() {
    let world = World::new().await;
    let device = world.device("SN-1");
    let answer = send(
        &world,
        &device,
        &json(&report("SN-2", ReportEvent::RolledBack)),
    )
    .await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let store = world.store();
    assert!(store.reports("urn:example:device:SN-2").unwrap().is_empty());
    assert_eq!(world.noted().await.len(), 1);
}

#[tokio::test]
async fn bad_reports_are_refused() {
    let world = World::new().await;
    let device = world.device("SN-1");
    let mut long = report("SN-1", ReportEvent::Refused);
    long.product = "x".repeat(1000);
    for body in [&b"{"[..], b"[]", b"\xff", b"null", &json(&long)] {
        assert_eq!(send(&world, &device, body).await.status, 422, "{body:?}");
    }
    let mut big = json(&report("SN-1", ReportEvent::Refused));
    big.extend(vec![b' '; 64 * 1024]);
    assert_eq!(send(&world, &device, &big).await.status, 413);
    // Without announcing it.
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 70_000, "x".repeat(70_000));
    let head = "POST /v1/reports HTTP/1.1\r\nHost: api\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = world
        .raw(&device, format!("{head}{chunk}").as_bytes())
        .await
        .unwrap();
    assert_eq!(parse(&answer).status, 413);
    assert!(
        world
            .store()
            .reports("urn:example:device:SN-1")
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let limits = Limits {
        body: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let device = world.device("SN-1");
    let mut stream = world.connect(&device).await.unwrap();
    let head = "POST /v1/reports HTTP/1.1\r\nHost: api\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), read_all(&mut stream)).await;
    assert_eq!(parse(&answer.unwrap().unwrap()).status, 408);
}

#[tokio::test]
async fn old_reports_make_room() {
    let world = World::new().await;
    let device = world.device("SN-1");
    world.get(&device, "/healthz").await;
    let store = world.store();
    let identity =
        device_pki::tls::verify_device(&chain(&world), &world.trust(start()), start()).unwrap();
    let count = api_server::store::HISTORY + 5;
    let mut last = None;
    for _ in 0..count {
        let report = report("SN-1", ReportEvent::Checked);
        store.record(&identity, &report, start()).unwrap();
        last = Some(report);
    }
    let kept = store.reports("urn:example:device:SN-1").unwrap();
    assert_eq!(u32::try_from(kept.len()), Ok(api_server::store::HISTORY));
    assert_eq!(kept.last(), last.as_ref());
}

fn chain(world: &World) -> Vec<rustls_pki_types::CertificateDer<'static>> {
    let path = world.folder.path().join("pki/devices/SN-1/chain.pem");
    let text = std::fs::read(path).unwrap();
    let chain = device_pki::Certificate::chain_from_pem("chain", &text).unwrap();
    chain
        .iter()
        .map(|certificate| certificate.der().clone())
        .collect()
}
