//! What `doctor` sees in a real folder; the rules themselves have tests of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use repo_tool::doctor::{DoctorOptions, Severity, prometheus};
use repo_tool::{Diagnosis, Error, Kind, Repository};

use crate::support::{World, later, now, sign_and_publish};

fn look(repository: &Repository, days: i64) -> Diagnosis {
    let options = DoctorOptions {
        within_days: 30,
        named: "repo".to_owned(),
    };
    repository.doctor(&options, later(days)).unwrap()
}

fn found(diagnosis: &Diagnosis) -> Vec<(&'static str, String)> {
    let findings = diagnosis.findings.iter();
    findings.map(|f| (f.check, f.subject.clone())).collect()
}

#[test]
fn a_repository_in_good_order_needs_nothing() {
    let (world, repository, [alice, bob, _]) = World::published();
    let lists = [
        ("a".to_owned(), world.crl(1, &[]).der().to_vec()),
        ("b".to_owned(), world.anchor_crl(1).der().to_vec()),
    ];
    repository.add_crls(&lists, now()).unwrap();
    sign_and_publish(&repository, &[], now());
    let diagnosis = look(&repository, 0);
    assert_eq!(found(&diagnosis), []);
    diagnosis.healthy().unwrap();
    let metrics = prometheus(&diagnosis);
    for line in [
        "repo_tool_findings{severity=\"critical\"} 0",
        "repo_tool_signers_in_reserve{role=\"router-x\"} 1",
        "repo_tool_role_version{role=\"timestamp\"} 2",
        "# TYPE repo_tool_crl_next_update_timestamp_seconds gauge",
    ] {
        assert!(
            metrics.lines().any(|l| l == line),
            "{line} is not in\n{metrics}"
        );
    }

    // An event that waits is a note, one that waited for a week a warning.
    let roles = [metadata_schema::name::RoleName::targets()];
    repository.renew(&roles, now()).unwrap();
    let diagnosis = look(&repository, 0);
    assert_eq!(found(&diagnosis), [("staged-waits", "targets".to_owned())]);
    diagnosis.healthy().unwrap();
    assert_eq!(
        look(&repository, 8).count(Severity::Critical),
        1,
        "the timestamp has expired"
    );
    sign_and_publish(&repository, &[&alice, &bob], now());
}

#[test]
fn what_expires_and_who_is_gone_is_found() {
    let (world, repository, [_, bob, carol]) = World::published();
    let diagnosis = look(&repository, 0);
    let missing: Vec<_> = diagnosis.findings.iter().map(|f| f.check).collect();
    assert_eq!(missing, ["crl-missing", "crl-missing"]);
    let error = diagnosis.healthy().unwrap_err();
    assert_eq!(error.kind(), Kind::Warning);
    assert!(
        error.to_string().ends_with("2 to be done before long"),
        "{error}"
    );

    // Nobody ran `refresh` for three days: devices are held up.
    let diagnosis = look(&repository, 3);
    assert_eq!(
        found(&diagnosis)[0],
        ("role-expires", "timestamp".to_owned())
    );
    assert_eq!(
        diagnosis.findings[0].mend.as_deref(),
        Some("repo-tool refresh repo")
    );
    assert!(matches!(
        diagnosis.healthy(),
        Err(Error::NeedsAttention { critical: 1, .. })
    ));
    repository.refresh(later(3), false).unwrap();
    assert_eq!(look(&repository, 3).count(Severity::Critical), 0);

    // Carol is revoked: nobody may be missed any more. Then Bob: locked out.
    for (number, revoked, check) in [
        (1, vec![&carol], "no-reserve"),
        (2, vec![&carol, &bob], "locked-out"),
    ] {
        let list = world.crl(number, &revoked).der().to_vec();
        repository
            .add_crls(&[("a".to_owned(), list)], now())
            .unwrap();
        // A device refuses what revoked people have signed, so this state is published without asking one.
        repository.publish_unchecked(now()).unwrap();
        let diagnosis = look(&repository, 0);
        for role in ["root", "targets", "router-x"] {
            let wanted = (check, role.to_owned());
            assert!(
                found(&diagnosis).contains(&wanted),
                "{wanted:?} {diagnosis:?}"
            );
        }
    }
    let at = look(&repository, 340);
    assert!(found(&at).contains(&("role-expires", "root".to_owned())));
    // Before the repository began: the clock is wrong.
    assert_eq!(found(&look(&repository, -1))[0].0, "clock");
}

#[test]
fn an_open_online_key_is_critical() {
    let (_world, repository, _) = World::published();
    let key = repository
        .layout()
        .online_key(&metadata_schema::name::RoleName::timestamp());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let diagnosis = look(&repository, 0);
    let finding = &diagnosis.findings[0];
    assert_eq!(
        (finding.check, finding.severity),
        ("online-key-open", Severity::Critical)
    );
    let mend = finding.mend.clone().unwrap();
    assert_eq!(mend, format!("chmod 600 {}", key.display()));
}
