//! The people: a PKI with three signers, and a repository that two of them have to sign for.

use serde_json::{Value, json};

use super::images::megabytes;
use super::{Failure, World};

/// The product of the demo.
pub(super) const PRODUCT: &str = "router-x";
/// Passphrase of every key in the demo. Real ones are asked for.
const PASSPHRASE: &str = "correct horse battery staple";
/// Who signs.
pub(super) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

pub(super) fn pki(world: &mut World) -> Result<(), Failure> {
    let screen = world.screen().clone();
    screen.chapter("1. A PKI: root CA, intermediates, three people, one server, two devices");
    let passphrase = world.path("passphrase");
    std::fs::write(&passphrase, PASSPHRASE).map_err(Failure::io("write the passphrase"))?;
    let organisation = [
        "--organisation",
        "Example",
        "--domain",
        "example.com",
        "--namespace",
        "example",
    ];
    world.succeed(
        "device-pki",
        &[
            &["init", "pki"][..],
            &organisation,
            &["--passphrase-file", "passphrase"],
        ]
        .concat(),
    )?;
    screen.step(
        "pki",
        "root CA, and below it the CAs for signers, the factory, devices, servers and operators; their keys are encrypted",
        &json!({}),
    );
    std::fs::create_dir_all(world.path("people")).map_err(Failure::io("make a folder for keys"))?;
    for person in PEOPLE {
        let (key, public) = (
            format!("people/{person}.key"),
            format!("people/{person}.pub"),
        );
        let passphrase = ["--passphrase-file", "passphrase"];
        world.succeed(
            "repo-tool",
            &[&["keygen", &key, "--public", &public][..], &passphrase].concat(),
        )?;
        let certify = [
            "issue-signer",
            "pki",
            "--name",
            person,
            "--public-key",
            &public,
        ];
        let roles = [
            "--role",
            "root",
            "--role",
            "targets",
            "--role",
            "delegated:router-x",
        ];
        world.succeed("device-pki", &[&certify[..], &roles, &passphrase].concat())?;
    }
    let text = "alice, bob and carol: own Ed25519 keys, own certificates that name the roles they may sign";
    screen.step("signers", text, &json!({"people": PEOPLE}));
    let passphrase = ["--passphrase-file", "passphrase"];
    world.succeed(
        "device-pki",
        &[
            &["issue-server", "pki", "--ip", "127.0.0.1"][..],
            &passphrase,
        ]
        .concat(),
    )?;
    let list = format!("serial\n{}\n", super::devices::SERIALS.join("\n"));
    std::fs::write(world.path("devices.csv"), list).map_err(Failure::io("write devices.csv"))?;
    world.succeed(
        "device-pki",
        &[
            &["provision", "pki", "--csv", "devices.csv"][..],
            &passphrase,
        ]
        .concat(),
    )?;
    publish_crls(world)?;
    screen.step(
        "devices",
        "an API server; identities from the factory for router-001 and router-002",
        &json!({}),
    );
    Ok(())
}

pub(super) fn repository(world: &World) -> Result<(), Failure> {
    let screen = world.screen();
    screen.chapter("2. A repository: threshold two of three, a delegated role for the product");
    let mut arguments = vec![
        "init",
        "repository",
        "--anchor",
        "pki/trust-anchor.pem",
        "--threshold",
        "2",
    ];
    arguments.extend(["--product", PRODUCT, "--product-threshold", "2"]);
    let chains = PEOPLE.map(|person| format!("pki/signers/{person}/chain.pem"));
    for chain in &chains {
        arguments.extend(["--root-signer", chain, "--product-signer", chain]);
    }
    world.succeed("repo-tool", &arguments)?;
    add_crls(world)?;
    for person in PEOPLE {
        sign(world, person)?;
    }
    publish(world)?;
    let text = "root, targets and router-x signed by all three; snapshot, timestamp and revocation lists by online keys";
    screen.step("repository", text, &json!({"threshold": 2, "signers": 3}));
    Ok(())
}

/// Stages a release.
pub(super) fn add_release(
    world: &World,
    version: &str,
    image: &str,
    notes: &str,
) -> Result<(), Failure> {
    let image = format!("rootfs=images/{image}");
    let arguments = [
        "add-release",
        "repository",
        "--json",
        "--product",
        PRODUCT,
        "--version",
        version,
    ];
    let more = [
        "--hardware",
        "rev-a",
        "--image",
        &image,
        "--notes",
        notes,
        "--deltas",
        "2",
    ];
    let ended = world
        .watch("repo-tool", &[&arguments[..], &more].concat())?
        .must_end(0, "")?;
    let facts = ended.json()?;
    let text = format!(
        "release {version} is staged in {:.1} s: {}",
        ended.seconds,
        forecast(&facts)
    );
    world.screen().step("add-release", &text, &facts);
    Ok(())
}

/// What a device will have to download, from the forecast of `repo-tool`.
fn forecast(facts: &Value) -> String {
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut text = String::new();
    for image in facts
        .get("images")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let full = number(image, "full_bytes");
        let whole = megabytes(number(image, "bytes"));
        text.push_str(&format!("image {whole}, full payload {}", megabytes(full)));
        for delta in image
            .get("deltas")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let from = delta
                .get("from_version")
                .and_then(Value::as_str)
                .unwrap_or("?");
            let size = number(delta, "bytes");
            let percent = size.saturating_mul(1000).checked_div(full).unwrap_or(0);
            let (ones, tenth) = (percent / 10, percent % 10);
            text.push_str(&format!(
                ", from {from} {} ({ones}.{tenth} % of full)",
                megabytes(size)
            ));
        }
    }
    text
}

/// Has one person sign what is staged.
pub(super) fn sign(world: &World, person: &str) -> Result<(), Failure> {
    let key = format!("people/{person}.key");
    let arguments = ["sign", "repository", "--key", &key, "--yes"];
    let passphrase = ["--passphrase-file", "passphrase"];
    let arguments = [arguments.as_slice(), &passphrase].concat();
    let ended = world.run("repo-tool", &arguments)?;
    if ended.code == 4 {
        // A thief has published there in the meantime: it is what the keepers repair, knowingly.
        let repair = [arguments.as_slice(), &["--repair"]].concat();
        return world.succeed("repo-tool", &repair).map(drop);
    }
    ended.must_end(0, "").map(drop)
}

/// Publishes what is staged.
pub(super) fn publish(world: &World) -> Result<(), Failure> {
    world
        .succeed("repo-tool", &["publish", "repository"])
        .map(drop)
}

/// Has two people sign, and publishes.
pub(super) fn release(
    world: &World,
    version: &str,
    image: &str,
    notes: &str,
    signers: [&str; 2],
) -> Result<(), Failure> {
    add_release(world, version, image, notes)?;
    for person in signers {
        sign(world, person)?;
    }
    publish(world)?;
    let text = format!(
        "signed by {}, then by {}; published",
        signers[0], signers[1]
    );
    world
        .screen()
        .step("sign", &text, &json!({"signers": signers}));
    Ok(())
}

/// Has the CAs issue their revocation lists anew.
pub(super) fn publish_crls(world: &World) -> Result<(), Failure> {
    world
        .succeed(
            "device-pki",
            &["crl", "pki", "--passphrase-file", "passphrase"],
        )
        .map(drop)
}

/// Has the product's role signed again, as it is, by two people.
pub(super) fn sign_again(world: &World, signers: [&str; 2]) -> Result<(), Failure> {
    world.succeed("repo-tool", &["renew", "repository", PRODUCT])?;
    for person in signers {
        sign(world, person)?;
    }
    publish(world)?;
    let text = format!(
        "{} and {} sign the release instead; published",
        signers[0], signers[1]
    );
    world
        .screen()
        .step("sign", &text, &json!({"signers": signers}));
    Ok(())
}

/// Stages the revocation lists for the devices.
pub(super) fn add_crls(world: &World) -> Result<(), Failure> {
    let folder = world.path("pki/crl");
    let entries = std::fs::read_dir(&folder).map_err(Failure::io("list the revocation lists"))?;
    let lists: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect();
    for list in &lists {
        // Lists of CAs that issue no signers are not for the repository; the server reads them itself.
        let ended = world.run("repo-tool", &["add-crl", "repository", list])?;
        if ended.code != 0 && !ended.stderr.contains("is not known here") {
            return ended.must_end(0, "").map(drop);
        }
    }
    Ok(())
}
