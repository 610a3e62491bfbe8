//! A world with an honest repository and a device that has followed it for a while.

use std::sync::{Mutex, PoisonError};

use metadata_schema::MetadataError;
use metadata_schema::digest::ContentError;
use metadata_schema::json::Json;
use metadata_schema::time::Timestamp;
use tests::simulator::{Delegation, Describe, Plan, Simulator, TestClient};
use updater::error::{Error, StoreError, TransportError};

/// When everything begins.
pub(crate) fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn plan() -> Plan {
    Plan::new("attacks", now())
}

/// Plans that differ in what an attack could depend on.
pub(crate) fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for consistent_snapshot in [true, false] {
        for describe in [
            Describe::Version,
            Describe::Length,
            Describe::LengthAndHashes,
        ] {
            plans.push(Plan {
                consistent_snapshot,
                describe,
                ..plan()
            });
        }
    }
    plans
}

/// An honest repository with two products, at root 2, timestamp and snapshot 3, targets 2, `lamp` 2 and `router` 1; and a device
/// that has seen all of it.
pub(crate) fn world(plan: Plan) -> (Simulator, TestClient) {
    static MADE: Mutex<Vec<(Simulator, TestClient)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = made.iter().position(|(honest, _)| *honest.plan() == plan);
    let at = found.unwrap_or_else(|| {
        made.push(new_world(plan));
        made.len() - 1
    });
    let (honest, device) = &made[at];
    (honest.clone(), device.fork())
}

fn new_world(plan: Plan) -> (Simulator, TestClient) {
    let mut honest = Simulator::new(plan);
    let device = TestClient::new(&mut honest);
    honest.delegate("targets", &Delegation::new("lamp", &["lamp/*"]).keys(2, 2));
    honest.delegate(
        "targets",
        &Delegation::new("router", &["router/*"]).keys(2, 2),
    );
    honest.add_target("router", "router/fw", b"router 1");
    honest.add_target("lamp", "lamp/fw", b"lamp 1");
    honest.publish_root().publish();
    honest.add_target("lamp", "lamp/fw", b"lamp 2").publish();
    for (path, content) in [("lamp/fw", "lamp 2"), ("router/fw", "router 1")] {
        let found = device.download(&mut honest, path).unwrap().unwrap();
        assert_eq!(found, content.as_bytes());
    }
    assert_eq!(trusted(&device), START);
    honest.take_requests();
    (honest, device)
}

/// What the device of [`world`] trusts.
pub(crate) const START: &str = "lamp 2, root 2, router 1, snapshot 3, targets 2, timestamp 3";

/// What a device trusts: names and versions.
pub(crate) fn trusted(device: &TestClient) -> String {
    let trusted = device.trusted().into_iter();
    let trusted = trusted.filter(|(role, _)| role != "pki");
    let text: Vec<String> = trusted
        .map(|(role, version)| format!("{role} {version}"))
        .collect();
    text.join(", ")
}

/// The device takes what the honest repository publishes next.
pub(crate) fn still_follows(device: &TestClient, honest: &mut Simulator) {
    for (role, path) in [("lamp", "lamp/next"), ("router", "router/next")] {
        honest.add_target(role, path, path.as_bytes());
    }
    honest.publish_root().publish();
    for path in ["lamp/next", "router/next"] {
        match device.download(honest, path) {
            Ok(found) => assert_eq!(found.as_deref(), Some(path.as_bytes())),
            Err(e) => panic!("{}", in_full(&e)),
        }
    }
}

/// How something ended: `accepted`, or role and kind of the refusal.
pub(crate) fn verdict<T>(result: Result<T, Box<Error>>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => match &*error {
            Error::Metadata(why) => of_metadata(why),
            Error::Missing { what } => format!("{what}: missing"),
            Error::Target { path, source } => format!("{path}: {}", of_content(source)),
            Error::Store(StoreError::Damaged { path, .. }) => {
                format!("{}: damaged", path.file_name().unwrap().display())
            }
            Error::Transport(why) => of_transport(why),
            Error::RevocationList { .. } => "revocation list: refused".to_owned(),
            Error::RevocationListRollback { trusted, found, .. } => {
                format!("revocation list: rollback {trusted} to {found}")
            }
            Error::WalkCut { steps, version, .. } => format!("walk cut after {steps} at {version}"),
            _ => in_full(&error),
        },
    }
}

fn of_metadata(error: &MetadataError) -> String {
    use MetadataError as E;
    match error {
        E::Json { role, .. } => format!("{role}: json"),
        E::Shape { role, source } => format!("{role}: shape of {}", source.at),
        E::Threshold(e) => format!("{}: threshold {}/{}", e.role, e.counted.len(), e.needed),
        E::Content { role, source } => format!("{role}: {}", of_content(source)),
        E::Version {
            role,
            expected,
            found,
        } => format!("{role}: version {found} for {expected}"),
        E::Rollback {
            role,
            trusted,
            found,
        } => format!("{role}: rollback {trusted} to {found}"),
        E::Vanished { role, trusted } => format!("{role}: {trusted} vanished"),
        E::Expired { role, version, .. } => format!("{role}: {version} expired"),
        E::NotListed { role, listing } => format!("{role}: not listed in {listing}"),
        E::TooManyDelegations { limit, .. } => format!("more than {limit} delegations"),
        other => other.to_string(),
    }
}

fn of_content(error: &ContentError) -> String {
    match error {
        ContentError::TooLong { .. } => "too long".to_owned(),
        ContentError::Length { .. } => "length".to_owned(),
        ContentError::Digest { kind, .. } => (*kind).to_owned(),
        other => other.to_string(),
    }
}

fn of_transport(error: &TransportError) -> String {
    match error {
        TransportError::TooLong { url, limit, .. } => format!("{url}: longer than {limit}"),
        TransportError::Status { url, status, .. } => format!("{}: status {status}", file(url)),
        TransportError::BrokeOff { url, .. } => format!("{}: broke off", file(url)),
        TransportError::TooSlow { .. } => "too slow".to_owned(),
        TransportError::TooLate { .. } => "too late".to_owned(),
        TransportError::Otherwise { url, .. } => format!("{url}: not metadata"),
        other => other.to_string(),
    }
}

/// The simulator names files with their part, the device's client without it.
fn file(url: &str) -> &str {
    url.trim_start_matches("metadata/")
}

/// An error and its causes.
pub(crate) fn in_full(error: &Error) -> String {
    format!("{error}: {}", error.causes().join(": "))
}

/// Why keys that signed did not count.
pub(crate) fn reasons<T>(result: Result<T, Box<Error>>) -> String {
    match result.err().as_deref() {
        Some(Error::Metadata(MetadataError::Threshold(e))) => {
            let reasons = e.refused.iter().map(|(_, why)| why.as_str());
            reasons.collect::<Vec<_>>().join("; ")
        }
        other => panic!("{other:?}"),
    }
}

/// A member of JSON by its path, such as `roles.root.threshold`; made if it is not there.
pub(crate) fn member<'a>(json: &'a mut Json, path: &str) -> &'a mut Json {
    path.split('.').fold(json, |json, name| match json {
        Json::Object(members) => members.entry(name.to_owned()).or_insert(Json::Null),
        Json::Array(items) => &mut items[name.parse::<usize>().unwrap()],
        other => panic!("{name} in {}", other.kind()),
    })
}

/// The metadata that a device asks for in a search, without root and timestamp.
pub(crate) fn asked(repository: &mut Simulator) -> Vec<String> {
    let requests = repository.take_requests().into_iter();
    let requests = requests.filter(|r| !r.contains(".root.") && !r.contains("/timestamp."));
    let stem = |r: String| {
        r.trim_start_matches("metadata/")
            .trim_end_matches(".json")
            .to_owned()
    };
    requests.map(stem).collect()
}

/// A repository whose top-level role delegates to these.
pub(crate) fn delegating(delegations: &[(&str, Delegation)]) -> Simulator {
    let mut repository = Simulator::new(plan());
    for (delegator, delegation) in delegations {
        repository.delegate(delegator, delegation);
    }
    repository.publish();
    repository
}

pub(crate) fn to(role: &str) -> Delegation {
    Delegation::new(role, &["*", "*/*"])
}

/// Two of two root keys: without one of them nothing goes.
pub(crate) fn bound() -> Plan {
    Plan {
        root: (2, 2),
        ..plan().with_pki()
    }
}

pub(crate) const ONLINE: [&str; 3] = ["timestamp", "snapshot", "pki"];

pub(crate) fn content(device: &TestClient, repository: &mut Simulator, path: &str) -> String {
    let found = device.download(repository, path).unwrap().unwrap();
    String::from_utf8(found).unwrap()
}

/// The honest repository recovers: root rotates the online keys and these roles, and everything is published anew, after what the
/// thief has published.
pub(crate) fn recover(honest: &mut Simulator, evil: &mut Simulator, roles: &[&str]) {
    for role in ["timestamp", "snapshot"].iter().chain(roles) {
        honest.rotate(role);
    }
    for role in honest.roles() {
        let ahead = evil.targets(&role).version();
        honest.targets(&role).set_version(ahead);
    }
    honest.publish_root().publish();
}

/// What comes next from whoever this is comes after what the device trusts already; for the roles that he can sign.
pub(crate) fn outrun(device: &TestClient, repository: &mut Simulator) {
    let trusted = device.trusted();
    let ahead = |role: &str, version: u64| version.max(trusted.get(role).copied().unwrap_or(1));
    // The timestamp may name a snapshot that the device has not taken.
    let version = ahead("timestamp", repository.timestamp().version());
    let version = ahead("snapshot", version);
    repository.timestamp().set_version(version);
    repository.snapshot().set_version(version);
    for role in repository.roles() {
        if !repository.signers(&role).is_empty() {
            let version = ahead(&role, repository.targets(&role).version());
            repository.targets(&role).set_version(version);
        }
    }
}
