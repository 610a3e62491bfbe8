//! The audit log: what stands in it, what damages it, and what joins it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use repo_tool::audit::{Action, Joined};
use repo_tool::{Error, Offer, Repository, silent};

use crate::support::{World, copy_of, image, now, release, sign};

fn actions(repository: &Repository) -> Vec<Action> {
    repository
        .audit()
        .unwrap()
        .lines
        .iter()
        .map(|line| line.action)
        .collect()
}

fn stage(repository: &Repository, version: &str) {
    repository
        .stage_release(&release(version, &image(1)), now(), &silent)
        .unwrap();
}

#[test]
fn every_step_is_written_down_with_its_certificate() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let repository = repository.by(Some("rm".to_owned()));
    let before = repository.audit().unwrap().lines.len();
    stage(&repository, "1.0.0");
    let id = repository.show().unwrap().id.unwrap().to_string();
    sign(&repository, &alice, now());
    sign(&repository, &alice, now());
    let (_b, bobs) = copy_of(&repository);
    sign(&bobs, &bob, now());
    repository
        .merge(&[Offer::Path(bobs.layout().signatures())], now())
        .unwrap();
    repository.publish(now()).unwrap();
    repository.refresh(now(), true).unwrap();
    let trail = repository.audit().unwrap();
    let lines = &trail.lines[before..];
    let actions: Vec<Action> = lines.iter().map(|line| line.action).collect();
    assert_eq!(
        actions,
        [
            Action::Stage,
            Action::Sign,
            Action::Merge,
            Action::Publish,
            Action::Refresh
        ]
    );
    for line in &lines[1..4] {
        assert_eq!(
            line.event.as_deref(),
            Some(id.as_str()),
            "{:?}",
            line.action
        );
    }
    assert_eq!(lines[0].operator.as_deref(), Some("rm"));
    assert_eq!(lines[0].roles[0].sha256, lines[1].roles[0].sha256);
    let signer = &lines[1].roles[0].signers[0];
    assert_eq!(signer.name(), "Alice");
    assert_eq!(
        signer.serial.as_deref(),
        Some(alice.certificate.serial().to_string().as_str())
    );
    let published: Vec<&str> = lines[3]
        .roles
        .iter()
        .map(|role| role.role.as_str())
        .collect();
    assert_eq!(published, ["router-x", "snapshot", "timestamp"]);
    let names: Vec<String> = lines[3].roles[0]
        .signers
        .iter()
        .map(repo_tool::audit::SignerLine::name)
        .collect();
    assert_eq!(names.len(), 2);
    let head = trail.head.unwrap();
    assert_eq!(head.lines, trail.lines.len() as u64);
    assert_eq!(repository.status(now()).unwrap().audit, Some(head));
}

#[test]
fn a_changed_or_cut_log_is_named_by_its_line() {
    let (_world, repository, _) = World::published();
    repository.refresh(now(), true).unwrap();
    let path = repository.layout().audit();
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let bad = |text: String| {
        fs::write(&path, text).unwrap();
        match repository.audit() {
            Err(Error::Audit { line, .. }) => line,
            other => panic!("{other:?}"),
        }
    };
    // Another time in line 2: line 3 says so. A line that is gone, one that is twice, one that is no line.
    let edited = whole.replacen("\"n\":2,\"at\":\"2026", "\"n\":2,\"at\":\"2025", 1);
    assert_ne!(edited, whole);
    assert_eq!(bad(edited), 3);
    let without = |gone: usize| {
        let kept = lines.iter().enumerate().filter(|(n, _)| *n != gone);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    assert_eq!(bad(without(1)), 2);
    assert_eq!(bad(without(0)), 1);
    assert_eq!(
        bad(format!("{whole}{}\n", lines[0])),
        lines.len() as u64 + 1
    );
    assert_eq!(bad(format!("{whole}{{}}\n")), lines.len() as u64 + 1);
    assert_eq!(
        bad(whole.replacen("\"action\"", "\"action\":\"sign\",\"action\"", 1)),
        1
    );
}

#[test]
fn a_line_that_a_power_cut_left_is_dropped_and_told() {
    let (_world, repository, _) = World::published();
    let path = repository.layout().audit();
    let before = repository.audit().unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"n\":99,\"at\":\"20").unwrap();
    assert_eq!(repository.audit().unwrap().torn, 16);
    assert_eq!(repository.audit_head().unwrap(), before.head);
    repository.refresh(now(), true).unwrap();
    let after = repository.audit().unwrap();
    assert_eq!(after.torn, 0);
    let new: Vec<Action> = after.lines[before.lines.len()..]
        .iter()
        .map(|l| l.action)
        .collect();
    assert_eq!(new, [Action::Repair, Action::Refresh]);
    assert!(
        after.lines[before.lines.len()]
            .note
            .as_deref()
            .unwrap()
            .contains("16 bytes")
    );
}

#[test]
fn logs_of_copies_are_joined() {
    let (_world, repository, [alice, bob, carol]) = World::published();
    stage(&repository, "1.0.0");
    let (_b, bobs) = copy_of(&repository);
    let (_c, carols) = copy_of(&repository);
    sign(&bobs, &bob, now());
    let from = |copy: &Repository| Offer::Path(copy.layout().folder().to_owned());
    // Bob's log goes on where this one ends; Carol's forks from it.
    let report = repository.merge(&[from(&bobs)], now()).unwrap();
    assert_eq!(report.logs, [Joined::Continued { lines: 1 }]);
    sign(&repository, &alice, now());
    sign(&carols, &carol, now());
    let report = repository.merge(&[from(&carols)], now()).unwrap();
    let Joined::Forked {
        ours, theirs, file, ..
    } = &report.logs[0]
    else {
        panic!("{:?}", report.logs);
    };
    assert_eq!((*ours, *theirs), (3, 1));
    let trail = repository.audit().unwrap();
    assert_eq!(trail.joined[0].1[0].action, Action::Sign);
    assert_eq!(&trail.joined[0].0, file);
    // Once more, nothing new.
    let report = repository
        .merge(&[from(&carols), from(&bobs)], now())
        .unwrap();
    assert_eq!(report.logs, [Joined::Known, Joined::Known]);
    assert_eq!(
        actions(&repository)
            .iter()
            .filter(|a| **a == Action::Join)
            .count(),
        1
    );
    // What was joined is checked as well.
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, text.replace("2026", "2025")).unwrap();
    assert!(matches!(repository.audit(), Err(Error::Audit { .. })));
    fs::remove_file(file).unwrap();
    assert!(matches!(repository.audit(), Err(Error::Audit { .. })));
}
