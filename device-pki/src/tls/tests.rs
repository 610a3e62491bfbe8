//! Who gets through the handshake, over a pipe in memory.

use std::io;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::channel::Allowed;
use crate::crl::Crl;
use crate::folder::Algorithms;
use crate::identity::DeviceIdentity;
use crate::profile::Validity;
use crate::testing::{TestPki, now, start};

/// What both sides saw: the server the device's URN, the client an answer.
struct Outcome {
    server: Result<String, String>,
    client: Result<u8, String>,
}

async fn meet(client: ClientConfig, server: ServerConfig, name: &str) -> Outcome {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await?;
        let peer = DeviceIdentity::of(stream.get_ref().1).map_err(io::Error::other)?;
        assert_eq!(
            stream.get_ref().1.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
        let group = stream
            .get_ref()
            .1
            .negotiated_key_exchange_group()
            .unwrap()
            .name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
        stream.write_u8(42).await?;
        stream.shutdown().await?;
        io::Result::Ok(peer.urn().to_string())
    };
    let ask = async {
        let mut stream = TlsConnector::from(Arc::new(client))
            .connect(name, near)
            .await?;
        stream.read_u8().await
    };
    let (server, client) = tokio::join!(serve, ask);
    Outcome {
        server: server.map_err(|e| e.to_string()),
        client: client.map_err(|e: io::Error| e.to_string()),
    }
}

fn run(future: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

const NAME: &str = "api.corp.example";

/// A device against the API server, where the lists may have more.
fn device_meets_server(pki: &TestPki, device: &Identity, extra: Vec<Crl>) -> Outcome {
    let trust = pki.trust(extra);
    let client = device_client(device, &pki.trust(Vec::new())).unwrap();
    run(meet(
        client,
        api_server(&pki.server(NAME), &trust).unwrap(),
        NAME,
    ))
}

#[test]
fn a_device_gets_through_and_is_known() {
    for algorithms in [Algorithms::STANDARD, Algorithms::DETERMINISTIC] {
        let pki = TestPki::with("good", algorithms);
        let outcome = device_meets_server(&pki, &pki.device("SN-1"), Vec::new());
        assert_eq!(
            outcome.server.unwrap(),
            "urn:example:device:SN-1",
            "{algorithms:?}"
        );
        assert_eq!(outcome.client.unwrap(), 42);
    }
}

#[test]
fn the_server_refuses_who_is_no_device_of_ours() {
    let pki = TestPki::new("refuse");
    let stranger = TestPki::new("stranger");
    let revoked = pki.device("SN-2");
    let list = pki.crl(&pki.devices, 5, &[revoked.certificate().unwrap()]);
    let revoked_ca = pki.crl(&pki.root, 5, &[pki.devices.certificate()]);
    let old = Validity::days(start(), 30);
    let future = Validity::days(now().plus_seconds(86_400), 30);
    for (case, device, extra, expected) in [
        (
            "another CA",
            stranger.device("SN-1"),
            vec![],
            "invalid peer certificate",
        ),
        ("revoked", revoked, vec![list], "Revoked"),
        (
            "its CA revoked",
            pki.device("SN-3"),
            vec![revoked_ca],
            "Revoked",
        ),
        ("expired", pki.device_valid("SN-4", old), vec![], "xpired"),
        (
            "not yet valid",
            pki.device_valid("SN-5", future),
            vec![],
            "NotValidYet",
        ),
        (
            "an API server",
            pki.server("api.corp.example"),
            vec![],
            "Purpose",
        ),
    ] {
        let outcome = device_meets_server(&pki, &device, extra);
        let why = outcome.server.unwrap_err();
        assert!(
            why.contains(expected) || why.to_lowercase().contains(&expected.to_lowercase()),
            "{case}: {why}"
        );
        assert!(outcome.client.is_err(), "{case}");
    }
}

/// An identity with a leaf from freely chosen parameters.
fn odd_device(pki: &TestPki, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Identity {
    let leaf = crate::Leaf::Device(crate::Device {
        serial: "SN-9".to_owned(),
    });
    let mut params = leaf.params(pki.devices.organisation()).unwrap();
    change(&mut params);
    let key = pki.key(crate::KeyAlgorithm::P256);
    let leaf = pki.rogue(&pki.devices, params, &key, Validity::days(start(), 90));
    Identity::new(vec![leaf, pki.devices.certificate().clone()], key).unwrap()
}

#[test]
fn a_device_needs_both_purposes_and_exactly_one_urn() {
    use rcgen::{ExtendedKeyUsagePurpose as Eku, SanType};
    let pki = TestPki::new("odd");
    let urn = |text: &str| SanType::URI(text.try_into().unwrap());
    let cases: Vec<(&str, Identity)> = vec![
        (
            "no EKU",
            odd_device(&pki, |p| p.extended_key_usages.clear()),
        ),
        (
            "any EKU",
            odd_device(&pki, |p| p.extended_key_usages = vec![Eku::Any]),
        ),
        (
            "client only",
            odd_device(&pki, |p| p.extended_key_usages = vec![Eku::ClientAuth]),
        ),
        (
            "no URN",
            odd_device(&pki, |p| {
                p.subject_alt_names
                    .retain(|n| !matches!(n, SanType::URI(_)));
            }),
        ),
        (
            "two URNs",
            odd_device(&pki, |p| {
                p.subject_alt_names.push(urn("urn:example:device:SN-8"));
            }),
        ),
        (
            "a person",
            odd_device(&pki, |p| {
                p.subject_alt_names = vec![urn("urn:example:person:Eve")];
            }),
        ),
        (
            "a name outside its CA's",
            odd_device(&pki, |p| {
                p.subject_alt_names
                    .push(SanType::DnsName("api.corp.example".try_into().unwrap()));
            }),
        ),
        (
            "an IP address",
            odd_device(&pki, |p| {
                p.subject_alt_names
                    .push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
            }),
        ),
    ];
    for (case, device) in cases {
        let outcome = device_meets_server(&pki, &device, Vec::new());
        assert!(outcome.server.is_err() && outcome.client.is_err(), "{case}");
    }
    let same = odd_device(&pki, |_| {});
    assert!(device_meets_server(&pki, &same, Vec::new()).client.is_ok());
}

#[test]
fn the_device_believes_only_the_api_server_that_it_asked_for() {
    let pki = TestPki::new("server");
    let device = pki.device("SN-1");
    let stranger = TestPki::new("stranger");
    let revoked = pki.server(NAME);
    let list = pki.crl(&pki.servers, 5, &[revoked.certificate().unwrap()]);
    // The strongest that a stolen device-issuing CA can make: no URN, a name that it may give, and the purpose of an API
    // server in the leaf. Only that this CA has not the purpose itself stops it.
    let only_dns = |params: &mut rcgen::CertificateParams| {
        params
            .subject_alt_names
            .retain(|name| matches!(name, rcgen::SanType::DnsName(_)));
    };
    let imposter = odd_device(&pki, |params| {
        only_dns(params);
        params
            .extended_key_usages
            .push(crate::profile::api_server_purpose());
    });
    let nameless = odd_device(&pki, only_dns);
    // And the strongest of a stolen server CA that wants to be both.
    let both = {
        let name = crate::ApiServer {
            dns_names: vec![NAME.to_owned()],
            ..Default::default()
        };
        let leaf = crate::Leaf::ApiServer(name);
        let mut params = leaf.params(pki.servers.organisation()).unwrap();
        let urn = "urn:example:device:SN-9".try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(urn));
        let key = pki.key(crate::KeyAlgorithm::P256);
        let leaf = pki.rogue(&pki.servers, params, &key, Validity::days(start(), 90));
        Identity::new(vec![leaf, pki.servers.certificate().clone()], key).unwrap()
    };
    let dns = "sn-9.dev.corp.example";
    for (case, server, name, extra) in [
        ("another CA", stranger.server(NAME), NAME, vec![]),
        (
            "another name",
            pki.server("other.corp.example"),
            NAME,
            vec![],
        ),
        (
            "a device under its own name",
            pki.device("SN-9"),
            dns,
            vec![],
        ),
        ("a device without URN", nameless, dns, vec![]),
        (
            "a leaf that claims to be an API server",
            imposter,
            dns,
            vec![],
        ),
        ("an API server with a device's URN", both, NAME, vec![]),
        ("revoked", revoked, NAME, vec![list]),
    ] {
        let client = device_client(&device, &pki.trust(extra)).unwrap();
        let server = api_server(&server, &pki.trust(Vec::new())).unwrap();
        let outcome = run(meet(client, server, name));
        assert!(outcome.client.is_err() && outcome.server.is_err(), "{case}");
    }
    for name in [NAME, "127.0.0.1"] {
        let client = device_client(&device, &pki.trust(Vec::new())).unwrap();
        let server = api_server(&pki.server(NAME), &pki.trust(Vec::new())).unwrap();
        assert!(run(meet(client, server, name)).client.is_ok());
    }
}

#[test]
fn missing_and_overdue_lists_stop_the_server_and_not_the_device() {
    let pki = TestPki::new("policy");
    let trust = |policy, lists: Vec<Crl>, clock| Trust {
        anchor: pki.anchor(),
        revocations: Arc::new(Revocations::new(lists)),
        policy,
        clock: Clock::Fixed(clock),
    };
    // Lists are due 29 days later; the certificates last longer.
    let late = now().plus_seconds(29 * 86_400 + 1);
    let device = pki.device_valid("SN-1", Validity::days(start(), 365));
    let name = crate::ApiServer {
        name: String::new(),
        dns_names: vec![NAME.to_owned()],
        addresses: vec![],
    };
    let key = pki.key(crate::KeyAlgorithm::P256);
    let server = crate::Leaf::ApiServer(name)
        .params(pki.servers.organisation())
        .unwrap();
    let server = pki.rogue(&pki.servers, server, &key, Validity::days(start(), 365));
    let server = Identity::new(vec![server, pki.servers.certificate().clone()], key).unwrap();
    for (policy, lists, clock, passes) in [
        (RevocationPolicy::Strict, pki.crls(), now(), true),
        (RevocationPolicy::Strict, vec![], now(), false),
        (RevocationPolicy::Strict, pki.crls(), late, false),
        (RevocationPolicy::Available, vec![], now(), true),
        (RevocationPolicy::Available, pki.crls(), late, true),
    ] {
        let client = trust(RevocationPolicy::Available, vec![], clock);
        let client = device_client(&device, &client).unwrap();
        let server = api_server(&server, &trust(policy, lists, clock)).unwrap();
        let outcome = run(meet(client, server, NAME));
        assert_eq!(
            outcome.client.is_ok(),
            passes,
            "{policy:?} at {clock}: {:?}",
            outcome.server
        );
    }
}

#[test]
fn a_device_without_certificate_does_not_get_through() {
    let pki = TestPki::new("none");
    let trust = pki.trust(Vec::new());
    let provider = provider();
    let verifier = Arc::new(Verifier::new(&trust, Expected::ApiServer, &provider));
    let client = ClientConfig::builder_with_details(provider, trust.clock.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let outcome = run(meet(
        client,
        api_server(&pki.server(NAME), &trust).unwrap(),
        NAME,
    ));
    assert!(outcome.client.is_err());
    assert!(outcome.server.unwrap_err().contains("no certificates"));
}

mod clock;
