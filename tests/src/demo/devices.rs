//! The server and the devices.

use std::path::Path;
use std::time::{Duration, Instant};

use device_pki::{Allowed, Clock, Identity, RevocationPolicy, Revocations, TrustAnchor, channel};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::keepers::PRODUCT;
use super::{Ended, Failure, World};

/// Serial numbers of the devices.
pub(super) const SERIALS: [&str; 2] = ["router-001", "router-002"];
/// Size of each slot, in bytes.
const SLOT: u64 = 96 * 1024 * 1024;
/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn server(world: &mut World) -> Result<(), Failure> {
    let listen = format!("127.0.0.1:{}", world.port());
    let configuration = server_configuration(world, &listen);
    std::fs::write(world.path("server.toml"), configuration)
        .map_err(Failure::io("write server.toml"))?;
    let arguments = ["serve", "--config", "server.toml"];
    std::fs::create_dir_all(world.path("server"))
        .map_err(Failure::io("make the server's folder"))?;
    let script = format!(
        "#!/bin/sh\nexec {} {}\n",
        world.program("api-server").display(),
        arguments.join(" ")
    );
    std::fs::write(world.path("server.sh"), script).map_err(Failure::io("write server.sh"))?;
    world.start_server(&arguments)?;
    let begin = Instant::now();
    while std::net::TcpStream::connect(&listen).is_err() {
        if begin.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(world.path("api-server.log")).unwrap_or_default();
            return Err(Failure::Other(format!(
                "the API server does not listen:\n{log}"
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    world.succeed(
        "api-server",
        &[
            "devices",
            "--data",
            "server",
            "allow",
            "--csv",
            "devices.csv",
        ],
    )?;
    let text = format!("API server on {listen}: TLS 1.3, both sides show certificates");
    world
        .screen()
        .step("server", &text, &json!({"listen": listen}));
    Ok(())
}

/// The server has the CA that certifies devices, and enrols them on a listener of its own.
fn server_configuration(world: &World, listen: &str) -> String {
    format!(
        r#"listen = "{listen}"
repository = "repository/published"
data = "server"
anchor = "pki/trust-anchor.pem"
certificate = "pki/servers/127.0.0.1/chain.pem"
key = "pki/servers/127.0.0.1/key.pem"
crls = ["pki/crl"]

[est]
listen = "127.0.0.1:{}"
ca = "pki/device-issuing-ca/ca.pem"
key = "pki/device-issuing-ca/ca.key.pem"
passphrase_file = "passphrase"
organisation = {{ name = "Example", domain = "example.com", namespace = "example" }}
"#,
        world.enrolment_port()
    )
}

/// The devices get their certificates: each makes a key, and proves by its identity from the factory which device it is.
pub(super) fn enrol(world: &World) -> Result<(), Failure> {
    for serial in SERIALS {
        let ended = updater_for_people(world, serial, &["enrol"])?;
        let ended = ended.must_end(0, "has a new certificate")?;
        world.screen().note(&ended.stdout);
    }
    let text = "both made a key and got a certificate for 90 days, which they renew by themselves";
    world
        .screen()
        .step("enrol", text, &json!({"devices": SERIALS}));
    Ok(())
}

/// What the factory does: slots, boot loader, trust anchor, root metadata, identity, configuration.
pub(super) fn provision(world: &World) -> Result<(), Failure> {
    world
        .screen()
        .chapter("3. Two devices leave the factory with one trust anchor: the root CA");
    for serial in SERIALS {
        let folder = world.path(&format!("devices/{serial}"));
        let hooks = folder.join("hooks/health.d/required");
        std::fs::create_dir_all(&hooks).map_err(Failure::io("make a device's folder"))?;
        for slot in ["slot-a.img", "slot-b.img"] {
            let file =
                std::fs::File::create(folder.join(slot)).map_err(Failure::io("make a slot"))?;
            file.set_len(SLOT).map_err(Failure::io("size a slot"))?;
        }
        let write = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text).map_err(Failure::io(format!("write {name}")))
        };
        write("updater.toml", &configuration(world, serial))?;
        write("hooks/health.d/required/10-updater-starts", HEALTH_CHECK)?;
        executable(&folder.join("hooks/health.d/required/10-updater-starts"))?;
        for (from, to) in [
            ("pki/trust-anchor.pem".to_owned(), "trust-anchor.pem"),
            (
                "repository/published/metadata/1.root.json".to_owned(),
                "root.json",
            ),
            (format!("pki/factory/{serial}/chain.pem"), "idevid.pem"),
            (format!("pki/factory/{serial}/key.pem"), "idevid.key"),
        ] {
            std::fs::copy(world.path(&from), folder.join(to))
                .map_err(Failure::io(format!("copy {from}")))?;
        }
        updater::boot::simulated::Simulated::install(&folder.join("boot.json"))
            .map_err(|e| Failure::Other(e.to_string()))?;
    }
    let text = "router-001 and router-002: factory firmware 0.9.0 in slot A, slot B empty";
    world
        .screen()
        .step("provision", text, &json!({"devices": SERIALS}));
    Ok(())
}

/// The new firmware's own updater must start.
const HEALTH_CHECK: &str = r#"#!/bin/sh
# Firmware that cannot update itself is not kept: its updater must start.
program=$(mktemp) && trap 'rm -f "$program"' EXIT
if tar -xOf "$UPDATER_IMAGE_ROOTFS" usr/sbin/updater > "$program" 2>/dev/null; then
    chmod +x "$program" && "$program" --version > /dev/null 2>&1
else
    # Not one of the demo's own images: release 1.2.0 stands for the bad one.
    [ "$UPDATER_VERSION" != 1.2.0 ]
fi
"#;

fn configuration(world: &World, _serial: &str) -> String {
    let base = format!("https://127.0.0.1:{}", world.port());
    let enrolment = world.enrolment_port();
    format!(
        r#"[device]
product = "{PRODUCT}"
hardware = "rev-a"
channel = "stable"

[server]
metadata = "{base}/repository/metadata"
targets = "{base}/repository/targets"
reports = "{base}/v1/reports"

[trust]
anchor = "trust-anchor.pem"
root = "root.json"

[identity]
est = "https://127.0.0.1:{enrolment}"
idevid = {{ certificate = "idevid.pem", key = "idevid.key" }}

[slots.rootfs]
a = "slot-a.img"
b = "slot-b.img"

[boot]
backend = "simulated"
path = "boot.json"

[factory]
version = "0.9.0"
build_time = "2026-01-01T00:00:00Z"
"#
    )
    .replacen(
        "[device]",
        "state = \"state\"\nhooks = \"hooks\"\n\n[device]",
        1,
    )
}

fn executable(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(Failure::io("make a hook executable"))
}

/// Runs the updater of a device.
pub(super) fn updater(world: &World, serial: &str, command: &[&str]) -> Result<Ended, Failure> {
    let config = format!("devices/{serial}/updater.toml");
    world.run(
        "updater",
        &[&["--config", &config, "--json"][..], command].concat(),
    )
}

/// Runs `updater once` with its progress on the terminal, if there is one.
pub(super) fn watched(world: &World, serial: &str) -> Result<Ended, Failure> {
    let config = format!("devices/{serial}/updater.toml");
    world.watch("updater", &["--config", &config, "--json", "once"])
}

/// The same as a person sees it.
pub(super) fn updater_for_people(
    world: &World,
    serial: &str,
    command: &[&str],
) -> Result<Ended, Failure> {
    let config = format!("devices/{serial}/updater.toml");
    world.run("updater", &[&["--config", &config][..], command].concat())
}

/// Switches a device off and on.
pub(super) fn restart(world: &World, serial: &str) -> Result<String, Failure> {
    let ended = updater(world, serial, &["simulate", "power-on"])?.must_end(0, "")?;
    let slot = ended
        .json()?
        .get("booted")
        .and_then(|slot| slot.as_str().map(str::to_owned));
    slot.ok_or_else(|| Failure::Other("the boot loader does not say what it started".to_owned()))
}

/// The two devices talk to each other.
pub(super) fn channel(world: &World) -> Result<(), Failure> {
    world.screen().chapter("8. The devices talk to each other");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::io("start the runtime"))?;
    let (listening, calling) = runtime.block_on(talk(world))?;
    let text = format!(
        "{calling} called, {listening} answered: both proved who they are, nobody in between"
    );
    world.screen().step(
        "channel",
        &text,
        &json!({"listening": listening, "calling": calling}),
    );
    Ok(())
}

async fn talk(world: &World) -> Result<(String, String), Failure> {
    let other = |e: device_pki::Error| Failure::Other(e.to_string());
    let identity = |serial: &str| {
        let current = format!("devices/{serial}/state/identity/current.pem");
        Identity::load_bundle(&world.path(&current)).map_err(other)
    };
    let (first, second) = (identity(SERIALS[0])?, identity(SERIALS[1])?);
    let anchor = std::fs::read(world.path("pki/trust-anchor.pem"))
        .map_err(Failure::io("read the trust anchor"))?;
    let trust = device_pki::Trust {
        anchor: TrustAnchor::from_pem(&anchor).map_err(other)?,
        revocations: std::sync::Arc::new(Revocations::new(Vec::new())),
        policy: RevocationPolicy::Available,
        clock: Clock::AtLeast(Clock::System.now()),
    };
    let urn = first
        .device()
        .ok_or_else(|| Failure::Other("a device has no URN".to_owned()))?;
    let caller = second
        .device()
        .ok_or_else(|| Failure::Other("a device has no URN".to_owned()))?;
    let allowed = Allowed::default().device(caller);
    let (left, right) = tokio::io::duplex(64 * 1024);
    let (accepted, connected) = tokio::join!(
        channel::accept(left, &first, &trust, std::sync::Arc::new(allowed)),
        channel::connect(right, &second, &trust, &urn)
    );
    let (mut accepted, mut connected) = (accepted.map_err(other)?, connected.map_err(other)?);
    let failed = |e: std::io::Error| Failure::Other(format!("the channel broke: {e}"));
    connected.write_all(b"temperature?").await.map_err(failed)?;
    connected.flush().await.map_err(failed)?;
    let mut heard = [0; 12];
    accepted.read_exact(&mut heard).await.map_err(failed)?;
    if &heard != b"temperature?" {
        return Err(Failure::Other(
            "the channel changed what was said".to_owned(),
        ));
    }
    Ok((
        connected.peer().urn().to_string(),
        accepted.peer().urn().to_string(),
    ))
}

/// What the server knows by now.
pub(super) fn reports(world: &World) -> Result<(), Failure> {
    world.screen().chapter("10. What the server knows");
    let ended = world.succeed("api-server", &["devices", "--data", "server"])?;
    for serial in SERIALS {
        if !ended.stdout.contains(serial) {
            let found = ended.stdout.clone();
            return Err(Failure::Step {
                step: ended.command,
                expected: format!("{serial} in the registry"),
                found,
            });
        }
    }
    world.screen().step(
        "reports",
        "the devices have reported, each under the name in its certificate",
        &json!({}),
    );
    world.screen().note(&ended.stdout);
    Ok(())
}
