//! A new repository from a small TOML file: who signs what, for how long, which products.

mod ask;
mod check;
mod overlap;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use device_pki::{Entropy, durable};
use metadata_schema::bins::Bins;
use metadata_schema::release::Product;
use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::init::{InitPlan, Signers};
use crate::keyholder::Keyholder;
use crate::products::ProductPlan;
use crate::repository::{Repository, read_anchor};
use crate::settings::{Minimums, Periods, Settings, SigningPeriods};
use check::Findings;

/// A set-up file with comments, to begin with.
pub const EXAMPLE: &str = include_str!("setup/example.toml");
/// Longest set-up file.
const LIMIT: u64 = 256 * 1024;

/// What a set-up file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setup {
    /// The root CA that the devices trust.
    pub anchor: PathBuf,
    /// Who signs root.
    pub root: People,
    /// Who signs targets; the same as root if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<People>,
    /// The products.
    #[serde(default, rename = "product", skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<ProductSetup>,
    /// As in `repo.toml`.
    #[serde(default)]
    pub expiry_days: Periods,
    /// As in `repo.toml`.
    #[serde(default)]
    pub signing_days: SigningPeriods,
    /// As in `repo.toml`.
    #[serde(default)]
    pub device_minimum: Minimums,
}

/// People of whom a threshold must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct People {
    /// Files of their certificate chains.
    pub people: Vec<PathBuf>,
    /// How many of them must sign.
    pub threshold: u32,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProductSetup {
    /// Its name.
    pub name: String,
    /// Files of the certificate chains of those who sign its releases.
    pub people: Vec<PathBuf>,
    /// How many of them must sign.
    pub threshold: u32,
    /// Path patterns besides those of its own folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// How many hashed bins its files are spread over; none if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<u32>,
}

/// A set-up that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the repository is made of.
    pub plan: InitPlan,
    /// More path patterns, by product.
    pub paths: BTreeMap<String, Vec<String>>,
    /// What somebody should know, though it is possible.
    pub warnings: Vec<String>,
}

impl Setup {
    /// Reads a set-up file.
    ///
    /// # Errors
    /// If it cannot be read, or has anything that is not a setting.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = durable::read_bounded(path, LIMIT)?;
        let mut setup: Self =
            toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|e| Error::Settings {
                path: path.to_owned(),
                source: Box::new(e),
            })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        setup.relative_to(folder);
        Ok(setup)
    }

    /// Files that are named in it are meant from this folder on.
    fn relative_to(&mut self, folder: &Path) {
        self.anchor = folder.join(&self.anchor);
        let products = self.products.iter_mut().map(|product| &mut product.people);
        let top = [Some(&mut self.root), self.targets.as_mut()];
        let top = top.into_iter().flatten().map(|people| &mut people.people);
        for file in top.chain(products).flatten() {
            *file = folder.join(&*file);
        }
    }

    /// Reads the certificates and checks everything.
    ///
    /// # Errors
    /// [`Error::Setup`] with all that is wrong, not only the first.
    pub fn check(&self, now: Timestamp) -> Result<Checked> {
        let mut findings = Findings::default();
        let anchor = read_anchor(&self.anchor);
        if let Err(error) = &anchor {
            findings.problem(format!("anchor {}: {}", self.anchor.display(), told(error)));
        }
        let root = self.root.signers("root", &mut findings);
        let targets = match &self.targets {
            Some(targets) => targets.signers("targets", &mut findings),
            None => root.clone(),
        };
        let mut products = Vec::new();
        let mut paths = BTreeMap::new();
        for product in &self.products {
            products.extend(product.plan(&mut findings));
            let more: &mut Vec<String> = paths.entry(product.name.clone()).or_default();
            more.extend(product.paths.iter().cloned());
        }
        let settings = Settings {
            expiry_days: self.expiry_days.clone(),
            signing_days: self.signing_days.clone(),
            device_minimum: self.device_minimum.clone(),
            ..Settings::default()
        };
        if let Err(why) = settings.check_ranges() {
            findings.problem(why);
        }
        if let (Ok(anchor), Some(root), Some(targets)) = (anchor, root, targets) {
            let plan = InitPlan {
                anchor,
                root,
                targets,
                products,
                settings,
            };
            check::check(&plan, &paths, now, &mut findings);
            if findings.problems.is_empty() {
                return Ok(Checked {
                    plan,
                    paths,
                    warnings: findings.warnings,
                });
            }
        } else {
            findings.problems.extend(settings.short_periods());
        }
        Err(Error::Setup {
            problems: findings.problems,
        })
    }
}

impl Repository {
    /// As [`Repository::init`], from a set-up that was checked.
    ///
    /// # Errors
    /// As [`Repository::init`].
    pub fn init_checked(
        folder: &Path,
        checked: &Checked,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        Self::init_upon(folder, &checked.plan, &checked.paths, now, entropy, |_| {
            Ok(())
        })
    }
}

impl People {
    fn signers(&self, role: &str, findings: &mut Findings) -> Option<Signers> {
        signers(&self.people, self.threshold, role, findings)
    }
}

/// Certificates that can be read, all of those that cannot being told.
fn signers(
    files: &[PathBuf],
    threshold: u32,
    role: &str,
    findings: &mut Findings,
) -> Option<Signers> {
    let mut people = Vec::new();
    for file in files {
        match Keyholder::read(file) {
            Ok(person) => people.push(person),
            Err(error) => findings.problem(format!("{role}: {}: {}", file.display(), told(&error))),
        }
    }
    let Some(threshold) = NonZeroU32::new(threshold) else {
        findings.problem(format!(
            "{role}: threshold 0: at least one person must sign"
        ));
        return None;
    };
    // Who cannot be read is not counted as missing as well.
    (people.len() == files.len()).then_some(Signers { people, threshold })
}

impl ProductSetup {
    fn plan(&self, findings: &mut Findings) -> Option<ProductPlan> {
        let name = match self.name.parse::<Product>() {
            Ok(name) => Some(name),
            Err(error) => {
                findings.problem(format!("product {:?}: {error}", self.name));
                None
            }
        };
        for pattern in &self.paths {
            if pattern.is_empty()
                || pattern.starts_with('/')
                || pattern.chars().any(char::is_control)
            {
                findings.problem(format!(
                    "product {}: path pattern {pattern:?}: expected something like {}/*",
                    self.name, self.name
                ));
            }
        }
        let bins = self.bins.and_then(|count| {
            let bins = Bins::new(count);
            if bins.is_none() {
                findings.problem(format!(
                    "product {}: {count} bins: expected a power of two from 2 to 1024",
                    self.name
                ));
            }
            bins
        });
        let signers = signers(&self.people, self.threshold, &self.name, findings)?;
        Some(ProductPlan {
            name: name?,
            signers,
            bins,
        })
    }
}

/// An error with its cause, in one line.
fn told(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
