//! A disk that crashes: what may be found after a power cut, worked out from the steps that were made.
//!
//! What POSIX does not promise is not kept: a write that was not synced is lost or not, each by itself, in any order, and the last one
//! may be torn at any byte; a name that was given, taken or changed is lost or not, each by itself, until its folder is synced. A synced
//! file is not found if its name was lost. A rename is whole: the new name has what the old one had, or nothing has happened.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use device_pki::disk::Step;
use metadata_schema::digest::Sha256Digest;

/// A step, kept.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeFolder(PathBuf),
    SyncFolder(PathBuf),
}

impl Made {
    pub(crate) fn of(step: Step<'_>) -> Self {
        match step {
            Step::Create(path) => Self::Create(path.into()),
            Step::Write(path, offset, bytes) => Self::Write(path.into(), offset, bytes.into()),
            Step::Sync(path) => Self::Sync(path.into()),
            Step::Rename(from, to) => Self::Rename(from.into(), to.into()),
            Step::Remove(path) | Step::RemoveFolder(path) => Self::Remove(path.into()),
            Step::MakeFolder(path) => Self::MakeFolder(path.into()),
            Step::SyncFolder(path) => Self::SyncFolder(path.into()),
            other => panic!("{other:?} is not known here"),
        }
    }

    /// Whether it writes into a file that was there before: an image into a slot.
    pub(crate) fn is_of_an_image(&self) -> bool {
        matches!(self, Self::Write(path, ..) if path.extension().is_some_and(|e| e == "img"))
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, path) = match self {
            Self::Create(path) => ("make", path),
            Self::Write(path, ..) => ("write", path),
            Self::Sync(path) => ("sync", path),
            Self::Rename(_, path) => ("rename into", path),
            Self::Remove(path) => ("remove", path),
            Self::MakeFolder(path) => ("make the folder", path),
            Self::SyncFolder(path) => ("sync the folder", path),
        };
        write!(f, "the last: {what} {}", path.display())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    File(usize),
    Folder(usize),
}

/// Bytes of a file, and what tells them from others.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: Sha256Digest,
}

impl Content {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        let sha256 = Sha256Digest::of(&bytes);
        Arc::new(Self { bytes, sha256 })
    }
}

#[derive(Clone, Debug)]
struct File {
    lasting: Arc<Content>,
    unsynced: Vec<(u64, Vec<u8>)>,
}

/// What becomes of a few names of one folder, all or nothing.
type Change = Vec<(OsString, Option<Node>)>;

#[derive(Clone, Debug, Default)]
struct Folder {
    lasting: BTreeMap<OsString, Node>,
    unsynced: Vec<Change>,
    /// As a running program sees it.
    seen: BTreeMap<OsString, Node>,
}

/// Everything below one folder.
#[derive(Clone, Debug)]
pub(crate) struct CrashingDisk {
    root: PathBuf,
    files: Vec<File>,
    /// The first is the root.
    folders: Vec<Folder>,
}

/// What is decided of each unsynced thing at a crash: of `count` things, is this one kept?
pub(crate) trait Fate {
    fn keeps(&mut self) -> bool;
    /// How many of so many bytes of the last write are kept, of a file whose last write is kept.
    fn torn(&mut self, length: usize) -> usize;
}

/// What is found: the bytes of files, and folders, by their paths.
pub(crate) type Found = BTreeMap<PathBuf, Option<Arc<Content>>>;

impl CrashingDisk {
    /// A folder as it is, all of it lasting; `ours` says which of its entries belong to the device.
    pub(crate) fn of(root: &Path, ours: impl Fn(&str) -> bool) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            files: Vec::new(),
            folders: vec![Folder::default()],
        };
        disk.take_in(root, 0, &|name| ours(name));
        disk
    }

    fn take_in(&mut self, path: &Path, folder: usize, ours: &dyn Fn(&str) -> bool) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if !ours(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let node = if entry.file_type().unwrap().is_dir() {
                self.folders.push(Folder::default());
                let number = self.folders.len() - 1;
                self.take_in(&entry.path(), number, &|_| true);
                Node::Folder(number)
            } else if entry.file_type().unwrap().is_file() {
                self.files.push(File {
                    lasting: Content::new(fs::read(entry.path()).unwrap()),
                    unsynced: Vec::new(),
                });
                Node::File(self.files.len() - 1)
            } else {
                continue;
            };
            let names = &mut self.folders[folder];
            names.lasting.insert(entry.file_name(), node);
            names.seen.insert(entry.file_name(), node);
        }
    }

    fn find(&self, path: &Path) -> Option<Node> {
        let mut node = Node::Folder(0);
        for name in path.strip_prefix(&self.root).unwrap() {
            let Node::Folder(folder) = node else {
                return None;
            };
            node = *self.folders[folder].seen.get(name)?;
        }
        Some(node)
    }

    fn file(&mut self, path: &Path) -> &mut File {
        let Some(Node::File(file)) = self.find(path) else {
            panic!("{} is no file", path.display());
        };
        &mut self.files[file]
    }

    fn folder(&mut self, path: &Path) -> &mut Folder {
        let Some(Node::Folder(folder)) = self.find(path) else {
            panic!("{} is no folder", path.display());
        };
        &mut self.folders[folder]
    }

    fn change(&mut self, path: &Path, change: Change) {
        let folder = self.folder(path.parent().unwrap());
        for (name, node) in &change {
            put(&mut folder.seen, name, *node);
        }
        folder.unsynced.push(change);
    }

    /// One more step was made.
    pub(crate) fn step(&mut self, made: &Made) {
        let name = |path: &Path| path.file_name().unwrap().to_owned();
        match made {
            Made::Create(path) => {
                self.files.push(File {
                    lasting: Content::new(Vec::new()),
                    unsynced: Vec::new(),
                });
                let node = Node::File(self.files.len() - 1);
                self.change(path, vec![(name(path), Some(node))]);
            }
            Made::MakeFolder(path) => {
                self.folders.push(Folder::default());
                let node = Node::Folder(self.folders.len() - 1);
                self.change(path, vec![(name(path), Some(node))]);
            }
            Made::Write(path, offset, bytes) => {
                self.file(path).unsynced.push((*offset, bytes.clone()));
            }
            Made::Sync(path) => {
                let file = self.file(path);
                let mut bytes = file.lasting.bytes.clone();
                for (offset, part) in file.unsynced.drain(..) {
                    write(&mut bytes, offset, &part);
                }
                file.lasting = Content::new(bytes);
            }
            Made::Rename(from, to) => {
                assert_eq!(
                    from.parent(),
                    to.parent(),
                    "across folders nothing is whole"
                );
                let node = self.find(from);
                assert!(node.is_some(), "{}", from.display());
                self.change(to, vec![(name(from), None), (name(to), node)]);
            }
            Made::Remove(path) => {
                if self.find(path).is_some() {
                    self.change(path, vec![(name(path), None)]);
                }
            }
            Made::SyncFolder(path) => {
                let folder = self.folder(path);
                for (name, node) in folder.unsynced.drain(..).flatten() {
                    put(&mut folder.lasting, &name, node);
                }
            }
        }
    }

    /// How many things can be lost, each by itself.
    pub(crate) fn unsynced(&self) -> usize {
        let writes = self.files.iter().map(|file| file.unsynced.len());
        let names = self.folders.iter().map(|folder| folder.unsynced.len());
        writes.sum::<usize>() + names.sum::<usize>()
    }

    /// The power is cut: what is found then.
    pub(crate) fn crash(&self, fate: &mut dyn Fate) -> Found {
        let mut names = Vec::new();
        for folder in &self.folders {
            let mut kept = folder.lasting.clone();
            for change in &folder.unsynced {
                if fate.keeps() {
                    for (name, node) in change {
                        put(&mut kept, name, *node);
                    }
                }
            }
            names.push(kept);
        }
        let mut contents = Vec::new();
        for file in &self.files {
            let mut bytes = None;
            for (index, (offset, part)) in file.unsynced.iter().enumerate() {
                if fate.keeps() {
                    let last = index + 1 == file.unsynced.len();
                    let length = if last {
                        fate.torn(part.len())
                    } else {
                        part.len()
                    };
                    let bytes = bytes.get_or_insert_with(|| file.lasting.bytes.clone());
                    write(bytes, *offset, &part[..length]);
                }
            }
            contents.push(bytes.map_or_else(|| Arc::clone(&file.lasting), Content::new));
        }
        let mut found = Found::new();
        let mut waiting = vec![(PathBuf::new(), 0)];
        while let Some((path, folder)) = waiting.pop() {
            for (name, node) in &names[folder] {
                let path = path.join(name);
                match node {
                    Node::Folder(inner) => {
                        found.insert(path.clone(), None);
                        waiting.push((path, *inner));
                    }
                    Node::File(file) => {
                        found.insert(path, Some(Arc::clone(&contents[*file])));
                    }
                }
            }
        }
        found
    }
}

fn put(names: &mut BTreeMap<OsString, Node>, name: &OsString, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name.clone(), node),
        None => names.remove(name),
    };
}

fn write(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let offset = usize::try_from(offset).unwrap();
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

/// The same paths, with what tells their contents from others.
pub(crate) fn outline(found: &Found) -> BTreeMap<PathBuf, Option<Sha256Digest>> {
    let of = |content: &Option<Arc<Content>>| content.as_ref().map(|content| content.sha256);
    let outlined = found.iter();
    outlined
        .map(|(path, content)| (path.clone(), of(content)))
        .collect()
}

/// Makes a folder hold what was found, and nothing else of what is `ours`.
pub(crate) fn lay_out(found: &Found, root: &Path, ours: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        if !ours(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let kept = found.get(Path::new(&entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        } else if kept.is_none() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    for (path, content) in found {
        let path = root.join(path);
        match content {
            None => fs::create_dir(&path).unwrap(),
            Some(content) => {
                let _none_before = fs::remove_file(&path);
                fs::write(&path, &content.bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }
}
