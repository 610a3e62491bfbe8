use std::path::PathBuf;

use clap::Args;
use repo_tool::Result;
use repo_tool::loss::{Devices, Loss, LossPlan, RoleLoss};

use crate::Context;

/// Tell what follows if keys are lost or stolen, and the way back; nothing is changed
///
/// People are named as in their certificate or by the first digits (8 or more) of their key id; the keys of machines are called
/// snapshot, timestamp and pki; CAs go by their names. Try it before it happens: --lost for anybody whom you could lose.
#[derive(Args, Debug)]
pub(crate) struct PlanLossArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// Nobody has this key any more; once for each
    #[arg(long, value_name = "NAME|KEY|ROLE", required_unless_present = "stolen")]
    lost: Vec<String>,

    /// Somebody else has this key, and its holder is not to be relied on; once for each
    #[arg(long, value_name = "NAME|KEY|ROLE|CA")]
    stolen: Vec<String>,
}

impl PlanLossArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let loss = Loss {
            lost: self.lost,
            stolen: self.stolen,
        };
        let plan = context.open(&self.folder)?.plan_loss(&loss, context.now)?;
        context.output.answer(&plan, || lines(&plan));
        Ok(())
    }
}

fn lines(plan: &LossPlan) -> Vec<String> {
    let mut lines = vec!["What can still be signed".to_owned()];
    lines.extend(plan.roles.iter().map(role));
    if !plan.thief.is_empty() {
        lines.extend([String::new(), "What a thief can do".to_owned()]);
        lines.extend(plan.thief.iter().map(|power| format!("  - {}", power.text)));
    }
    lines.extend([String::new(), "Which devices can follow".to_owned()]);
    lines.extend(plan.devices.iter().map(devices));
    lines.extend([String::new(), "The way back".to_owned()]);
    for (number, step) in plan.steps.iter().enumerate() {
        lines.push(format!("  {}. {}", number.saturating_add(1), step.why));
        lines.extend(
            step.commands
                .iter()
                .map(|command| format!("       {command}")),
        );
    }
    lines
}

fn role(role: &RoleLoss) -> String {
    let verdict = match (role.can_sign, role.thief_can_sign) {
        (true, false) => "yes",
        (true, true) => "yes, and by the thief",
        (false, false) => "NO",
        (false, true) => "NO, but by the thief",
    };
    let able = if role.able.is_empty() {
        "nobody".to_owned()
    } else {
        role.able.join(", ")
    };
    format!(
        "  {:<14} {verdict}: {} needed, left {able}",
        role.role, role.needed
    )
}

fn devices(group: &Devices) -> String {
    let versions = if group.from_root == group.to_root {
        format!("root v{}", group.from_root)
    } else {
        format!("root v{} to v{}", group.from_root, group.to_root)
    };
    let verdict = match (group.reach_present, group.reach_new_root) {
        (true, true) => "follow, to the present root and to a new one",
        (true, false) => "follow to the present root, and to NO new one",
        (false, _) => "do NOT reach the present root",
    };
    let led = if group.thief_can_lead {
        "; the thief can sign a next root for them"
    } else {
        ""
    };
    format!("  {versions:<14} {verdict}{led}")
}
