use std::path::PathBuf;

use clap::Args;
use repo_tool::{Repository, Result};

use crate::Context;
use crate::passphrase::KeyArgs;

/// Sign every staged role that a key may sign
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// Folder of the repository
    folder: PathBuf,

    #[command(flatten)]
    key: KeyArgs,
}

impl SignArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = Repository::open(&self.folder)?;
        let key = self.key.open()?;
        let signed = repository.sign_shown(&*key, &mut |event| {
            context.output.say_lines(&super::show::lines(event));
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
        let status = repository.status(context.now)?;
        if status.ready {
            context
                .output
                .say("Everything is signed. Next: `repo-tool publish`.");
        } else {
            context.output.say_lines(&super::status::missing(&status));
        }
        Ok(())
    }
}
