//! A PKI on disk, from its creation to a revocation.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::authority::CrlContent;
use crate::crl::Crl;
use crate::entropy::SeededEntropy;
use crate::identity::Identity;
use crate::key::ScryptCost;
use crate::profile::{ApiServer, Device, FirmwareSigner, Leaf};
use crate::serial_number::SerialNumber;
use crate::subject_key::SubjectKey;
use crate::testing::now;

fn corp() -> Organisation {
    Organisation::new("Example Corp", "corp.example", "example").unwrap()
}

fn carol() -> Leaf {
    let roles = vec!["root".parse().unwrap(), "targets".parse().unwrap()];
    Leaf::FirmwareSigner(FirmwareSigner {
        name: "Carol".to_owned(),
        roles,
    })
}

fn server() -> Leaf {
    Leaf::ApiServer(ApiServer {
        name: String::new(),
        dns_names: vec!["api.corp.example".to_owned()],
        addresses: vec![],
    })
}

fn device(serial: &str) -> Leaf {
    Leaf::Device(Device {
        serial: serial.to_owned(),
    })
}

fn build(path: &Path, seed: &str) -> PkiFolder {
    let passphrase = Passphrase::new("secret");
    let mut entropy = SeededEntropy::new(seed.as_bytes());
    let mut ceremony = Ceremony {
        now: now(),
        protection: Protection::Passphrase(&passphrase, ScryptCost::FAST),
        entropy: &mut entropy,
    };
    let pki = PkiFolder::create(path, &corp(), Algorithms::DETERMINISTIC, &mut ceremony).unwrap();
    for leaf in [carol(), server(), device("SN-1"), device("SN-2")] {
        pki.issue(&leaf, KeySource::Generate, None, &mut ceremony)
            .unwrap();
    }
    pki.revoke("SN-2", &mut ceremony).unwrap();
    pki
}

fn all_files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(path).unwrap().to_owned();
                files.push((name, std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn one_seed_makes_one_pki_byte_for_byte() {
    let folders = [
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    ];
    let [a, b, c] = ["1", "1", "2"];
    for (folder, seed) in folders.iter().zip([a, b, c]) {
        build(folder.path(), seed);
    }
    let [a, b, c] = folders.each_ref().map(|folder| all_files(folder.path()));
    assert_eq!(a, b);
    assert_ne!(a, c);
}

#[test]
fn what_was_built_opens_and_belongs_together() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), "x");
    let pki = PkiFolder::open(folder.path()).unwrap();
    assert_eq!(pki.organisation(), &corp());
    assert!(pki.is_encrypted().unwrap());
    assert_eq!(
        pki.anchor().unwrap().certificate().subject(),
        "O=Example Corp, CN=Example Corp Root CA"
    );

    let device = folder.path().join("devices/SN-1");
    let identity = Identity::load(&device.join("chain.pem"), &device.join("key.pem")).unwrap();
    assert_eq!(identity.device().unwrap().serial(), "SN-1");
    let mode = |path: &str| {
        std::fs::metadata(folder.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("devices/SN-1/key.pem"), 0o600);
    assert_eq!(mode("root-ca/ca.key.pem"), 0o600);
    assert!(KeyPair::is_encrypted(&folder.path().join("signers/Carol/key.pem")).unwrap());

    let wrong = Passphrase::new("wrong");
    let wrong = Protection::Passphrase(&wrong, ScryptCost::FAST);
    let error = pki.authority(CaKind::Root, wrong).unwrap_err();
    assert!(matches!(error, Error::WrongPassphrase { .. }), "{error}");
    assert!(matches!(
        pki.authority(CaKind::Root, Protection::FileMode),
        Err(Error::PassphraseNeeded { .. })
    ));
}

#[test]
fn revoking_writes_lists_with_rising_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "x");
    let passphrase = Passphrase::new("secret");
    let mut entropy = SeededEntropy::new(b"y");
    let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
    let mut ceremony = Ceremony {
        now: now().plus_seconds(60),
        protection,
        entropy: &mut entropy,
    };

    let list = |kind| Crl::load(&pki.crl_path(kind).unwrap()).unwrap();
    let devices = list(CaKind::DeviceIssuing);
    assert_eq!((devices.number(), devices.len()), (2, 1));
    devices
        .verify(&pki.ca_certificate(CaKind::DeviceIssuing).unwrap())
        .unwrap();

    // Revoking again keeps the first date.
    let again = pki.revoke("SN-2", &mut ceremony).unwrap();
    assert_eq!(again[0].issuer, CaKind::DeviceIssuing);
    assert_eq!(
        pki.state(CaKind::DeviceIssuing).unwrap().issued()[1].revoked_at,
        Some(now())
    );

    let serial = pki.state(CaKind::FirmwareSigning).unwrap().issued()[0]
        .serial
        .clone();
    let revoked = pki.revoke(&serial[..8], &mut ceremony).unwrap();
    assert_eq!(revoked[0].name, "Carol");
    assert_eq!(list(CaKind::FirmwareSigning).number(), 2);
    assert_eq!(list(CaKind::FirmwareSigning).len(), 1);
    // A CA is revoked by the root.
    pki.revoke("Example Corp Server CA", &mut ceremony).unwrap();
    assert_eq!(list(CaKind::Root).len(), 1);
    assert!(matches!(
        pki.revoke("Nobody", &mut ceremony),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(pki.crls().unwrap().len(), 4);
}

#[test]
fn a_given_key_is_certified_and_nothing_else_of_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "x");
    let passphrase = Passphrase::new("secret");
    let mut entropy = SeededEntropy::new(b"y");
    let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
    let mut ceremony = Ceremony {
        now: now(),
        protection,
        entropy: &mut entropy,
    };

    let key = KeyPair::generate(KeyAlgorithm::P256, ceremony.entropy).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let request = params.serialize_request(&key).unwrap();
    let subject = SubjectKey::from_request_pem("csr", request.pem().unwrap().as_bytes()).unwrap();
    let issued = pki
        .issue(
            &device("SN-7"),
            KeySource::Given(subject),
            None,
            &mut ceremony,
        )
        .unwrap();
    let leaf = &issued.chain[0];
    assert!(!leaf.is_ca());
    assert_eq!(leaf.dns_names(), ["sn-7.dev.corp.example"]);
    assert_eq!(leaf.public_key_der(), key.public_key_der());
    assert_eq!(issued.key_path, None);

    // A request that another key signed is refused.
    let mut der = request.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    assert!(matches!(
        SubjectKey::from_request_der("csr", &der),
        Err(Error::RequestSignature { .. }) | Err(Error::Malformed { .. })
    ));
    // People may bring any type of key.
    let subject = SubjectKey::of(&key).unwrap();
    let issued = pki
        .issue(&carol(), KeySource::Given(subject), None, &mut ceremony)
        .unwrap();
    assert_eq!(issued.chain[0].public_key_der(), key.public_key_der());
}

#[test]
fn names_do_not_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "x");
    let passphrase = Passphrase::new("secret");
    let mut entropy = SeededEntropy::new(b"y");
    let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
    let mut ceremony = Ceremony {
        now: now(),
        protection,
        entropy: &mut entropy,
    };
    for name in ["../evil", "a/b", "..", ".hidden", "a\\b", ""] {
        let roles = vec!["root".parse().unwrap()];
        let leaf = Leaf::FirmwareSigner(FirmwareSigner {
            name: name.to_owned(),
            roles,
        });
        assert!(
            pki.issue(&leaf, KeySource::Generate, None, &mut ceremony)
                .is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_second_pki_does_not_overwrite_the_first() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), "x");
    let mut entropy = SeededEntropy::new(b"y");
    let mut ceremony = Ceremony {
        now: now(),
        protection: Protection::FileMode,
        entropy: &mut entropy,
    };
    let error =
        PkiFolder::create(folder.path(), &corp(), Algorithms::STANDARD, &mut ceremony).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
}

#[test]
fn a_full_index_issues_nothing_and_still_revokes() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "full");
    let path = pki.state_path(CaKind::DeviceIssuing);
    let text = std::fs::read_to_string(&path).unwrap();
    // As large as if it had 200,000 devices, and quicker to read.
    let long = text.replace("SN-2", &"x".repeat(61 * 1024 * 1024));
    std::fs::write(&path, long).unwrap();
    let passphrase = Passphrase::new("secret");
    let mut ceremony = Ceremony {
        now: now(),
        protection: Protection::Passphrase(&passphrase, ScryptCost::FAST),
        entropy: &mut SeededEntropy::new(b"later"),
    };
    let refused = pki.issue(&device("SN-3"), KeySource::Generate, None, &mut ceremony);
    assert!(
        matches!(refused, Err(Error::IndexFull { .. })),
        "{refused:?}"
    );
    assert!(!folder.path().join("devices/SN-3/chain.pem").exists());
    let revoked = pki.revoke("SN-1", &mut ceremony).unwrap();
    assert_eq!(revoked.len(), 1);
}

#[test]
fn a_root_key_that_is_kept_elsewhere_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "seed");
    std::fs::remove_file(folder.path().join("root-ca/ca.key.pem")).unwrap();
    assert!(!pki.has_key(CaKind::Root) && pki.is_encrypted().unwrap());
    let passphrase = Passphrase::new("secret");
    let mut ceremony = Ceremony {
        now: now(),
        protection: Protection::Passphrase(&passphrase, ScryptCost::FAST),
        entropy: &mut SeededEntropy::new(b"more"),
    };
    pki.issue(&device("SN-3"), KeySource::Generate, None, &mut ceremony)
        .unwrap();
    pki.revoke("SN-3", &mut ceremony).unwrap();
    assert_eq!(pki.write_crls(30, &mut ceremony).unwrap().len(), 3);
}

#[test]
fn what_a_server_revoked_of_its_ca_stays_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "elsewhere");
    let entropy = &mut SeededEntropy::new(b"server");
    let now = now();
    let passphrase = Passphrase::new("secret");
    let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
    let mut ceremony = Ceremony {
        now,
        protection,
        entropy,
    };
    let kind = CaKind::DeviceIssuing;
    let ca = pki.authority(kind, protection).unwrap();
    // The API server has the same CA, issues by itself, and is at its 40th list.
    let gone = SerialNumber::new(&[7; 16]);
    let by_server = |number, revoked| {
        ca.crl(&CrlContent {
            number,
            this_update: now,
            next_update: now.plus_seconds(86_400),
            revoked,
        })
        .unwrap()
    };
    let list = by_server(40, vec![(gone.clone(), now)]);
    assert_eq!(pki.take_over(std::slice::from_ref(&list)).unwrap(), 1);
    assert_eq!(pki.take_over(&[list]).unwrap(), 0);
    pki.renew(kind, &mut ceremony).unwrap();
    let former = |pki: &PkiFolder| {
        let ski = ca.certificate().subject_key_id().unwrap();
        let mut lists = pki.crls().unwrap().into_iter();
        lists.find(|list| list.issuer_ski() == ski).unwrap()
    };
    assert_eq!(former(&pki).number(), 41);
    assert!(former(&pki).revoked(&gone).is_some());

    // One that was put beside ours counts by itself, in whatever order it came.
    let later = SerialNumber::new(&[8; 16]);
    let list = by_server(50, vec![(later.clone(), now)]);
    let ski = ca.certificate().subject_key_id().unwrap();
    let file = folder.path().join(format!("crl/{ski}.crl"));
    std::fs::write(&file, list.der()).unwrap();
    pki.write_crls(30, &mut ceremony).unwrap();
    assert_eq!(former(&pki).number(), 51);
    assert!(former(&pki).revoked(&gone).is_some() && former(&pki).revoked(&later).is_some());

    // Nobody else's list is taken for one of ours.
    let other = tempfile::tempdir().unwrap();
    let stranger = build(other.path(), "stranger");
    let lists = stranger.crls().unwrap();
    let why = pki.take_over(&lists).unwrap_err().to_string();
    assert!(why.contains("no CA in"), "{why}");
    std::fs::write(&file, lists[0].der()).unwrap();
    pki.write_crls(30, &mut ceremony).unwrap();
    assert!(former(&pki).revoked(&gone).is_some());
}

#[test]
fn a_batch_is_in_the_index_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), "batch");
    let passphrase = Passphrase::new("secret");
    let mut ceremony = Ceremony {
        now: now(),
        protection: Protection::Passphrase(&passphrase, ScryptCost::FAST),
        entropy: &mut SeededEntropy::new(b"batch"),
    };
    let kind = CaKind::DeviceIssuing;
    let ca = pki.authority(kind, ceremony.protection).unwrap();
    let before = pki.state(kind).unwrap();
    let batch = |names: &[&str]| -> Vec<_> {
        let leaves = names.iter().map(|name| device(name));
        leaves.map(|leaf| (leaf, KeySource::Generate)).collect()
    };
    let bad = batch(&["SN-10", "../SN-11", "SN-12"]);
    pki.issue_batch(&ca, bad, None, &mut ceremony).unwrap_err();
    assert_eq!(pki.state(kind).unwrap(), before);
    assert!(!folder.path().join("devices/SN-10").exists());

    let good = batch(&["SN-10", "SN-11", "SN-12"]);
    let issued = pki.issue_batch(&ca, good, None, &mut ceremony).unwrap();
    let state = pki.state(kind).unwrap();
    let new: Vec<_> = state.issued().iter().rev().take(3).rev().collect();
    assert_eq!(state.issued().len(), before.issued().len() + 3);
    for (one, entry) in issued.iter().zip(new) {
        assert_eq!(one.chain[0].serial().to_string(), entry.serial);
        assert!(one.chain_path.exists());
        Identity::load(&one.chain_path, one.key_path.as_ref().unwrap()).unwrap();
    }
}
