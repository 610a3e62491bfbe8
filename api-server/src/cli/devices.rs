mod change;

use std::io::Write;
use std::path::{Path, PathBuf};

use api_server::store::{DeviceRow, Store};
use api_server::{Error, Result};
use clap::Args;

pub(super) use change::operator;

/// Print the devices that the server knows, or say which may enrol
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Folder of the server's data
    #[arg(long, value_name = "DIR", global = true, env = "API_SERVER_DATA")]
    data: Option<PathBuf>,
    /// As JSON, one device on a line
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    change: Option<change::Change>,
}

impl DevicesArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let store = super::store(self.data.as_deref())?;
        if let Some(change) = self.change {
            return change::run(change, &store, out);
        }
        let devices = store.devices()?;
        let printed = if self.json {
            json(&devices, out)
        } else {
            table(&devices, out)
        };
        printed.map_err(|source| Error::Io {
            step: "write to",
            path: Path::new("standard output").to_owned(),
            source,
        })
    }
}

fn json(devices: &[DeviceRow], out: &mut dyn Write) -> std::io::Result<()> {
    devices
        .iter()
        .try_for_each(|device| writeln!(out, "{}", serde_json::to_string(device)?))
}

fn table(devices: &[DeviceRow], out: &mut dyn Write) -> std::io::Result<()> {
    let heads = [
        "DEVICE",
        "PRODUCT",
        "FIRMWARE",
        "LAST RESULT",
        "LAST SEEN",
        "REPORTS",
    ];
    let rows: Vec<[String; 6]> = std::iter::once(heads.map(str::to_owned))
        .chain(devices.iter().map(|device| {
            let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
            [
                device.urn.clone(),
                text(&device.product),
                text(&device.firmware_version),
                text(&device.last_result),
                device.last_seen.to_string(),
                device.reports.to_string(),
            ]
        }))
        .collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
