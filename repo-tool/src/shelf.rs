//! The files of a product: named by its role, or spread over the bins that it delegates to.
//!
//! Manifests always stand in the product's role, so that one file says what every channel offers, and a device comes to it by
//! one step less. With [bins](metadata_schema::bins), all other files stand in the bin that their paths belong to: a release
//! changes the product's role and the few bins that its payloads fall into. The same people sign both.

use std::collections::BTreeMap;

use metadata_schema::bins::Bins;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::{PathSet, TargetFile, Targets};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::release::is_manifest;
use crate::repository::{Repository, State};
use crate::staged::{remove_role, stage};

/// The files of one product, and what changes in them.
pub(crate) struct Shelf<'a> {
    state: &'a State,
    product: RoleName,
    paths: &'a PathSet,
    bins: Option<Bins>,
    /// Roles that differ from what is in force.
    changed: BTreeMap<RoleName, Targets>,
}

impl<'a> Shelf<'a> {
    /// The files of `product` as they will be in force.
    pub(crate) fn open(state: &'a State, product: &RoleName) -> Result<Self> {
        let unknown = || Error::NoSuchProduct {
            product: product.to_string(),
        };
        let delegations = state.targets().and_then(|top| top.delegations.as_ref());
        let delegation = delegations.and_then(|delegations| delegations.role(product));
        Ok(Self {
            state,
            product: product.clone(),
            paths: &delegation.ok_or_else(unknown)?.paths,
            bins: bins_of(state, product)?,
            changed: BTreeMap::new(),
        })
    }

    /// The name of the product's role.
    pub(crate) fn name(&self) -> &RoleName {
        &self.product
    }

    /// The product's role, which names its manifests.
    pub(crate) fn product(&self) -> Result<&Targets> {
        self.role(&self.product)
    }

    /// The role that names a path, or would.
    pub(crate) fn role_of(&self, path: &TargetPath) -> Result<RoleName> {
        match self.bins.filter(|_| !is_manifest(path.as_str())) {
            Some(bins) => Ok(bins.role(&self.product, bins.number_of(path))?),
            None => Ok(self.product.clone()),
        }
    }

    /// What is said of a file; none if nothing is.
    pub(crate) fn file(&self, path: &TargetPath) -> Result<Option<&TargetFile>> {
        Ok(self.role(&self.role_of(path)?)?.targets.get(path.as_str()))
    }

    /// Names a file, or says something else of it.
    ///
    /// # Errors
    /// If the product may not speak about its path: no device would ever find it.
    pub(crate) fn insert(&mut self, path: &TargetPath, file: TargetFile) -> Result<()> {
        if !self.paths.contains(path) {
            let why = format!("role {} may not speak about {path}", self.product);
            return Err(Error::release(why));
        }
        if self.file(path)? != Some(&file) {
            let role = self.role_of(path)?;
            let targets = &mut self.changing(role)?.targets;
            targets.insert(path.as_str().to_owned(), file);
        }
        Ok(())
    }

    /// No longer names a file.
    pub(crate) fn remove(&mut self, path: &TargetPath) -> Result<()> {
        if self.file(path)?.is_some() {
            let role = self.role_of(path)?;
            self.changing(role)?.targets.remove(path.as_str());
        }
        Ok(())
    }

    /// Stages what differs from what is published, and takes back drafts that no longer do.
    pub(crate) fn stage(self, repository: &Repository, now: Timestamp) -> Result<()> {
        for (role, mut targets) in self.changed {
            let published = self.state.published.delegated(&role)?;
            if published.is_some_and(|published| same_content(published, &targets)) {
                remove_role(&repository.layout, &role)?;
                continue;
            }
            targets.common = self.state.next(&role, &repository.settings, now)?;
            stage(&repository.layout, &role, &targets)?;
        }
        Ok(())
    }

    fn role(&self, name: &RoleName) -> Result<&Targets> {
        if let Some(changed) = self.changed.get(name) {
            return Ok(changed);
        }
        let missing = || Error::NoSuchProduct {
            product: name.to_string(),
        };
        self.state.delegated(name)?.ok_or_else(missing)
    }

    fn changing(&mut self, name: RoleName) -> Result<&mut Targets> {
        let current = match self.changed.remove(&name) {
            Some(changed) => changed,
            None => self.role(&name)?.clone(),
        };
        Ok(self.changed.entry(name).or_insert(current))
    }
}

/// The bins of a product, by its role as it will be in force; none if it has none.
pub(crate) fn bins_of(state: &State, product: &RoleName) -> Result<Option<Bins>> {
    let role = state.delegated(product)?;
    let delegations = role.and_then(|role| role.delegations.as_ref());
    Ok(delegations.and_then(|delegations| Bins::of(product, delegations)))
}

/// Whether two versions of a role say the same.
fn same_content(a: &Targets, b: &Targets) -> bool {
    a.targets == b.targets
        && a.delegations == b.delegations
        && a.certificates == b.certificates
        && a.extra == b.extra
}
