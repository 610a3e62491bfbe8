//! What the channel of a product offers now.

use metadata_schema::bins;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::release::{
    Channel, MAX_LENGTH, Payload, Product, ReleaseManifest, manifest_path,
};
use metadata_schema::search::VerifiedTarget;
use metadata_schema::trusted::AtTargets;

use crate::error::Error;
use crate::lifecycle::{Firmware, ImageRef};
use crate::refresh::{Client, is_the_target};

/// A release that a trusted role offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its manifest.
    pub manifest: ReleaseManifest,
    /// Digest of the manifest.
    pub digest: Sha256Digest,
    /// The role that offers it: every path in the manifest must be described by the same one, or by a bin of it.
    pub role: RoleName,
    /// The people who signed for it.
    pub signed_by: Vec<String>,
}

/// Looks up the manifest of a channel; none if nothing was released there.
///
/// # Errors
/// If it cannot be fetched, or is refused.
pub async fn find_offer(
    client: &mut Client<'_>,
    set: &mut AtTargets,
    product: &Product,
    channel: &Channel,
) -> Result<Option<Offer>, Error> {
    let path = manifest_path(product, channel).map_err(metadata_schema::MetadataError::Name)?;
    let Some(target) = client.find(set, &path).await? else {
        return Ok(None);
    };
    let kept = client.store.load_manifest();
    let bytes = match kept.filter(|bytes| is_the_target(&target, bytes)) {
        Some(bytes) => bytes,
        None => {
            let bytes = client.fetch_target(&target, MAX_LENGTH).await?;
            client.store.save_manifest(&bytes)?;
            bytes
        }
    };
    let manifest = ReleaseManifest::read(target.role(), &bytes)?;
    let holders = set
        .role(target.role())
        .map(metadata_schema::envelope::Verified::holders)
        .unwrap_or_default();
    let mut signed_by: Vec<String> = holders.iter().map(|holder| holder.0.clone()).collect();
    signed_by.sort();
    Ok(Some(Offer {
        manifest,
        digest: Sha256Digest::of(&bytes),
        role: target.role().clone(),
        signed_by,
    }))
}

impl Offer {
    /// The firmware that the device has once this is installed.
    pub fn firmware(&self) -> Firmware {
        let images = self.manifest.images.iter();
        let image = |(class, image): (&_, &metadata_schema::release::Image)| {
            (
                Clone::clone(class),
                ImageRef {
                    length: image.length,
                    sha256: image.sha256,
                },
            )
        };
        Firmware {
            version: self.manifest.version.clone(),
            security_version: self.manifest.security_version,
            manifest: Some(self.digest),
            images: images.map(image).collect(),
        }
    }

    /// Looks up a payload of the manifest through TUF, under the delegation that the manifest itself came by.
    ///
    /// # Errors
    /// If it is not there, of another role, or has another length.
    pub async fn payload(
        &self,
        client: &mut Client<'_>,
        set: &mut AtTargets,
        payload: &Payload,
    ) -> Result<VerifiedTarget, Error> {
        let wrong = |path: &TargetPath, expected: String, found: String| Error::ManifestPath {
            path: path.to_string(),
            expected,
            found,
        };
        let path = &payload.path;
        let expected = format!("a target of the role {} or a bin of it", self.role);
        let Some(target) = client.find(set, path).await? else {
            return Err(wrong(
                path,
                expected,
                "no trusted role describes".to_owned(),
            ));
        };
        let bin = bins::product_of(target.role());
        if *target.role() != self.role && bin.as_ref() != Some(&self.role) {
            return Err(wrong(
                path,
                expected,
                format!("the role {} describes", target.role()),
            ));
        }
        let length = target.length().most();
        if length != payload.length {
            return Err(wrong(
                path,
                format!("{} bytes", payload.length),
                format!("has {length} bytes"),
            ));
        }
        Ok(target)
    }
}
