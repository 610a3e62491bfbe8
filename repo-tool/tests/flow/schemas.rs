//! JSON Schemas: those in `docs/schema/` are what the program prints; real documents keep to them, and they are as strict about
//! what must be there as the readers are. The judge is the validator from PyPI: `tests/peers` installs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use metadata_schema::envelope::Envelope;
use metadata_schema::name::RoleName;
use metadata_schema::release::ReleaseManifest;
use metadata_schema::roles::{Bundle, Role, Root, Snapshot, Targets, Timestamp};
use repo_tool::remote::FolderRemote;
use repo_tool::schema::{PublishAnswer, document, documents};
use repo_tool::{
    Archive, DoctorOptions, PruneOptions, PushOptions, Repository, VerifyOptions, silent,
};
use serde::Serialize;
use serde_json::Value;

use crate::support::{Person, World, image, later, now, product, release, sign_and_publish};

/// Set to write the schemas instead of comparing them.
const UPDATE: &str = "UPDATE_SCHEMAS";

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    let mut names = Vec::new();
    for document in documents() {
        let path = folder.join(format!("{}.schema.json", document.name));
        let mut text = serde_json::to_string_pretty(&document.schema()).unwrap();
        text.push('\n');
        if env::var_os(UPDATE).is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is out of date: run this test with {UPDATE}=1",
            path.display()
        );
        names.push(path);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    names.sort();
    assert_eq!(files, names, "files that are no document's schema");
}

/// Asks the validator which of these documents keep to their schemas; gives its complaints, empty for those that do.
fn judge(documents: &[(&str, Value)]) -> Vec<String> {
    let schemas: serde_json::Map<String, Value> = documents
        .iter()
        .map(|(name, _)| ((*name).to_owned(), document(name).unwrap().schema()))
        .collect();
    let question = serde_json::json!({ "schemas": schemas, "documents": documents });
    let mut python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        serde_json::to_writer(&mut input, &question).unwrap();
    });
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

const PYTHON: &str = r#"
import json, sys
from jsonschema import Draft202012Validator as Validator
question = json.load(sys.stdin)
for schema in question["schemas"].values():
    Validator.check_schema(schema)
judges = {name: Validator(schema) for name, schema in question["schemas"].items()}
json.dump(["; ".join(f"{e.json_path}: {e.message[:200]}" for e in judges[name].iter_errors(document))
           for name, document in question["documents"]], sys.stdout)
"#;

/// Reads a document as devices do.
fn reads(name: &str, value: &Value) -> bool {
    fn role<R: Role>(value: &Value) -> bool {
        let bytes = serde_json::to_vec(value).unwrap();
        Envelope::read(&RoleName::targets(), &bytes)
            .is_ok_and(|envelope| R::parse(envelope.signed, "signed").is_ok())
    }
    match name {
        "root" => role::<Root>(value),
        "targets" => role::<Targets>(value),
        "snapshot" => role::<Snapshot>(value),
        "timestamp" => role::<Timestamp>(value),
        "bundle" => role::<Bundle>(value),
        _ => {
            let bytes = serde_json::to_vec(value).unwrap();
            ReleaseManifest::read(&RoleName::targets(), &bytes).is_ok()
        }
    }
}

/// Every document that is made by taking one member away.
fn without_one(value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let mut less = members.clone();
                less.remove(name);
                all.push((name.clone(), Value::Object(less)));
                for (path, changed) in without_one(inner) {
                    let mut with = members.clone();
                    with.insert(name.clone(), changed);
                    all.push((format!("{name}.{path}"), Value::Object(with)));
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate().take(2) {
                for (path, changed) in without_one(inner) {
                    let mut with = items.clone();
                    with[index] = changed;
                    all.push((format!("{index}.{path}"), Value::Array(with)));
                }
            }
        }
        _ => {}
    }
    all
}

/// What a bundle says of itself: its first entry, by itself.
fn statement(repository: &Repository) -> PathBuf {
    let file = repository.layout().folder().join("a.bundle");
    let options = repo_tool::BundleOptions::default();
    repository.bundle(&file, &options, now(), &silent).unwrap();
    let bytes = fs::read(&file).unwrap();
    let length = std::str::from_utf8(&bytes[124..135]).unwrap();
    let length = usize::from_str_radix(length, 8).unwrap();
    fs::write(&file, &bytes[512..512 + length]).unwrap();
    file
}

/// A published repository with two releases, and every kind of document that is in it.
fn published() -> (World, Vec<(&'static str, PathBuf)>) {
    let (world, repository, [alice, bob, _]) = World::published();
    for number in [1, 2] {
        let mut request = release(&format!("{number}.0.0"), &image(number));
        request.rollout.waves = vec![metadata_schema::release::Wave {
            start: later(1),
            percent: 50,
        }];
        request.requires = (number == 2).then(|| "1.0.0".parse().unwrap());
        repository.stage_release(&request, now(), &silent).unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now());
    }
    let metadata = repository.layout().metadata();
    let mut found = Vec::new();
    for entry in fs::read_dir(&metadata).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let kind = match name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "root.json" => "root",
            "snapshot.json" => "snapshot",
            "timestamp.json" => "timestamp",
            _ => "targets",
        };
        found.push((kind, path));
    }
    found.push(("bundle", statement(&repository)));
    for entry in fs::read_dir(repository.layout().targets().join("router-x")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(".release.json") {
            found.push(("release", path));
        }
    }
    (world, found)
}

#[test]
#[ignore = "needs the validator from PyPI: run by tests/peers"]
fn published_documents_keep_to_their_schemas_and_lack_nothing_that_readers_miss() {
    let (_world, found) = published();
    let mut whole = Vec::new();
    let mut less = Vec::new();
    for (name, path) in &found {
        let value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        less.extend(
            without_one(&value)
                .into_iter()
                .map(|(member, value)| (*name, member, value)),
        );
        whole.push((*name, value));
    }
    for ((_, path), complaint) in found.iter().zip(judge(&whole)) {
        assert_eq!(complaint, "", "{}", path.display());
    }
    assert!(less.len() > 200, "{}", less.len());
    let documents: Vec<(&str, Value)> = less
        .iter()
        .map(|(name, _, value)| (*name, value.clone()))
        .collect();
    let judged = less.iter().zip(judge(&documents));
    let differ: Vec<String> = judged
        .filter(|((name, member, value), complaint)| {
            let tolerated =
                member.contains(".keys.") || MAY_BE_MISSING.iter().any(|end| member.ends_with(end));
            let read = reads(name, value);
            complaint.is_empty() != read && !(read && tolerated)
        })
        .map(|((name, member, _), complaint)| format!("{name} without {member}: {complaint:?}"))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// What we always write, and readers do without: digests by other algorithms may stand instead, a key without some part of it is
/// kept and never counts.
const MAY_BE_MISSING: [&str; 4] = [
    ".hashes.sha256",
    ".terminating",
    "consistent_snapshot",
    "rollout.paused",
];

#[test]
#[ignore = "needs the validator from PyPI: run by tests/peers"]
fn answers_and_shared_files_keep_to_their_schemas() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    repository.sign(&alice.key).unwrap();
    let mut documents = Vec::new();
    for entry in fs::read_dir(repository.layout().signatures()).unwrap() {
        let value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        documents.push(("signature", value));
    }
    let archive = Archive::open(world.folder.path()).unwrap();
    documents.push((
        "repo.toml",
        serde_json::to_value(repository.settings()).unwrap(),
    ));
    documents.push((
        "answer-tree",
        serde_json::to_value(archive.tree().unwrap()).unwrap(),
    ));
    documents.push((
        "answer-history",
        serde_json::to_value(archive.history(None).unwrap()).unwrap(),
    ));
    documents.push((
        "answer-releases",
        serde_json::to_value(archive.offers(now()).unwrap()).unwrap(),
    ));
    documents.extend(answers_of_a_year(&world, &repository, [&alice, &bob]));
    for ((name, _), complaint) in documents.iter().zip(judge(&documents)) {
        assert_eq!(complaint, "", "{name}");
    }
    let wrong = ("answer-history", serde_json::json!({"entries": [{}]}));
    assert_ne!(judge(&[wrong]), [""]);
}

/// What commands say while the staged release is published, pushed, and looked at.
fn answers_of_a_year(
    world: &World,
    repository: &Repository,
    [alice, bob]: [&Person; 2],
) -> Vec<(&'static str, Value)> {
    fn answer<T: Serialize>(
        name: &'static str,
        answer: repo_tool::Result<T>,
    ) -> (&'static str, Value) {
        (name, serde_json::to_value(answer.unwrap()).unwrap())
    }
    let copy = tempfile::tempdir().unwrap();
    let offer = repo_tool::Offer::Path(repository.layout().folder().to_owned());
    let mirror = FolderRemote::new(copy.path());
    let loss = repo_tool::loss::Loss {
        stolen: vec!["Alice".to_owned()],
        ..repo_tool::loss::Loss::default()
    };
    let crl = world.crl(1, &[]);
    let options = VerifyOptions::new(world.anchor());
    let thirty_days = DoctorOptions {
        within_days: 30,
        named: "repo".to_owned(),
    };
    let a_month = PruneOptions {
        grace_days: 30,
        dry_run: true,
    };
    let mut said = vec![
        answer("answer-show", repository.show()),
        answer("answer-status", repository.status(now())),
        answer("answer-merge", repository.merge(&[offer], now())),
        answer(
            "answer-sign",
            repository.sign_shown(&bob.key, now(), &mut |_| Ok(())),
        ),
    ];
    said.push(answer(
        "answer-publish",
        repository.publish(now()).map(|publication| PublishAnswer {
            publication,
            pushed: None,
        }),
    ));
    let push = repository.push(&mirror, &PushOptions::default(), now(), &silent);
    said.push(answer("answer-push", push));
    let second = repository.stage_release(&release("1.1.0", &image(2)), now(), &silent);
    said.push(answer("answer-add-release", second));
    let lists = [("a".to_owned(), crl.der().to_vec())];
    said.push(answer(
        "answer-add-crl",
        repository.add_crls_of(&lists, &[], now()),
    ));
    sign_and_publish(repository, &[alice, bob], now());
    let paused = repository.pause(
        &product("router-x"),
        &"stable".parse().unwrap(),
        true,
        now(),
    );
    said.push(answer("answer-channel", paused));
    said.push(answer(
        "answer-unstage",
        repository.unstage(&[], true, now()),
    ));
    said.push(answer(
        "answer-verify",
        repo_tool::verify(world.folder.path(), &options, now(), &silent),
    ));
    said.push(answer(
        "answer-doctor",
        repository.doctor(&thirty_days, now()),
    ));
    let bundle = copy.path().join("a.bundle");
    let any = repo_tool::BundleOptions::default();
    said.push(answer(
        "answer-bundle",
        repository.bundle(&bundle, &any, now(), &silent),
    ));
    said.push(answer("answer-audit", repository.audit()));
    said.push(answer("answer-signers", repository.signers()));
    said.push(answer(
        "answer-plan-loss",
        repository.plan_loss(&loss, now()),
    ));
    said.push(answer(
        "answer-prune",
        repository.prune(None, &a_month, later(90)),
    ));
    said
}
