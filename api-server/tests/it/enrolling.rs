//! A server that certifies devices, and clients that ask it to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_server::config::{Approval, Est};
use api_server::store::enrolments::Enrolments as _;
use api_server::{Limits, SqliteStore};
use device_pki::folder::KeySource;
use device_pki::{
    CaKind, Certificate, Device, Identity, KeyAlgorithm, KeyPair, Leaf, Operator, SystemEntropy,
    cms, csr, tls,
};
use metadata_schema::time::Timestamp;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::{self, Answer, World, ceremony, start};

pub(crate) const CR: &str = "Content-Type: application/pkcs10";

pub(crate) struct Enrolling {
    pub(crate) world: World,
    now: Timestamp,
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy).unwrap()
}

/// The line and the body of a request for a first certificate.
pub(crate) fn with_request(key: &KeyPair) -> (String, Vec<u8>) {
    let body = cms::base64(&csr::request("x", key).unwrap()).into_bytes();
    ("POST /.well-known/est/simpleenroll".to_owned(), body)
}

impl Enrolling {
    pub(crate) async fn new(approval: &str) -> Self {
        Self::at(approval, start(), start()).await
    }

    /// A PKI that was made at one time, and a server at another one, for which the CAs in use were renewed.
    pub(crate) async fn at(approval: &str, made: Timestamp, now: Timestamp) -> Self {
        let manual = approval == "manual";
        let world = World::configured(Limits::default(), now, |pki, config| {
            for kind in [CaKind::Factory, CaKind::Operator] {
                ceremony(|c| {
                    c.now = made;
                    pki.add(kind, c)
                })
                .unwrap();
            }
            if made != now {
                ceremony(|c| {
                    c.now = now;
                    pki.renew(CaKind::DeviceIssuing, c)?;
                    pki.renew(CaKind::Server, c)?;
                    world::certify_server(pki, c);
                    pki.write_crls(30, c)
                })
                .unwrap();
            }
            let ca = pki.path().join("device-issuing-ca");
            config.est = Some(Est {
                listen: "127.0.0.1:0".parse().unwrap(),
                ca: ca.join("ca.pem"),
                key: ca.join("ca.key.pem").into(),
                passphrase: None,
                organisation: pki.organisation().clone(),
                days: 90,
                approval: if manual {
                    Approval::Manual
                } else {
                    Approval::Automatic
                },
                superseded: Default::default(),
            });
        })
        .await;
        Self { world, now }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.world.folder.path()
    }

    pub(crate) fn store(&self) -> SqliteStore {
        self.world.store()
    }

    pub(crate) fn ca(&self) -> Certificate {
        self.world
            .pki
            .ca_certificate(CaKind::DeviceIssuing)
            .unwrap()
    }

    pub(crate) fn allow(&self, device: &str) {
        self.store()
            .allow(&[device.to_owned()], "a test", self.now)
            .unwrap();
    }

    pub(crate) fn factory(&self, serial: &str) -> Identity {
        self.factory_made_at(serial, self.now)
    }

    pub(crate) fn factory_made_at(&self, serial: &str, made: Timestamp) -> Identity {
        let device = Device {
            serial: serial.to_owned(),
        };
        self.issue(&Leaf::FactoryDevice(device), made)
    }

    /// What `device-pki issue-device` makes.
    pub(crate) fn device(&self, serial: &str) -> Identity {
        let device = Device {
            serial: serial.to_owned(),
        };
        self.issue(&Leaf::Device(device), self.now)
    }

    pub(crate) fn operator(&self, name: &str) -> Identity {
        let operator = Operator {
            name: name.to_owned(),
        };
        self.issue(&Leaf::Operator(operator), self.now)
    }

    fn issue(&self, leaf: &Leaf, made: Timestamp) -> Identity {
        let issued = ceremony(|c| {
            c.now = made;
            self.world.pki.issue(leaf, KeySource::Generate, None, c)
        })
        .unwrap();
        Identity::load(&issued.chain_path, &issued.key_path.unwrap()).unwrap()
    }

    pub(crate) fn identity(&self, leaf: Certificate, key: KeyPair) -> Identity {
        Identity::new(vec![leaf, self.ca()], key).unwrap()
    }

    /// One request where devices enrol.
    pub(crate) async fn at_enrolment(
        &self,
        identity: Option<&Identity>,
        line: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Answer {
        self.try_at_enrolment(identity, line, headers, body)
            .await
            .unwrap()
    }

    async fn try_at_enrolment(
        &self,
        identity: Option<&Identity>,
        line: &str,
        headers: &[&str],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let trust = self.world.trust(self.now);
        let config = match identity {
            Some(identity) => tls::device_client(identity, &trust).unwrap(),
            None => tls::nameless_client(&trust).unwrap(),
        };
        let stream = TcpStream::connect(self.world.enrolment.unwrap()).await?;
        let name = ServerName::try_from("api.corp.example").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        let mut head = format!("{line} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n");
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let answer = world::read_all(&mut stream).await?;
        Ok(world::parse(&answer))
    }

    pub(crate) async fn nameless(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.at_enrolment(None, line, headers, body).await
    }

    pub(crate) async fn post(&self, identity: &Identity, operation: &str, body: &[u8]) -> Answer {
        let line = format!("POST /.well-known/est/{operation}");
        self.at_enrolment(Some(identity), &line, &[CR], body).await
    }

    pub(crate) async fn enrol_by(&self, identity: &Identity) -> (Answer, KeyPair) {
        let key = key();
        let (_, body) = with_request(&key);
        (self.post(identity, "simpleenroll", &body).await, key)
    }

    pub(crate) async fn by_token(&self, device: &str, token: &str, key: &KeyPair) -> Answer {
        let credentials = cms::base64(format!("{device}:{token}").as_bytes()).replace('\n', "");
        let header = format!("Authorization: Basic {credentials}");
        let (line, body) = with_request(key);
        self.nameless(&line, &[CR, &header], &body).await
    }

    pub(crate) async fn renew_by(&self, identity: &Identity) -> (Answer, KeyPair) {
        let key = key();
        let (_, body) = with_request(&key);
        (self.renew_with(identity, &body).await, key)
    }

    pub(crate) async fn renew_with(&self, identity: &Identity, body: &[u8]) -> Answer {
        let line = "POST /.well-known/est/simplereenroll";
        self.world.ask(identity, line, &[CR], body).await
    }

    /// Whether the handshake fails where devices enrol.
    pub(crate) async fn enrolment_refuses(&self, identity: &Identity) -> bool {
        let line = "GET /.well-known/est/cacerts";
        self.try_at_enrolment(Some(identity), line, &[], b"")
            .await
            .is_err()
    }

    /// Waits until handshakes with an identity are refused where devices with certificates are.
    pub(crate) async fn refused(&self, identity: &Identity) {
        for _ in 0..200 {
            self.world.reloader.reload();
            if self
                .world
                .raw(
                    identity,
                    b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                )
                .await
                .is_err()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("still accepted");
    }

    pub(crate) async fn until(&self, holds: impl Fn(&SqliteStore) -> bool) {
        let store = self.store();
        for _ in 0..200 {
            if holds(&store) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never holds");
    }

    pub(crate) fn try_sql(&self, text: &str) -> rusqlite::Result<()> {
        let path = self.folder().join("data/registry.sqlite");
        rusqlite::Connection::open(path)?.execute_batch(text)
    }

    pub(crate) fn sql(&self, text: &str) {
        self.try_sql(text).unwrap();
    }
}
