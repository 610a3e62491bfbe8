use clap::Args;
use metadata_schema::time::Timestamp;
use repo_tool::Result;
use repo_tool::reading::{Difference, RoleDifference, Side};

use crate::Context;
use crate::table::{day, listed};

/// Tell what differs between two repositories, or between two states of one
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    repo-tool diff repo@7 repo@12           from the seventh snapshot to the twelfth\n  \
    repo-tool diff repo@7 repo              from the seventh snapshot to now\n  \
    repo-tool diff repo/published mirror    is the mirror what was published?")]
pub(crate) struct DiffArgs {
    /// A published folder or a repository's; FOLDER@N for what it was when snapshot N was published
    #[arg(value_name = "A")]
    left: Side,

    /// The same; what it has more than A is said to be added
    #[arg(value_name = "B")]
    right: Side,
}

impl DiffArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let difference = Difference::between(&self.left, &self.right)?;
        context.output.answer(&difference, || lines(&difference));
        Ok(())
    }
}

fn lines(difference: &Difference) -> Vec<String> {
    let side = |version: u64, issued: Option<Timestamp>| match issued {
        Some(issued) => format!("snapshot v{version} of {}", day(issued)),
        None => format!("snapshot v{version}"),
    };
    let from = side(difference.from_snapshot, difference.from_issued);
    let to = side(difference.to_snapshot, difference.to_issued);
    let mut lines = vec![format!("From {from} to {to}:")];
    for role in &difference.roles {
        lines.push(head(role));
        lines.extend(listed(&role.lines));
    }
    if difference.roles.is_empty() {
        lines.push("no role differs".to_owned());
    }
    lines
}

fn head(role: &RoleDifference) -> String {
    let name = &role.role;
    match (role.from_version, role.to_version) {
        (Some(version), Some(_)) if role.forked => format!(
            "{name} v{version} IS TWO DIFFERENT FILES: one of them was not published by this repository's keepers"
        ),
        (Some(from), Some(to)) => format!("{name} v{from} -> v{to}"),
        (None, Some(to)) => format!("{name} v{to} (new)"),
        (Some(from), None) => format!("{name} v{from} (gone)"),
        (None, None) => name.clone(),
    }
}
