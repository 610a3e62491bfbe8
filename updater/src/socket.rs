//! The local socket of `updater run`: how other programs ask it something, and tell it something.
//!
//! A Unix stream socket, for its owner alone (mode 0600). A request is a JSON object in one line of at most [`MAX_REQUEST`] bytes,
//! such as `{"do":"status"}`; the answer is one line as well, with `"ok": true`, or with `"ok": false`, `error`, `hint` and the
//! `exit_code` that the command would have. A connection may ask several things in turn. `docs/INTEGRATION.md` lists them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, StoreError};

/// Longest request, in bytes.
pub const MAX_REQUEST: u64 = 4096;
/// Longest answer that a client takes, in bytes.
const MAX_ANSWER: u64 = 1024 * 1024;
/// How long a client waits for an answer. A health check may take a while.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longest that a connection may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Most connections at a time; another one is closed at once.
const MAX_CONNECTIONS: usize = 8;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// What is going on, and how far it is.
    Status,
    /// Look at once what is offered; the answer says what is known then.
    Check,
    /// Install at once what is offered, past windows, postponement and consent; the answer comes at once, `status` tells the rest.
    Install {
        /// Also what has failed here before.
        #[serde(default)]
        retry: bool,
        /// The absolute path of a bundle, in the place of the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<PathBuf>,
    },
    /// Stop the run that is at work, or give up what is armed.
    Cancel,
    /// Keep the firmware on trial.
    Commit {
        /// Without its health checks.
        #[serde(default)]
        unheard: bool,
    },
    /// Leave the firmware on trial, or go back to the one before.
    Rollback {
        /// Why.
        #[serde(default)]
        why: String,
    },
    /// Poll now, with all policies: something has changed, such as a postponement or a link.
    Poll,
    /// Read the configuration again.
    Reload,
}

/// A request, and where its answer goes.
pub type Asked = (Request, oneshot::Sender<Value>);

/// Listens, and hands requests on.
///
/// # Errors
/// If the socket cannot be made. One that a dead updater left is replaced; whoever calls this holds the lock.
pub fn listen(path: &Path) -> Result<mpsc::Receiver<Asked>, Error> {
    let failed = |step, source| {
        Error::Store(StoreError::Storage(device_pki::Error::Io {
            step,
            path: path.to_owned(),
            source,
        }))
    };
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("replace", e)),
        _ => {}
    }
    // Nobody can connect between making it and closing it to others: it listens under another name until its mode is set.
    let beginning = path.with_extension("new");
    let _none_there = std::fs::remove_file(&beginning);
    let listener = UnixListener::bind(&beginning).map_err(|e| failed("listen at", e))?;
    std::fs::set_permissions(&beginning, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&beginning, path))
        .map_err(|e| failed("listen at", e))?;
    let (sender, receiver) = mpsc::channel(MAX_CONNECTIONS);
    tokio::spawn(accept(listener, sender));
    Ok(receiver)
}

async fn accept(listener: UnixListener, sender: mpsc::Sender<Asked>) {
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, or the like: it may pass.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let Ok(place) = std::sync::Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            let _gone_or_silent = serve(stream, &sender).await;
            drop(place);
        });
    }
}

async fn serve(stream: tokio::net::UnixStream, sender: &mpsc::Sender<Asked>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = tokio::io::BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reader).take(MAX_REQUEST);
        let read = limited.read_until(b'\n', &mut line);
        let length = tokio::time::timeout(SILENCE, read).await??;
        if length == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n") || u64::try_from(length).is_ok_and(|n| n < MAX_REQUEST);
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => ask(request, sender).await,
            Err(e) => refusal(&format!("this is no request: {e}"), 2),
        };
        let mut text = answer.to_string();
        text.push('\n');
        // Who does not read its answer holds no place.
        tokio::time::timeout(SILENCE, writer.write_all(text.as_bytes())).await??;
        if !whole {
            return Ok(());
        }
    }
}

async fn ask(request: Request, sender: &mpsc::Sender<Asked>) -> Value {
    let (answer, answered) = oneshot::channel();
    let gone = || refusal("the updater ends", 1);
    if sender.send((request, answer)).await.is_err() {
        return gone();
    }
    answered.await.unwrap_or_else(|_| gone())
}

/// An answer that says no.
pub fn refusal(error: &str, exit_code: u8) -> Value {
    serde_json::json!({"ok": false, "error": error, "exit_code": exit_code})
}

/// Asks the updater that runs as a service; none, if there is none.
///
/// # Errors
/// If it says no, or nothing that makes sense.
pub fn request(path: &Path, request: &Request) -> Result<Option<Value>, Error> {
    let Ok(stream) = UnixStream::connect(path) else {
        return Ok(None);
    };
    let talk = || -> io::Result<Value> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = serde_json::to_string(request)?;
        text.push('\n');
        (&stream).write_all(text.as_bytes())?;
        let mut line = String::new();
        BufReader::new((&stream).take(MAX_ANSWER)).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    };
    let answer = talk().map_err(|e| Error::Service {
        error: e.to_string(),
        exit_code: 1,
    })?;
    if answer.get("ok") == Some(&Value::Bool(true)) {
        return Ok(Some(answer));
    }
    let text = |name| answer.get(name).and_then(Value::as_str);
    let code = answer.get("exit_code").and_then(Value::as_u64);
    Err(Error::Service {
        error: text("error")
            .unwrap_or("nothing that makes sense")
            .to_owned(),
        exit_code: code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(lines: &[u8]) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            std::fs::write(&path, "left by a dead one").unwrap();
            let mut requests = listen(&path).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            tokio::spawn(async move {
                while let Some((request, answer)) = requests.recv().await {
                    let said = serde_json::json!({"ok": true, "asked": request});
                    answer.send(said).unwrap();
                }
            });
            let lines = lines.to_vec();
            let asked = tokio::task::spawn_blocking(move || {
                let mut stream = UnixStream::connect(&path).unwrap();
                let _closed_early = stream.write_all(&lines);
                let _closed_early = stream.shutdown(std::net::Shutdown::Write);
                let mut text = String::new();
                let _closed_early = stream.read_to_string(&mut text);
                text
            });
            let text = asked.await.unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        })
    }

    #[test]
    fn requests_are_lines() {
        let said = answers(
            b"{\"do\":\"status\"}\n{\"do\":\"install\",\"retry\":true}\n{\"do\":\"cancel\"}",
        );
        assert_eq!(said.len(), 3);
        assert_eq!(said[1]["asked"]["retry"], true);
        assert_eq!(said[2]["asked"]["do"], "cancel");
    }

    #[test]
    fn what_is_no_request_is_refused_and_what_is_too_long_ends_it() {
        for line in [
            "{}\n",
            "\n",
            "{\"do\":\"reboot\"}\n",
            "{\"do\":\"install\",\"loudly\":1}\n",
            "[[[[",
        ] {
            let said = answers(line.as_bytes());
            assert_eq!(said[0]["ok"], false, "{line}");
            assert_eq!(said[0]["exit_code"], 2, "{line}");
        }
        let long = vec![b' '; 100_000];
        assert!(answers(&long).len() <= 1);
    }
}
