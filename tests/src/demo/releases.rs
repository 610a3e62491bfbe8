//! Three releases: in full, as a delta, and one that does not start.

use serde_json::{Value, json};

use super::devices::{SERIALS, restart, updater, watched};
use super::images::{Images, length, megabytes};
use super::keepers::release;
use super::{Failure, World};

pub(super) fn first(world: &World, images: &Images) -> Result<(), Failure> {
    world
        .screen()
        .chapter("4. Release 1.0.0: installed in full");
    release(
        world,
        "1.0.0",
        "1.0.0.img",
        "First release",
        ["alice", "bob"],
    )?;
    for serial in SERIALS {
        install(world, serial, "1.0.0", "full", images)?;
        keep(world, serial, "1.0.0")?;
    }
    Ok(())
}

pub(super) fn second(world: &World, images: &Images) -> Result<(), Failure> {
    world
        .screen()
        .chapter("5. Release 1.1.0: comes as a delta, is tried, and stays");
    release(world, "1.1.0", "1.1.0.img", "New updater", ["bob", "carol"])?;
    for serial in SERIALS {
        install(world, serial, "1.1.0", "delta", images)?;
        keep(world, serial, "1.1.0")?;
    }
    Ok(())
}

pub(super) fn third(world: &World, images: &Images) -> Result<(), Failure> {
    let screen = world.screen();
    screen.chapter("6. Release 1.2.0: does not work, and is rolled back by the device itself");
    release(
        world,
        "1.2.0",
        "1.2.0.img",
        "Half of the updater is missing",
        ["alice", "carol"],
    )?;
    let serial = SERIALS[0];
    install(world, serial, "1.2.0", "delta", images)?;
    let slot = restart(world, serial)?;
    let tried = updater(world, serial, &["once"])?.must_end(7, "was not kept: health check")?;
    let text = format!("{serial} started 1.2.0 from slot {slot}; its health check failed");
    screen.step("trial", &text, &tried.json()?);
    let back = restart(world, serial)?;
    let ended = updater(world, serial, &["once"])?.must_end(0, "it failed here before")?;
    let text = format!("{serial} is back in slot {back} with 1.1.0, and does not try 1.2.0 again");
    screen.step("rolled-back", &text, &ended.json()?);
    if slot == back {
        let (expected, found) = (format!("another slot than {slot}"), back);
        return Err(Failure::Step {
            step: "the restart after the failed trial".to_owned(),
            expected,
            found,
        });
    }
    Ok(())
}

/// Has a device install a release, and checks by what kind of payload.
pub(super) fn install(
    world: &World,
    serial: &str,
    version: &str,
    kind: &str,
    images: &Images,
) -> Result<(), Failure> {
    let ended = watched(world, serial)?.must_end(0, "\"armed\"")?;
    let facts = ended.json()?;
    let text = |name: &str| {
        facts
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let downloaded = facts
        .get("downloaded")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    if text("payload") != kind || text("version") != version {
        let expected = format!("{version} by a {kind} payload");
        let found = format!("{} by a {} payload", text("version"), text("payload"));
        return Err(Failure::Step {
            step: ended.command,
            expected,
            found,
        });
    }
    let whole = length(&images.second)?;
    let percent = downloaded
        .saturating_mul(1000)
        .checked_div(whole)
        .unwrap_or(0);
    let says = format!(
        "{serial} verified, downloaded {} ({}.{} % of the image, {kind}) and wrote {version} to slot {} in {:.1} s",
        megabytes(downloaded),
        percent / 10,
        percent % 10,
        text("slot"),
        ended.seconds,
    );
    world.screen().step("install", &says, &facts);
    Ok(())
}

/// Restarts a device into new firmware, which must be well and stay.
pub(super) fn keep(world: &World, serial: &str, version: &str) -> Result<(), Failure> {
    let slot = restart(world, serial)?;
    updater(world, serial, &["once"])?.must_end(0, "\"committed\"")?;
    let text = format!("{serial} restarted from slot {slot}; {version} is well and stays");
    world.screen().step(
        "committed",
        &text,
        &json!({"device": serial, "slot": slot, "version": version}),
    );
    Ok(())
}
