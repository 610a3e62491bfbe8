//! `updater simulate`

use clap::Subcommand;

use super::{Context, output};
use crate::boot::simulated;
use crate::config::BootConfig;
use crate::error::Error;

/// Act as the boot loader of a simulated device
#[derive(Debug, Subcommand)]
pub(super) enum Simulate {
    /// Start the device: take the first slot that has starts left
    PowerOn,
}

impl Simulate {
    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let Self::PowerOn = self;
        let BootConfig::Simulated { path, .. } = context.config()?.boot;
        let slot = simulated::power_on(&path)?;
        output::answer(
            context.json,
            &serde_json::json!({"booted": slot}),
            &format!("Started from slot {slot}."),
        );
        Ok(())
    }
}
