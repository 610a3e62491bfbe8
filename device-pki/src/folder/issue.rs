//! Issuing certificates out of the folder.

use std::path::PathBuf;

use super::{Ceremony, PkiFolder};
use crate::authority::Authority;
use crate::certificate::Certificate;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::{KeyAlgorithm, KeyPair, Protection};
use crate::profile::{Leaf, Validity};
use crate::subject_key::SubjectKey;

/// Leaf certificates reach this far back, for clocks that are behind.
const BACKDATE: i64 = 60;

/// Where the key of a new certificate comes from.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// It is made here and written beside the certificate: Ed25519 for people, for servers and devices as the PKI is set up.
    Generate,
    /// The same, with this algorithm.
    GenerateFor(KeyAlgorithm),
    /// Its holder made it and brought the public key: the better way.
    Given(SubjectKey),
}

/// A certificate that was issued, and where it is.
#[derive(Debug)]
pub struct Issued {
    /// The certificate and its CA's: what its holder shows.
    pub chain: Vec<Certificate>,
    /// The file with the chain.
    pub chain_path: PathBuf,
    /// The file with the key, if it was made here.
    pub key_path: Option<PathBuf>,
}

impl Issued {
    /// The chain as PEM texts, as TUF metadata carries them.
    pub fn chain_pem(&self) -> Vec<String> {
        self.chain.iter().map(Certificate::pem).collect()
    }
}

impl PkiFolder {
    /// Issues a certificate, by default valid as long as its profile says.
    ///
    /// The index has it before anybody else does, so that whatever exists can be revoked. A key of a signer is protected
    /// as the ceremony says; keys of servers and devices by the file's mode, for their programs start alone.
    ///
    /// # Errors
    /// If the CA's key cannot be opened or a step fails.
    pub fn issue(
        &self,
        leaf: &Leaf,
        source: KeySource,
        days: Option<u32>,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Issued> {
        let ca = self.authority(leaf.issuer(), ceremony.protection)?;
        self.issue_by(&ca, leaf, source, days, ceremony)
    }

    /// The same by a CA of this folder whose key is open already: opening it takes half a second, which a batch pays once.
    ///
    /// # Errors
    /// If it is not the CA for it, or a step fails.
    pub fn issue_by(
        &self,
        ca: &Authority,
        leaf: &Leaf,
        source: KeySource,
        days: Option<u32>,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Issued> {
        let issued = self.issue_batch(ca, vec![(leaf.clone(), source)], days, ceremony)?;
        let nothing = || Error::malformed("a batch of one", "a certificate", "nothing came of it");
        issued.into_iter().next().ok_or_else(nothing)
    }

    /// The same for many at once, whose certificates and keys are held in memory until the index, which is written once, has all
    /// of them. If it fails after that, certificates that nobody got stand in the index, as those of a batch that was cut off do.
    ///
    /// # Errors
    /// If it is not the CA for one of them, or a step fails.
    pub fn issue_batch(
        &self,
        ca: &Authority,
        batch: Vec<(Leaf, KeySource)>,
        days: Option<u32>,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Vec<Issued>> {
        let _lock = self.lock()?;
        let made = batch
            .into_iter()
            .map(|(leaf, source)| self.certify(ca, leaf, source, days, ceremony))
            .collect::<Result<Vec<Made>>>()?;
        if made.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.state(ca.kind())?;
        for one in &made {
            state.enter(&one.certificate, profile_name(&one.leaf));
        }
        state.save_issued(&self.state_path(ca.kind()))?;
        let made = made.into_iter();
        made.map(|one| self.hand_out(ca, one, ceremony)).collect()
    }

    fn certify(
        &self,
        ca: &Authority,
        leaf: Leaf,
        source: KeySource,
        days: Option<u32>,
        ceremony: &mut Ceremony<'_>,
    ) -> Result<Made> {
        if is_person(&leaf)
            && !matches!(source, KeySource::Given(_))
            && ca.key().pair().is_none()
            && matches!(ceremony.protection, Protection::FileMode)
        {
            // CA keys that need no passphrase are no reason for keys of people that have none.
            let what = "the new key".to_owned();
            return Err(Error::PassphraseNeeded { what });
        }
        let path = self.path.join(folder_of(&leaf)?);
        let algorithm = match leaf {
            Leaf::FirmwareSigner(_) => KeyAlgorithm::Ed25519,
            _ => self.config.algorithms.leaf,
        };
        let algorithm = match source {
            KeySource::GenerateFor(algorithm) => algorithm,
            _ => algorithm,
        };
        let (subject, key) = match source {
            KeySource::Given(subject) => (subject, None),
            KeySource::Generate | KeySource::GenerateFor(_) => {
                let key = KeyPair::generate(algorithm, ceremony.entropy)?;
                (SubjectKey::of(&key)?, Some(key))
            }
        };
        let start = ceremony.now.plus_seconds(-BACKDATE);
        let validity = match days.or(leaf.default_days()) {
            Some(days) => Validity::days(start, days),
            None => Validity::unlimited(start),
        };
        let certificate = ca.issue(&leaf, &subject, validity, ceremony.entropy)?;
        Ok(Made {
            leaf,
            path,
            certificate,
            key,
        })
    }

    /// Writes what its holder gets; the chain last, by which one sees that it is all there.
    fn hand_out(&self, ca: &Authority, made: Made, ceremony: &mut Ceremony<'_>) -> Result<Issued> {
        let Made {
            leaf,
            path,
            certificate,
            key,
        } = made;
        durable::create_dir_durable(&path, 0o700)?;
        let chain = vec![certificate, ca.certificate().clone()];
        let chain_path = path.join("chain.pem");
        let key_path = match key {
            None => None,
            Some(key) => {
                let key_path = path.join("key.pem");
                let protection = match is_person(&leaf) {
                    true => ceremony.protection,
                    false => Protection::FileMode,
                };
                key.save(&key_path, protection, ceremony.entropy)?;
                Some(key_path)
            }
        };
        let pem: String = chain.iter().map(Certificate::pem).collect();
        durable::write(&chain_path, pem.as_bytes(), durable::PUBLIC)?;
        Ok(Issued {
            chain,
            chain_path,
            key_path,
        })
    }
}

/// A certificate that was made, and that nobody has yet.
struct Made {
    leaf: Leaf,
    path: PathBuf,
    certificate: Certificate,
    /// Its key, if it was made here, too.
    key: Option<KeyPair>,
}

/// Whose key is protected as the ceremony says, and not by the file's mode alone.
fn is_person(leaf: &Leaf) -> bool {
    matches!(leaf, Leaf::FirmwareSigner(_) | Leaf::Operator(_))
}

fn profile_name(leaf: &Leaf) -> &'static str {
    match leaf {
        Leaf::FirmwareSigner(_) => "firmware-signer",
        Leaf::ApiServer(_) => "api-server",
        Leaf::Device(_) => "device",
        Leaf::FactoryDevice(_) => "factory-device",
        Leaf::Operator(_) => "operator",
    }
}

/// Where a leaf's files go. Names come from people: none may leave the folder.
fn folder_of(leaf: &Leaf) -> Result<PathBuf> {
    let (kind, name) = match leaf {
        Leaf::FirmwareSigner(signer) => ("signers", signer.name.clone()),
        Leaf::ApiServer(server) => ("servers", server.name()),
        Leaf::Device(device) => ("devices", device.serial.clone()),
        Leaf::FactoryDevice(device) => ("factory", device.serial.clone()),
        Leaf::Operator(operator) => ("operators", operator.name.clone()),
    };
    let unsafe_name = name.is_empty()
        || name.starts_with('.')
        || name.len() > 128
        || name.contains(['/', '\\'])
        || name.chars().any(char::is_control);
    if unsafe_name {
        let why = "cannot be the name of a folder";
        return Err(Error::Name {
            what: "certificate holder",
            found: name,
            why,
        });
    }
    Ok(PathBuf::from(kind).join(name))
}
