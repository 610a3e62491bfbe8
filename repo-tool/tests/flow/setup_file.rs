//! A repository from a set-up file.

use std::fs;

use repo_tool::setup::{EXAMPLE, Setup};
use repo_tool::{Error, Repository};

use crate::support::{Person, World, later, now, sign_and_publish};

/// A world whose people lie as files beside the set-up.
fn desk(names: &[&str]) -> (World, Vec<Person>) {
    let mut world = World::new();
    let folder = world.folder.path().to_owned();
    fs::create_dir(folder.join("pki")).unwrap();
    fs::write(
        folder.join("pki/trust-anchor.pem"),
        world.root.certificate().pem(),
    )
    .unwrap();
    let people: Vec<Person> = names.iter().map(|name| world.person(name)).collect();
    for person in &people {
        let file = format!("{}.pem", person.holder.name());
        fs::write(folder.join(file), person.holder.pem_chain().concat()).unwrap();
    }
    (world, people)
}

fn read(world: &World, text: &str) -> repo_tool::Result<Setup> {
    let file = world.folder.path().join("setup.toml");
    fs::write(&file, text).unwrap();
    Setup::read(&file)
}

fn problems(world: &World, text: &str) -> Vec<String> {
    let error = read(world, text).unwrap().check(now()).unwrap_err();
    assert!(matches!(error, Error::Setup { .. }), "{error}");
    let lines = error.to_string();
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn the_example_makes_a_repository() {
    let (mut world, people) = desk(&["alice", "bob", "carol"]);
    let setup = read(&world, EXAMPLE).unwrap();
    let checked = setup.check(now()).unwrap();
    assert_eq!(checked.warnings, [""; 0]);
    // What the example says of periods and minimums is what holds without it.
    let bare: String = EXAMPLE.split("[expiry-days]").next().unwrap().to_owned();
    assert_eq!(read(&world, &bare).unwrap(), setup);
    let folder = world.folder.path().join("repo");
    let repository =
        Repository::init_checked(&folder, &checked, now(), &mut world.entropy).unwrap();
    sign_and_publish(&repository, &[&people[0], &people[1]], now());
    assert_eq!(
        Repository::open(&folder).unwrap().settings(),
        repository.settings()
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let (mut world, _) = desk(&["alice", "bob"]);
    let second = world.person("alice");
    let folder = world.folder.path().to_owned();
    fs::write(
        folder.join("alice-2.pem"),
        second.holder.pem_chain().concat(),
    )
    .unwrap();
    let stranger = world.person_for("eve", &["targets"]);
    fs::write(folder.join("eve.pem"), stranger.holder.pem_chain().concat()).unwrap();
    fs::write(folder.join("junk.pem"), "junk").unwrap();
    let found = problems(
        &world,
        r#"
anchor = "pki/trust-anchor.pem"
[root]
people = ["alice.pem", "alice-2.pem", "eve.pem"]
threshold = 3
[targets]
people = ["alice.pem", "bob.pem"]
threshold = 1
[[product]]
name = "router-x"
people = ["alice.pem", "bob.pem"]
threshold = 2
paths = ["shared/x-*", "/absolute"]
[[product]]
name = "router-y"
people = ["alice.pem", "bob.pem"]
threshold = 2
paths = ["shared/*-1"]
bins = 3
[[product]]
name = "pki"
people = ["alice.pem", "bob.pem"]
threshold = 2
[[product]]
name = "router-x"
people = ["alice.pem", "bob.pem"]
threshold = 2
[expiry-days]
root = 50
timestamp = 0
"#,
    );
    let text = found.join("\n");
    for expected in [
        "signers of root cannot be set up so: alice is named twice, with two keys",
        "eve may not sign for root: ",
        "root cannot be set up so: threshold 3, but only 2 people",
        "targets: threshold 1, but devices ask for 2",
        "path pattern \"/absolute\"",
        "paths shared/x-* of router-x and shared/*-1 of router-y overlap",
        "3 bins: expected a power of two",
        "product router-x is there twice",
        "signing-days: root expires after 50 days, signing would begin 60 days before",
        "expiry-days: expected 1 to 3650 days",
        "expected a name that no role has yet",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let found = problems(
        &world,
        "anchor = \"no.pem\"\n[root]\npeople = [\"junk.pem\", \"no.pem\"]\nthreshold = 0\n",
    );
    let text = found.join("\n");
    for expected in ["anchor ", "junk.pem: ", "no.pem: ", "threshold 0"] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for bad in [
        "",
        "anchor = 1",
        "anchor = \"a\"\n[root]\npeople = []\nthreshold = 1\nx = 1",
    ] {
        assert!(
            matches!(read(&world, bad), Err(Error::Settings { .. })),
            "{bad}"
        );
    }
}

#[test]
fn what_will_hurt_later_is_warned_of() {
    let (world, _) = desk(&["alice", "bob"]);
    let text = "anchor = \"pki/trust-anchor.pem\"\n[root]\npeople = [\"alice.pem\", \"bob.pem\"]\nthreshold = 2\n\
                [expiry-days]\nroot = 1000\n";
    let warnings = read(&world, text)
        .unwrap()
        .check(now())
        .unwrap()
        .warnings
        .join("\n");
    assert!(
        warnings.contains("root: all 2 people must sign"),
        "{warnings}"
    );
    assert!(
        warnings.contains("root: a certificate of alice ends on"),
        "{warnings}"
    );
    // Certificates that have ended are no warning.
    let late = read(&world, text).unwrap().check(later(800));
    assert!(matches!(late, Err(Error::Setup { .. })));
}

#[test]
fn more_paths_than_the_products_own_folder() {
    let (mut world, people) = desk(&["alice", "bob", "carol"]);
    let text = EXAMPLE.replace("# paths", "paths");
    let checked = read(&world, &text).unwrap().check(now()).unwrap();
    let folder = world.folder.path().join("repo");
    let repository =
        Repository::init_checked(&folder, &checked, now(), &mut world.entropy).unwrap();
    let staged = fs::read_to_string(repository.layout().staged().join("targets.json")).unwrap();
    assert!(staged.contains("shared/router-x-*"), "{staged}");
    sign_and_publish(&repository, &[&people[0], &people[1]], now());
}

#[test]
fn a_conversation_gives_the_same_as_the_file() {
    let (world, _) = desk(&["alice", "bob", "carol"]);
    let answers = [
        "pki/trust-anchor.pem",
        "",
        "alice.pem bob.pem carol.pem",
        "many",
        "2",
        "yes",
        "alice.pem bob.pem carol.pem",
        "",
        "router-x",
        "alice.pem bob.pem carol.pem",
        "2",
        "",
    ];
    let mut answers = answers.into_iter();
    let asked = Setup::ask(&mut |_| Ok(answers.next().unwrap().to_owned())).unwrap();
    assert_eq!(answers.next(), None);
    let file: Setup = toml::from_str(EXAMPLE).unwrap();
    assert_eq!(asked, file);
    drop(world);
    assert!(Setup::ask(&mut |_| Ok(String::new())).is_err());
}
