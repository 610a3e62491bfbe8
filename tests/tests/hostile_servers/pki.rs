//! One PKI for all tests: a server on this machine and a device, each with its TLS settings.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    ApiServer, Clock, Device, Identity, Leaf, Organisation, Protection, RevocationPolicy,
    Revocations, SystemEntropy, Trust, tls,
};
use metadata_schema::time::Timestamp;
use tempfile::TempDir;

/// The name in the server's certificate, besides this machine's addresses.
pub(crate) const NAME: &str = "localhost";

struct Pki {
    folder: TempDir,
    server: Identity,
    device: Identity,
    trust: Trust,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| make("Example"));

fn make(organisation: &str) -> Pki {
    let folder = tempfile::tempdir().unwrap();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = i64::try_from(since.unwrap().as_secs()).unwrap();
    let mut ceremony = Ceremony {
        now: Timestamp::from_unix_seconds(seconds),
        protection: Protection::FileMode,
        entropy: &mut SystemEntropy,
    };
    let organisation = Organisation::new(organisation, "example.com", "example").unwrap();
    let path = folder.path().join("pki");
    let algorithms = Algorithms::STANDARD;
    let pki = PkiFolder::create(&path, &organisation, algorithms, &mut ceremony).unwrap();
    let server = Leaf::ApiServer(ApiServer {
        name: "api".to_owned(),
        dns_names: vec![NAME.to_owned()],
        addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
    });
    let device = Leaf::Device(Device {
        serial: "router-001".to_owned(),
    });
    let mut issue = |leaf: &Leaf| {
        let issued = pki.issue(leaf, KeySource::Generate, None, &mut ceremony);
        let issued = issued.unwrap();
        Identity::load(&issued.chain_path, &issued.key_path.unwrap()).unwrap()
    };
    let (server, device) = (issue(&server), issue(&device));
    let trust = Trust {
        anchor: pki.anchor().unwrap(),
        revocations: Arc::new(Revocations::default()),
        policy: RevocationPolicy::Available,
        clock: Clock::System,
    };
    Pki {
        folder,
        server,
        device,
        trust,
    }
}

/// The folder of the PKI, for other programs.
pub(crate) fn folder() -> PathBuf {
    Path::new(PKI.folder.path()).join("pki")
}

/// What a server needs that asks for a device's certificate and speaks these protocols (RFC 7301).
pub(crate) fn server_tls(protocols: &[&str]) -> Arc<rustls::ServerConfig> {
    let mut config = tls::api_server(&PKI.server, &PKI.trust).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| (*name).into()).collect();
    Arc::new(config)
}

/// What a device needs.
pub(crate) fn device_tls() -> rustls::ClientConfig {
    tls::device_client(&PKI.device, &PKI.trust).unwrap()
}

/// A server that this PKI certifies, and that lets in only the devices of another one.
pub(crate) fn server_tls_of_others(protocol: &str) -> Arc<rustls::ServerConfig> {
    let other = make("Other");
    let mut config = tls::api_server(&PKI.server, &other.trust).unwrap();
    config.alpn_protocols = vec![protocol.into()];
    Arc::new(config)
}

/// A server of another PKI, with all the right purposes.
pub(crate) fn other_server_tls() -> Arc<rustls::ServerConfig> {
    let other = make("Other");
    Arc::new(tls::api_server(&other.server, &other.trust).unwrap())
}
