//! What ends a command with exit code 1.

use metadata_schema::name::NameError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Whatever the device's client refuses or cannot do.
    #[error(transparent)]
    Client(#[from] Box<updater::Error>),
    /// A file could not be read or written.
    #[error(transparent)]
    Storage(#[from] device_pki::Error),
    /// A target name is not acceptable.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No role that may speak about the target has it.
    #[error("the repository has no target {0:?}")]
    NoTarget(String),
    /// Nothing is trusted yet.
    #[error("the metadata folder has no root: run init first")]
    NoRoot,
    /// An option that the command needs.
    #[error("this command needs {0}")]
    Option(&'static str),
    /// The program cannot run at all.
    #[error("cannot start")]
    Runtime(#[source] std::io::Error),
}

impl From<updater::Error> for Failure {
    fn from(error: updater::Error) -> Self {
        Self::Client(Box::new(error))
    }
}

impl Failure {
    /// The failure and what caused it, one line each.
    pub fn in_full(&self) -> String {
        let mut text = format!("Error: {self}\n");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!("Caused by: {error}\n"));
            cause = error.source();
        }
        text
    }
}
