//! What long work tells while it goes on.

/// How far a piece of work is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that is made or read.
    pub file: &'a str,
    /// What is being done to it.
    pub stage: &'a str,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do; 0 if that is not known.
    pub total: u64,
}

/// Is told about progress, from several threads.
pub type OnProgress<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// Tells nobody.
pub fn silent(_: Progress<'_>) {}
