//! Products: each a delegated role with its own signers, which may speak about its own folder only.

use std::num::NonZeroU32;

use metadata_schema::bins::{self, Bins};
use metadata_schema::gate::Certificates;
use metadata_schema::json::Object;
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::release::Product;
use metadata_schema::roles::{Common, DelegatedRole, Delegations, PathSet, RoleKeys, Targets};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::init::{Signers, empty_targets};
use crate::layout::PKI_ROLE;
use crate::repository::Repository;
use crate::shelf::bins_of;
use crate::signers::drop_unused;
use crate::staged::{remove_role, stage};
use crate::trust;

/// A product to add.
#[derive(Clone, Debug)]
pub struct ProductPlan {
    /// Its name: also that of its role and of its folder.
    pub name: Product,
    /// Who signs its releases.
    pub signers: Signers,
    /// Hashed bins for its files, signed by the same people: for products with thousands of files.
    pub bins: Option<Bins>,
}

impl ProductPlan {
    /// The role that signs the product's releases.
    ///
    /// # Errors
    /// If the name is taken by a role that every repository has.
    pub fn role(&self) -> Result<RoleName> {
        role_of(&self.name)
    }

    /// The product's own role and those of its bins, which name nothing yet. Delegated roles exist from the start: clients
    /// that read every delegation would otherwise refuse the repository.
    pub(crate) fn first_roles(
        &self,
        common: impl Fn(&RoleName) -> Result<Common>,
    ) -> Result<Vec<(RoleName, Targets)>> {
        let product = self.role()?;
        let mut role = empty_targets(common(&product)?);
        let mut bins = Vec::new();
        if let Some(layout) = self.bins {
            let keys = self.signers.keys();
            let delegations = Delegations {
                keys: keys.map(|key| (key.id().clone(), key.clone())).collect(),
                roles: layout.delegations(&product, &self.signers.role_keys())?,
                extra: Object::new(),
            };
            for bin in &delegations.roles {
                bins.push((bin.name.clone(), empty_targets(common(&bin.name)?)));
            }
            role.delegations = Some(delegations);
            self.signers.certify(&mut role.certificates);
        }
        bins.push((product, role));
        Ok(bins)
    }

    /// Delegates the product's folder: files in it, and in folders of it. In path patterns `*` does not reach over a `/`.
    pub(crate) fn delegate(
        &self,
        delegations: &mut Delegations,
        certificates: &mut Certificates,
    ) -> Result<()> {
        for key in self.signers.keys() {
            delegations.keys.insert(key.id().clone(), key.clone());
        }
        self.signers.certify(certificates);
        let patterns = own_paths(&self.name);
        // Before `pki`, which is last: the order of delegations is the order of a device's search.
        let place = delegations.roles.len().saturating_sub(1);
        let at_pki = delegations
            .roles
            .get(place)
            .is_some_and(|last| last.name.as_str() == PKI_ROLE);
        let place = if at_pki {
            place
        } else {
            delegations.roles.len()
        };
        let role = DelegatedRole {
            name: self.role()?,
            keys: self.signers.role_keys(),
            paths: PathSet::Patterns(patterns),
            terminating: true,
        };
        delegations.roles.insert(place, role);
        Ok(())
    }
}

/// The patterns of a product's own folder.
pub(crate) fn own_paths(product: &Product) -> Vec<String> {
    vec![format!("{product}/*"), format!("{product}/*/*")]
}

/// The role that signs a product's releases.
pub(crate) fn role_of(product: &Product) -> Result<RoleName> {
    if product.as_str() == PKI_ROLE {
        return Err(Error::argument(
            "product",
            PKI_ROLE,
            "a name that no role has yet",
        ));
    }
    Ok(RoleName::delegated(product.as_str())?)
}

/// The role that publishes revocation lists: an online key will do, for each list is signed by its CA.
pub(crate) fn pki_delegation(key: &PublicKey) -> Result<DelegatedRole> {
    Ok(DelegatedRole {
        name: RoleName::delegated(PKI_ROLE)?,
        keys: RoleKeys::new([key.id().clone()], NonZeroU32::MIN),
        paths: PathSet::Patterns(vec![format!("{PKI_ROLE}/*.crl")]),
        terminating: true,
    })
}

impl Repository {
    /// Stages the next version of targets without a product: its devices are offered nothing any more. What is published of it
    /// stays where it is; `publish` ends its role. A product of the same name can be added later.
    ///
    /// # Errors
    /// If there is no such product.
    pub fn remove_product(&self, product: &Product, now: Timestamp) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let role = role_of(product)?;
        let mut targets = state.needed_targets(self)?.clone();
        let delegations = targets.delegations.get_or_insert_default();
        let published = state.published.targets.as_ref();
        let was = published.and_then(|old| old.delegations.as_ref()?.role(&role));
        if delegations.role(&role).is_none() {
            // To say it twice is no mistake.
            return if was.is_some() {
                Ok(())
            } else {
                Err(Error::NoSuchProduct {
                    product: product.to_string(),
                })
            };
        }
        delegations.roles.retain(|delegated| delegated.name != role);
        let mut root = state.needed_root(self)?.clone();
        drop_unused(&mut root, &mut targets);
        targets.common = state.next(&RoleName::targets(), &self.settings, now)?;
        stage(&self.layout, &RoleName::targets(), &targets)?;
        for staged in state.staged.roles.keys() {
            if *staged == role || bins::product_of(staged).as_ref() == Some(&role) {
                remove_role(&self.layout, staged)?;
            }
        }
        Ok(())
    }

    /// Stages a product: the next version of targets, which delegates to it, and its role, which names nothing yet.
    ///
    /// # Errors
    /// If there is such a product with other signers, or the plan would lock its keepers out.
    pub fn add_product(&self, plan: &ProductPlan, now: Timestamp) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let role = plan.role()?;
        trust::check_signers(&*self.gate(&state)?, &role, &plan.signers, now)?;
        let mut targets = state.needed_targets(self)?.clone();
        let delegations = targets.delegations.get_or_insert_default();
        if let Some(existing) = delegations.role(&role) {
            if existing.keys == plan.signers.role_keys() {
                if bins_of(&state, &role)? == plan.bins {
                    return Ok(());
                }
                let expected = "a new name: this product has other bins already";
                return Err(Error::argument("product", plan.name.as_str(), expected));
            }
            let expected = "a new name: this product has other signers already";
            return Err(Error::argument("product", plan.name.as_str(), expected));
        }
        plan.delegate(delegations, &mut targets.certificates)?;
        targets.common = state.next(&RoleName::targets(), &self.settings, now)?;
        let common = |role: &RoleName| state.next(role, &self.settings, now);
        for (role, first) in plan.first_roles(common)? {
            stage(&self.layout, &role, &first)?;
        }
        stage(&self.layout, &RoleName::targets(), &targets)?;
        Ok(())
    }
}
