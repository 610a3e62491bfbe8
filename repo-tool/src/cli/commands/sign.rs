use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use repo_tool::show::Event;
use repo_tool::{Error, Result};

use crate::Context;
use crate::baseline::{self, BaselineArgs};
use crate::passphrase::KeyArgs;

/// Sign every staged role that a key may sign
///
/// Shows what will be signed, and asks. Where nobody can be asked, `--event` signs only if what is staged is what somebody
/// has read, and `--yes` signs whatever is staged.
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// Folder of the repository
    folder: PathBuf,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    agreement: AgreementArgs,

    #[command(flatten)]
    baseline: BaselineArgs,
}

/// How somebody agrees to what they are shown.
#[derive(Args, Debug)]
pub(crate) struct AgreementArgs {
    /// Sign only the event with this id (or at least 32 digits of it), as `repo-tool show` gives it; do not ask
    #[arg(long, value_name = "ID")]
    event: Option<String>,

    /// Sign what is staged without asking
    #[arg(long, conflicts_with = "event")]
    yes: bool,
}

impl SignArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let key = self.key.open()?;
        let id = key.public_key().id();
        let mut baseline = None;
        let signed = repository.sign_shown(&*key, context.now, &mut |event| {
            baseline = self.baseline.verified(&repository, Some(id), context)?;
            context.output.say_lines(&super::show::lines(event));
            self.agreement.agreed(event, context)
        })?;
        context.output.answer(&signed, || {
            let lines = signed.iter().map(|role| {
                let again = if role.repeated { " (as before)" } else { "" };
                format!(
                    "signed {} v{}{again}: sha256 {}",
                    role.role, role.version, role.sha256
                )
            });
            lines.collect()
        });
        if let Some(baseline) = &baseline {
            baseline::remember(&repository, Some(id), baseline, context)?;
        }
        super::status::say_next(&repository.status(context.now)?, context);
        Ok(())
    }
}

impl AgreementArgs {
    /// Whether this event is to be signed.
    fn agreed(&self, event: &Event, context: &Context) -> Result<()> {
        let Some(id) = event.id else {
            return Ok(());
        };
        if let Some(asked) = &self.event {
            return if id.is_named_by(asked) {
                Ok(())
            } else {
                Err(Error::AnotherEvent {
                    asked: asked.clone(),
                    found: id.to_string(),
                })
            };
        }
        if self.yes {
            return Ok(());
        }
        let refused = || Error::NotAgreed {
            event: id.to_string(),
        };
        if !std::io::stdin().is_terminal() {
            return Err(refused());
        }
        context.output.say(&format!(
            "\nSign event {} as it is described above? Type yes:",
            id.short()
        ));
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        match read {
            Ok(_) if answer.trim().eq_ignore_ascii_case("yes") => Ok(()),
            _ => Err(refused()),
        }
    }
}
