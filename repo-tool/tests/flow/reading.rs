//! What stands in a published repository, told to people.

use std::fs;

use metadata_schema::name::RoleName;
use repo_tool::reading::{Difference, Side};
use repo_tool::{Archive, silent};

use crate::support::{World, image, later, now, release, sign_and_publish};

#[test]
fn the_tree_names_every_role_with_its_people() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let tree = Archive::open(world.folder.path()).unwrap().tree().unwrap();
    assert_eq!((tree.role.as_str(), tree.version), ("root", Some(1)));
    let names: Vec<&str> = tree
        .children
        .iter()
        .map(|node| node.role.as_str())
        .collect();
    assert_eq!(names, ["timestamp", "snapshot", "targets"]);
    let targets = &tree.children[2];
    assert_eq!(targets.signers, ["Alice", "Bob", "Carol"]);
    let product = &targets.children[0];
    assert_eq!(
        (product.role.as_str(), product.version),
        ("router-x", Some(2))
    );
    assert_eq!((product.threshold.get(), product.files), (2, 2));
    assert_eq!(product.paths[0], "router-x/*");
    // The published folder by itself says the same.
    let published = Archive::open(repository.layout().published()).unwrap();
    assert_eq!(published.tree().unwrap(), tree);
    let nothing = Archive::open(repository.layout().metadata().as_path()).unwrap_err();
    assert!(
        nothing
            .to_string()
            .contains("holds no published repository")
    );
}

#[test]
fn history_tells_what_changed_and_whose_signatures_are_valid() {
    let (_world, repository, [alice, bob, carol]) = World::published();
    for (number, signers) in [(1, [&alice, &bob]), (2, [&bob, &carol])] {
        let request = release(&format!("{number}.0.0"), &image(number));
        let day = later(i64::from(number));
        repository.stage_release(&request, day, &silent).unwrap();
        sign_and_publish(&repository, &signers, day);
    }
    let archive = Archive::open(repository.layout().published()).unwrap();
    let history = archive.history(None).unwrap().entries;
    let versions: Vec<(&str, u64)> = history
        .iter()
        .map(|entry| (entry.role.as_str(), entry.version))
        .collect();
    let expected = [
        ("root", 1),
        ("targets", 1),
        ("pki", 1),
        ("router-x", 1),
        ("router-x", 2),
        ("router-x", 3),
    ];
    assert_eq!(versions, expected);
    let last = &history[5];
    assert_eq!(last.signers, ["Bob", "Carol"]);
    assert_eq!(last.issued, Some(later(2)));
    let text = last.lines.join("\n");
    assert!(
        text.contains("offers router-x 2.0.0 in channel stable"),
        "{text}"
    );
    assert!(text.contains("1 delta of"), "{text}");
    assert!(
        text.contains("removes router-x/rootfs-1.0.0.full"),
        "{text}"
    );
    // One role alone, and a signature that somebody broke.
    let role = RoleName::delegated("router-x").unwrap();
    assert_eq!(archive.history(Some(&role)).unwrap().entries.len(), 3);
    let file = repository.layout().metadata().join("3.router-x.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("2.0.0", "2.0.1")).unwrap();
    let entries = archive.history(Some(&role)).unwrap().entries;
    assert!(entries[2].signers.is_empty());
    // Manifests that are gone are said to be, the rest is told all the same.
    fs::remove_dir_all(repository.layout().targets()).unwrap();
    let entries = archive.history(Some(&role)).unwrap().entries;
    assert!(
        entries[1].lines[0].contains("no longer here"),
        "{:?}",
        entries[1]
    );
}

#[test]
fn diff_compares_snapshots_and_repositories() {
    let (_world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let folder = repository.layout().folder().display().to_string();
    let side = |text: &str| text.parse::<Side>().unwrap();
    let same = Difference::between(&side(&folder), &side(&format!("{folder}@2"))).unwrap();
    assert!(same.roles.is_empty(), "{same:?}");
    let difference = Difference::between(&side(&format!("{folder}@1")), &side(&folder)).unwrap();
    let [role] = difference.roles.as_slice() else {
        panic!("{difference:?}");
    };
    assert_eq!((role.from_version, role.to_version), (Some(1), Some(2)));
    assert!(role.lines[0].starts_with("offers router-x 1.0.0"));
    assert!(!role.forked);
    let missing = Difference::between(&side(&format!("{folder}@9")), &side(&folder)).unwrap_err();
    assert!(missing.to_string().contains("9.snapshot.json"), "{missing}");
    // A mirror that shows something else under the same number.
    let (_other, other, [dora, emil, _]) = World::published();
    let mut request = release("1.0.0", &image(7));
    request.notes = "not the same".to_owned();
    other.stage_release(&request, now(), &silent).unwrap();
    sign_and_publish(&other, &[&dora, &emil], now());
    let mirror = other.layout().published().display().to_string();
    let difference = Difference::between(&side(&folder), &side(&mirror)).unwrap();
    let forked: Vec<&str> = difference
        .roles
        .iter()
        .filter(|role| role.forked)
        .map(|role| role.role.as_str())
        .collect();
    assert_eq!(forked, ["root", "targets", "router-x"]);
}

#[test]
fn offers_say_who_may_install_now() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let mut request = release("1.0.0", &image(1));
    request.rollout.waves = [(1, 10), (3, 100)]
        .map(|(days, percent)| metadata_schema::release::Wave {
            start: later(days),
            percent,
        })
        .to_vec();
    repository.stage_release(&request, now(), &silent).unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let archive = Archive::open(repository.layout().published()).unwrap();
    let at = |days| {
        let offer = archive.offers(later(days)).unwrap().remove(0);
        (
            offer.share,
            offer.next_wave.map(|next| (next.start, next.share)),
        )
    };
    assert_eq!(at(0), (0, Some((later(1), 10))));
    assert_eq!(at(1), (10, Some((later(3), 100))));
    assert_eq!(at(3), (100, None));
    let offer = archive.offers(now()).unwrap().remove(0);
    assert_eq!(offer.images[0].bytes, image(1).len() as u64);
}
