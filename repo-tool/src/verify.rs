//! Reads a published repository as a device does, all of it.

mod payload;
mod report;

use std::path::{Path, PathBuf};

use device_pki::{Crl, TrustAnchor};
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::release::{Channel, MAX_LENGTH, Product, ReleaseManifest};
use metadata_schema::roles::{Role, TargetFile};
use metadata_schema::search::VerifiedTarget;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;

use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::progress::OnProgress;
use crate::release::is_manifest;
use crate::settings::Minimums;
use crate::walk::{self, Folder, Source};
use crate::{digests, trust};

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
    let gate = trust::gate(&options.anchor, options.crls.clone(), &options.minimums);
    let mut at = walk::to_targets(&source, gate, now)?;
    let (roles, unreachable) = walk::all_roles(&mut at, &source)?;

    // The lists that the repository itself publishes: with them, everything is counted once more.
    let published = published_crls(&mut at, &source)?;
    let crls = published
        .iter()
        .map(|crl| crl.issuer().to_owned())
        .collect();
    let lists = options.crls.iter().cloned().chain(published).collect();
    at = at.under(trust::gate(&options.anchor, lists, &options.minimums))?;

    let mut report = Report::new(&at, crls, &unreachable);
    for role in &roles {
        let Some(targets) = at.role(role) else {
            continue;
        };
        let mut entry = RoleReport::of(targets, role);
        let files = targets.targets.clone();
        for (path, file) in &files {
            // What is no target path is never looked up.
            let Ok(path) = TargetPath::new(path) else {
                continue;
            };
            let found = walk::find(&mut at, &source, &path)?;
            let target = found
                .filter(|target| target.role() == role)
                .ok_or_else(|| Error::Absent {
                    path: path.to_string(),
                })?;
            let wanted = options
                .product
                .as_ref()
                .is_none_or(|p| p.as_str() == role.as_str());
            if !wanted {
                continue;
            }
            entry.files = entry.files.saturating_add(1);
            if is_manifest(path.as_str()) {
                let manifest = manifest(&source, &target, file)?;
                if options
                    .channel
                    .as_ref()
                    .is_none_or(|channel| *channel == manifest.channel)
                {
                    report
                        .releases
                        .push(release(&mut at, &source, &manifest, progress)?);
                }
            } else if options.channel.is_none() {
                let on_disk = locate(&source, &target)?;
                digests::check_file(&on_disk, role, file)?;
            }
        }
        report.roles.push(entry);
    }
    wanted_was_found(&report, options)?;
    Ok(report)
}

fn release(
    at: &mut AtTargets,
    source: &Folder,
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
            let on_disk = locate(source, &target)?;
            let file = TargetFile::new(target.length().most(), target.hashes().clone());
            digests::check_file(&on_disk, target.role(), &file)?;
            payload::check(&on_disk, payload, image, from, progress)?;
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

fn published_crls(at: &mut AtTargets, source: &Folder) -> Result<Vec<Crl>> {
    let role = RoleName::delegated(PKI_ROLE)?;
    let paths: Vec<String> = at
        .role(&role)
        .iter()
        .flat_map(|pki| pki.targets.keys().cloned())
        .collect();
    let mut crls = Vec::new();
    for path in paths {
        let Some(target) = walk::find(at, source, &TargetPath::new(&path)?)? else {
            continue;
        };
        let file = TargetFile::new(target.length().most(), target.hashes().clone());
        let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
        crls.push(Crl::from_der(&path, &read(source, &target, &file, limit)?)?);
    }
    Ok(crls)
}

fn manifest(
    source: &Folder,
    target: &VerifiedTarget,
    file: &TargetFile,
) -> Result<ReleaseManifest> {
    let bytes = read(source, target, file, MAX_LENGTH)?;
    Ok(ReleaseManifest::read(target.role(), &bytes)?)
}

fn read(
    source: &Folder,
    target: &VerifiedTarget,
    file: &TargetFile,
    limit: u64,
) -> Result<Vec<u8>> {
    let path = locate(source, target)?;
    let bytes = device_pki::durable::read_bounded(&path, limit)?;
    crate::assemble::check_bytes(file, &bytes).map_err(|source| Error::Content {
        path,
        role: target.role().clone(),
        source,
    })?;
    Ok(bytes)
}

fn locate(source: &Folder, target: &VerifiedTarget) -> Result<PathBuf> {
    let path = target.file_path();
    source.target(&path).ok_or_else(|| Error::Missing {
        path: path.into(),
        needed_by: format!("{} metadata", target.role()),
    })
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
        let product = options
            .product
            .as_ref()
            .map_or("*", |product| product.as_str());
        return Err(Error::Absent {
            path: format!("{product}/{channel}.release.json"),
        });
    }
    Ok(())
}

/// The folder itself if it has metadata, or `published` in it.
fn published_in(path: &Path) -> PathBuf {
    let inner = crate::layout::Layout::settings(path);
    match crate::settings::Settings::read(&inner) {
        Ok(settings) => path.join(settings.published),
        Err(_) => path.to_owned(),
    }
}

/// What every role says of itself.
pub(crate) fn dates(role: &impl Role) -> (u64, Timestamp) {
    (role.common().version.number(), role.common().expires)
}
