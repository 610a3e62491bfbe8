//! `updater why`, `updater history` and `updater doctor`: answers for people.

use metadata_schema::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::arguments::{Given, Usage};
use super::{Context, output, system_time};
use crate::error::Error;
use crate::progress::bytes;
use crate::updater::{Finding, Health, Updater};

/// Say what has happened to this device
#[derive(Debug)]
pub(super) struct History {
    /// Only so many of the newest entries
    last: usize,
}

/// A release in sight.
#[derive(Serialize)]
struct Verdict {
    version: String,
    verdict: &'static str,
    why: String,
}

pub(super) fn run(context: &Context) -> Result<(), Error> {
    let updater = context.look()?;
    let system = system_time();
    let verdicts = verdicts(
        &updater,
        updater
            .clock(system)
            .map_or(system, |clock| clock.reference().0),
    );
    let last = updater.memory().last.as_ref();
    let problem = last.and_then(|last| last.problem.as_ref());
    let doubts = updater.doubts(system)?;
    let mut text = String::new();
    for verdict in &verdicts {
        text.push_str(&format!(
            "{:<14} {:<10} {}\n",
            verdict.version, verdict.verdict, verdict.why
        ));
    }
    match (last, problem) {
        (None, _) => {
            text.push_str("No run has looked what is offered yet: `updater check` does.");
        }
        (Some(last), None) => {
            text.push_str(&format!("The last run, {}: {}.", last.at, last.said));
        }
        (Some(last), Some(problem)) => {
            text.push_str(&format!(
                "The last run, {}, failed: {}",
                last.at, problem.error
            ));
            for cause in &problem.caused_by {
                text.push_str(&format!("\n  {cause}"));
            }
            if let Some(hint) = &problem.hint {
                text.push_str(&format!("\nHint: {hint}"));
            }
        }
    }
    for doubt in &doubts {
        text.push_str(&format!("\nThe clock is not trusted: {doubt}"));
    }
    let value = json!({"releases": verdicts, "last_run": last, "clock_doubts": doubts});
    output::answer(context.json, &value, &text);
    Ok(())
}

fn verdicts(updater: &Updater, now: Timestamp) -> Vec<Verdict> {
    let (state, memory) = (updater.state(), updater.memory());
    let mut verdicts = Vec::new();
    let mut add = |version: &dyn ToString, verdict, why: String| {
        let version = version.to_string();
        verdicts.push(Verdict {
            version,
            verdict,
            why,
        });
    };
    let running = &state.running.version;
    match &memory.withdrawn {
        Some(why) => add(running, "runs", format!("its publisher withdrew it: {why}")),
        None => add(running, "runs", format!("committed in slot {}", state.slot)),
    }
    if let Some(new) = state.installation.new_firmware() {
        add(
            &new.version,
            "under way",
            format!("its installation is {}", state.installation.name()),
        );
    }
    if let Some(offered) = memory.offered.as_ref().filter(|offered| !offered.runs) {
        let signed = format!("signed by {}", offered.signed_by.join(", "));
        match (&offered.refusal, updater.hold(now, false)) {
            (Some(why), _) => add(&offered.version, "not taken", why.clone()),
            (None, Some(hold)) => add(&offered.version, "waits", hold.to_string()),
            (None, None) => add(
                &offered.version,
                "taken",
                format!("the next run installs it; {signed}"),
            ),
        }
        if let Some(stone) = offered.requires.as_ref().filter(|stone| running < *stone) {
            let why = format!(
                "{} needs it or a later one first, and the channel does not offer it",
                offered.version
            );
            add(stone, "not there", why);
        }
    }
    let refused = memory.refused.as_ref();
    if let Some(refused) = refused.filter(|refused| refused.pass_by == 0) {
        let offered = memory.offered.as_ref();
        if let Some(offered) = offered.filter(|offered| offered.manifest == refused.manifest) {
            let why = format!("refused {} times: {}", refused.times, refused.why);
            add(&offered.version, "refused", why);
        }
    }
    for failure in state.failed.iter().rev() {
        let why = format!(
            "{} ({}); `updater install --retry` tries it again",
            failure.why, failure.at
        );
        add(&failure.version, "failed", why);
    }
    match (&state.previous, state.way_back()) {
        (Some(previous), Ok(_)) => add(
            &previous.version,
            "before",
            "`updater rollback` goes back to it".to_owned(),
        ),
        (Some(previous), Err(e)) => add(&previous.version, "before", e.to_string()),
        (None, _) => {}
    }
    verdicts
}

impl History {
    pub(super) fn of(given: &Given) -> Result<Self, Usage> {
        let last = given.value("last").map_or(Ok(20), |last| {
            let wrong = |_| given.wrong(&format!("--last: expected a number, found {last:?}"));
            last.parse().map_err(wrong)
        })?;
        Ok(Self { last })
    }

    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let entries = context.look()?.history().entries()?;
        let entries = entries
            .get(entries.len().saturating_sub(self.last)..)
            .unwrap_or_default();
        let mut text = String::new();
        for entry in entries {
            let (at, what, version) = (entry.at, &entry.what, &entry.version);
            text.push_str(&format!("{at}  {what:<12} {version:<12} {}", entry.detail));
            if let Some(number) = entry.bytes {
                text.push_str(&format!(", {}", bytes(number)));
            }
            if let Some(seconds) = entry.seconds {
                text.push_str(&format!(" in {seconds} s"));
            }
            text.push('\n');
        }
        if entries.is_empty() {
            text.push_str("Nothing has happened yet.");
        }
        output::answer(context.json, &json!({"history": entries}), text.trim_end());
        Ok(())
    }
}

pub(super) async fn doctor(context: &Context) -> Result<(), Error> {
    let updater = context.look()?;
    let mut findings = updater.doctor(system_time()).await;
    let configuration = Finding {
        what: "configuration",
        health: Health::Ok,
        found: context.config.display().to_string(),
        mend: None,
    };
    findings.insert(0, configuration);
    let text: Vec<String> = findings.iter().map(line).collect();
    let wrong = findings
        .iter()
        .filter(|f| f.health == Health::Wrong)
        .count();
    let value = json!({"ok": wrong == 0, "findings": findings});
    output::answer(context.json, &value, &text.join("\n"));
    match wrong {
        0 => Ok(()),
        wrong => Err(Error::Unwell { wrong }),
    }
}

fn line(finding: &Finding) -> String {
    let mark = match finding.health {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Wrong => "WRONG",
    };
    let mut line = format!("{mark:<8} {:<13} {}", finding.what, finding.found);
    if let Some(mend) = &finding.mend {
        line.push_str(&format!("\n{:<22} -> {mend}", ""));
    }
    line
}
