//! One refresh: the client workflow of TUF 1.0.34, section 5, with its files fetched and stored.
//!
//! Order: root walk, timestamp, snapshot, targets; then the revocation lists of the CAs that the metadata names, and if one of
//! them is new, root and targets are counted again under it; then the lists of other CAs that are published. Each file is stored as soon as the step that takes it has
//! succeeded, so a run that is cut off anywhere leaves a store that the next run goes on from.

mod blank;
mod local;
mod revocation;
mod root;
mod run_clock;

pub use run_clock::RunClock;

use metadata_schema::MetadataError;
use metadata_schema::digest::Length;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::BUNDLE_FILE;
use metadata_schema::search::{Step, VerifiedTarget};
use metadata_schema::time::ReferenceTime;
use metadata_schema::trusted::{AtRoot, AtSnapshot, AtTargets, AtTimestamp, Freshness};

use crate::clock::Issued;
use crate::error::{Error, TransportError};
use crate::metadata_store::MetadataStore;
use crate::transport::{Part, Transport, beginning, fetch, looks_like_a_page};
use crate::trust::Trust;

/// What a refresh works with.
pub struct Client<'a> {
    /// Where files come from.
    pub transport: &'a mut dyn Transport,
    /// Where trusted files are kept.
    pub store: &'a MetadataStore,
    /// What is believed besides TUF.
    pub trust: &'a Trust,
    /// Bounds.
    pub limits: Limits,
}

impl Client<'_> {
    /// Brings everything up to date at a time that is given, for tools and tests: see [`Client::refresh_by`].
    ///
    /// # Errors
    /// Whatever is refused, cannot be fetched, or cannot be stored.
    pub async fn refresh(
        &mut self,
        factory_root: &[u8],
        now: ReferenceTime,
    ) -> Result<AtTargets, Error> {
        self.refresh_by(factory_root, &mut now.into()).await
    }

    /// Brings everything up to date, starting from the stored root or `factory_root`, whichever is newer. The clock is settled
    /// when the root walk has ended, and the floor rises with what is verified, even if the rest fails.
    ///
    /// # Errors
    /// Whatever is refused, cannot be fetched, or cannot be stored.
    pub async fn refresh_by(
        &mut self,
        factory_root: &[u8],
        clock: &mut RunClock<'_>,
    ) -> Result<AtTargets, Error> {
        let root = self.root(factory_root, clock).await?;
        let root = self.statement(root).await?;
        let (timestamp, freshness) = self.timestamp(&root).await?;
        let mut issued = Issued {
            root: root.root().common.issued,
            timestamp: timestamp.timestamp().common.issued,
            targets: None,
        };
        clock.heard(issued)?;
        let snapshot = self.snapshot(&root, &timestamp, freshness).await?;
        let mut targets = self.targets(&root, &snapshot).await?;
        issued.targets = targets.targets().common.issued;
        clock.heard(issued)?;
        if self.revocation_lists(&mut targets).await? {
            targets = targets.under(self.gate()?)?;
        }
        self.other_lists(&mut targets).await?;
        Ok(targets)
    }

    /// Looks up a target, fetching delegated roles on the way; none if no role has it.
    ///
    /// # Errors
    /// If a role on the way is refused or cannot be fetched.
    pub async fn find(
        &mut self,
        set: &mut AtTargets,
        path: &TargetPath,
    ) -> Result<Option<VerifiedTarget>, Error> {
        let consistent = set.root().consistent_snapshot;
        let mut search = set.search(path.clone(), self.limits.delegations);
        loop {
            let (role, file) = match search.next_step()? {
                Step::Found(target) => return Ok(Some(target)),
                Step::Fetch { role, file } => (role, file),
                _ => return Ok(None),
            };
            // A local copy saves a request; one that cannot be used costs one.
            if let Ok(Some(bytes)) = self.store.load(&role)
                && search.supply(&bytes).is_ok()
            {
                continue;
            }
            let prefix = if consistent {
                format!("{}.", file.version)
            } else {
                String::new()
            };
            let limit = file.most(self.limits.targets_length);
            let name = format!("{prefix}{role}.json");
            let bytes = self.metadata(&name, limit).await?;
            search.supply(&bytes)?;
            self.store.save(&role, &bytes)?;
        }
    }

    /// Fetches a whole target of at most `limit` bytes, and checks it.
    ///
    /// # Errors
    /// If it is longer, does not arrive, or is not the one that was signed.
    pub async fn fetch_target(
        &mut self,
        target: &VerifiedTarget,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let length = target.length().most();
        if length > limit {
            return Err(Error::ManifestPath {
                path: target.path().to_string(),
                expected: format!("at most {limit} bytes"),
                found: format!("has {length} bytes"),
            });
        }
        let path = target.file_path();
        let bytes = fetch(self.transport, Part::Targets, &path, length).await?;
        let bytes = bytes.ok_or_else(|| Error::Missing { what: path.clone() })?;
        let differs = |source| match looks_like_a_page(&bytes) {
            true => Error::Transport(TransportError::Otherwise {
                url: path.clone(),
                expected: "the file that was signed",
                begins: beginning(&bytes),
            }),
            false => Error::Target {
                path: target.path().to_string(),
                source,
            },
        };
        let mut check = target.hashes().checker(Length::Exactly(length));
        check
            .update(&bytes)
            .and_then(|()| check.finish())
            .map_err(differs)?;
        Ok(bytes)
    }

    /// Goes by a bundle's own statement, if files come out of a bundle and it has one. A server is never asked for it: what
    /// holds for months offline would let a mirror stand still for as long.
    async fn statement(&mut self, root: AtRoot) -> Result<AtRoot, Error> {
        if !self.transport.offline() {
            return Ok(root);
        }
        let limit = self.limits.timestamp_length;
        match fetch(self.transport, Part::Metadata, BUNDLE_FILE, limit).await? {
            Some(bytes) => {
                let lists = RoleName::delegated(device_pki::crl::ROLE);
                let lists = lists.map_err(MetadataError::Name)?;
                Ok(root.with_bundle(&bytes, &[lists])?)
            }
            None => Ok(root),
        }
    }

    async fn timestamp(&mut self, root: &AtRoot) -> Result<(AtTimestamp, Freshness), Error> {
        let local = self.local_timestamp(root)?;
        let bytes = self
            .metadata("timestamp.json", self.limits.timestamp_length)
            .await?;
        let (timestamp, freshness) = root.timestamp(local, &bytes)?;
        if freshness == Freshness::New {
            self.store.save(&RoleName::timestamp(), &bytes)?;
        }
        Ok((timestamp, freshness))
    }

    async fn snapshot(
        &mut self,
        root: &AtRoot,
        timestamp: &AtTimestamp,
        freshness: Freshness,
    ) -> Result<AtSnapshot, Error> {
        let role = RoleName::snapshot();
        let local = self.local_snapshot(root)?;
        if let Some((bytes, local)) = &local
            && let Ok(same) = timestamp.keep_snapshot(local, bytes)
        {
            return Ok(same);
        }
        let file = timestamp.snapshot_file();
        let name = versioned(root, file.version, "snapshot");
        let bytes = self
            .metadata(&name, file.most(self.limits.snapshot_length))
            .await?;
        let snapshot = timestamp.snapshot(local.as_ref().map(|(_, local)| &**local), &bytes)?;
        if freshness != Freshness::Older {
            self.store.save(&role, &bytes)?;
        }
        Ok(snapshot)
    }

    async fn targets(&mut self, root: &AtRoot, snapshot: &AtSnapshot) -> Result<AtTargets, Error> {
        let role = RoleName::targets();
        if let Ok(Some(bytes)) = self.store.load(&role)
            && let Ok(same) = snapshot.targets(&bytes)
        {
            return Ok(same);
        }
        let file = snapshot.targets_file()?;
        let name = versioned(root, file.version, "targets");
        let bytes = self
            .metadata(&name, file.most(self.limits.targets_length))
            .await?;
        let targets = snapshot.targets(&bytes)?;
        self.store.save(&role, &bytes)?;
        Ok(targets)
    }

    /// Fetches a metadata file that must be there.
    async fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let bytes = fetch(self.transport, Part::Metadata, name, limit).await?;
        bytes.ok_or_else(|| Error::Missing {
            what: name.to_owned(),
        })
    }
}

/// Whether bytes that are kept are the target that was signed, so that it need not be fetched.
pub fn is_the_target(target: &VerifiedTarget, bytes: &[u8]) -> bool {
    let mut check = target.hashes().checker(target.length());
    check.update(bytes).and_then(|()| check.finish()).is_ok()
}

fn versioned(root: &AtRoot, version: metadata_schema::name::Version, name: &str) -> String {
    if root.root().consistent_snapshot {
        format!("{version}.{name}.json")
    } else {
        format!("{name}.json")
    }
}
