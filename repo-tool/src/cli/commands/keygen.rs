use std::path::{Path, PathBuf};

use clap::Args;
use device_pki::token::{self, TokenUri};
use device_pki::{
    KeyAlgorithm, KeyPair, KeySource, Protection, ScryptCost, SubjectKey, SystemEntropy, durable,
};
use repo_tool::{Error, Result};

use crate::Context;
use crate::passphrase::PassphraseArgs;

/// Make a signing key: in a file, encrypted with a passphrase, or on a token
///
/// A new key signs nothing yet: have its public key certified (`device-pki issue-signer --public-key`).
#[derive(Args, Debug)]
pub(crate) struct KeygenArgs {
    /// File to write the private key to, or the token to make it on: pkcs11:token=TOKEN;object=LABEL
    key: KeySource,

    /// Also write the public key, in PEM, to ask for a certificate with
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,

    /// ed25519, p256, p384 or ml-dsa-65; on a token ed25519, p256, p384 or rsa-3072
    #[arg(long, default_value = "ed25519")]
    algorithm: String,

    /// Work to try a passphrase: `memory-hard` takes 128 MiB (scrypt, N = 2^17); `portable` takes 16 MiB, and OpenSSL can open the
    /// key
    #[arg(long, value_name = "COST", default_value = "memory-hard")]
    scrypt: ScryptCost,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl KeygenArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        if let Some(path) = self.public.as_ref().filter(|path| path.exists()) {
            return Err(Error::Exists { path: path.clone() });
        }
        let (public, key) = match &self.key {
            KeySource::File(path) => (self.in_file(path)?, self.key.clone()),
            KeySource::Token(uri) => self.on_token(uri)?,
            other => {
                return Err(Error::Argument {
                    what: "place for a new key",
                    found: other.to_string(),
                    expected: "a file or a pkcs11: URI",
                });
            }
        };
        let pem = public.pem();
        if let Some(path) = &self.public {
            durable::write(path, pem.as_bytes(), durable::PUBLIC)?;
        }
        super::keys::answer(&key, &public, context);
        context.output.say(match key {
            KeySource::Token(_) => {
                "The key cannot be copied from the token: have a second keyholder for whatever it signs."
            }
            _ => "Keep the key and its passphrase apart, and a copy of both in a safe place.",
        });
        Ok(())
    }

    fn in_file(&self, path: &Path) -> Result<SubjectKey> {
        let algorithm: KeyAlgorithm = self.algorithm.parse()?;
        if path.exists() {
            return Err(Error::Exists {
                path: path.to_owned(),
            });
        }
        let passphrase = self.passphrase.of_new_key()?;
        let key = KeyPair::generate(algorithm, &mut SystemEntropy)?;
        let protection = Protection::Passphrase(&passphrase, self.scrypt);
        key.save(path, protection, &mut SystemEntropy)?;
        Ok(SubjectKey::of(&key)?)
    }

    fn on_token(&self, uri: &TokenUri) -> Result<(SubjectKey, KeySource)> {
        let algorithm = self.algorithm.parse()?;
        let ask = |secret: device_pki::SecretOf<'_>| self.passphrase.secret(secret);
        let (public, uri) = token::generate(uri, algorithm, &ask, &mut SystemEntropy)?;
        Ok((public, KeySource::Token(Box::new(uri))))
    }
}
