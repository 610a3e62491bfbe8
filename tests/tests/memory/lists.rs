//! Revocation lists of CAs that certified no signers: a device fetches them for its connections, its own to the server and those
//! of the sidecar beside it.

use std::sync::Arc;
use std::time::Duration;

use device_channel::credentials::{Credentials, Found};
use device_channel::settings::{Files, IdentityFiles};
use device_pki::profile::{ApiServer, Device as DeviceProfile};
use device_pki::{
    Allowed, Authority, CaKind, Clock, Crl, Identity, KeyAlgorithm, KeyPair, Leaf,
    RevocationPolicy, Revocations, SubjectKey, Trust, Validity, durable, list_files, list_target,
    tls,
};
use metadata_schema::json::Json;
use rustls_pki_types::ServerName;
use tests::simulator::{Pki, Simulator, crl_path};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::device::{Device, certified, issue_all, time};

const BEGIN: &str = "2030-01-01";

/// A CA under the repository's root.
fn ca(pki: &Pki, kind: CaKind) -> Authority {
    let validity = Validity::days(pki.start(), kind.default_days());
    pki.with_entropy(|entropy| {
        let key = KeyPair::generate(KeyAlgorithm::P256, entropy).unwrap();
        pki.root()
            .subordinate(kind, key, validity, entropy)
            .unwrap()
    })
}

fn issue(pki: &Pki, ca: &Authority, leaf: &Leaf) -> Identity {
    pki.with_entropy(|entropy| {
        let key = KeyPair::generate(KeyAlgorithm::P256, entropy).unwrap();
        let validity = Validity::days(time(BEGIN), 60);
        let subject = SubjectKey::of(&key).unwrap();
        let leaf = ca.issue(leaf, &subject, validity, entropy).unwrap();
        Identity::new(vec![leaf, ca.certificate().clone()], key).unwrap()
    })
}

fn device_leaf(serial: &str) -> Leaf {
    Leaf::Device(DeviceProfile {
        serial: serial.to_owned(),
    })
}

/// Publishes a CA's list as `repo-tool add-crl --issuer` does.
fn publish(repository: &mut Simulator, ca: &Authority, number: u64, revoked: &[&Identity]) {
    let serials: Vec<_> = revoked
        .iter()
        .map(|identity| identity.certificate().unwrap().serial().clone())
        .collect();
    repository.add_crl(ca, number, &serials);
    say(
        repository,
        &crl_path(ca),
        list_target::custom(ca.certificate()),
    );
}

/// Writes into a target's `custom`, and publishes it.
fn say(repository: &mut Simulator, path: &str, custom: Json) {
    let pki = &mut repository.targets("pki").edit().targets;
    pki.get_mut(path).unwrap().custom = Some(custom);
    issue_all(repository, BEGIN);
}

/// The number of a CA's list on the device; none if it has none.
fn number(device: &Device, ca: &Authority) -> Option<u64> {
    let stored = device
        .path("metadata/crls")
        .join(&crl_path(ca)["pki/".len()..]);
    stored
        .is_file()
        .then(|| Crl::load(&stored).unwrap().number())
}

#[test]
fn a_device_that_was_revoked_is_refused_by_sidecars_after_the_next_check() {
    let mut repository = certified(BEGIN);
    let pki = repository.pki().unwrap().clone();
    let devices = ca(&pki, CaKind::DeviceIssuing);
    let [own, other] = ["A1", "B2"].map(|serial| issue(&pki, &devices, &device_leaf(serial)));
    let device = Device::new(&mut repository);
    publish(&mut repository, &devices, 1, &[]);
    device.refresh(&mut repository).unwrap();
    assert_eq!(number(&device, &devices), Some(1));

    let (bundle, anchor) = (device.path("current.pem"), device.path("anchor.pem"));
    durable::write(&bundle, own.bundle().unwrap().as_bytes(), durable::SECRET).unwrap();
    let root = pki.anchor().certificate().pem();
    durable::write(&anchor, root.as_bytes(), durable::PUBLIC).unwrap();
    let files = Files {
        anchor,
        identity: IdentityFiles::Bundle(bundle),
        crls: vec![device.path("metadata/crls")],
        max_overdue: None,
    };
    let sidecar = Credentials::load(&files, Arc::new(Allowed::default().pattern("*"))).unwrap();
    let judge = || {
        let in_force = sidecar.current();
        in_force.endpoint.judge(&other.chain_der(), in_force.now)
    };
    assert_eq!(judge().unwrap().serial(), "B2");
    publish(&mut repository, &devices, 2, &[&other]);
    device.refresh(&mut repository).unwrap();
    assert_eq!(sidecar.reload().unwrap(), Found::New);
    let why = judge().unwrap_err().to_string();
    assert!(why.contains("Revoked"), "{why}");
}

/// Shakes hands as the updater does with its server, under the lists that the device has.
fn connects(device: &Device, pki: &Pki, own: &Identity, server: &Identity) -> Result<(), String> {
    let trust = |clock, lists| Trust {
        anchor: pki.anchor(),
        revocations: Arc::new(Revocations::new(lists)),
        policy: RevocationPolicy::Available,
        clock,
    };
    let files = list_files::find(&[device.path("metadata/crls")]).unwrap();
    let lists = list_files::load(&files).unwrap();
    let client = tls::device_client(own, &trust(Clock::AtLeast(device.system), lists)).unwrap();
    let strangers = trust(Clock::Fixed(device.system), Vec::new());
    let accepting = Arc::new(tls::api_server(server, &strangers).unwrap());
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut stream = tls::accept(accepting, theirs, Duration::from_secs(10)).await?;
        stream.write_u8(1).await?;
        stream.flush().await
    };
    let ask = async {
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        connector.connect(name, ours).await?.read_u8().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (asked, _served) = runtime.block_on(async { tokio::join!(ask, serve) });
    asked.map(drop).map_err(|e| e.to_string())
}

#[test]
fn a_revoked_api_server_is_refused_once_the_list_is_seen() {
    let mut repository = certified(BEGIN);
    let pki = repository.pki().unwrap().clone();
    let (devices, servers) = (ca(&pki, CaKind::DeviceIssuing), ca(&pki, CaKind::Server));
    let own = issue(&pki, &devices, &device_leaf("A1"));
    let api = Leaf::ApiServer(ApiServer {
        name: "api".to_owned(),
        dns_names: vec!["localhost".to_owned()],
        addresses: Vec::new(),
    });
    let [stolen, new] = [(); 2].map(|()| issue(&pki, &servers, &api));
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    connects(&device, &pki, &own, &stolen).unwrap();
    publish(&mut repository, &servers, 1, &[&stolen]);
    device.refresh(&mut repository).unwrap();
    let why = connects(&device, &pki, &own, &stolen).unwrap_err();
    assert!(why.contains("Revoked"), "{why}");
    connects(&device, &pki, &own, &new).unwrap();
}

#[test]
fn a_list_of_another_ca_that_cannot_be_had_keeps_no_firmware_away() {
    let mut repository = certified(BEGIN);
    let pki = repository.pki().unwrap().clone();
    let devices = ca(&pki, CaKind::DeviceIssuing);
    let device = Device::new(&mut repository);
    publish(&mut repository, &devices, 2, &[]);
    device.refresh(&mut repository).unwrap();

    // An older one does not take its place, nor does one that another CA has signed.
    publish(&mut repository, &devices, 1, &[]);
    device.refresh(&mut repository).unwrap();
    assert_eq!(number(&device, &devices), Some(2));
    let stranger = Pki::new("stranger", time(BEGIN));
    let false_list = Pki::crl(stranger.firmware(), 9, time(BEGIN), &[]);
    repository.add_target("pki", &crl_path(&devices), false_list.der());
    say(
        &mut repository,
        &crl_path(&devices),
        list_target::custom(devices.certificate()),
    );
    device.refresh(&mut repository).unwrap();
    assert_eq!(number(&device, &devices), Some(2));

    // Nor is a CA believed that the anchor did not certify, or that stands at another's place.
    publish(&mut repository, &devices, 3, &[]);
    let foreign = ca(&stranger, CaKind::Server);
    publish(&mut repository, &foreign, 1, &[]);
    let servers = ca(&pki, CaKind::Server);
    repository.add_crl(&servers, 1, &[]);
    say(
        &mut repository,
        &crl_path(&servers),
        list_target::custom(devices.certificate()),
    );
    device.refresh(&mut repository).unwrap();
    assert_eq!(number(&device, &foreign), None);
    assert_eq!(number(&device, &servers), None);
    assert_eq!(number(&device, &devices), Some(3), "the honest one goes on");
}
