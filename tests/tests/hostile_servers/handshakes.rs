//! A whole device whose network has something else at the server's address: nobody, no TLS, an older TLS, other certificates.

use std::sync::Arc;

use device_pki::folder::PkiFolder;
use device_pki::{
    ApiServer, CaKind, KeyAlgorithm, KeyPair, Leaf, Passphrase, Protection, ScryptCost, SubjectKey,
    SystemEntropy, Validity,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::pki;
use crate::stand::{Ends, NETWORK, SETTINGS, Stand};

/// What a server of TLS 1.2 says to whoever speaks only TLS 1.3: the alert `protocol_version` (RFC 8446, section 6.2).
const TLS_1_2_ONLY: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 70];
const NO_COMMON_CIPHER: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 40];
const PAGE: &[u8] =
    b"HTTP/1.1 302 Found\r\nlocation: http://portal.example/\r\ncontent-length: 0\r\n\r\n";

const NOBODY: Ends = Ends::Fails(
    NETWORK,
    &[
        "no answer from",
        "/repository/metadata/",
        "refused",
        "check the network",
    ],
);
const SILENT: Ends = Ends::Fails(NETWORK, &["no answer from", "/repository/metadata/"]);
const NO_TLS: Ends = Ends::Fails(
    NETWORK,
    &[
        "/repository/metadata/",
        "what answers does not speak TLS",
        "a captive portal",
    ],
);
const OLD_TLS: Ends = Ends::Fails(
    SETTINGS,
    &["the server does not agree to TLS 1.3", "switch TLS 1.3 on"],
);
const OTHER_PKI: Ends = Ends::Fails(
    SETTINGS,
    &[
        "the server's certificate is not accepted: it does not lead to the trust anchor",
        "something stands between: a captive portal, or a proxy that opens TLS",
    ],
);
const NOT_LET_IN: Ends = Ends::Fails(
    SETTINGS,
    &[
        "the server does not accept this device's certificate (",
        "is of another PKI: give it a new one",
    ],
);
const ANYBODY: Ends = Ends::Fails(
    SETTINGS,
    &[
        "the server's certificate is not accepted",
        "something stands between",
    ],
);
const EXPIRED: Ends = Ends::Fails(
    SETTINGS,
    &[
        "the server's certificate is not accepted: it has expired",
        "check the server's certificate",
    ],
);
const OTHER_NAME: Ends = Ends::Fails(
    SETTINGS,
    &[
        "it is not for the name in the URL",
        "check the server's certificate",
    ],
);

/// A server with a certificate of the device's own PKI for this address, which is good until so many seconds from now.
fn issue(stand: &Stand, name: &str, address: &str, until: i64) -> TlsAcceptor {
    let folder = stand.world.path("pki");
    let pki = PkiFolder::open(&folder).unwrap();
    let pass = Passphrase::new("test");
    let protection = Protection::Passphrase(&pass, ScryptCost::FAST);
    let ca = pki.authority(CaKind::Server, protection).unwrap();
    let leaf = Leaf::ApiServer(ApiServer {
        name: name.to_owned(),
        dns_names: Vec::new(),
        addresses: vec![address.parse().unwrap()],
    });
    let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
    let validity = Validity {
        not_before: stand.world.now.plus_seconds(-3000),
        not_after: stand.world.now.plus_seconds(until),
    };
    let subject = SubjectKey::of(&key).unwrap();
    let certificate = ca
        .issue(&leaf, &subject, validity, &mut SystemEntropy)
        .unwrap();
    let folder = folder.join("servers").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let chain = certificate.pem() + &ca.certificate().pem();
    std::fs::write(folder.join("chain.pem"), chain).unwrap();
    let file = folder.join("key.pem");
    key.save(&file, Protection::FileMode, &mut SystemEntropy)
        .unwrap();
    stand.acceptor(name)
}

/// What listens, by its name.
enum Listens {
    /// Nobody.
    Nobody,
    /// Somebody who says this to whatever comes first, and hangs up.
    Says(&'static [u8]),
    /// Somebody with these TLS settings.
    Tls(TlsAcceptor),
}

async fn listen(what: Listens) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        if matches!(what, Listens::Nobody) {
            return;
        }
        while let Ok((mut stream, _)) = listener.accept().await {
            match &what {
                Listens::Nobody => {}
                Listens::Says(text) => {
                    let mut first = [0; 4096];
                    let _client_hello = stream.read(&mut first).await;
                    let _gone = stream.write_all(text).await;
                }
                Listens::Tls(acceptor) => {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
                }
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_in_the_servers_place() {
    let stand = Stand::new().await;
    let of = |config| Listens::Tls(TlsAcceptor::from(config));
    let rows: [(&str, Listens, Ends); 10] = [
        ("nobody", Listens::Nobody, NOBODY),
        ("hangs up", Listens::Says(b""), SILENT),
        ("plain HTTP", Listens::Says(PAGE), NO_TLS),
        ("TLS 1.2", Listens::Says(TLS_1_2_ONLY), OLD_TLS),
        ("no common cipher", Listens::Says(NO_COMMON_CIPHER), OLD_TLS),
        ("another PKI", of(pki::other_server_tls()), OTHER_PKI),
        ("anybody", of(crate::ends::self_signed()), ANYBODY),
        (
            "expired",
            Listens::Tls(issue(&stand, "old", "127.0.0.1", -60)),
            EXPIRED,
        ),
        (
            "another address",
            Listens::Tls(issue(&stand, "other", "192.0.2.1", 86_400)),
            OTHER_NAME,
        ),
        (
            "devices of others",
            Listens::Tls(stand.acceptor_for("api", &pki::folder())),
            NOT_LET_IN,
        ),
    ];
    for (name, listens, ends) in rows {
        let port = listen(listens).await;
        let stand = Arc::clone(&stand);
        let row = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(stand.elsewhere(name, port, ends));
        });
        row.await.unwrap();
    }
}
