use std::path::PathBuf;

use clap::Args;
use device_pki::KeyPair;
use repo_tool::{Repository, Result};

use crate::Context;
use crate::passphrase::PassphraseArgs;

/// Sign every staged role that a key may sign
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The private key
    #[arg(long)]
    key: PathBuf,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl SignArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = Repository::open(&self.folder)?;
        let passphrase = self.passphrase.of_key(&self.key)?;
        let key = KeyPair::load(&self.key, passphrase.as_ref())?.into_tuf_signer()?;
        let signed = repository.sign_shown(&key, &mut |event| {
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
