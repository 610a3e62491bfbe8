//! The event in progress: what is to be signed, and the signatures so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use device_pki::durable;
use metadata_schema::MetadataError;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::{Envelope, Signature};
use metadata_schema::json::{Fields, Json, ShapeError};
use metadata_schema::key::KeyId;
use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{ISSUED_MEMBER, ROLE_MEMBER, Role, Root, Targets};
use metadata_schema::time::Timestamp;

use crate::audit::{self, Action, RoleLine};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::published::parse;

/// Longest signature file.
pub(crate) const SIGNATURE_LIMIT: u64 = 64 * 1024;
/// Most files in one folder of the event.
const MAX_FILES: usize = 10_000;

/// Everything that is staged, by role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged {
    pub(crate) roles: BTreeMap<RoleName, Envelope>,
    pub(crate) root: Option<Root>,
    pub(crate) targets: Option<Targets>,
    pub(crate) delegated: BTreeMap<RoleName, Targets>,
    /// Keys that signed an earlier draft of a role, and the digest of that draft.
    pub(crate) earlier: BTreeMap<RoleName, BTreeMap<KeyId, Sha256Digest>>,
}

impl Staged {
    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let mut staged = Self::default();
        for stem in stems(&layout.staged())? {
            let role = role_of(&stem)?;
            let path = layout.staged_role(&role);
            let bytes = durable::read_bounded(&path, Limits::default().targets_length)?;
            let signed = Json::read(&bytes).map_err(|source| {
                Error::in_file(&path)(MetadataError::Json {
                    role: role.clone(),
                    source,
                })
            })?;
            match role.as_str() {
                "root" => staged.root = Some(parse(&role, &path, signed.clone())?),
                "targets" => staged.targets = Some(parse(&role, &path, signed.clone())?),
                _ => {
                    let targets = parse(&role, &path, signed.clone())?;
                    staged.delegated.insert(role.clone(), targets);
                }
            }
            staged.roles.insert(
                role,
                Envelope {
                    signed,
                    signatures: Vec::new(),
                },
            );
        }
        staged.read_signatures(layout)?;
        Ok(staged)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    fn read_signatures(&mut self, layout: &Layout) -> Result<()> {
        let folder = layout.signatures();
        let mut digests: BTreeMap<RoleName, Sha256Digest> = BTreeMap::new();
        for stem in stems(&folder)? {
            // ROLE.KEYID: a role's name may have dots, a key id has none.
            let Some((role, key)) = stem.rsplit_once('.') else {
                continue;
            };
            let role = role_of(role)?;
            let Some(envelope) = self.roles.get_mut(&role) else {
                continue;
            };
            let path = folder.join(format!("{stem}.json"));
            let file = SignatureFile::read(&path)?;
            if file.key.as_str() != key {
                continue;
            }
            let draft = *digests
                .entry(role.clone())
                .or_insert_with(|| Sha256Digest::of(&envelope.payload()));
            let over = file.sha256.unwrap_or(draft);
            match file.signature {
                Some(bytes) if over == draft => envelope.signatures.push(Signature {
                    key: file.key,
                    bytes,
                }),
                _ if over == draft => {}
                _ => {
                    let earlier = self.earlier.entry(role).or_default();
                    earlier.insert(file.key, over);
                }
            }
        }
        Ok(())
    }
}

/// Stages a role, unless the same is staged already. Signatures over another draft of it are voided: what remains says whose
/// they were.
pub(crate) fn stage<C: Role>(layout: &Layout, role: &RoleName, content: &C) -> Result<bool> {
    let mut signed = content.to_json();
    if let Json::Object(members) = &mut signed
        && C::TYPE == "targets"
    {
        // The same people may sign several targets roles: the file says for which of them it is.
        members.insert(ROLE_MEMBER.to_owned(), role.clone().into());
    }
    let path = layout.staged_role(role);
    if path.is_file() {
        let bytes = durable::read_bounded(&path, Limits::default().targets_length)?;
        if Json::read(&bytes).is_ok_and(|old| undated(old) == undated(signed.clone())) {
            return Ok(false);
        }
        void_signatures(layout, role)?;
    } else {
        remove_signatures(layout, role)?;
    }
    durable::create_dir_durable(&layout.staged(), 0o755)?;
    durable::write(&path, &signed.pretty(), durable::PUBLIC)?;
    let common = content.common();
    let mut line = RoleLine::new(role, common.version.number());
    line.sha256 = Some(Sha256Digest::of(&signed.canonical()));
    let deed = audit::deed(Action::Stage, None, vec![line]);
    audit::record(layout, common.issued.unwrap_or(Timestamp::EPOCH), deed)?;
    Ok(true)
}

/// Writes the signature of one key.
pub(crate) fn write_signature(
    layout: &Layout,
    role: &RoleName,
    payload: &[u8],
    signature: &Signature,
) -> Result<()> {
    let json = Json::object([
        ("role", Json::from(role.clone())),
        ("sha256", Sha256Digest::of(payload).into()),
        ("keyid", signature.key.clone().into()),
        ("sig", hex::encode(&signature.bytes).into()),
    ]);
    durable::create_dir_durable(&layout.signatures(), 0o755)?;
    let path = layout.signature(role, &signature.key);
    Ok(durable::write(&path, &json.pretty(), durable::PUBLIC)?)
}

/// Ends the event: nothing is staged any more. Roles go last, so that an interruption leaves an event to go on with.
pub(crate) fn clear(layout: &Layout) -> Result<()> {
    for stem in stems(&layout.signatures())? {
        durable::remove_durable(&layout.signatures().join(format!("{stem}.json")))?;
    }
    let targets = layout.staged_targets();
    if targets.is_dir() {
        fs::remove_dir_all(&targets).map_err(|e| Error::io("remove", &targets, e))?;
    }
    for stem in stems(&layout.staged())? {
        durable::remove_durable(&layout.staged().join(format!("{stem}.json")))?;
    }
    Ok(())
}

/// Takes one role out of the event.
pub(crate) fn remove_role(layout: &Layout, role: &RoleName) -> Result<()> {
    remove_signatures(layout, role)?;
    Ok(durable::remove_durable(&layout.staged_role(role))?)
}

fn remove_signatures(layout: &Layout, role: &RoleName) -> Result<()> {
    for path in signature_files(layout, role)? {
        durable::remove_durable(&path)?;
    }
    Ok(())
}

/// Signatures over a draft that is about to be replaced: the bytes go, so that nobody can use them with the old draft, and
/// who signed it stays.
fn void_signatures(layout: &Layout, role: &RoleName) -> Result<()> {
    for path in signature_files(layout, role)? {
        match SignatureFile::read(&path) {
            Ok(SignatureFile {
                key,
                sha256: Some(sha256),
                ..
            }) => {
                let void = Json::object([
                    ("role", Json::from(role.clone())),
                    ("sha256", sha256.into()),
                    ("keyid", key.into()),
                ]);
                durable::write(&path, &void.pretty(), durable::PUBLIC)?;
            }
            _ => durable::remove_durable(&path)?,
        }
    }
    Ok(())
}

fn signature_files(layout: &Layout, role: &RoleName) -> Result<Vec<PathBuf>> {
    let stem_of_role = role.file_stem();
    let stems = stems(&layout.signatures())?.into_iter().filter(|stem| {
        stem.rsplit_once('.')
            .is_some_and(|(name, _)| name == stem_of_role)
    });
    Ok(stems
        .map(|stem| layout.signatures().join(format!("{stem}.json")))
        .collect())
}

/// A draft without its dates: to stage the same once more an hour later changes nothing.
fn undated(mut signed: Json) -> Json {
    if let Json::Object(members) = &mut signed {
        members.remove("expires");
        members.remove(ISSUED_MEMBER);
    }
    signed
}

/// A signature as it lies in a file of its own. Without `sig` it is a reminder: this key signed a draft that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignatureFile {
    /// For which role, if it says so.
    pub(crate) role: Option<RoleName>,
    /// Digest of the bytes that it covers, if it says so.
    pub(crate) sha256: Option<Sha256Digest>,
    /// By which key.
    pub(crate) key: KeyId,
    /// The signature.
    pub(crate) signature: Option<Vec<u8>>,
}

impl SignatureFile {
    fn read(path: &Path) -> Result<Self> {
        let bytes = durable::read_bounded(path, SIGNATURE_LIMIT)?;
        let what = path.display().to_string();
        let json = Json::read(&bytes)
            .map_err(|e| ShapeError::new(&what, "a signature file", e.to_string()))?;
        Ok(Self::from_json(json, &what)?)
    }

    pub(crate) fn from_json(json: Json, what: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, what)?;
        Ok(Self {
            role: fields.take_optional("role", |json, at| {
                let name = json.into_string(at)?;
                role_of(&name).map_err(|e| ShapeError::new(at, "a role's name", e.to_string()))
            })?,
            sha256: fields.take_optional("sha256", Sha256Digest::from_json)?,
            key: KeyId::claimed(fields.take("keyid", Json::into_string)?),
            signature: fields.take_optional("sig", |json, at| {
                let text = json.into_string(at)?;
                hex::decode(text).map_err(|e| ShapeError::new(at, "hex digits", e.to_string()))
            })?,
        })
    }
}

/// Names of the `.json` files in a folder without their ending, sorted; none if there is no folder.
pub(crate) fn stems(folder: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("list", folder, e);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut stems = Vec::new();
    for (number, entry) in fs::read_dir(folder).map_err(failed)?.enumerate() {
        if number >= MAX_FILES {
            let text = format!("there are more than {MAX_FILES} files in it");
            return Err(failed(io::Error::other(text)));
        }
        let name = entry.map_err(failed)?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
        stems.extend(
            stem.filter(|stem| !stem.starts_with('.'))
                .map(str::to_owned),
        );
    }
    stems.sort();
    Ok(stems)
}

pub(crate) fn role_of(stem: &str) -> Result<RoleName> {
    Ok(match stem {
        "root" => RoleName::root(),
        "targets" => RoleName::targets(),
        // Names of products and of `pki` are the same as their file stems.
        name => RoleName::delegated(name)?,
    })
}
