use std::path::PathBuf;

use clap::Args;
use repo_tool::reading::Offer;
use repo_tool::{Archive, Result};

use crate::Context;
use crate::output::bytes;
use crate::table::{day, minute, table};

/// List what devices are offered: every channel of every product
#[derive(Args, Debug)]
pub(crate) struct ReleasesArgs {
    /// The published folder, or the repository's
    folder: PathBuf,
}

impl ReleasesArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let offers = Archive::open(&self.folder)?.offers(context.now)?;
        context.output.answer(&offers, || lines(&offers));
        Ok(())
    }
}

fn lines(offers: &[Offer]) -> Vec<String> {
    if offers.is_empty() {
        return vec!["No release is published.".to_owned()];
    }
    let head = [
        "PRODUCT",
        "CHANNEL",
        "VERSION",
        "SECURITY",
        "RELEASED",
        "OFFERED TO",
        "IMAGES",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(offers.iter().map(|offer| {
        vec![
            offer.product.clone(),
            offer.channel.clone(),
            offer.version.clone(),
            offer.security_version.to_string(),
            day(offer.released),
            audience(offer),
            images(offer),
        ]
    }));
    table(&rows)
}

fn audience(offer: &Offer) -> String {
    if offer.paused {
        return "nobody (PAUSED)".to_owned();
    }
    let now = match offer.share {
        0 => "nobody yet".to_owned(),
        100 => "everybody".to_owned(),
        share => format!("{share} %"),
    };
    match offer.next_wave {
        Some(next) => format!("{now}, {} % from {}", next.share, minute(next.start)),
        None => now,
    }
}

/// `rootfs 22 MiB (full 7 MiB, delta from 1 MiB)`
fn images(offer: &Offer) -> String {
    let words = offer.images.iter().map(|image| {
        let delta = image
            .delta_bytes
            .first()
            .map(|least| format!(", delta from {}", bytes(*least)));
        format!(
            "{} {} (full {}{})",
            image.slot,
            bytes(image.bytes),
            bytes(image.full_bytes),
            delta.unwrap_or_default()
        )
    });
    words.collect::<Vec<_>>().join("; ")
}
