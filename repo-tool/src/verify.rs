//! Reads a published repository as a device does, all of it.

mod payload;
mod report;

use std::path::Path;

use device_pki::{Crl, TrustAnchor};
use metadata_schema::name::{TargetPath, Version};
use metadata_schema::release::{Channel, MAX_LENGTH, Product, ReleaseManifest};
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::published_in;
use crate::progress::OnProgress;
use crate::release::is_manifest;
use crate::remote::Remote;
use crate::settings::{Minimums, Settings};
use crate::walk::{self, Arrived, DeviceTrust, Folder, Scope, Served, Source};

pub use report::{PayloadReport, ReleaseReport, Report, RoleReport};

/// What to verify, and against what.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The root CA that the devices trust.
    pub anchor: TrustAnchor,
    /// Revocation lists besides those that the repository publishes.
    pub crls: Vec<Crl>,
    /// Only this product.
    pub product: Option<Product>,
    /// Only this channel.
    pub channel: Option<Channel>,
    /// Thresholds that the devices have built in.
    pub minimums: Minimums,
    /// The oldest root that devices have in their firmware; if none is given, what the settings of a keepers' folder say, or
    /// else the first.
    pub first_root: Option<Version>,
}

impl VerifyOptions {
    /// Everything, against this anchor.
    pub fn new(anchor: TrustAnchor) -> Self {
        let minimums = Minimums::default();
        Self {
            anchor,
            crls: Vec::new(),
            product: None,
            channel: None,
            minimums,
            first_root: None,
        }
    }
}

/// Verifies the published folder `path`, or that of the keepers' folder `path`: from its first root over every role to
/// every manifest and payload.
///
/// # Errors
/// The first thing that a device would refuse.
pub fn verify(
    path: &Path,
    options: &VerifyOptions,
    now: Timestamp,
    progress: OnProgress<'_>,
) -> Result<Report> {
    let source = Folder::new(&published_in(path));
    let first_root = options.first_root.unwrap_or_else(|| first_root_of(path));
    verify_source(&source, first_root, options, now, progress)
}

/// The same of what a place serves: every file is fetched, and read as it comes.
///
/// # Errors
/// As [`verify`], and if the place cannot be reached.
pub fn verify_served(
    place: &dyn Remote,
    options: &VerifyOptions,
    now: Timestamp,
    progress: OnProgress<'_>,
) -> Result<Report> {
    let first_root = options.first_root.unwrap_or(Version::FIRST);
    verify_source(&Served(place), first_root, options, now, progress)
}

fn verify_source(
    source: &dyn Source,
    first_root: Version,
    options: &VerifyOptions,
    now: Timestamp,
    progress: OnProgress<'_>,
) -> Result<Report> {
    let VerifyOptions {
        anchor,
        crls,
        minimums,
        ..
    } = options;
    let mut arrived = walk::as_device(
        source,
        &DeviceTrust {
            anchor,
            minimums,
            crls,
            first_root,
        },
        now,
        &Scope::All,
    )?;
    let mut report = Report::of(&arrived, source, now)?;
    for index in 0..arrived.roles.len() {
        verify_role(&mut arrived, index, source, options, &mut report, progress)?;
    }
    wanted_was_found(&report, options)?;
    Ok(report)
}

fn verify_role(
    arrived: &mut Arrived,
    index: usize,
    source: &dyn Source,
    options: &VerifyOptions,
    report: &mut Report,
    progress: OnProgress<'_>,
) -> Result<()> {
    let at = &mut arrived.at;
    let Some(role) = arrived.roles.get(index) else {
        return Ok(());
    };
    if options
        .product
        .as_ref()
        .is_some_and(|product| product.as_str() != role.as_str())
    {
        return Ok(());
    }
    let paths: Vec<String> = at
        .role(role)
        .iter()
        .flat_map(|targets| targets.targets.keys().cloned())
        .collect();
    for path in paths {
        // What is no target path is never looked up.
        let Ok(path) = TargetPath::new(&path) else {
            continue;
        };
        let target = walk::find(at, source, &path)?
            .filter(|target| target.role() == role)
            .ok_or_else(|| Error::Absent {
                path: path.to_string(),
            })?;
        if is_manifest(path.as_str()) {
            let bytes = walk::read(source, &target, MAX_LENGTH)?;
            let manifest = ReleaseManifest::read(role, &bytes)?;
            if options
                .channel
                .as_ref()
                .is_none_or(|channel| *channel == manifest.channel)
            {
                report
                    .releases
                    .push(release(at, source, &manifest, progress)?);
            }
        } else if options.channel.is_none() {
            walk::open(source, &target)?.check(role, target.length(), target.hashes())?;
        }
        report.count_file(role);
    }
    Ok(())
}

fn release(
    at: &mut AtTargets,
    source: &dyn Source,
    manifest: &ReleaseManifest,
    progress: OnProgress<'_>,
) -> Result<ReleaseReport> {
    let mut report = ReleaseReport::of(manifest);
    for (slot, image) in &manifest.images {
        let deltas = image
            .deltas
            .iter()
            .map(|(from, payload)| (Some(*from), payload));
        for (from, payload) in std::iter::once((None, &image.full)).chain(deltas) {
            let target = walk::find(at, source, &payload.path)?.ok_or_else(|| Error::Absent {
                path: payload.path.to_string(),
            })?;
            let mut opened = walk::open(source, &target)?;
            opened.check(target.role(), target.length(), target.hashes())?;
            payload::check(opened, payload, image, from, progress)?;
            report.payloads.push(PayloadReport {
                slot: slot.to_string(),
                path: payload.path.to_string(),
                from_image: from,
                bytes: payload.length,
            });
        }
    }
    Ok(report)
}

fn wanted_was_found(report: &Report, options: &VerifyOptions) -> Result<()> {
    if let Some(product) = &options.product
        && !report
            .roles
            .iter()
            .any(|role| role.role == product.as_str())
    {
        return Err(Error::NoSuchProduct {
            product: product.to_string(),
        });
    }
    if let (Some(channel), true) = (&options.channel, report.releases.is_empty()) {
        let product = options.product.as_ref().map_or("*", Product::as_str);
        return Err(Error::Absent {
            path: format!("{product}/{channel}.release.json"),
        });
    }
    Ok(())
}

fn first_root_of(path: &Path) -> Version {
    Settings::read(&Layout::settings(path)).map_or(Version::FIRST, |settings| settings.first_root())
}
