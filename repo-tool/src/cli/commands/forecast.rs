use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use metadata_schema::release::FirmwareVersion;
use repo_tool::release::{SourceForecast, Way, read_fleet};
use repo_tool::{Forecast, Result};

use super::channel::ChannelArgs;
use crate::Context;
use crate::output::{bytes, percent};

/// Longest fleet file.
const FLEET_LIMIT: u64 = 4 * 1024 * 1024;

/// How many devices run which version.
#[derive(Args, Debug)]
pub(crate) struct FleetArgs {
    /// A file with lines VERSION,COUNT: says what the whole fleet will download
    #[arg(long, value_name = "CSV")]
    fleet: Option<PathBuf>,
}

impl FleetArgs {
    pub(crate) fn read(&self) -> Result<Vec<(FirmwareVersion, u64)>> {
        let Some(path) = &self.fleet else {
            return Ok(Vec::new());
        };
        let bytes = durable::read_bounded(path, FLEET_LIMIT)?;
        read_fleet(&String::from_utf8_lossy(&bytes))
    }
}

/// Say what devices will download of the release that a channel offers, staged or published
#[derive(Args, Debug)]
pub(crate) struct ForecastArgs {
    #[command(flatten)]
    channel: ChannelArgs,

    #[command(flatten)]
    fleet: FleetArgs,
}

impl ForecastArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let ChannelArgs {
            product, channel, ..
        } = &self.channel;
        let repository = self.channel.open(context)?;
        let forecast = repository.forecast(product, channel, &self.fleet.read()?)?;
        context.output.answer(&forecast, || table(&forecast));
        Ok(())
    }
}

/// What devices will download.
pub(crate) fn table(forecast: &Forecast) -> Vec<String> {
    let Forecast {
        product,
        channel,
        version,
        security_version,
        full_bytes,
        ..
    } = forecast;
    let mut lines = vec![format!(
        "{product} {version} in {channel}, security version {security_version}"
    )];
    for image in &forecast.images {
        let (slot, digest) = (&image.slot, image.sha256.to_string());
        let digest: String = digest.chars().take(12).collect();
        let (raw, full) = (bytes(image.bytes), bytes(image.full_bytes));
        lines.push(format!(
            "  {slot:<12} image {raw:>12}   payload {full:>12}   sha256 {digest}"
        ));
        for delta in &image.deltas {
            if let Some(why) = delta.skipped {
                lines.push(format!("    no delta from {}: {why}", delta.from_version));
            }
        }
    }
    lines.push(String::new());
    lines.push(format!(
        "  {:<20} {:>12} {:>9}",
        "a device that runs", "downloads", "of full"
    ));
    let row = |from: &str, size: u64, remark: &str| {
        let share = percent(size, *full_bytes);
        let line = format!("  {from:<20} {:>12} {share:>9}  {remark}", bytes(size));
        line.trim_end().to_owned()
    };
    for source in &forecast.sources {
        lines.push(row(&source.from_version, source.bytes, &remark(source)));
    }
    let others = if forecast.sources.is_empty() {
        "any version"
    } else {
        "any other version"
    };
    lines.push(row(others, *full_bytes, "in full"));
    lines.extend(fleet(forecast));
    lines
}

fn fleet(forecast: &Forecast) -> Vec<String> {
    let Some(fleet) = &forecast.fleet else {
        return Vec::new();
    };
    let header = ("fleet", "devices", "each", "together");
    let mut lines = vec![
        String::new(),
        format!(
            "  {:<20} {:>12} {:>12} {:>12}",
            header.0, header.1, header.2, header.3
        ),
    ];
    for row in &fleet.rows {
        let (each, all) = (bytes(row.each.bytes), bytes(row.bytes));
        let (version, devices) = (&row.each.from_version, row.devices);
        let remark = remark(&row.each);
        lines.push(format!(
            "  {version:<20} {devices:>12} {each:>12} {all:>12}  {remark}"
        ));
    }
    let (devices, all) = (fleet.devices, bytes(fleet.bytes));
    lines.push(format!(
        "  {:<20} {devices:>12} {:>12} {all:>12}",
        "all", ""
    ));
    let saved = fleet.full_bytes.saturating_sub(fleet.bytes);
    lines.push(format!(
        "  Deltas save {} of {} ({}); {} devices download in full, {} need another version first.",
        bytes(saved),
        bytes(fleet.full_bytes),
        percent(saved, fleet.full_bytes),
        fleet.in_full,
        fleet.stepping
    ));
    lines
}

fn remark(source: &SourceForecast) -> String {
    match &source.way {
        Way::Delta => "by delta".to_owned(),
        Way::Partly => "by delta, some images in full".to_owned(),
        Way::Full => "in full".to_owned(),
        Way::SteppingStone(version) => format!("needs {version} first (not counted)"),
        Way::Stays => "stays as it is".to_owned(),
        _ => String::new(),
    }
}
