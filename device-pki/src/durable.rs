//! The one atomic-write routine of the workspace.
//!
//! After [`write()`] returns, the file holds the new bytes even if the power is cut; if the power is cut before, it holds
//! the old ones. Never anything between. The order of steps: write a temporary file in the same folder, sync it, rename
//! it over the old one, sync the folder (POSIX promises the rename to last only then).

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};

/// Mode of a file that others may read.
pub const PUBLIC: u32 = 0o644;
/// Mode of a file that only its owner may read.
pub const SECRET: u32 = 0o600;

/// Replaces a file, or makes it. `mode` holds for the new file, whatever the old one had.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("state.json");
/// use device_pki::durable;
/// durable::write(&path, b"{}", durable::PUBLIC)?;
/// assert_eq!(durable::read_bounded(&path, 100)?, b"{}");
/// # Ok::<(), device_pki::Error>(())
/// ```
///
/// # Errors
/// If a step fails; the old file then stands as it was.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    Disk::default().write(path, bytes, mode)
}

/// A file that is written piece by piece, for what is too large to hold in memory: it takes its place in
/// [`Replacement::finish`], whole. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    length: u64,
    disk: Disk,
    finished: bool,
}

impl Replacement {
    /// Begins to write what will be the file at `path`.
    ///
    /// # Errors
    /// If there can be no file beside it.
    pub fn begin(path: &Path, mode: u32) -> Result<Self> {
        Self::begin_on(&Disk::default(), path, mode)
    }

    fn begin_on(disk: &Disk, path: &Path, mode: u32) -> Result<Self> {
        let temporary = temporary_name(path)?;
        let file = disk.create(&temporary, mode);
        let file = file.map_err(|e| Error::io("make", &temporary, e))?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file,
            length: 0,
            disk: disk.clone(),
            finished: false,
        })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.disk
            .write_at(&self.file, &self.temporary, self.length, bytes)
            .map_err(|e| Error::io("write", &self.temporary, e))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.length = self.length.saturating_add(length);
        Ok(())
    }

    /// Puts the file in its place. When this has returned, it stays there.
    ///
    /// # Errors
    /// If a step fails; the old file then stands as it was.
    pub fn finish(mut self) -> Result<()> {
        self.disk
            .sync(&self.file, &self.temporary)
            .map_err(|e| Error::io("sync", &self.temporary, e))?;
        self.disk
            .rename(&self.temporary, &self.path)
            .map_err(|e| Error::io("rename into", &self.path, e))?;
        self.finished = true;
        self.disk.sync_folder(folder_of(&self.path))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.finished {
            // The leftover is a hidden file that nobody reads; the error that counts is the one that led here.
            self.disk.remove(&self.temporary).ok();
        }
    }
}

/// Makes a folder and those above it, and makes sure that it lasts. An existing folder is no error.
///
/// # Errors
/// If a step fails.
pub fn create_dir_durable(path: &Path, mode: u32) -> Result<()> {
    Disk::default().create_dir(path, mode)
}

/// Removes a file, and makes sure that it stays away. A file that is not there is no error.
///
/// # Errors
/// If a step fails.
pub fn remove_durable(path: &Path) -> Result<()> {
    Disk::default().remove_file(path)
}

/// Removes a folder and all that is in it, and makes sure that it stays away. One that is not there is no error.
///
/// # Errors
/// If a step fails.
pub fn remove_dir_durable(folder: &Path) -> Result<()> {
    Disk::default().remove_dir(folder)
}

/// Gives a folder, whole and synced, its place, where no folder is yet. When this has returned, it stays there.
///
/// # Errors
/// If a step fails, or something is there.
pub fn place_dir(folder: &Path, place: &Path) -> Result<()> {
    Disk::default().place_dir(folder, place)
}

/// Makes sure that the names in a folder last: what was made, renamed or removed there.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<()> {
    Disk::default().sync_folder(folder)
}

/// The same on any disk.
impl Disk {
    /// Reads a file of at most `limit` bytes: [`read_bounded`].
    ///
    /// # Errors
    /// As there.
    pub fn read_bounded(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let file = self.open(path).map_err(|e| Error::io("open", path, e))?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", path, e))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            Ok(bytes)
        } else {
            Err(Error::TooLarge {
                path: path.to_owned(),
                limit,
            })
        }
    }

    /// Replaces a file, or makes it: [`write()`].
    ///
    /// # Errors
    /// As there.
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let mut replacement = Replacement::begin_on(self, path, mode)?;
        replacement.push(bytes)?;
        replacement.finish()
    }

    /// Makes a folder: [`create_dir_durable`].
    ///
    /// # Errors
    /// As there.
    pub fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = folder_of(path);
        if !parent.is_dir() {
            self.create_dir(parent, mode)?;
        }
        match self.make_folder(path, mode) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(e) => Err(Error::io("make the folder", path, e)),
            Ok(()) => self.sync_folder(parent),
        }
    }

    /// Removes a file: [`remove_durable`].
    ///
    /// # Errors
    /// As there.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        match self.remove(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("remove", path, e)),
            Ok(()) => self.sync_folder(folder_of(path)),
        }
    }

    /// Removes everything in a folder, and makes sure that it stays away. The folder itself stays.
    ///
    /// # Errors
    /// If a step fails.
    pub fn empty_dir(&self, folder: &Path) -> Result<()> {
        self.remove_from(folder, |_| true)
    }

    /// Removes what writes that were cut off have left in a folder. Nobody may be writing there.
    ///
    /// # Errors
    /// If a step fails.
    pub fn remove_leftovers(&self, folder: &Path) -> Result<()> {
        self.remove_from(folder, is_temporary)
    }

    /// Removes a folder and all that is in it: [`remove_dir_durable`].
    ///
    /// # Errors
    /// As there.
    pub fn remove_dir(&self, folder: &Path) -> Result<()> {
        if folder
            .symlink_metadata()
            .is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
        {
            return Ok(());
        }
        self.remove_all(folder)
            .map_err(|e| Error::io("remove", folder, e))?;
        self.sync_folder(folder_of(folder))
    }

    /// Gives a folder its place: [`place_dir`].
    ///
    /// # Errors
    /// As there.
    pub fn place_dir(&self, folder: &Path, place: &Path) -> Result<()> {
        self.rename(folder, place)
            .map_err(|e| Error::io("rename into", place, e))?;
        self.sync_folder(folder_of(place))
    }

    /// Makes sure that the names in a folder last: [`sync_folder`].
    ///
    /// # Errors
    /// As there.
    pub fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.sync_names(folder)
            .map_err(|e| Error::io("sync the folder", folder, e))
    }

    fn remove_from(&self, folder: &Path, unwanted: impl Fn(&str) -> bool) -> Result<()> {
        let unreadable = |e| Error::io("read the folder", folder, e);
        let mut any = false;
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if !unwanted(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            let removed = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.remove_all(&path)
            } else {
                self.remove(&path)
            };
            removed.map_err(|e| Error::io("remove", &path, e))?;
            any = true;
        }
        if any {
            self.sync_folder(folder)
        } else {
            Ok(())
        }
    }
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// If it cannot be read or is larger; not more than `limit` bytes and one are read in any case.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    Disk::default().read_bounded(path, limit)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A hidden name beside `path`, random so that two writers do not meet.
fn temporary_name(path: &Path) -> Result<PathBuf> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|e| Error::Entropy {
        reason: e.to_string(),
    })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(folder_of(path).join(format!(".{name}.{}.tmp", hex::encode(random))))
}

/// Whether [`temporary_name`] made this.
fn is_temporary(name: &str) -> bool {
    let random = name
        .strip_prefix('.')
        .and_then(|name| name.strip_suffix(".tmp"))
        .and_then(|name| name.rsplit_once('.'));
    random.is_some_and(|(_, random)| {
        random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file");
        create_dir_durable(path.parent().unwrap(), 0o700).unwrap();
        write(&path, b"old and long", PUBLIC).unwrap();
        write(&path, b"new", SECRET).unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            SECRET
        );
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        remove_durable(&path).unwrap();
        remove_durable(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_names_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write(&path, b"x", PUBLIC).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot rename into"),
            "{error}"
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "temporary file left behind"
        );
    }

    #[test]
    fn a_file_in_pieces_takes_its_place_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old", PUBLIC).unwrap();
        for whole in [false, true] {
            let mut replacement = Replacement::begin(&path, SECRET).unwrap();
            replacement.push(b"ne").unwrap();
            replacement.push(b"w").unwrap();
            assert_eq!(read_bounded(&path, 3).unwrap(), b"old");
            if whole {
                replacement.finish().unwrap();
            } else {
                drop(replacement);
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        assert_eq!(read_bounded(&path, 3).unwrap(), b"new");
    }

    #[test]
    fn removes_what_was_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let left = temporary_name(&path).unwrap();
        for file in [&path, &left, &folder.path().join(".a.json.tmp")] {
            fs::write(file, b"x").unwrap();
        }
        Disk::default().remove_leftovers(folder.path()).unwrap();
        assert!(path.exists() && !left.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        fs::create_dir_all(folder.path().join("inner/most")).unwrap();
        Disk::default().empty_dir(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(Disk::default().empty_dir(&path).is_err());
    }

    #[test]
    fn a_folder_takes_its_place_where_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let [new, place] = ["new", "place"].map(|name| folder.path().join(name));
        fs::create_dir(&new).unwrap();
        fs::write(new.join("a"), b"new").unwrap();
        fs::create_dir_all(place.join("old")).unwrap();
        assert!(place_dir(&new, &place).is_err());
        remove_dir_durable(&place).unwrap();
        remove_dir_durable(&place).unwrap();
        place_dir(&new, &place).unwrap();
        assert!(place.join("a").exists() && !new.exists());
    }

    #[test]
    fn reads_no_more_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        write(&path, &[7; 11], PUBLIC).unwrap();
        assert!(matches!(
            read_bounded(&path, 10),
            Err(Error::TooLarge { limit: 10, .. })
        ));
        assert!(matches!(
            read_bounded(Path::new("/dev/zero"), 10),
            Err(Error::TooLarge { .. })
        ));
    }
}
