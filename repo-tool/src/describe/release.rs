//! A release manifest in words.

use metadata_schema::release::{HardwareId, Image, ReleaseManifest};

/// What a manifest offers, to whom, and from when.
pub(super) fn describe(manifest: &ReleaseManifest, lines: &mut Vec<String>) {
    let ReleaseManifest {
        product,
        channel,
        version,
        security_version,
        ..
    } = manifest;
    let hardware: Vec<&str> = manifest.hardware.iter().map(HardwareId::as_str).collect();
    lines.push(format!(
        "offers {product} {version} in channel {channel}: security version {security_version}, for {}",
        hardware.join(", ")
    ));
    if let Some(requires) = &manifest.requires {
        lines.push(format!("  may be installed from {requires} on"));
    }
    for (slot, image) in &manifest.images {
        lines.push(format!(
            "  image {slot}: {} bytes, sha256 {}; payload {} bytes, {}",
            image.length,
            image.sha256,
            image.full.length,
            deltas(image)
        ));
    }
    if let Some(entry) = manifest.withdrawal(&manifest.version) {
        let why = shortened(&entry.reason);
        lines.push(format!(
            "  WITHDRAWN: no device installs it any more: {why}"
        ));
    }
    for entry in &manifest.withdrawn {
        if entry.version != manifest.version {
            let (version, why) = (&entry.version, shortened(&entry.reason));
            lines.push(format!(
                "  takes back {version}: {why}; devices that run it do not wait for their wave"
            ));
        }
    }
    if manifest.rollout.paused {
        lines.push("  PAUSED: no device installs it".to_owned());
    }
    if manifest.rollout.waves.is_empty() {
        lines.push("  for the whole fleet at once".to_owned());
    }
    for wave in &manifest.rollout.waves {
        lines.push(format!(
            "  from {} on for {} % of the fleet",
            wave.start, wave.percent
        ));
    }
    for (name, value) in &manifest.custom {
        let value = String::from_utf8_lossy(&value.canonical()).into_owned();
        lines.push(format!("  custom {name}: {}", shortened(&value)));
    }
    if !manifest.extra.is_empty() {
        let names: Vec<&str> = manifest.extra.keys().map(String::as_str).collect();
        let names = shortened(&names.join(", "));
        lines.push(format!(
            "  members that this program does not know: {names}"
        ));
    }
    if !manifest.notes.is_empty() {
        lines.push(format!("  notes: {}", shortened(manifest.notes.trim_end())));
    }
}

fn deltas(image: &Image) -> String {
    let lengths = || image.deltas.values().map(|delta| delta.length);
    match (lengths().min(), lengths().max()) {
        (Some(least), Some(_)) if image.deltas.len() == 1 => format!("1 delta of {least} bytes"),
        (Some(least), Some(most)) => {
            let count = image.deltas.len();
            format!("{count} deltas of {least} to {most} bytes")
        }
        _ => "no delta".to_owned(),
    }
}

/// At most 400 characters: whatever prints them escapes what a terminal would obey.
fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(400).collect();
    if characters.next().is_some() {
        short.push_str(" ...");
    }
    short
}
