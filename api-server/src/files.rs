//! Files of the repository: from the path in a URL to an open file, and its bytes as a body.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, ReadBuf, Take};

use crate::error::{Error, Result};

/// How much of a file is in memory at once.
const CHUNK: usize = 64 * 1024;
/// Longest path.
const MAX_PATH: usize = 4096;

/// The folder that is served.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A file that is open, with what identifies this state of it.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: File,
    /// How long it is.
    pub size: u64,
    /// Changes when the file is replaced or changed (RFC 9110, section 8.8.3).
    pub etag: String,
}

impl Folder {
    /// A folder, which has to exist.
    ///
    /// # Errors
    /// If it does not, or is the folder of a whole repository: that has keys in it.
    pub fn new(path: &Path) -> Result<Self> {
        let real = path
            .canonicalize()
            .map_err(|e| Error::io("open", path, e))?;
        if real.join("repo.toml").symlink_metadata().is_ok() {
            return Err(Error::Config {
                what: format!("--repository {}", path.display()),
                reason: "it has repo.toml, so it is the whole repository with its keys; give the folder published/ in it"
                    .to_owned(),
            });
        }
        Ok(Self(real))
    }

    /// Opens the file that a URL's path (without a leading `/`) names; none if it names no file in the folder.
    ///
    /// # Errors
    /// If the file is there but cannot be read.
    pub fn open(&self, url_path: &str) -> Result<Option<Opened>> {
        let Some(path) = relative(url_path).map(|relative| self.0.join(relative)) else {
            return Ok(None);
        };
        let found = |result: io::Result<PathBuf>| match result {
            Ok(path) => Ok(Some(path)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(Error::io("open", &path, e)),
        };
        // Symbolic links may lead about inside of the folder, and not out of it.
        let Some(real) = found(path.canonicalize())?.filter(|real| real.starts_with(&self.0))
        else {
            return Ok(None);
        };
        // Before it is opened: opening a pipe waits for its other end, and opening a device may do anything.
        match real.metadata() {
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(Error::io("read", &real, e)),
            Ok(metadata) if !metadata.is_file() => return Ok(None),
            Ok(_) => {}
        }
        let file = match File::open(&real) {
            Err(e) if is_absent(&e) => return Ok(None),
            other => other.map_err(|e| Error::io("open", &real, e))?,
        };
        let metadata = file.metadata().map_err(|e| Error::io("read", &real, e))?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let etag = etag(&metadata);
        Ok(Some(Opened {
            file,
            size: metadata.len(),
            etag,
        }))
    }
}

/// Size, time and inode: the publishing tool replaces files, so that another content is another inode.
fn etag(metadata: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    let (size, inode) = (metadata.len(), metadata.ino());
    format!(
        "\"{size:x}-{:x}-{:x}-{inode:x}\"",
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

/// The path below the folder that a URL's path names: decoded once, exactly (RFC 3986, section 2.1).
///
/// None for what is malformed or could lead elsewhere: `%` without two digits, segments that are empty, begin with a dot
/// (`.`, `..` and hidden files), or have a slash, backslash or control character in them.
fn relative(url_path: &str) -> Option<PathBuf> {
    if url_path.len() > MAX_PATH {
        return None;
    }
    url_path.split('/').map(segment).collect()
}

fn segment(encoded: &str) -> Option<String> {
    let mut rest = encoded;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.get(..2)?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then_some(())?;
        rest = after.get(2..)?;
    }
    let text = percent_decode_str(encoded).decode_utf8().ok()?;
    let bad = text.is_empty()
        || text.starts_with('.')
        || text.contains(['/', '\\'])
        || text.chars().any(char::is_control);
    (!bad).then(|| text.into_owned())
}

/// Part of a file as the body of an answer: read as it is sent, one chunk in memory.
#[derive(Debug)]
pub struct FileBody {
    file: Take<tokio::fs::File>,
}

impl FileBody {
    /// `length` bytes from `first` on.
    ///
    /// # Errors
    /// If the file cannot be positioned.
    pub async fn new(file: File, first: u64, length: u64) -> io::Result<Self> {
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK);
        if first > 0 {
            file.seek(io::SeekFrom::Start(first)).await?;
        }
        Ok(Self {
            file: file.take(length),
        })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let left = self.file.limit();
        if left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = BytesMut::zeroed(wanted);
        let mut buffer = ReadBuf::new(&mut chunk);
        let read = ready!(Pin::new(&mut self.file).poll_read(context, &mut buffer));
        let filled = buffer.filled().len();
        if let Err(error) = read {
            return Poll::Ready(Some(Err(error)));
        }
        if filled == 0 {
            // Shorter than it was when its length was promised: the connection must break, or the client waits.
            let kind = io::ErrorKind::UnexpectedEof;
            return Poll::Ready(Some(Err(io::Error::new(
                kind,
                "the file has become shorter",
            ))));
        }
        chunk.truncate(filled);
        Poll::Ready(Some(Ok(Frame::data(chunk.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.file.limit() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.file.limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_somewhere_and_paths_that_do_not() {
        for (url, expected) in [
            ("metadata/1.root.json", Some("metadata/1.root.json")),
            ("a%20b", Some("a b")),
            ("a%252Fb.json", Some("a%2Fb.json")),
            ("%C3%A9", Some("é")),
            ("", None),
            ("/etc/passwd", None),
            ("a//b", None),
            ("a/", None),
            ("../a", None),
            ("a/%2e%2E/b", None),
            ("a/%2E", None),
            (".hidden", None),
            ("a%2Fb", None),
            ("a%5Cb", None),
            ("a\\b", None),
            ("a%00", None),
            ("a%0A", None),
            ("a%", None),
            ("a%2", None),
            ("a%zz", None),
            ("a%+1", None),
            ("%FF", None),
        ] {
            assert_eq!(relative(url), expected.map(PathBuf::from), "{url:?}");
        }
    }

    #[test]
    fn links_do_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::write(inside.path().join("file"), "abc").unwrap();
        std::os::unix::fs::symlink("file", inside.path().join("good")).unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("out")).unwrap();
        std::fs::create_dir(inside.path().join("folder")).unwrap();
        let folder = Folder::new(inside.path()).unwrap();
        let size = |path: &str| folder.open(path).unwrap().map(|opened| opened.size);
        assert_eq!(size("file"), Some(3));
        assert_eq!(size("good"), Some(3));
        for absent in [
            "out/secret",
            "folder",
            "nothing",
            "file/x",
            &"x".repeat(300),
        ] {
            assert_eq!(size(absent), None, "{absent}");
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let inside = tempfile::tempdir().unwrap();
        // Opening a socket fails, and opening a pipe would wait.
        let _socket = std::os::unix::net::UnixListener::bind(inside.path().join("socket")).unwrap();
        let folder = Folder::new(inside.path()).unwrap();
        assert!(folder.open("socket").unwrap().is_none());
    }

    #[test]
    fn a_whole_repository_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("published")).unwrap();
        std::fs::write(folder.path().join("repo.toml"), "").unwrap();
        let error = Folder::new(folder.path()).unwrap_err().to_string();
        assert!(error.contains("published/"), "{error}");
        assert!(Folder::new(&folder.path().join("published")).is_ok());
    }

    #[test]
    fn another_content_has_another_etag() {
        let inside = tempfile::tempdir().unwrap();
        let path = inside.path().join("file");
        let folder = Folder::new(inside.path()).unwrap();
        device_pki::durable::write(&path, b"abc", 0o644).unwrap();
        let first = folder.open("file").unwrap().unwrap().etag;
        assert_eq!(folder.open("file").unwrap().unwrap().etag, first);
        device_pki::durable::write(&path, b"abd", 0o644).unwrap();
        assert_ne!(folder.open("file").unwrap().unwrap().etag, first);
    }

    proptest::proptest! {
        #[test]
        fn no_path_leaves_the_folder(url: String) {
            if let Some(path) = relative(&url) {
                let ordinary = |c| matches!(c, std::path::Component::Normal(_));
                proptest::prop_assert!(path.components().all(ordinary));
            }
        }
    }
}
