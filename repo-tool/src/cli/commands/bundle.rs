use std::path::PathBuf;

use clap::Args;
use metadata_schema::release::{Channel, FirmwareVersion, Product};
use repo_tool::{BundleOptions, Bundled, Progress, Result};

use crate::Context;
use crate::bar::Bar;
use crate::output::bytes;
use crate::table::{expiry, table};

/// Write what a channel offers into one file, for devices without a network
///
/// `updater install FILE` takes it under the same checks as from the server. The timestamp key signs for how long that may be done;
/// after that, and once the next release has come over the network, devices refuse the file. It never outlives what people
/// signed: root, targets and the product expire in the file as they do on the server. A tar file: `tar -tvf FILE` lists it. A
/// bundle that is there is replaced as a whole, any other file is left alone. Nothing in the repository changes but the audit log.
#[derive(Args, Debug)]
pub(crate) struct BundleArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The file to write
    #[arg(value_name = "FILE")]
    to: PathBuf,

    /// Of which product; needed where several are offered something
    #[arg(long)]
    product: Option<Product>,

    /// Of which channel; needed where several are offered something
    #[arg(long)]
    channel: Option<Channel>,

    /// A version that devices run: add the deltas from it, which devices take instead of the full payloads; can be given several times
    #[arg(long, value_name = "VERSION")]
    from: Vec<FirmwareVersion>,

    /// For how many days it may be installed from
    #[arg(long, value_name = "DAYS", default_value = "90d", value_parser = days)]
    valid: u32,
}

impl BundleArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let options = BundleOptions {
            product: self.product,
            channel: self.channel,
            from: self.from,
            days: self.valid,
        };
        let bar = Bar::new(context.output.json);
        let show = |now: Progress<'_>| bar.show(now);
        let bundled = repository.bundle(&self.to, &options, context.now, &show);
        bar.finish();
        let bundled = bundled?;
        context.output.answer(&bundled, || lines(&bundled, context));
        Ok(())
    }
}

/// Reads `90d` or `90`.
fn days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text).parse().ok();
    let number = number.filter(|days| (1..=3650).contains(days));
    number.ok_or_else(|| "expected 1 to 3650 days, such as 90d".to_owned())
}

fn lines(bundled: &Bundled, context: &Context) -> Vec<String> {
    let Bundled {
        product, channel, ..
    } = bundled;
    let mut lines = vec![format!(
        "{}: {product}/{channel} {}, {}",
        bundled.file,
        bundled.version,
        bytes(bundled.bytes)
    )];
    let rows: Vec<Vec<String>> = bundled
        .payloads
        .iter()
        .map(|payload| {
            let from = payload.from.as_ref();
            vec![
                format!("  {}", payload.slot),
                from.map_or_else(|| "full".to_owned(), |from| format!("delta from {from}")),
                bytes(payload.bytes),
            ]
        })
        .collect();
    lines.extend(table(&rows));
    for version in &bundled.without_delta {
        lines.push(format!(
            "There is no delta from {version}: devices that run it take the full payload."
        ));
    }
    let until = expiry(bundled.expires, context.now);
    lines.push(match &bundled.shortened_by {
        Some(role) => format!("Devices take it until {until}, when {role} expires."),
        None => format!("Devices take it until {until}."),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_days() {
        for (text, expected) in [
            ("90d", Some(90)),
            ("1", Some(1)),
            ("0d", None),
            ("-1", None),
            ("3651d", None),
            ("90h", None),
            ("d", None),
        ] {
            assert_eq!(days(text).ok(), expected, "{text}");
        }
    }
}
