//! Edits, carried out on a repository.

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::json::{Json, Object};
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{MetaFile, PathSet};
use metadata_schema::time::Timestamp;
use sha2::{Digest as _, Sha512};
use tests::simulator::{Delegation, Fault, Simulator};

use crate::edit::{Edit, File, Listed, ROLES, Served, Signed, TARGETS};
use crate::scenario::LOOKUPS;

/// Changes something in whatever document a role has.
macro_rules! on_document {
    ($repository:expr, $role:expr, $document:ident => $change:expr) => {
        match $role {
            "root" => {
                let $document = $repository.root();
                $change
            }
            "timestamp" => {
                let $document = $repository.timestamp();
                $change
            }
            "snapshot" => {
                let $document = $repository.snapshot();
                $change
            }
            role => {
                let $document = $repository.targets(role);
                $change
            }
        }
    };
}

pub(crate) fn apply(repository: &mut Simulator, edit: &Edit, now: Timestamp) {
    match *edit {
        Edit::Target {
            role,
            path,
            content,
        } => {
            repository.add_target(TARGETS[role], LOOKUPS[path], &[content; 5]);
        }
        Edit::NoTarget { role, path } => {
            let targets = repository.targets(TARGETS[role]).edit();
            targets.targets.remove(LOOKUPS[path]);
        }
        Edit::Expires { role, days } => expires(repository, ROLES[role], now, days),
        Edit::Version { role, to } => {
            on_document!(repository, ROLES[role], document => document.set_version(to));
        }
        Edit::AddKey { role } => {
            repository.add_key(ROLES[role]);
        }
        Edit::RemoveKey { role } => {
            let signers = repository.signers(ROLES[role]);
            if let [first, _, ..] = signers.as_slice() {
                repository.remove_key(ROLES[role], first);
            }
        }
        Edit::Rotate { role } => {
            repository.rotate(ROLES[role]);
        }
        Edit::Threshold { role, to } => {
            repository.set_threshold(ROLES[role], to);
        }
        Edit::NotSigned { role } => {
            repository.signers_mut(ROLES[role]).pop();
        }
        Edit::SignedAs { role, by } => {
            *repository.signers_mut(ROLES[role]) = repository.signers(ROLES[by]);
        }
        Edit::Delegate {
            from,
            to,
            paths,
            terminating,
        } => delegate(repository, TARGETS[from], TARGETS[to], paths, terminating),
        Edit::Undelegate { from, to } => {
            repository.undelegate(TARGETS[from], TARGETS[to]);
        }
        Edit::Listed { of, how } => listed(repository, ROLES[of], how),
        Edit::Signed { role, how } => signed(repository, ROLES[role], how),
        Edit::File { role, how } => {
            on_document!(repository, ROLES[role], document => {
                document.tamper_file(move |file| spoil(file, how));
            });
        }
        Edit::Served { role, how } => served(repository, ROLES[role], how),
        Edit::Heal => {
            repository.heal();
        }
    }
}

fn expires(repository: &mut Simulator, role: &str, now: Timestamp, days: i64) {
    let at = now.plus_seconds(days * 86_400);
    match role {
        "root" => repository.root().edit().common.expires = at,
        "timestamp" => repository.timestamp().edit().common.expires = at,
        "snapshot" => repository.snapshot().edit().common.expires = at,
        role => repository.targets(role).edit().common.expires = at,
    }
}

fn delegate(repository: &mut Simulator, from: &str, to: &str, paths: usize, terminating: bool) {
    // A second delegation of one name is malformed; what is there is changed instead.
    repository.undelegate(from, to);
    let patterns: &[&str] = [
        &["*"][..],
        &["a/*"],
        &["b/*", "*/shared"],
        &["?/[1-9]", "{a,b}/1"],
        &[],
    ][paths];
    let mut delegation = Delegation::new(to, patterns);
    delegation.terminating = terminating;
    if patterns.is_empty() {
        let prefixes = "0123456789".chars().map(String::from);
        delegation.paths = PathSet::HashPrefixes(prefixes.collect());
    }
    repository.delegate(from, &delegation);
}

fn listed(repository: &mut Simulator, of: &str, how: Listed) {
    let bytes = match of {
        "snapshot" => repository.snapshot().bytes(),
        role => repository.targets(role).bytes(),
    };
    let name = format!("{of}.json");
    if of == "snapshot" {
        let file = &mut repository.timestamp().edit().snapshot;
        relist(file, how, &bytes);
        return;
    }
    let meta = &mut repository.snapshot().edit().meta;
    if how == Listed::Gone {
        meta.remove(&name);
    } else if let Some(file) = meta.get_mut(&name) {
        relist(file, how, &bytes);
    }
}

fn relist(file: &mut MetaFile, how: Listed, bytes: &[u8]) {
    let length = bytes.len() as u64;
    let sha256 = Sha256Digest::of(bytes);
    let nothing = Hashes {
        sha256: None,
        sha512: None,
        others: Object::new(),
    };
    match how {
        Listed::VersionUp => file.version = file.version.next().unwrap(),
        Listed::VersionDown => {
            file.version = Version::new(file.version.number() - 1).unwrap_or(Version::FIRST);
        }
        Listed::RightLength => file.length = Some(length),
        Listed::WrongLength => file.length = Some(length + 1),
        Listed::RightSha256 => file.hashes = Some(Hashes::sha256(sha256)),
        Listed::RightSha512 => {
            let sha512 = Some(Sha512::digest(bytes).into());
            file.hashes = Some(Hashes { sha512, ..nothing });
        }
        Listed::WrongSha256 => file.hashes = Some(Hashes::sha256(Sha256Digest::of(b"other"))),
        Listed::RightAndWrong => {
            let sha512 = Some([7; 64]);
            let sha256 = Some(sha256);
            file.hashes = Some(Hashes {
                sha256,
                sha512,
                ..nothing
            });
        }
        Listed::UnknownDigest => {
            let others = [("blake3".to_owned(), Json::from("00"))].into();
            file.hashes = Some(Hashes { others, ..nothing });
        }
        Listed::Gone => {}
    }
}

fn object(json: &mut Json) -> Option<&mut Object> {
    match json {
        Json::Object(members) => Some(members),
        _ => None,
    }
}

fn member<'a>(json: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    object(json)?.get_mut(name)
}

/// The roles that this metadata delegates to: of root the object, of targets the array's items.
fn delegated(json: &mut Json) -> Vec<&mut Json> {
    let delegations = object(json).and_then(|members| members.get_mut("delegations"));
    match delegations.and_then(|delegations| member(delegations, "roles")) {
        Some(Json::Array(roles)) => roles.iter_mut().collect(),
        _ => Vec::new(),
    }
}

fn signed(repository: &mut Simulator, role: &str, how: Signed) {
    on_document!(repository, role, document => {
        document.tamper_signed(move |signed| { change(signed, how); });
    });
}

fn change(signed: &mut Json, how: Signed) -> Option<()> {
    let mut set = |name: &str, value: Json| object(signed)?.insert(name.to_owned(), value);
    let text = |text: &str| Json::from(text);
    match how {
        Signed::UnknownMember => drop(set(
            "x-unknown",
            Json::Array(vec![Json::Null, text("é\n\"\\")]),
        )),
        Signed::NullMember => drop(set("x-null", Json::Null)),
        Signed::NotNormalised => drop(set("x-e\u{301}", text("e\u{301}\u{212b}"))),
        Signed::LargeInteger => {
            let large = Json::Integer("-90071992547409931234567890".into());
            drop(set("x-large", large));
        }
        Signed::OtherMinorSpec => drop(set("spec_version", text("1.9.7"))),
        Signed::ShortSpec => drop(set("spec_version", text("1.0"))),
        Signed::OtherMajorSpec => drop(set("spec_version", text("2.0.0"))),
        Signed::OtherType => drop(set("_type", text("mirrors"))),
        Signed::NoConsistentSnapshot => {
            // Only where it says that there is none, or every name would be another.
            let members = object(signed)?;
            if members.get("consistent_snapshot") == Some(&Json::Bool(false)) {
                members.remove("consistent_snapshot");
            }
        }
        Signed::EmptyCustom => {
            for file in object(member(signed, "targets")?)?.values_mut() {
                object(file)?.insert("custom".to_owned(), Json::Object(Object::new()));
            }
        }
        Signed::UnknownKeyType => {
            let strange = Json::object([
                ("keytype", text("sphinx")),
                ("scheme", text("sphinx-2")),
                ("keyval", Json::object([("public", text("?"))])),
            ]);
            let id = Sha256Digest::of(&strange.canonical()).to_string();
            keys(signed)?.insert(id, strange);
        }
        Signed::UnknownRole => {
            let role = member(signed, "roles")?;
            let mirrors = Json::object([
                ("keyids", Json::Array(Vec::new())),
                ("threshold", Json::from(1_u64)),
            ]);
            object(role)?.insert("mirrors".to_owned(), mirrors);
        }
        Signed::NoTerminating => {
            for role in delegated(signed) {
                object(role)?.remove("terminating");
            }
        }
        Signed::NoPaths => {
            for role in delegated(signed) {
                object(role)?.remove("paths");
                object(role)?.remove("path_hash_prefixes");
            }
        }
        Signed::ZeroThreshold => {
            for role in every_role(signed) {
                object(role)?.insert("threshold".to_owned(), Json::from(0_u64));
            }
        }
        Signed::ForeignKeyId => {
            for role in every_role(signed) {
                if let Some(Json::Array(ids)) = member(role, "keyids") {
                    ids.push(Json::String("f".repeat(64)));
                }
            }
        }
        Signed::FalseKeyId => {
            let keys = keys(signed)?;
            let first = keys.keys().next()?.clone();
            let key = keys.remove(&first)?;
            keys.insert("0".repeat(64), key);
            for role in every_role(signed) {
                if let Some(Json::Array(ids)) = member(role, "keyids") {
                    for id in ids {
                        if *id == Json::String(first.clone()) {
                            *id = Json::String("0".repeat(64));
                        }
                    }
                }
            }
        }
    }
    Some(())
}

fn keys(signed: &mut Json) -> Option<&mut Object> {
    let members = object(signed)?;
    if members.contains_key("keys") {
        return object(members.get_mut("keys")?);
    }
    object(member(members.get_mut("delegations")?, "keys")?)
}

fn every_role(signed: &mut Json) -> Vec<&mut Json> {
    if member(signed, "roles").is_none() {
        return delegated(signed);
    }
    let roles = member(signed, "roles").and_then(object);
    roles.into_iter().flat_map(|r| r.values_mut()).collect()
}

fn spoil(file: &mut Json, how: File) {
    let beside =
        |id: &str, sig: &str| Json::object([("keyid", Json::from(id)), ("sig", Json::from(sig))]);
    if how == File::UnknownMember {
        object(file)
            .unwrap()
            .insert("x-beside".to_owned(), Json::from("?"));
        return;
    }
    let Some(Json::Array(signatures)) = member(file, "signatures") else {
        return;
    };
    let other = "e".repeat(64);
    match how {
        File::TwiceTheSame => signatures.extend(signatures.first().cloned()),
        File::NotHexBeside => signatures.insert(0, beside(&other, "not hex")),
        File::EmptyBeside => signatures.insert(0, beside(&other, "")),
        File::UnknownBeside => signatures.push(beside(&other, "00ff")),
        File::NoSignatures => signatures.clear(),
        File::UpperCase | File::FlippedBit => {
            if let Some(Json::String(sig)) = signatures.first_mut().and_then(|s| member(s, "sig")) {
                *sig = if how == File::UpperCase {
                    sig.to_uppercase()
                } else {
                    let flipped = if sig.starts_with('0') { "1" } else { "0" };
                    format!("{flipped}{}", &sig[1..])
                };
            }
        }
        File::UnknownMember => {}
    }
}

fn served(repository: &mut Simulator, role: &str, how: Served) {
    let (version, bytes, older) = on_document!(repository, role, document => {
        let version = document.version();
        let older = document.of_version(version.saturating_sub(1));
        (version, document.bytes(), older)
    });
    let name = RoleName::delegated(role).map_or(role.to_owned(), |r| r.file_stem());
    let unversioned =
        role == "timestamp" || (role != "root" && !repository.root().value().consistent_snapshot);
    let name = if unversioned {
        format!("metadata/{name}.json")
    } else {
        format!("metadata/{version}.{name}.json")
    };
    let fault = match how {
        Served::Missing => Fault::Missing,
        Served::ServerError => Fault::Status(500),
        Served::Empty => Fault::Bytes([].into()),
        Served::Garbage => Fault::Bytes(b"<html>Sign in to the network</html>"[..].into()),
        Served::Half => Fault::Bytes(bytes[..bytes.len() / 2].into()),
        Served::OlderVersion => match older {
            Some(older) => Fault::Bytes(older),
            None => Fault::Missing,
        },
    };
    repository.fault(&name, fault);
}
