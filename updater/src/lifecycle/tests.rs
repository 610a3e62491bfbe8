//! The table of the lifecycle, walked through.

use super::*;

const NOW: Timestamp = Timestamp::EPOCH;

fn firmware(version: &str, security_version: u64) -> Firmware {
    let manifest = Some(Sha256Digest::of(version.as_bytes()));
    Firmware {
        version: version.parse().unwrap(),
        security_version,
        manifest,
        images: BTreeMap::new(),
    }
}

fn after(events: Vec<Event>) -> (State, Action) {
    let mut state = (
        State::factory(firmware("1.0.0", 1), SlotName::A),
        Action::None,
    );
    for event in events {
        state = state.0.step(event, NOW).unwrap();
    }
    state
}

fn armed() -> Event {
    Event::Armed {
        boot: "before".to_owned(),
    }
}

fn boot(slot: SlotName) -> Event {
    Event::Boot {
        slot,
        boot: "after".to_owned(),
    }
}

fn begin() -> Event {
    Event::Begin {
        new: firmware("2.0.0", 2),
        slot: SlotName::B,
    }
}

#[test]
fn installs_tries_and_keeps() {
    let (state, action) = after(vec![
        begin(),
        Event::Staged,
        armed(),
        boot(SlotName::B),
        Event::Healthy,
    ]);
    assert_eq!(action, Action::Commit(SlotName::B));
    assert_eq!(state.slot, SlotName::A, "not before the boot loader knows");
    let (state, _) = state.step(Event::Committed, NOW).unwrap();
    assert_eq!(
        (state.slot, state.running.version.to_string()),
        (SlotName::B, "2.0.0".to_owned())
    );
    assert_eq!((state.security_floor, state.installation), (2, Stage::Idle));
}

#[test]
fn a_trial_that_does_not_start_is_a_failure() {
    let (state, action) = after(vec![begin(), Event::Staged, armed(), boot(SlotName::A)]);
    assert_eq!(action, Action::Discard(SlotName::B));
    assert_eq!(
        (state.slot, state.security_floor, state.failed.len()),
        (SlotName::A, 1, 1)
    );
}

#[test]
fn a_bad_trial_is_rolled_back_until_the_old_slot_has_booted() {
    let bad = Event::Unhealthy {
        why: "no network".to_owned(),
    };
    let start = vec![begin(), Event::Staged, armed(), boot(SlotName::B), bad];
    let (state, action) = after(start);
    assert_eq!(action, Action::RollBack(SlotName::B));
    // The power fails before the slot is unbootable: the new slot boots again, and is not judged a second time.
    let (state, action) = state.step(boot(SlotName::B), NOW).unwrap();
    assert_eq!(action, Action::RollBack(SlotName::B));
    let (state, action) = state.step(boot(SlotName::A), NOW).unwrap();
    assert_eq!(action, Action::Discard(SlotName::B));
    assert_eq!(
        state
            .failed
            .iter()
            .map(|f| f.why.as_str())
            .collect::<Vec<_>>(),
        ["no network"]
    );
}

#[test]
fn power_cuts_between_state_and_boot_loader_are_understood() {
    // Staged, cut before arming: the old slot boots, and arming is done now.
    let (state, action) = after(vec![begin(), Event::Staged, boot(SlotName::A)]);
    assert_eq!(
        (state.installation.name(), action),
        ("staged", Action::Arm(SlotName::B))
    );
    // Armed, cut before that was stored: the new slot boots.
    let (state, action) = after(vec![begin(), Event::Staged, boot(SlotName::B)]);
    assert_eq!(
        (state.installation.name(), action),
        ("trial", Action::Judge)
    );
    // Cut in a trial before it was judged.
    let trial = vec![
        begin(),
        Event::Staged,
        armed(),
        boot(SlotName::B),
        boot(SlotName::B),
    ];
    assert_eq!(after(trial).1, Action::Judge);
    // Cut while writing: the old slot boots, and the installation goes on or begins again.
    let (state, action) = after(vec![begin(), boot(SlotName::A)]);
    assert_eq!(
        (state.installation.name(), action),
        ("installing", Action::Keep(SlotName::A))
    );
}

#[test]
fn nothing_has_failed_as_long_as_nothing_was_restarted() {
    let same = Event::Boot {
        slot: SlotName::A,
        boot: "before".to_owned(),
    };
    let (state, action) = after(vec![begin(), Event::Staged, armed(), same]);
    assert_eq!(
        (state.installation.name(), action),
        ("armed", Action::AwaitRestart(SlotName::B))
    );
}

#[test]
fn a_boot_loader_that_goes_astray_is_followed() {
    let (state, _) = after(vec![
        begin(),
        Event::Staged,
        armed(),
        boot(SlotName::B),
        Event::Healthy,
        Event::Committed,
    ]);
    let (state, action) = state.step(boot(SlotName::A), NOW).unwrap();
    assert_eq!(action, Action::Arm(SlotName::B));
    assert_eq!(
        (
            state.running.version.to_string().as_str(),
            state.security_floor
        ),
        ("1.0.0", 2)
    );
    // The slot cannot be used any more: the device goes on with what runs.
    let (state, _) = state.step(Event::Abandoned, NOW).unwrap();
    let (state, action) = state.step(boot(SlotName::A), NOW).unwrap();
    assert_eq!(
        (state.slot, action),
        (SlotName::A, Action::Keep(SlotName::A))
    );
}

#[test]
fn a_cut_while_committing_is_understood() {
    let (state, _) = after(vec![
        begin(),
        Event::Staged,
        armed(),
        boot(SlotName::B),
        Event::Healthy,
    ]);
    let (_, action) = state.clone().step(boot(SlotName::B), NOW).unwrap();
    assert_eq!(action, Action::Commit(SlotName::B));
    let (state, action) = state.step(boot(SlotName::A), NOW).unwrap();
    assert_eq!(
        (state.failed.len(), action),
        (1, Action::Discard(SlotName::B))
    );
}

#[test]
fn never_installs_over_the_running_slot() {
    let state = State::factory(firmware("1.0.0", 1), SlotName::A);
    let event = Event::Begin {
        new: firmware("2.0.0", 2),
        slot: SlotName::A,
    };
    assert!(state.step(event, NOW).is_err());
}

fn committed() -> State {
    let mut events = vec![begin(), Event::Staged, armed(), boot(SlotName::B)];
    events.extend([Event::Healthy, Event::Committed]);
    after(events).0
}

fn back() -> Event {
    Event::Return {
        why: "the radio is worse".to_owned(),
    }
}

#[test]
fn a_person_goes_back_if_nothing_forbids_it() {
    let mut state = committed();
    let refused = |state: &State| state.way_back().unwrap_err().to_string();
    assert!(refused(&state).contains("1.0.0 has security version 1, below 2"));
    assert!(state.clone().step(back(), NOW).is_err());
    state.security_floor = 1;
    assert!(refused(&state).contains("nothing is known of the images"));
    let image = ImageRef {
        length: 1,
        sha256: Sha256Digest::of(b"1"),
    };
    let images: BTreeMap<_, _> = [("rootfs".parse().unwrap(), image)].into();
    state.previous.as_mut().unwrap().images = images.clone();
    let (state, action) = state.step(back(), NOW).unwrap();
    assert_eq!(action, Action::Arm(SlotName::A));
    assert_eq!(state.failed[0].version.to_string(), "2.0.0");
    let (state, _) = state.step(armed(), NOW).unwrap();
    let (state, action) = state.step(boot(SlotName::A), NOW).unwrap();
    assert_eq!(action, Action::Judge);
    let (state, _) = state.step(Event::Healthy, NOW).unwrap();
    let (mut state, _) = state.step(Event::Committed, NOW).unwrap();
    assert_eq!(state.running.version.to_string(), "1.0.0");
    assert_eq!(state.slot, SlotName::A);
    assert!(state.forgive(&BTreeMap::new()) && state.failed.is_empty());
    state.previous = None;
    assert!(refused(&state).contains("no firmware before"));
}

#[test]
fn what_is_armed_can_be_given_up_and_has_not_failed() {
    let (state, action) = after(vec![begin(), Event::Staged, armed(), Event::Abandoned]);
    assert_eq!(action, Action::Discard(SlotName::B));
    assert!(state.failed.is_empty() && state.installation == Stage::Idle);
}

/// The table of the documentation is the one in the code: `UPDATE_DOCS=1` writes it.
#[test]
fn the_documentation_has_this_table() {
    let mut rows = String::from(
        "| at | what happens | then | what is done | meaning |\n|---|---|---|---|---|\n",
    );
    for row in &table::TABLE {
        let at: Vec<&str> = row.at.iter().map(|at| at.name()).collect();
        let to = match row.to {
            To::Stay => "the same".to_owned(),
            To::Go(to) => to.name().to_owned(),
            To::Kept => "idle, the new firmware committed".to_owned(),
            To::Failed => "idle, the new firmware failed".to_owned(),
            To::Astray => "staged, the committed firmware".to_owned(),
        };
        let then = match row.then {
            Do::Nothing => "nothing",
            Do::Arm => "arm the slot",
            Do::AwaitRestart => "wait for the restart",
            Do::Judge => "run the health checks",
            Do::Keep => "make sure that the running slot is the one that boots",
            Do::Commit => "tell the boot loader",
            Do::Discard => "make the slot unbootable",
            Do::RollBack => "make the slot unbootable, restart",
        };
        rows.push_str(&format!(
            "| {} | {} | {to} | {then} | {} |\n",
            at.join(", "),
            row.on,
            row.meaning
        ));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/LIFECYCLE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- table -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}<!-- table -->\n{rows}<!-- end -->{after}");
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(
        found, rows,
        "UPDATE_DOCS=1 cargo test -p updater the_documentation_has_this_table"
    );
}

/// No stage and event has two transitions, and every stage can be left.
#[test]
fn the_table_is_a_function() {
    let mut seen = Vec::new();
    for row in &table::TABLE {
        assert!(!row.at.is_empty() && !row.meaning.is_empty());
        for at in row.at {
            assert!(!seen.contains(&(*at, row.on)), "{at:?} {:?}", row.on);
            seen.push((*at, row.on));
        }
    }
    for at in seen.iter().map(|(at, _)| *at) {
        assert!(table::row_of(at, On::Old).is_some() && table::row_of(at, On::New).is_some());
    }
}

proptest::proptest! {
    /// Whatever happens in whatever order: the security floor never falls, and a start is always understood.
    #[test]
    fn invariants_hold_for_all_orders(choices in proptest::collection::vec(0_u8..10, 0..40)) {
        let mut state = State::factory(firmware("1.0.0", 1), SlotName::A);
        for choice in choices {
            let other = state.slot.other();
            let event = match choice {
                0 => Event::Begin { new: firmware("2.0.0", 2), slot: other },
                1 => Event::Abandoned,
                2 => Event::Staged,
                3 => armed(),
                4 => boot(SlotName::A),
                5 => boot(SlotName::B),
                6 => Event::Healthy,
                7 => Event::Committed,
                8 => Event::Return { why: "worse".to_owned() },
                _ => Event::Unhealthy { why: "bad".to_owned() },
            };
            let start = matches!(event, Event::Boot { .. });
            let result = state.clone().step(event, NOW);
            proptest::prop_assert!(!start || result.is_ok(), "{:?}", result);
            if let Ok((after, _)) = result {
                proptest::prop_assert!(after.security_floor >= state.security_floor);
                proptest::prop_assert!(after.running.security_version <= after.security_floor);
                state = after;
            }
        }
    }
}
