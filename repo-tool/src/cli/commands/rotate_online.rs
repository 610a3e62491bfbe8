use std::path::PathBuf;

use clap::Args;
use device_pki::SystemEntropy;
use metadata_schema::name::RoleName;
use repo_tool::{Result, online_roles};

use crate::Context;

/// Stage new keys for what machines sign: snapshot, timestamp and pki
///
/// Without more, a new key is made in `online/`. To move a role to a token or to the environment, name the new key first and the old
/// one second in [online] of repo.toml: timestamp = ["pkcs11:...", "online/timestamp.key"]. The old key signs until the change is
/// signed by people and published.
#[derive(Args, Debug)]
pub(crate) struct RotateOnlineArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The roles [default: all three]
    #[arg(value_name = "ROLE", value_parser = ["snapshot", "timestamp", "pki"])]
    roles: Vec<String>,
}

impl RotateOnlineArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let all = online_roles()?;
        let wanted = |role: &&RoleName| {
            self.roles.is_empty() || self.roles.iter().any(|name| name == role.as_str())
        };
        let roles: Vec<RoleName> = all.iter().filter(wanted).cloned().collect();
        let rotated = repository.rotate_online(&roles, context.now, &mut SystemEntropy)?;
        context
            .output
            .say_lines(&super::show::lines(&repository.show()?));
        context.output.answer(&rotated, || {
            let lines = rotated.iter().map(|one| {
                let short: String = one.key.chars().take(8).collect();
                format!(
                    "{:<10} will be signed by key {short}, {}",
                    one.role, one.source
                )
            });
            lines.collect()
        });
        Ok(())
    }
}
