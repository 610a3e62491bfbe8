//! `updater simulate`

use super::arguments::{Given, Usage};
use super::{Context, output};
use crate::boot::simulated;
use crate::config::BootBackend;
use crate::error::{BootError, Error};

/// Act as the boot loader of a simulated device
#[derive(Debug)]
pub(super) enum Simulate {
    /// Make the boot loader's state of a device that leaves the factory: slot A runs, slot B is empty
    Init,
    /// Start the device: take the first slot that has starts left
    PowerOn,
}

impl Simulate {
    pub(super) fn of(given: &Given) -> Result<Self, Usage> {
        match given.operand().unwrap_or_default() {
            "init" => Ok(Self::Init),
            "power-on" => Ok(Self::PowerOn),
            found => Err(given.wrong(&format!("expected init or power-on, found {found:?}"))),
        }
    }

    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let boot = context.config()?.boot;
        if boot.backend != BootBackend::Simulated {
            let why = "`simulate` is for the backend \"simulated\"".to_owned();
            return Err(BootError::Configuration { why }.into());
        }
        let path = boot.state();
        if matches!(self, Self::Init) {
            simulated::Simulated::install(&path)?;
            let text = format!("{} is made: slot A runs, slot B is empty.", path.display());
            output::answer(context.json, &serde_json::json!({"made": path}), &text);
            return Ok(());
        }
        let slot = simulated::power_on(&path)?;
        output::answer(
            context.json,
            &serde_json::json!({"booted": slot}),
            &format!("Started from slot {slot}."),
        );
        Ok(())
    }
}
