use std::path::PathBuf;

use clap::{Args, Subcommand};
use device_pki::token::{self, ListedToken};
use device_pki::{KeySource, SubjectKey, durable};
use repo_tool::{Error, Result};

use crate::Context;
use crate::passphrase::PassphraseArgs;

/// Look at keys: those of tokens, and the public part of any
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the tokens that are plugged in and their keys, each with the URI to sign with
    List {
        /// The token's PKCS#11 module, such as /usr/lib/softhsm/libsofthsm2.so [default: $PKCS11_MODULE_PATH]
        #[arg(long, value_name = "FILE")]
        module: Option<PathBuf>,
    },
    /// Show the public key of a file, a variable of the environment (env:NAME) or a token (pkcs11:...)
    Public {
        /// The key
        key: KeySource,

        /// Write it to a file, in PEM, to ask for a certificate with
        #[arg(long, value_name = "FILE")]
        public: Option<PathBuf>,

        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

impl KeysArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            KeysCommand::List { module } => {
                let module = module.map(|path| std::path::absolute(&path).unwrap_or(path));
                let tokens = token::list(module.as_deref())?;
                let answer = serde_json::to_value(&tokens).unwrap_or_default();
                context.output.answer(&answer, || lines(&tokens));
                Ok(())
            }
            KeysCommand::Public {
                key,
                public,
                passphrase,
            } => {
                if let Some(path) = public.as_ref().filter(|path| path.exists()) {
                    return Err(Error::Exists { path: path.clone() });
                }
                let opened = passphrase.open(&key)?;
                let der = opened.public_key().spki_der().unwrap_or_default();
                let subject = SubjectKey::from_der(&key.to_string(), der)?;
                if let Some(path) = public {
                    durable::write(&path, subject.pem().as_bytes(), durable::PUBLIC)?;
                }
                answer(&key, &subject, context);
                Ok(())
            }
        }
    }
}

/// Tells of one key.
pub(crate) fn answer(source: &KeySource, public: &SubjectKey, context: &Context) {
    let id = public.tuf_key().id();
    let value = serde_json::json!({
        "key": source.to_string(),
        "algorithm": public.algorithm(),
        "key_id": id.as_str(),
        "pem": public.pem(),
    });
    context.output.answer(&value, || {
        vec![
            format!("key        {source}"),
            format!("algorithm  {}", public.algorithm()),
            format!("key id     {id}"),
        ]
    });
}

fn lines(tokens: &[ListedToken]) -> Vec<String> {
    if tokens.is_empty() {
        return vec!["No token is plugged in.".to_owned()];
    }
    let mut lines = Vec::new();
    for token in tokens {
        let ListedToken {
            label,
            manufacturer,
            model,
            serial,
            ..
        } = token;
        lines.push(format!(
            "{label}  ({manufacturer}, {model}, serial number {serial})"
        ));
        for key in &token.keys {
            let id = key.key_id.as_deref().unwrap_or("");
            let short: String = id.chars().take(8).collect();
            lines.push(format!(
                "  {:<20} {:<12} key {short}",
                key.label, key.algorithm
            ));
            lines.push(format!("    {}", key.uri));
        }
        if token.keys.is_empty() {
            lines.push("  no keys that can be seen without the PIN".to_owned());
        }
    }
    lines
}
