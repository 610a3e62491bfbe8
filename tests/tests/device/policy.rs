//! What the owner, the integrator's hooks and people say, against the whole agent.

use std::os::unix::fs::PermissionsExt as _;

use updater::error::Error;
use updater::install::PayloadKind;
use updater::progress::{Progress, Silent};
use updater::slot::SlotName;
use updater::stop::Stop;
use updater::{Asked, Outcome};

use super::world::{World, holds, image};

impl World {
    pub(crate) fn configure(&self, text: &str) {
        let folder = self.path("device/updater.d");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("50-policy.toml"), text).unwrap();
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.path("device/hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn by_person(&self, retry: bool) -> Result<Outcome, Error> {
        let asked = Asked::ByPerson { retry };
        self.updater().run(self.now, asked, &mut Silent).await
    }

    /// What the next run waits for.
    async fn waits(&self) -> String {
        match self.once().await.unwrap() {
            Outcome::Held { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    fn told(&self) -> Vec<String> {
        let entries = self.updater().history().entries().unwrap();
        entries.into_iter().map(|entry| entry.what).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_its_owner() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 100_000));
    world.configure("[policy]\nautomatic = 'none'");
    assert!(world.waits().await.contains("nobody has consented"));
    // Waiting is told once.
    assert!(world.waits().await.contains("nobody has consented"));
    assert_eq!(world.told(), ["held", "opted-out"]);
    let version = world.updater().consent(None, false, world.now).unwrap();
    assert_eq!(version.to_string(), "1.0.0");

    let until = world.updater().postpone(3600, world.now).unwrap().unwrap();
    assert_eq!(until, world.now.plus_seconds(3600));
    assert!(world.waits().await.contains("put off until"));
    assert!(matches!(
        world.updater().postpone(u64::MAX, world.now),
        Err(Error::NotNow { .. })
    ));
    let inhibit = world.path("device/inhibit");
    std::fs::create_dir_all(&inhibit).unwrap();
    world.configure("[policy]\ninhibit = 'inhibit'");
    std::fs::write(inhibit.join("surgery"), "patient on the table\nmore\n").unwrap();
    assert_eq!(
        world.waits().await,
        "surgery forbids it: patient on the table"
    );
    // A person is past the postponement, and not past the file.
    assert!(matches!(
        world.by_person(false).await,
        Ok(Outcome::Held { .. })
    ));
    std::fs::remove_file(inhibit.join("surgery")).unwrap();
    assert!(world.waits().await.contains("put off"));
    assert!(matches!(
        world.by_person(false).await,
        Ok(Outcome::Armed { .. })
    ));
    let told = world.told();
    assert_eq!(told.last().unwrap(), "installed");
    assert!(told.contains(&"postponed".to_owned()) && told.contains(&"consented".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metered_link_brings_deltas_and_never_a_full_image() {
    let world = World::new().await;
    let first = image(1, 1_000_000);
    world.release("1.0.0", &first);
    world.update().await;
    world.configure("[policy]\nmetered = 'delta-only'\nmetered_command = ['true']");
    let mut second = first.clone();
    second.splice(500_000..500_000, image(2, 5000));
    world.release("1.1.0", &second);
    let (_, kind, _) = world.update().await;
    assert_eq!(kind, PayloadKind::Delta);

    // What runs is not what the delta starts from: it fails, and the full image is not taken in its place.
    let mut third = second.clone();
    third.splice(100_000..100_000, image(3, 5000));
    world.release("1.2.0", &third);
    let running = world.path("device/a.img");
    let mut bytes = std::fs::read(&running).unwrap();
    bytes[700_000] ^= 1;
    std::fs::write(&running, &bytes).unwrap();
    for _ in 0..2 {
        assert!(matches!(world.once().await, Err(Error::Payload { .. })));
    }
    // The release is not fetched anew at each poll.
    assert!(world.waits().await.contains("it was refused before"));
    // By another link it is, after as many failures as are configured, which are counted over runs.
    world.configure("[policy]\ndelta_attempts = 4");
    assert!(matches!(
        world.by_person(false).await,
        Err(Error::Payload { .. })
    ));
    let outcome = world.by_person(false).await.unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::Armed {
                kind: PayloadKind::Full,
                ..
            }
        ),
        "{outcome:?}"
    );
}

/// A mirror that damages every payload does not cost the device its delta once it is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_mirror_does_not_spend_a_delta() {
    let world = World::new().await;
    let first = image(1, 1_000_000);
    world.release("1.0.0", &first);
    world.update().await;
    let mut second = first.clone();
    second.splice(500_000..500_000, image(2, 50_000));
    world.release("1.1.0", &second);
    let mut damaged = Vec::new();
    let mut folders = vec![world.path("repository/published/targets")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let good = std::fs::read(&path).unwrap();
            if good.len() > 20_000 {
                let mut bad = good.clone();
                bad[good.len() / 2] ^= 1;
                std::fs::write(&path, bad).unwrap();
                damaged.push((path, good));
            }
        }
    }
    assert!(damaged.len() >= 3, "two full payloads and a delta");
    assert!(matches!(world.once().await, Err(Error::Payload { .. })));
    for (path, good) in damaged {
        std::fs::write(path, good).unwrap();
    }
    assert_eq!(world.update().await.1, PayloadKind::Delta);
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_say_later_or_no_and_are_told_what_was_left() {
    let world = World::new().await;
    let good = image(1, 300_000);
    world.release("1.0.0", &good);
    world.update().await;
    world.release("1.1.0", &image(2, 300_000));
    world.hook(
        "pre-download.d/10-battery",
        "echo \"$UPDATER_VERSION over $UPDATER_RUNNING_VERSION\"; exit 21",
    );
    let why = world.waits().await;
    assert!(
        why.contains("pre-download.d/10-battery says later") && why.contains("1.1.0 over 1.0.0"),
        "{why}"
    );
    world.hook("pre-download.d/10-battery", "exit 0");
    world.hook("pre-install.d/10-door", "echo the door is open >&2; exit 1");
    let error = world.once().await.unwrap_err();
    assert!(
        matches!(&error, Error::Hook { how, .. } if how.contains("the door is open")),
        "{error}"
    );
    // Nothing was written: there is still a firmware to go back to, were it known.
    assert!(world.updater().state().previous.is_some());
    world.hook("pre-install.d/10-door", "exit 0");
    let left = world.path("device/left");
    world.hook(
        "rollback.d/10-tell",
        &format!(
            "echo \"$UPDATER_FAILED_VERSION $UPDATER_WHY\" > {}",
            left.display()
        ),
    );
    world.hook("post-install.d/10-seal", "exit 21");
    let why = world.waits().await;
    assert!(why.contains("post-install.d"), "{why}");
    world.hook("post-install.d/10-seal", "[ -f \"$UPDATER_IMAGE_ROOTFS\" ]");
    assert!(matches!(
        world.once().await.unwrap(),
        Outcome::Armed { downloaded: 0, .. }
    ));
    world.health_check("[ $UPDATER_VERSION = 1.0.0 ]");
    world.restart();
    assert!(matches!(world.once().await, Err(Error::TrialFailed { .. })));
    world.restart();
    world.once().await.unwrap();
    let text = std::fs::read_to_string(&left).unwrap();
    assert!(
        text.starts_with("1.1.0 health check 10-check failed"),
        "{text}"
    );
    // A person wants it to be tried again.
    assert!(matches!(
        world.by_person(false).await,
        Ok(Outcome::NothingToDo { .. })
    ));
    assert!(matches!(
        world.by_person(true).await,
        Ok(Outcome::Armed { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_goes_back_and_is_not_updated_again() {
    let world = World::new().await;
    let (first, second) = (image(1, 300_000), image(2, 300_000));
    world.release("1.0.0", &first);
    world.update().await;
    assert!(matches!(
        world.updater().roll_back("", world.now),
        Err(Error::NoWayBack(_))
    ));
    world.release("1.1.0", &second);
    world.update().await;
    let outcome = world
        .updater()
        .roll_back("the radio is worse", world.now)
        .unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::AwaitingRestart {
                slot: SlotName::B,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(world.restart(), SlotName::B);
    assert!(matches!(
        world.once().await.unwrap(),
        Outcome::Committed {
            slot: SlotName::B,
            ..
        }
    ));
    let outcome = world.once().await.unwrap();
    assert!(
        matches!(&outcome, Outcome::NothingToDo { why, .. } if why.contains("the radio is worse")),
        "{outcome:?}"
    );
    assert!(holds(&world.slot(SlotName::B), &first));

    // What is armed can be given up.
    world.release("1.2.0", &image(3, 300_000));
    assert!(matches!(world.once().await.unwrap(), Outcome::Armed { .. }));
    assert!(matches!(
        world.updater().give_up(world.now).unwrap(),
        Outcome::Left { .. }
    ));
    assert_eq!(world.restart(), SlotName::B);
    assert!(world.updater().give_up(world.now).is_err());
    // The slot of the firmware before was written: no way back.
    let error = world.updater().roll_back("", world.now).unwrap_err();
    assert!(matches!(error, Error::NoWayBack(_)), "{error}");
}

/// Stops the run once so much has been applied.
struct Stopping(Stop, u64);

impl Progress for Stopping {
    fn begin(&mut self, _what: &str, _payload_bytes: u64) {}
    fn advance(&mut self, done: u64) {
        if done >= self.1 {
            self.0.stop();
        }
    }
    fn end(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_goes_on_where_it_was() {
    let world = World::new().await;
    let new = image(1, 12_000_000);
    world.release("1.0.0", &new);
    let mut updater = world.updater();
    let mut stopping = Stopping(updater.stop().clone(), 6_000_000);
    let stopped = updater.once(world.now, &mut stopping).await;
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    drop(updater);
    let Outcome::Armed { downloaded, .. } = world.once().await.unwrap() else {
        panic!()
    };
    assert!(downloaded < 8_000_000, "{downloaded}");
    assert!(holds(&world.slot(SlotName::B), &new));
    assert_eq!(world.told(), ["stopped", "installed"]);
}
