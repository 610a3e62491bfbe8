//! Signatures made elsewhere: what is written out, and the forms in which they come back.

use std::fs;

use device_pki::{KeyAlgorithm, SigningKey as _};
use metadata_schema::name::RoleName;
use repo_tool::audit::Action;
use repo_tool::{Error, silent};

use crate::support::{Person, World, image, now, release};

const ROLES: [&str; 3] = ["root", "targets", "delegated:router-x"];

/// r and s of an ECDSA signature in DER, each of `length` bytes.
fn numbers(der: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &der[2..];
    while let [2, size, tail @ ..] = rest {
        let (number, after) = tail.split_at(usize::from(*size));
        let number: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
        out.extend(vec![0; length - number.len()]);
        out.extend(number);
        rest = after;
    }
    out
}

#[test]
fn signatures_come_back_in_every_form() {
    let mut world = World::new();
    let people: Vec<Person> = KeyAlgorithm::ALL
        .iter()
        .map(|(name, algorithm)| world.person_by(name, &ROLES, *algorithm))
        .collect();
    let repository = world.init(&people.iter().collect::<Vec<_>>(), 4);
    let out = world.folder.path().join("out");
    let root = RoleName::root();
    for person in &people {
        let name = person.holder.name();
        let exported = repository.export_to_sign(&name, &out).unwrap();
        assert_eq!(exported.len(), 3, "root, targets, router-x");
        let to_sign = exported
            .iter()
            .find(|to_sign| to_sign.role == "root")
            .unwrap();
        assert_eq!(to_sign.sha256, repository.show().unwrap().changes[1].sha256);
        let bytes = fs::read(out.join(&to_sign.file)).unwrap();
        let sidecar = fs::read(out.join(to_sign.file.replace(".to-sign", ".json"))).unwrap();
        let sidecar: serde_json::Value = serde_json::from_slice(&sidecar).unwrap();
        assert_eq!(sidecar["file_sha256"], to_sign.file_sha256.to_string());
        assert_eq!(sidecar["keyid"], person.holder.key().id().as_str());
        // What was written is what is signed; a key of ML-DSA signs a digest, which only its own bytes show.
        let draft = fs::read(repository.layout().staged_role(&root)).unwrap();
        let payload = metadata_schema::json::Json::read(&draft)
            .unwrap()
            .canonical();
        if name == "ml-dsa-65" {
            assert_eq!(bytes, metadata_schema::key::ml_dsa_message(&payload));
        } else {
            assert_eq!(bytes, payload);
        }
        let signature = person.key.sign(&payload).unwrap();
        let mut forms = vec![
            ("bytes", signature.clone()),
            ("hex", hex(&signature).into_bytes()),
            ("base64", base64(&signature).into_bytes()),
        ];
        let length = match name.as_str() {
            "p256" => Some(32),
            "p384" => Some(48),
            _ => None,
        };
        if let Some(length) = length {
            let plain = numbers(&signature, length);
            forms.push(("r and s as hex", (hex(&plain) + "\n").into_bytes()));
            forms.push(("r and s as bytes", plain));
        }
        for (n, (form, file)) in forms.iter().enumerate() {
            let taken = repository
                .import_signature(&root, &name, file, now())
                .unwrap();
            assert_eq!(&taken.form, form, "{name}");
            assert_eq!(taken.repeated, n > 0, "{name} {form}");
        }
    }
    let status = repository.status(now()).unwrap();
    let role = status
        .staged
        .iter()
        .find(|role| role.role == "root")
        .unwrap();
    assert!(role.groups[0].reached);
    let lines = repository.audit().unwrap().lines;
    let taken = lines.iter().filter(|line| line.action == Action::Merge);
    assert_eq!(taken.count(), 4);
}

#[test]
fn a_signature_that_does_not_fit_is_not_taken() {
    let (mut world, repository, [alice, _, _]) = World::published();
    let router = RoleName::delegated("router-x").unwrap();
    let take = |who: &str, file: &[u8]| repository.import_signature(&router, who, file, now());
    assert!(matches!(
        take("Alice", b"x"),
        Err(Error::NothingStaged { .. })
    ));
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    let draft = fs::read(repository.layout().staged_role(&router)).unwrap();
    let payload = metadata_schema::json::Json::read(&draft)
        .unwrap()
        .canonical();
    let signature = alice.key.sign(&payload).unwrap();
    assert!(matches!(
        take("Bob", &signature),
        Err(Error::WrongSignature { .. })
    ));
    let over_the_file = alice.key.sign(&draft).unwrap();
    assert!(matches!(
        take("Alice", &over_the_file),
        Err(Error::WrongSignature { .. })
    ));
    for nothing in [&b""[..], b"\n", b"zz", &[0; 64], &[0xff; 2000]] {
        assert!(matches!(
            take("Alice", nothing),
            Err(Error::WrongSignature { .. })
        ));
    }
    assert!(matches!(
        take("Mallory", &signature),
        Err(Error::NotASigner { .. })
    ));
    let targets = RoleName::targets();
    let other = repository.import_signature(&targets, "Alice", &signature, now());
    assert!(other.is_err());
    let id = alice.holder.key().id().to_string();
    assert!(matches!(
        take(&id[..7], &signature),
        Err(Error::NotASigner { .. })
    ));
    assert!(!take(&id[..8], &signature).unwrap().repeated);
    // A name that two keys have means neither.
    let second = world.person("Bob");
    let change = repo_tool::SignerChange {
        roles: vec![RoleName::root()],
        replace: vec![("Bob".to_owned(), second.holder.clone())],
        ..repo_tool::SignerChange::default()
    };
    repository.change_signers(&change, now()).unwrap();
    let error = repository
        .export_to_sign("Bob", world.folder.path())
        .unwrap_err();
    assert!(
        error.to_string().contains("this name has several"),
        "{error}"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |n| b >> n & 1))
        .collect();
    let digit = |six: &[u8]| {
        let number = (0..6).fold(0, |sum, n| sum * 2 + usize::from(*six.get(n).unwrap_or(&0)));
        char::from(DIGITS[number])
    };
    bits.chunks(6).map(digit).collect()
}
