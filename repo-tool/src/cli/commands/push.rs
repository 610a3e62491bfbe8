use std::path::PathBuf;

use clap::Args;
use repo_tool::{Place, PushOptions, Pushed, Repository, Result, remote};

use crate::Context;
use crate::bar::Bar;
use crate::output::bytes;

/// Send what is published to where devices are served from
///
/// To a folder, an object store (s3://BUCKET/PREFIX, gs://, az://) or a WebDAV server (https://). Payloads go first, the
/// timestamp last, so that devices see the old state or the new one; what is there already is not sent again, so a push that
/// was cut off goes on when it is run again; everything that was sent is read back. If something newer is there, nothing is
/// overwritten. Credentials come from the environment: AWS_..., GOOGLE_..., AZURE_..., for WebDAV REPO_TOOL_PUSH_USER and
/// REPO_TOOL_PUSH_PASSWORD, or REPO_TOOL_PUSH_TOKEN. `AWS_ENDPOINT` names a store other than Amazon's.
#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Folder or URL; if none is given, `to` in `[publish]` of repo.toml
    to: Option<Place>,

    /// Only say what would be sent, in which order
    #[arg(long)]
    dry_run: bool,

    /// Read back every file, also what is there since an earlier push
    #[arg(long)]
    all: bool,

    /// Overwrite files that no published state there names: of a push from another folder that was given up
    #[arg(long)]
    replace_leftovers: bool,
}

impl PushArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let to = repository.destination(self.to)?;
        let options = PushOptions {
            dry_run: self.dry_run,
            all: self.all,
            replace_leftovers: self.replace_leftovers,
        };
        let pushed = push(&repository, &to, &options, context)?;
        context.output.answer(&pushed, || lines(&pushed));
        Ok(())
    }
}

/// Pushes with a progress bar.
pub(crate) fn push(
    repository: &Repository,
    to: &Place,
    options: &PushOptions,
    context: &Context,
) -> Result<Pushed> {
    let remote = remote::open(to)?;
    let bar = Bar::new(context.output.json);
    let pushed = repository.push(&*remote, options, context.now, &|now| bar.show(now));
    bar.finish();
    pushed
}

/// What was sent, for people.
pub(crate) fn lines(pushed: &Pushed) -> Vec<String> {
    if pushed.sent.is_empty() {
        return vec![format!("{} has all of it.", pushed.to)];
    }
    let verb = if pushed.dry_run { "would send" } else { "sent" };
    let files = pushed.sent.iter();
    let mut lines: Vec<String> = files
        .map(|file| format!("{verb} {:>10}  {}", bytes(file.bytes), file.path))
        .collect();
    lines.push(format!(
        "{} files, {}, to {}; {} were there already.",
        pushed.sent.len(),
        bytes(pushed.bytes),
        pushed.to,
        pushed.unchanged
    ));
    lines
}
