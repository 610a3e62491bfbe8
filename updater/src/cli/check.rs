//! `updater check`

use super::{Context, output, system_time, why};
use crate::error::Error;
use crate::select::Decision;
use crate::socket::{self, Request};

pub(super) async fn run(context: &Context) -> Result<(), Error> {
    let config = context.config()?;
    if socket::request(&config.socket, &Request::Check)?.is_some() {
        return why::run(context);
    }
    let checked = context.open()?.check(system_time()).await?;
    let running = &checked.running;
    let Some((offer, decision)) = &checked.offer else {
        let value = serde_json::json!({"running": running, "offered": null});
        output::answer(
            context.json,
            &value,
            &format!("{running} runs; nothing is released for its product and channel."),
        );
        return Ok(());
    };
    let offered = &offer.manifest.version;
    let (taken, why) = match decision {
        Decision::Install => match &checked.hold {
            Some(hold) => (false, format!("it waits: {hold}")),
            None => (true, "it will be installed".to_owned()),
        },
        Decision::UpToDate => (false, "it runs already".to_owned()),
        Decision::NotTaken(reason) => (false, format!("it is not taken: {reason}")),
    };
    let withdrawn = checked
        .withdrawn
        .as_ref()
        .map(|entry| entry.reason.as_str());
    let value = serde_json::json!({
        "running": running, "withdrawn": withdrawn, "offered": offered, "taken": taken, "why": why, "signed_by": offer.signed_by,
    });
    let advice = withdrawn.map_or_else(String::new, |why| format!(" (withdrawn: {why})"));
    let signed = offer.signed_by.join(", ");
    output::answer(
        context.json,
        &value,
        &format!("{running} runs{advice}; {offered} is offered, signed by {signed}: {why}."),
    );
    Ok(())
}
