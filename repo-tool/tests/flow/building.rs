//! Making releases: slots, custom fields, named deltas, forecasts, and payloads that are not made twice.

use std::fs;
use std::path::PathBuf;

use metadata_schema::json::Json;
use repo_tool::release::{Way, read_fleet};
use repo_tool::{Error, ImageSource, Progress, Repository, Settings, silent};

use crate::support::{World, image, now, release, sign_and_publish, stable};

/// Payloads that work was done for, by their stages.
fn made(repository: &Repository, request: &repo_tool::ReleaseRequest) -> Vec<String> {
    let seen = std::sync::Mutex::new(Vec::new());
    let note = |progress: Progress<'_>| {
        if progress.stage == "compressing" {
            seen.lock().unwrap().push(progress.file.to_owned());
        }
    };
    repository.stage_release(request, now(), &note).unwrap();
    let mut made = seen.into_inner().unwrap();
    made.sort();
    made.dedup();
    made
}

#[test]
fn an_interrupted_release_goes_on_with_what_is_there() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let request = release("1.1.0", &image(2));
    assert_eq!(made(&repository, &request).len(), 2);
    // As if the power had gone before the manifest was staged: the payloads are there, and nothing says so.
    let staged = repository.layout().staged();
    fs::remove_file(staged.join("router-x.json")).unwrap();
    assert!(
        made(&repository, &request).is_empty(),
        "nothing is built twice"
    );
    // One of them is damaged: that one is made again.
    fs::remove_file(staged.join("router-x.json")).unwrap();
    let delta = files_ending(&repository, ".delta").remove(0);
    let bytes = fs::read(&delta).unwrap();
    fs::write(&delta, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(made(&repository, &request).len(), 1);
    assert_eq!(fs::read(&delta).unwrap(), bytes);
    sign_and_publish(&repository, &[&alice, &bob], now());
    world.verify(now()).unwrap();
    // The same image under another version: the full payload is that of the first.
    assert!(
        made(&repository, &release("1.2.0", &image(2)))
            .iter()
            .all(|p| p.ends_with("delta"))
    );
    sign_and_publish(&repository, &[&alice, &bob], now());
    world.verify(now()).unwrap();
}

fn files_ending(repository: &Repository, end: &str) -> Vec<PathBuf> {
    let folder = repository.layout().staged_targets().join("router-x");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect()
}

#[test]
fn an_image_that_exceeds_its_slot_is_refused() {
    let (world, _, _) = World::published();
    let path = world.folder.path().join("repo.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let slots =
        "[slots.router-x.rev-a]\nrootfs = 200000\n[slots.router-x.rev-b]\nrootfs = 300000\n";
    fs::write(&path, settings.replace("[slots]\n", "") + slots).unwrap();
    let repository = Repository::open(world.folder.path()).unwrap();
    let mut request = release("1.0.0", &image(1));
    let error = repository
        .stage_release(&request, now(), &silent)
        .unwrap_err();
    assert!(
        error.to_string().contains("the slot of rev-a holds 200000"),
        "{error}"
    );
    request.hardware = vec!["rev-b".parse().unwrap()];
    repository.stage_release(&request, now(), &silent).unwrap();
    let source = ImageSource::Bytes(vec![1]);
    request.images.insert("kernel".parse().unwrap(), source);
    let error = repository
        .stage_release(&request, now(), &silent)
        .unwrap_err();
    assert!(
        error.to_string().contains("rev-b has no such slot"),
        "{error}"
    );
    assert!(Settings::read(&path).unwrap().slots.len() == 1);
}

#[test]
fn custom_fields_stand_in_the_manifest() {
    let (_world, repository, _) = World::published();
    let mut request = release("1.0.0", &image(1));
    request.custom.insert("ticket".to_owned(), "FW-12".into());
    request
        .custom
        .insert("sizes".to_owned(), Json::Array(vec![Json::from(1_u64)]));
    repository.stage_release(&request, now(), &silent).unwrap();
    let lines = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(
        lines.contains("custom sizes: [1]") && lines.contains("ticket: \"FW-12\""),
        "{lines}"
    );
    request
        .custom
        .insert("long".to_owned(), "x".repeat(20_000).into());
    assert!(repository.stage_release(&request, now(), &silent).is_err());
}

#[test]
fn deltas_come_from_named_versions_and_the_fleet_is_forecast() {
    let (_world, repository, [alice, bob, _]) = World::published();
    for (number, version) in [(1, "1.0.0"), (2, "1.1.0"), (3, "1.2.0")] {
        repository
            .stage_release(&release(version, &image(number)), now(), &silent)
            .unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now());
    }
    let mut request = release("2.0.0", &image(4));
    request.deltas = Some(1);
    request.delta_from = vec!["1.0.0".parse().unwrap()];
    let forecast = repository.stage_release(&request, now(), &silent).unwrap();
    let ways: Vec<_> = forecast
        .sources
        .iter()
        .map(|s| (s.from_version.as_str(), &s.way))
        .collect();
    assert_eq!(
        ways,
        [
            ("1.2.0", &Way::Delta),
            ("1.1.0", &Way::Full),
            ("1.0.0", &Way::Delta)
        ]
    );

    let fleet = "version,count\n1.0.0, 10\n\n# the lab\n1.1.0,5\n1.0.0,2\n2.0.0,7\n0.9.0,1\n";
    let fleet = read_fleet(fleet).unwrap();
    let router = request.product.clone();
    let whole = repository.forecast(&router, &stable(), &fleet).unwrap();
    let sum = whole.fleet.unwrap();
    let each = |version: &str| {
        let sources = forecast.sources.iter();
        sources
            .filter(|s| s.from_version == version)
            .map(|s| s.bytes)
            .sum::<u64>()
    };
    assert_eq!((sum.devices, sum.in_full, sum.stepping), (25, 6, 0));
    assert_eq!(sum.bytes, 12 * each("1.0.0") + 6 * whole.full_bytes);
    assert_eq!(sum.full_bytes, 18 * whole.full_bytes);

    // A stepping stone leaves the oldest behind.
    request.requires = Some("1.1.0".parse().unwrap());
    let error = repository
        .stage_release(&request, now(), &silent)
        .unwrap_err();
    assert!(error.to_string().contains("no delta from 1.0.0"), "{error}");
    request.delta_from.clear();
    repository.stage_release(&request, now(), &silent).unwrap();
    let sum = repository
        .forecast(&router, &stable(), &fleet)
        .unwrap()
        .fleet
        .unwrap();
    assert_eq!(sum.stepping, 13);
    request.delta_from = vec!["0.1.0".parse().unwrap()];
    assert!(repository.stage_release(&request, now(), &silent).is_err());
    for bad in ["1.0.0", "x,1\n", "version,count\n1.0.0,many", "1.0.0,-1"] {
        assert!(
            matches!(read_fleet(bad), Err(Error::Argument { .. })),
            "{bad}"
        );
    }
}
