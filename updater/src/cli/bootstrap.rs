//! `updater bootstrap`

use super::arguments::Given;
use super::{Context, output, system_time};
use crate::error::Error;

/// Begin to trust the repository, as a blank device does by itself on its first run; install nothing
#[derive(Debug)]
pub(super) struct Bootstrap {
    /// Also where the device trusts it already, or has lost what it trusted: forget all of it, with its rollback floor,
    /// but for revocation lists; every CA that certified signers needs a current one
    again: bool,
}

impl Bootstrap {
    pub(super) fn of(given: &Given) -> Self {
        Self {
            again: given.has("again"),
        }
    }

    pub(super) async fn run(&self, context: &Context) -> Result<(), Error> {
        let updater = context.open()?;
        let now = updater.bootstrap(self.again, system_time()).await?;
        output::answer(
            context.json,
            &serde_json::json!({"outcome": "begun", "reference_time": now}),
            "This device trusts the repository from now on.",
        );
        Ok(())
    }
}
