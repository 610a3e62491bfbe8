//! Delegated roles: order, termination, cycles, and roles that nobody needs.

use metadata_schema::gate::Certificates;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::{DelegatedRole, Delegations, PathSet, Targets};
use metadata_schema::search::Step;
use metadata_schema::trusted::AtTargets;

use crate::repository::{Repository, at, keys, role_keys, targets};

fn role(name: &str, patterns: &[&str], terminating: bool) -> DelegatedRole {
    DelegatedRole {
        name: RoleName::delegated(name).unwrap(),
        keys: role_keys(&[name], 1),
        paths: PathSet::Patterns(patterns.iter().map(ToString::to_string).collect()),
        terminating,
    }
}

fn delegations(roles: Vec<DelegatedRole>) -> Delegations {
    let names: Vec<String> = roles.iter().map(|role| role.name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Delegations {
        keys: keys(&names),
        roles,
        ..Delegations::default()
    }
}

fn delegating(roles: Vec<DelegatedRole>, files: &[&str]) -> Targets {
    let delegations = Some(delegations(roles));
    Targets {
        delegations,
        certificates: Certificates::default(),
        ..targets(1, files)
    }
}

/// The role that describes `path`, and the roles that were fetched.
fn found(
    repository: &Repository,
    set: &mut AtTargets,
    path: &str,
) -> Result<(Option<String>, Vec<String>), String> {
    let mut fetched = Vec::new();
    let mut search = set.search(TargetPath::new(path).unwrap(), 8);
    loop {
        match search.next_step().map_err(|e| e.to_string())? {
            Step::Found(target) => return Ok((Some(target.role().to_string()), fetched)),
            Step::Fetch { role, .. } => {
                fetched.push(role.to_string());
                search
                    .supply(&repository.delegated[role.as_str()])
                    .map_err(|e| e.to_string())?;
            }
            _ => return Ok((None, fetched)),
        }
    }
}

fn looked_up(repository: &Repository, path: &str) -> Result<(Option<String>, Vec<String>), String> {
    found(repository, &mut repository.refreshed().unwrap(), path)
}

fn outcome(role: Option<&str>, fetched: &[&str]) -> Result<(Option<String>, Vec<String>), String> {
    Ok((
        role.map(str::to_owned),
        fetched.iter().map(ToString::to_string).collect(),
    ))
}

#[test]
fn searches_in_order_and_lazily() {
    let mut repository = Repository::new();
    repository.delegate(delegations(vec![
        role("a", &["x/*"], false),
        role("b", &["x/*", "y/*"], true),
        role("c", &["*/*"], false),
    ]));
    repository.add_role("a", &targets(1, &["x/1"]), &["a"]);
    repository.add_role("b", &targets(1, &["x/1", "x/2"]), &["b"]);
    repository.add_role("c", &targets(1, &["x/3", "y/9", "z/1"]), &["c"]);
    assert_eq!(
        looked_up(&repository, "firmware"),
        outcome(Some("targets"), &[])
    );
    assert_eq!(looked_up(&repository, "x/1"), outcome(Some("a"), &["a"]));
    assert_eq!(
        looked_up(&repository, "x/2"),
        outcome(Some("b"), &["a", "b"])
    );
    assert_eq!(
        looked_up(&repository, "x/3"),
        outcome(None, &["a", "b"]),
        "b terminates"
    );
    assert_eq!(looked_up(&repository, "z/1"), outcome(Some("c"), &["c"]));
}

#[test]
fn a_role_speaks_only_about_its_paths() {
    let mut repository = Repository::new();
    repository.delegate(delegations(vec![role("a", &["a/*"], false)]));
    repository.add_role("a", &targets(1, &["b/1", "a/deep/1"]), &["a"]);
    assert_eq!(looked_up(&repository, "b/1"), outcome(None, &[]));
    assert_eq!(looked_up(&repository, "a/deep/1"), outcome(None, &[]));
}

#[test]
fn cycles_and_depth_are_bounded() {
    let mut repository = Repository::new();
    repository.delegate(delegations(vec![role("a", &["*"], false)]));
    repository.add_role(
        "a",
        &delegating(vec![role("b", &["*"], false)], &[]),
        &["a"],
    );
    repository.add_role(
        "b",
        &delegating(vec![role("a", &["*"], false)], &[]),
        &["b"],
    );
    assert_eq!(
        looked_up(&repository, "nothing"),
        outcome(None, &["a", "b"])
    );
    let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
    let mut deep = Repository::new();
    deep.delegate(delegations(vec![role("n0", &["*"], false)]));
    for pair in names.windows(2) {
        deep.add_role(
            &pair[0],
            &delegating(vec![role(&pair[1], &["*"], false)], &[]),
            &[&pair[0]],
        );
    }
    let error = looked_up(&deep, "nothing").unwrap_err();
    assert_eq!(
        error,
        "the search for nothing visited 8 delegated roles and did not end"
    );
}

#[test]
fn hostile_siblings_do_no_harm() {
    let mut repository = Repository::new();
    repository.delegate(delegations(vec![
        role("bad", &["bad/*"], true),
        role("good", &["good/*"], true),
    ]));
    repository.add_role("bad", &targets(1, &["bad/1"]), &["good"]);
    let mut expired = targets(1, &["good/1"]);
    repository.add_role("good", &expired, &["good"]);
    assert_eq!(
        looked_up(&repository, "good/1"),
        outcome(Some("good"), &["good"])
    );
    assert!(
        looked_up(&repository, "bad/1")
            .unwrap_err()
            .starts_with("bad metadata needs 1 signatures")
    );
    expired.common.expires = at("2029-01-01T00:00:00Z");
    repository.add_role("good", &expired, &["good"]);
    assert!(
        looked_up(&repository, "good/1")
            .unwrap_err()
            .starts_with("good metadata v1 expired")
    );
}

#[test]
fn a_role_is_verified_for_each_delegator() {
    // `shared` is delegated to by `a` with its own key, and by `b` with another: what `a` vouches for, `b` does not.
    let mut repository = Repository::new();
    repository.delegate(delegations(vec![
        role("a", &["a/*"], true),
        role("b", &["b/*"], true),
    ]));
    let mut by_b = role("shared", &["b/*"], true);
    by_b.keys = role_keys(&["other"], 1);
    let with_b = Delegations {
        keys: keys(&["other"]),
        roles: vec![by_b],
        ..Delegations::default()
    };
    repository.add_role(
        "a",
        &delegating(vec![role("shared", &["a/*"], true)], &[]),
        &["a"],
    );
    repository.add_role(
        "b",
        &Targets {
            delegations: Some(with_b),
            ..targets(1, &[])
        },
        &["b"],
    );
    repository.add_role("shared", &targets(1, &["a/1", "b/1"]), &["shared"]);
    let mut set = repository.refreshed().unwrap();
    assert_eq!(
        found(&repository, &mut set, "a/1"),
        outcome(Some("shared"), &["a", "shared"])
    );
    let error = found(&repository, &mut set, "b/1").unwrap_err();
    assert!(
        error.starts_with("shared metadata needs 1 signatures, 0 count"),
        "{error}"
    );
}

#[test]
fn hashed_bins_are_found_by_the_digest_of_the_path() {
    let mut repository = Repository::new();
    let bins: Vec<DelegatedRole> = (0..16)
        .map(|n| {
            let name = format!("bin-{n:x}");
            let paths = PathSet::HashPrefixes(vec![format!("{n:x}")]);
            DelegatedRole {
                paths,
                ..role(&name, &[], true)
            }
        })
        .collect();
    repository.delegate(delegations(bins));
    let digest = metadata_schema::digest::Sha256Digest::of(b"some/file").to_string();
    let bin = format!("bin-{}", &digest[..1]);
    repository.add_role(&bin, &targets(1, &["some/file"]), &[&bin]);
    assert_eq!(
        looked_up(&repository, "some/file"),
        outcome(Some(&bin), &[&bin])
    );
}

#[test]
fn a_file_of_one_role_is_not_taken_for_another_of_the_same_people() {
    use metadata_schema::json::Json;
    let mut repository = Repository::new();
    let mut shared = role("b", &["b/*"], true);
    shared.keys = role_keys(&["a"], 1);
    let by_one_person = vec![role("a", &["a/*"], true), shared];
    let delegations = Delegations {
        keys: keys(&["a"]),
        roles: by_one_person,
        ..Delegations::default()
    };
    repository.delegate(delegations);
    let mut of_a = targets(1, &["a/1", "b/1"]);
    of_a.extra.insert("x-role".to_owned(), Json::from("a"));
    repository.add_role("a", &of_a, &["a"]);
    repository.add_role("b", &of_a, &["a"]);
    assert_eq!(looked_up(&repository, "a/1"), outcome(Some("a"), &["a"]));
    assert_eq!(
        looked_up(&repository, "b/1").unwrap_err(),
        "b metadata has not the form that it must have"
    );
}
