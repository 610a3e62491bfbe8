//! `updater enrol`

use serde_json::json;

use super::arguments::Given;
use super::{Context, output, system_time};
use crate::error::Error;

/// Get this device's certificate, or renew it when it is time, as every run does first
#[derive(Debug)]
pub(super) struct Enrol {
    /// Renew it now, whenever it would be time; an attempt that failed is not waited for
    now: bool,
}

impl Enrol {
    pub(super) fn of(given: &Given) -> Self {
        Self {
            now: given.has("now"),
        }
    }

    pub(super) async fn run(&self, context: &Context) -> Result<(), Error> {
        let updater = context.open()?;
        let enrolled = updater.enrol(self.now, system_time()).await?;
        let (urn, until) = (&enrolled.urn, enrolled.not_after);
        let answer = json!({
            "device": urn,
            "renewed": enrolled.renewed,
            "not_after": until.to_string(),
            "renewal": enrolled.renewal.map(|due| due.to_string()),
        });
        let what = if enrolled.renewed {
            "has a new certificate"
        } else {
            "keeps its certificate"
        };
        let due = enrolled
            .renewal
            .map_or_else(String::new, |due| format!("; it renews it after {due}"));
        let text = format!("{urn} {what}, valid until {until}{due}");
        output::answer(context.json, &answer, &text);
        Ok(())
    }
}
