//! Private keys as files: PEM of PKCS#8 (RFC 7468), encrypted with PBES2 (RFC 8018) by scrypt (RFC 7914) and
//! AES-256-CBC, or plain for devices, servers and online keys, whose programs start without a person.

use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf};
use zeroize::Zeroizing;

use super::{KeyPair, pkcs8 as format};
use crate::durable;
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::passphrase::Passphrase;

/// Longest key file that is read.
const LIMIT: u64 = 16 * 1024;
/// Most memory that a key file may ask of scrypt.
const MAX_MEMORY: u64 = 256 * 1024 * 1024;
/// Most parallelisation that a key file may ask of scrypt.
const MAX_PARALLEL: u16 = 16;
/// Most rounds that a key file may ask of PBKDF2.
const MAX_ROUNDS: u32 = 10_000_000;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// How hard scrypt makes it to try a passphrase. It stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost {
    log_n: u8,
    r: u32,
    p: u32,
}

impl ScryptCost {
    /// N = 2^14, r = 8, p = 8: half a second of work in 16 MiB. OpenSSL refuses files that need more than 32 MiB, and a
    /// root key has to open in 25 years even if this program is gone. The default for keys of CAs.
    pub const STANDARD: Self = Self {
        log_n: 14,
        r: 8,
        p: 8,
    };
    /// N = 2^17, r = 8, p = 1: the same work in 128 MiB, which makes guessing in hardware dearer. OpenSSL cannot read it. The
    /// default for keys of people who sign firmware: they are replaced every few years.
    pub const MEMORY_HARD: Self = Self {
        log_n: 17,
        r: 8,
        p: 1,
    };
    /// N = 2^10: for tests and demonstrations, where the passphrase protects nothing.
    pub const FAST: Self = Self {
        log_n: 10,
        r: 8,
        p: 1,
    };
}

/// `portable` for [`ScryptCost::STANDARD`], `memory-hard` for [`ScryptCost::MEMORY_HARD`].
impl std::str::FromStr for ScryptCost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "portable" => Ok(Self::STANDARD),
            "memory-hard" => Ok(Self::MEMORY_HARD),
            _ => Err(Error::Name {
                what: "scrypt cost",
                found: text.chars().take(40).collect(),
                why: "is none of portable, memory-hard",
            }),
        }
    }
}

impl Default for ScryptCost {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// How a private key is kept.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Protection<'a> {
    /// Encrypted with a passphrase.
    Passphrase(&'a Passphrase, ScryptCost),
    /// By the file's mode alone: for programs that start without a person.
    FileMode,
}

impl KeyPair {
    /// The key as PEM.
    ///
    /// # Errors
    /// If there are no random bytes for the salt.
    pub fn to_pem(
        &self,
        protection: Protection<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Zeroizing<String>> {
        let (label, der) = match protection {
            Protection::FileMode => (PLAIN, self.pkcs8_der().clone()),
            Protection::Passphrase(passphrase, cost) => (
                ENCRYPTED,
                Zeroizing::new(encrypt(self.pkcs8_der(), passphrase, cost, entropy)?),
            ),
        };
        Ok(Zeroizing::new(crate::pem_text::encode(label, &der)))
    }

    /// Reads PEM, encrypted or not. `what` names it in errors.
    ///
    /// # Errors
    /// If it is no private key that we know, if it is encrypted and no passphrase is given, or the wrong one.
    pub fn from_pem(what: &str, text: &[u8], passphrase: Option<&Passphrase>) -> Result<Self> {
        let (label, der) = crate::pem_text::first(what, text)?;
        let der = Zeroizing::new(der);
        match label.as_str() {
            PLAIN => format::read(what, &der),
            ENCRYPTED => {
                let passphrase = passphrase.ok_or_else(|| Error::PassphraseNeeded {
                    what: what.to_owned(),
                })?;
                let plain = decrypt(what, &der, passphrase)?;
                // AES-CBC says nothing about its input: one wrong passphrase in 256 leaves a valid padding.
                format::read(what, &plain).map_err(|_| Error::WrongPassphrase {
                    what: what.to_owned(),
                })
            }
            other => Err(Error::malformed(
                what,
                "a PKCS#8 private key",
                format!("PEM label {other:?}"),
            )),
        }
    }

    /// Writes the key to a file that only its owner may read.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(
        &self,
        path: &Path,
        protection: Protection<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<()> {
        durable::write(
            path,
            self.to_pem(protection, entropy)?.as_bytes(),
            durable::SECRET,
        )
    }

    /// Reads the key from a file.
    ///
    /// # Errors
    /// As [`KeyPair::from_pem`], and if the file cannot be read.
    pub fn load(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self> {
        Self::from_pem(
            &path.display().to_string(),
            &Self::read_text(path)?,
            passphrase,
        )
    }

    /// Whether the key in a file needs a passphrase.
    ///
    /// # Errors
    /// If the file cannot be read or is no PEM.
    pub fn is_encrypted(path: &Path) -> Result<bool> {
        Self::is_encrypted_pem(&path.display().to_string(), &Self::read_text(path)?)
    }

    /// The text of a key file.
    pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(durable::read_bounded(path, LIMIT)?))
    }

    pub(crate) fn is_encrypted_pem(what: &str, text: &[u8]) -> Result<bool> {
        let (label, der) = crate::pem_text::first(what, text)?;
        drop(Zeroizing::new(der));
        Ok(label == ENCRYPTED)
    }
}

/// Whether these bytes are an EncryptedPrivateKeyInfo (RFC 5958, section 3).
pub(crate) fn is_encrypted_der(der: &[u8]) -> bool {
    EncryptedPrivateKeyInfoRef::try_from(der).is_ok()
}

fn encrypt(
    plain: &[u8],
    passphrase: &Passphrase,
    cost: ScryptCost,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>> {
    let bad = |reason: String| Error::malformed("scrypt", "a usable cost", reason);
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    entropy.fill(&mut salt)?;
    entropy.fill(&mut iv)?;
    let cost = pkcs8::pkcs5::scrypt::Params::new(cost.log_n, cost.r, cost.p)
        .map_err(|e| bad(e.to_string()))?;
    let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv)
        .map_err(|e| bad(e.to_string()))?;
    let data = parameters
        .encrypt(passphrase.as_bytes(), plain)
        .map_err(|e| bad(e.to_string()))?;
    let data = pkcs8::der::asn1::OctetStringRef::new(&data).map_err(|e| bad(e.to_string()))?;
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: EncryptionScheme::Pbes2(parameters),
        encrypted_data: data,
    };
    pkcs8::der::Encode::to_der(&info).map_err(|e| bad(e.to_string()))
}

fn decrypt(what: &str, der: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>> {
    let bad = |reason: String| Error::malformed(what, "an encrypted private key", reason);
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|e| bad(e.to_string()))?;
    let parameters = info
        .encryption_algorithm
        .pbes2()
        .ok_or_else(|| bad("not encrypted with PBES2".to_owned()))?;
    affordable(&parameters.kdf).map_err(|reason| bad(reason.to_owned()))?;
    info.encryption_algorithm
        .decrypt(passphrase.as_bytes(), info.encrypted_data.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| Error::WrongPassphrase {
            what: what.to_owned(),
        })
}

/// Whether deriving a key by these numbers is bounded: they come from the file.
fn affordable(kdf: &Kdf) -> Result<(), &'static str> {
    match kdf {
        Kdf::Scrypt(scrypt) => {
            let memory = u64::from(scrypt.block_size)
                .checked_mul(128)
                .and_then(|bytes| scrypt.cost_parameter.checked_mul(bytes));
            let fits = memory.is_some_and(|memory| memory <= MAX_MEMORY);
            if fits && scrypt.parallelization <= MAX_PARALLEL {
                Ok(())
            } else {
                Err("its scrypt cost is beyond 256 MiB")
            }
        }
        Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count <= MAX_ROUNDS => Ok(()),
        Kdf::Pbkdf2(_) => Err("its PBKDF2 cost is beyond ten million rounds"),
        _ => Err("unknown key derivation"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::key::KeyAlgorithm;

    #[test]
    fn every_algorithm_survives_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let (right, wrong) = (Passphrase::new("right"), Passphrase::new("wrong"));
        for (_, algorithm) in KeyAlgorithm::ALL {
            let key = KeyPair::generate(algorithm, &mut SystemEntropy).unwrap();

            key.save(&path, Protection::FileMode, &mut SystemEntropy)
                .unwrap();
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            assert!(!KeyPair::is_encrypted(&path).unwrap());
            let back = KeyPair::load(&path, None).unwrap();
            assert_eq!(back.pkcs8_der(), key.pkcs8_der());

            let protection = Protection::Passphrase(&right, ScryptCost::FAST);
            key.save(&path, protection, &mut SystemEntropy).unwrap();
            assert!(KeyPair::is_encrypted(&path).unwrap());
            let back = KeyPair::load(&path, Some(&right)).unwrap();
            assert_eq!(back.pkcs8_der(), key.pkcs8_der());
            assert!(matches!(
                KeyPair::load(&path, Some(&wrong)),
                Err(Error::WrongPassphrase { .. })
            ));
            assert!(matches!(
                KeyPair::load(&path, None),
                Err(Error::PassphraseNeeded { .. })
            ));
        }
    }

    #[test]
    fn files_of_either_cost_are_read() {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
        let passphrase = Passphrase::new("x");
        for name in ["portable", "memory-hard"] {
            let protection = Protection::Passphrase(&passphrase, name.parse().unwrap());
            let pem = key.to_pem(protection, &mut SystemEntropy).unwrap();
            let back = KeyPair::from_pem("key", pem.as_bytes(), Some(&passphrase)).unwrap();
            assert_eq!(back.pkcs8_der(), key.pkcs8_der(), "{name}");
        }
        assert!("cheap".parse::<ScryptCost>().is_err());
    }

    #[test]
    fn many_wrong_passphrases_are_all_called_so() {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
        let right = Passphrase::new("right");
        let cost = ScryptCost {
            log_n: 1,
            r: 1,
            p: 1,
        };
        let pem = key
            .to_pem(Protection::Passphrase(&right, cost), &mut SystemEntropy)
            .unwrap();
        for n in 0..2000 {
            let wrong = Passphrase::new(format!("wrong {n}"));
            let error = KeyPair::from_pem("key", pem.as_bytes(), Some(&wrong)).unwrap_err();
            assert!(matches!(error, Error::WrongPassphrase { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_endless_work() {
        let cost = |log_n: u32, r: u16, p: u16| {
            let params = pkcs8::pkcs5::scrypt::Params::new(10, 8, 1).unwrap();
            let mut params = pbes2::ScryptParams::from_params_and_salt(params, &[0; 16]).unwrap();
            params.cost_parameter = 1 << log_n;
            params.block_size = r;
            params.parallelization = p;
            affordable(&Kdf::Scrypt(params))
        };
        assert!(cost(17, 8, 1).is_ok());
        assert!(cost(19, 8, 1).is_err());
        assert!(cost(30, 8, 1).is_err());
        assert!(cost(10, 8, 1000).is_err());
    }
}
