//! A new repository: online keys, and the first root, targets and delegated roles, ready to be signed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use device_pki::{Entropy, KeyAlgorithm, KeyPair, Protection, TrustAnchor, durable};
use metadata_schema::gate::Certificates;
use metadata_schema::json::Object;
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Common, Delegations, PathSet, RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::keyholder::Keyholder;
use crate::layout::{Layout, PKI_ROLE};
use crate::products::{ProductPlan, pki_delegation};
use crate::published::Published;
use crate::repository::{Repository, State};
use crate::settings::Settings;
use crate::staged::{Staged, stage};
use crate::trust;

/// Who signs a role, and how many of them have to.
#[derive(Clone, Debug)]
pub struct Signers {
    /// The people.
    pub people: Vec<Keyholder>,
    /// How many of them must sign.
    pub threshold: NonZeroU32,
}

impl Signers {
    pub(crate) fn role_keys(&self) -> RoleKeys {
        RoleKeys::new(self.keys().map(|key| key.id().clone()), self.threshold)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.people.iter().map(Keyholder::key)
    }

    pub(crate) fn certify(&self, certificates: &mut Certificates) {
        for person in &self.people {
            certificates.insert(person.key().id().clone(), person.pem_chain());
        }
    }
}

/// What a new repository is made of.
#[derive(Clone, Debug)]
pub struct InitPlan {
    /// The root CA that the devices trust.
    pub anchor: TrustAnchor,
    /// Who signs root.
    pub root: Signers,
    /// Who signs targets.
    pub targets: Signers,
    /// Products to begin with.
    pub products: Vec<ProductPlan>,
    /// The settings.
    pub settings: Settings,
}

impl Repository {
    /// Makes a repository in `folder` and stages its first event: root, targets, one role for each product, and the role
    /// that publishes revocation lists. Every signer's certificate must lead to the anchor and name the role.
    ///
    /// # Errors
    /// If there is a repository already, or the plan would lock its keepers out.
    pub fn init(
        folder: &Path,
        plan: &InitPlan,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        Self::init_upon(folder, plan, &BTreeMap::new(), now, entropy, |_| Ok(()))
    }

    /// As [`Repository::init`], upon what `carry` puts into the published folder, and with path patterns of products besides
    /// those of their own folders.
    pub(crate) fn init_upon(
        folder: &Path,
        plan: &InitPlan,
        paths: &BTreeMap<String, Vec<String>>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
        carry: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        let settings_path = Layout::settings(folder);
        if settings_path.exists() {
            return Err(Error::Exists {
                path: settings_path,
            });
        }
        let repository = Self {
            layout: Layout::new(folder, &plan.settings),
            settings: plan.settings.clone(),
            anchor: plan.anchor.clone(),
        };
        let gate = trust::gate(&plan.anchor, Vec::new(), &plan.settings.device_minimum);
        trust::check_signers(&gate, &RoleName::root(), &plan.root, now)?;
        trust::check_signers(&gate, &RoleName::targets(), &plan.targets, now)?;
        for product in &plan.products {
            trust::check_signers(&gate, &product.role()?, &product.signers, now)?;
        }
        repository.make_folders()?;
        let _lock = repository.lock()?;
        let anchor = plan.anchor.certificate().pem();
        durable::write(
            &repository.layout.anchor(),
            anchor.as_bytes(),
            durable::PUBLIC,
        )?;
        carry(&repository)?;
        repository.stage_first(plan, paths, now, entropy)?;
        // What must not travel with the rest: secrets, and what is large.
        let ignored = repository.layout.folder().join(".gitignore");
        durable::write(&ignored, b"/.lock\n/images/\n/online/\n", durable::PUBLIC)?;
        // The last step: until it is there, `init` may be run again.
        let settings = plan.settings.to_toml()?;
        durable::write(&settings_path, settings.as_bytes(), durable::PUBLIC)?;
        Ok(repository)
    }

    fn make_folders(&self) -> Result<()> {
        let online = self.layout.online_key(&RoleName::timestamp());
        durable::create_dir_durable(self.layout.folder(), 0o755)?;
        if let Some(folder) = online.parent() {
            durable::create_dir_durable(folder, 0o700)?;
        }
        for folder in [
            self.layout.staged(),
            self.layout.metadata(),
            self.layout.targets(),
        ] {
            durable::create_dir_durable(&folder, 0o755)?;
        }
        Ok(())
    }

    fn stage_first(
        &self,
        plan: &InitPlan,
        paths: &BTreeMap<String, Vec<String>>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<()> {
        let state = State {
            published: Published::read(&self.layout.metadata())?,
            staged: Staged::default(),
        };
        let mut online = |role: &RoleName| self.new_online_key(role, entropy);
        let pki = RoleName::delegated(PKI_ROLE)?;
        let snapshot = online(&RoleName::snapshot())?;
        let timestamp = online(&RoleName::timestamp())?;
        let pki_key = online(&pki)?;

        let first = |role: &RoleName| state.next(role, &self.settings, now);
        let mut root = Root {
            common: first(&RoleName::root())?,
            keys: BTreeMap::new(),
            root: plan.root.role_keys(),
            targets: plan.targets.role_keys(),
            snapshot: RoleKeys::new([snapshot.id().clone()], NonZeroU32::MIN),
            timestamp: RoleKeys::new([timestamp.id().clone()], NonZeroU32::MIN),
            consistent_snapshot: true,
            certificates: Certificates::default(),
            other_roles: Object::new(),
            extra: Object::new(),
        };
        for key in plan
            .root
            .keys()
            .chain(plan.targets.keys())
            .chain([&snapshot, &timestamp])
        {
            root.keys.insert(key.id().clone(), key.clone());
        }
        plan.root.certify(&mut root.certificates);
        plan.targets.certify(&mut root.certificates);

        let mut targets = empty_targets(first(&RoleName::targets())?);
        if let Some(before) = &state.published.targets {
            targets.targets.clone_from(&before.targets);
        }
        let mut delegations = Delegations::default();
        delegations
            .keys
            .insert(pki_key.id().clone(), pki_key.clone());
        for product in &plan.products {
            product.delegate(&mut delegations, &mut targets.certificates)?;
        }
        for role in &mut delegations.roles {
            let more = paths.get(role.name.as_str()).into_iter().flatten();
            if let PathSet::Patterns(patterns) = &mut role.paths {
                patterns.extend(more.cloned());
            }
        }
        delegations.roles.push(pki_delegation(&pki_key)?);
        targets.delegations = Some(delegations);

        for product in &plan.products {
            for (role, content) in product.first_roles(first)? {
                stage(&self.layout, &role, &content)?;
            }
        }
        stage(&self.layout, &pki, &empty_targets(first(&pki)?))?;
        stage(&self.layout, &RoleName::targets(), &targets)?;
        stage(&self.layout, &RoleName::root(), &root)?;
        Ok(())
    }

    /// The key that `[online]` names, or else a new one in a file.
    fn new_online_key(&self, role: &RoleName, entropy: &mut dyn Entropy) -> Result<PublicKey> {
        if let Some(source) = self.settings.online.named(role).first() {
            let key = source
                .clone()
                .below(self.layout.folder())
                .open_unattended()?;
            return Ok(key.public_key().clone());
        }
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy)?;
        key.save(&self.layout.online_key(role), Protection::FileMode, entropy)?;
        let signer = key.into_tuf_signer()?;
        Ok(device_pki::SigningKey::public_key(&signer).clone())
    }
}

/// A targets role that names nothing yet. Delegated roles exist from the start: clients that read every delegation
/// would otherwise refuse the repository.
pub(crate) fn empty_targets(common: Common) -> Targets {
    Targets {
        common,
        targets: BTreeMap::new(),
        delegations: None,
        certificates: Certificates::default(),
        extra: Object::new(),
    }
}
