use std::path::PathBuf;

use clap::Args;
use device_pki::{Crl, TrustAnchor, durable};
use metadata_schema::name::Version;
use metadata_schema::release::{Channel, Product};
use repo_tool::{Minimums, Place, Progress, Report, Result, VerifyOptions, remote};

use crate::Context;
use crate::bar::Bar;
use crate::output::bytes;

/// Read a published repository as a device would, down to every payload
///
/// Over a URL every file is fetched. Only reading is asked of the place: any web server will do.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The published folder, the repository's, or the URL that devices are served from
    #[arg(value_name = "FOLDER|URL")]
    place: Place,

    /// Certificate of the root CA that the devices trust
    #[arg(long, value_name = "PEM")]
    anchor: PathBuf,

    /// A revocation list besides those that the repository publishes
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,

    /// Only this product
    #[arg(long)]
    product: Option<Product>,

    /// Only this channel
    #[arg(long)]
    channel: Option<Channel>,

    /// Least thresholds that the devices have built in: ROOT,TARGETS,DELEGATED
    #[arg(long, value_name = "N,N,N", value_parser = super::minimums)]
    device_minimum: Option<Minimums>,

    /// The oldest root that devices have in their firmware, if that is not the first: after `import`
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    first_root: Option<u64>,
}

impl VerifyArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let anchor = TrustAnchor::from_pem(&durable::read_bounded(&self.anchor, 64 * 1024)?)?;
        let mut crls = Vec::new();
        let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
        for path in &self.crl {
            let bytes = durable::read_bounded(path, limit)?;
            crls.push(Crl::from_pem_or_der(&path.display().to_string(), &bytes)?);
        }
        let mut options = VerifyOptions::new(anchor);
        options.crls = crls;
        options.product = self.product;
        options.channel = self.channel;
        options.first_root = self.first_root.and_then(Version::new);
        options.minimums = self.device_minimum.unwrap_or_default();
        let bar = Bar::new(context.output.json);
        let show = |now: Progress<'_>| bar.show(now);
        let report = match &self.place {
            Place::Folder(folder) => repo_tool::verify(folder, &options, context.now, &show),
            url => remote::open(url)
                .and_then(|place| repo_tool::verify_served(&*place, &options, context.now, &show)),
        };
        bar.finish();
        let report = report?;
        context.output.answer(&report, || lines(&report));
        Ok(())
    }
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for role in &report.roles {
        lines.push(format!(
            "{} v{}, expires {}, signed by {}",
            role.role,
            role.version,
            role.expires,
            role.signers.join(", ")
        ));
        for release in report
            .releases
            .iter()
            .filter(|release| release.product == role.role)
        {
            lines.push(format!(
                "  {}: {} {}, security version {}",
                release.channel, release.product, release.version, release.security_version
            ));
            for payload in &release.payloads {
                let size = bytes(payload.bytes);
                lines.push(format!(
                    "    {:<8} {size:>12}  {}",
                    payload.slot, payload.path
                ));
            }
        }
    }
    lines.extend(
        report
            .crls
            .iter()
            .map(|issuer| format!("revocation list of {issuer}")),
    );
    lines.extend(
        report
            .unreachable
            .iter()
            .map(|role| format!("NOT READ: role {role}")),
    );
    lines.push("A device accepts all of this.".to_owned());
    lines
}
