use std::path::PathBuf;

use clap::Args;
use device_pki::{
    KeyAlgorithm, KeyPair, Protection, ScryptCost, SigningKey as _, SystemEntropy, durable,
};
use repo_tool::{Error, Result};

use crate::Context;
use crate::passphrase::PassphraseArgs;

/// Make a signing key (Ed25519), encrypted with a passphrase
#[derive(Args, Debug)]
pub(crate) struct KeygenArgs {
    /// File to write the private key to (PKCS#8, encrypted by scrypt and AES-256)
    key: PathBuf,

    /// Also write the public key, in PEM, to ask for a certificate with
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl KeygenArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        for path in std::iter::once(&self.key).chain(&self.public) {
            if path.exists() {
                return Err(Error::Exists { path: path.clone() });
            }
        }
        let passphrase = self.passphrase.of_new_key()?;
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy)?;
        let protection = Protection::Passphrase(&passphrase, ScryptCost::STANDARD);
        key.save(&self.key, protection, &mut SystemEntropy)?;
        let pem = key.public_key_pem();
        if let Some(path) = &self.public {
            durable::write(path, pem.as_bytes(), durable::PUBLIC)?;
        }
        let signer = key.into_tuf_signer()?;
        let id = signer.public_key().id();
        let hex = signer
            .public_key()
            .ed25519_bytes()
            .map(hex::encode)
            .unwrap_or_default();
        let value = serde_json::json!({ "key_id": id.as_str(), "public": hex, "pem": pem });
        context.output.answer(&value, || {
            vec![format!("key id      {id}"), format!("public key  {hex}")]
        });
        context
            .output
            .say("Keep the key and its passphrase apart, and a copy of both in a safe place.");
        Ok(())
    }
}
