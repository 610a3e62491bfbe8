use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use metadata_schema::release::{Channel, FirmwareVersion, HardwareId, Product, Rollout, SlotClass};
use repo_tool::{ImageSource, ReleaseRequest, Result};

use super::channel::WaveArgs;
use super::custom;
use super::forecast::{FleetArgs, table};
use crate::Context;
use crate::bar::Bar;

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

    /// A version to make deltas from besides these; once for each
    #[arg(long, value_name = "VERSION")]
    delta_from: Vec<FirmwareVersion>,

    /// What is added for applications, as NAME=TEXT or NAME=JSON; once for each
    #[arg(long, value_name = "NAME=VALUE")]
    custom: Vec<String>,

    #[command(flatten)]
    waves: WaveArgs,

    #[command(flatten)]
    fleet: FleetArgs,
}

impl AddReleaseArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let repository = context.open(&self.folder)?;
        let images = self
            .images
            .into_iter()
            .map(|(slot, file)| (slot, ImageSource::File(file)))
            .collect();
        let fleet = self.fleet.read()?;
        let request = ReleaseRequest {
            security_version: self.security_version,
            hardware: self.hardware,
            images,
            requires: self.requires,
            notes: notes(self.notes)?,
            deltas: self.deltas,
            delta_from: self.delta_from,
            custom: custom(&self.custom)?,
            rollout: Rollout {
                waves: self.waves.waves(context.now)?,
                paused: false,
            },
            ..ReleaseRequest::new(self.product, self.channel, self.version)
        };
        let bar = Bar::new(context.output.json);
        let forecast = repository.stage_release(&request, context.now, &|now| bar.show(now));
        bar.finish();
        let mut forecast = forecast?;
        if !fleet.is_empty() {
            let of_fleet = repository.forecast(&request.product, &request.channel, &fleet)?;
            forecast.fleet = of_fleet.fleet;
        }
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
