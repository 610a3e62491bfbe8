use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use metadata_schema::release::{
    Channel, FirmwareVersion, HardwareId, Product, Rollout, SlotClass, Wave,
};
use metadata_schema::time::Timestamp;
use repo_tool::{Error, Forecast, ImageSource, ReleaseRequest, Result};

use crate::Context;
use crate::bar::Bar;
use crate::output::{bytes, percent};

/// Longest file of release notes.
const NOTES_LIMIT: u64 = 64 * 1024;

/// Stage a release: images in, manifest, full payloads and deltas out
///
/// Deltas are made from the last versions that were published, in any channel. What each device will download is shown
/// before anybody signs.
#[derive(Args, Debug)]
pub(crate) struct AddReleaseArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The product
    #[arg(long)]
    product: Product,

    /// The channel that offers the release
    #[arg(long, default_value = "stable")]
    channel: Channel,

    /// Version of the firmware, such as 1.2.0
    #[arg(long)]
    version: FirmwareVersion,

    /// Anti-rollback number: devices that run this release never go below it again [default: as before]
    #[arg(long, value_name = "N")]
    security_version: Option<u64>,

    /// A hardware revision that the release fits; once for each [default: as before]
    #[arg(long)]
    hardware: Vec<HardwareId>,

    /// An image and the slots it is for; once for each
    #[arg(long = "image", value_name = "SLOT=FILE", required = true, value_parser = image)]
    images: Vec<(SlotClass, PathBuf)>,

    /// The least version that may update to this one directly
    #[arg(long, value_name = "VERSION")]
    requires: Option<FirmwareVersion>,

    /// What changed, or a file that says it
    #[arg(long, value_name = "TEXT|FILE", default_value = "")]
    notes: String,

    /// From how many earlier versions to make deltas [default: as in repo.toml]
    #[arg(long, value_name = "N")]
    deltas: Option<u32>,

    /// From when on which share of the fleet may install, such as +24h=10 or 2030-01-31T00:00:00Z=100; once for each
    #[arg(long = "wave", value_name = "START=PERCENT")]
    waves: Vec<String>,
}

impl AddReleaseArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let images = self
            .images
            .into_iter()
            .map(|(slot, file)| (slot, ImageSource::File(file)))
            .collect();
        let waves = self.waves.iter().map(|wave| parse_wave(wave, context.now));
        let request = ReleaseRequest {
            security_version: self.security_version,
            hardware: self.hardware,
            images,
            requires: self.requires,
            notes: notes(self.notes)?,
            deltas: self.deltas,
            rollout: Rollout {
                waves: waves.collect::<Result<_>>()?,
                paused: false,
            },
            ..ReleaseRequest::new(self.product, self.channel, self.version)
        };
        let bar = Bar::new(context.output.json);
        let forecast = repository.stage_release(&request, context.now, &|now| bar.show(now));
        bar.finish();
        let forecast = forecast?;
        context.output.answer(&forecast, || table(&forecast));
        super::show::say_voided(&repository.show()?, context);
        context
            .output
            .say("Staged. Next: `repo-tool show`, `sign` by each signer, `publish`.");
        Ok(())
    }
}

fn image(text: &str) -> Result<(SlotClass, PathBuf), String> {
    let (slot, file) = text
        .split_once('=')
        .ok_or("expected SLOT=FILE, such as rootfs=rootfs.img")?;
    Ok((slot.parse().map_err(|e| format!("{e}"))?, file.into()))
}

fn notes(text: String) -> Result<String> {
    let path = PathBuf::from(&text);
    if text.is_empty() || !path.is_file() {
        return Ok(text);
    }
    let bytes = durable::read_bounded(&path, NOTES_LIMIT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse_wave(text: &str, now: Timestamp) -> Result<Wave> {
    let bad = || Error::Argument {
        what: "wave",
        found: text.to_owned(),
        expected: "START=PERCENT, where START is now, +Nh, +Nd or a time such as 2030-01-31T00:00:00Z",
    };
    let (start, percent) = text.split_once('=').ok_or_else(bad)?;
    let percent = percent
        .parse()
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(bad)?;
    let ahead = |number: &str, unit: i64| {
        let number = number.parse::<u32>().ok()?;
        Some(now.plus_seconds(i64::from(number).checked_mul(unit)?))
    };
    let start = match start.strip_prefix('+') {
        None if start == "now" => Some(now),
        None => start.parse().ok(),
        Some(rest) => match (rest.strip_suffix('h'), rest.strip_suffix('d')) {
            (Some(hours), _) => ahead(hours, 3600),
            (_, Some(days)) => ahead(days, 24 * 3600),
            _ => None,
        },
    };
    Ok(Wave {
        start: start.ok_or_else(bad)?,
        percent,
    })
}

/// What devices will download.
fn table(forecast: &Forecast) -> Vec<String> {
    let Forecast {
        product,
        channel,
        version,
        security_version,
        ..
    } = forecast;
    let mut lines = vec![format!(
        "{product} {version} in {channel}, security version {security_version}"
    )];
    for image in &forecast.images {
        lines.push(format!("  {}: image of {}", image.slot, bytes(image.bytes)));
        let row = |from: &str, size: u64, remark: &str| {
            let share = percent(size, image.full_bytes);
            format!("    {from:<24} {:>12} {share:>9}  {remark}", bytes(size))
        };
        lines.push(row("any version, in full", image.full_bytes, ""));
        for delta in &image.deltas {
            let remark = delta
                .skipped
                .map(|why| format!("in full: {why}"))
                .unwrap_or_default();
            lines.push(row(
                &format!("from {}", delta.from_version),
                delta.bytes,
                &remark,
            ));
        }
    }
    lines
}
