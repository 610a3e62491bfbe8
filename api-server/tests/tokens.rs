//! The server's CA with its key on a PKCS#11 token: SoftHSM. Run by `tests/peers`, which installs it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::Path;
use std::process::Command;

use api_server::Est;
use api_server::config::Approval;
use api_server::issuer::Issuer;
use device_pki::folder::{Algorithms, CaTokens, Ceremony, PkiFolder};
use device_pki::token::TokenUri;
use device_pki::{
    CaKind, Clock, KeyAlgorithm, KeyPair, Organisation, Passphrase, Protection, SubjectKey,
    SystemEntropy,
};

/// Runs again in a process of its own, for the module reads the environment.
#[test]
#[ignore = "needs SoftHSM: tests/peers has it"]
fn the_server_certifies_with_a_key_on_a_token() {
    if let Some(folder) = std::env::var_os("TOKENS_OF_THIS_TEST") {
        return certifies(Path::new(&folder));
    }
    let places = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
    let places = places.map(|folder| Path::new(folder).join("softhsm/libsofthsm2.so"));
    let module = places.into_iter().find(|path| path.is_file()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = folder.path().join("softhsm2.conf");
    std::fs::write(
        &conf,
        format!("directories.tokendir = {}\n", tokens.display()),
    )
    .unwrap();
    let line = "--init-token --free --label ca --pin 1234 --so-pin 5678";
    let name = "the_server_certifies_with_a_key_on_a_token";
    let again = std::env::current_exe().unwrap();
    let programs = [
        (
            Path::new("softhsm2-util"),
            line.split(' ').collect::<Vec<_>>(),
        ),
        (again.as_path(), vec!["--exact", name, "--ignored"]),
    ];
    for (program, args) in programs {
        let output = Command::new(program)
            .args(args)
            .env("SOFTHSM2_CONF", &conf)
            .env("PKCS11_MODULE_PATH", &module)
            .env("TOKENS_OF_THIS_TEST", folder.path())
            .env_remove("API_SERVER_CA_PASSPHRASE")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

fn certifies(folder: &Path) {
    let now = Clock::System.now();
    let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
    let uri: TokenUri = "pkcs11:token=ca".parse().unwrap();
    let tokens = CaTokens::asking(|_| Ok(Passphrase::new("1234")));
    let tokens = tokens.with(Some(CaKind::DeviceIssuing), uri).unwrap();
    let ceremony = &mut Ceremony {
        now,
        protection: Protection::FileMode,
        entropy: &mut SystemEntropy,
    };
    let path = folder.join("pki");
    let pki = PkiFolder::create_on(&path, &corp, Algorithms::STANDARD, tokens, ceremony).unwrap();
    let ca = path.join("device-issuing-ca");
    let key = std::fs::read_to_string(ca.join("ca.key.uri")).unwrap();
    let mut est = Est {
        listen: "127.0.0.1:0".parse().unwrap(),
        ca: ca.join("ca.pem"),
        key: key.trim().parse().unwrap(),
        passphrase: None,
        organisation: corp,
        days: 90,
        approval: Approval::default(),
        superseded: Default::default(),
    };
    let anchor = pki.anchor().unwrap();
    let open = |est: &Est| Issuer::open(est, &anchor, &folder.join("data"));
    let why = open(&est).unwrap_err().to_string();
    assert!(why.contains("API_SERVER_CA_PASSPHRASE"), "{why}");
    let pin = folder.join("pin");
    est.passphrase = Some(pin.clone());
    std::fs::write(&pin, "9999\n").unwrap();
    let why = open(&est).unwrap_err().to_string();
    assert!(why.contains("wrong PIN for token \"ca\""), "{why}");
    std::fs::write(&pin, "1234\n").unwrap();
    let issuer = open(&est).unwrap();
    let key = KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy).unwrap();
    let issued = issuer
        .issue("SN-1", &SubjectKey::of(&key).unwrap(), now)
        .unwrap();
    let trust = device_pki::Trust {
        anchor,
        revocations: Default::default(),
        policy: device_pki::RevocationPolicy::Available,
        clock: Clock::System,
    };
    let authority = pki.ca_certificate(CaKind::DeviceIssuing).unwrap();
    let chain = [issued, authority].map(|one| one.der().to_vec().into());
    let device = device_pki::tls::verify_device(&chain, &trust, now).unwrap();
    assert_eq!(device.serial(), "SN-1");
}
