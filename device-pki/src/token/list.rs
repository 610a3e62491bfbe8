//! Which tokens there are, and which keys they have.

use std::path::Path;

use cryptoki::object::ObjectClass;

use super::{TokenUri, module, objects};
use crate::error::Result;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ListedToken {
    /// Its label.
    pub label: String,
    /// Its maker.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its keys, as far as their public keys can be seen without a PIN.
    pub keys: Vec<ListedKey>,
}

/// A key on a token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ListedKey {
    /// Its label.
    pub label: String,
    /// Its id, in hex.
    pub id: String,
    /// Its algorithm, or why it cannot sign here.
    pub algorithm: String,
    /// The id that TUF gives it; none if it cannot sign here.
    pub key_id: Option<String>,
    /// The URI to sign with.
    pub uri: String,
}

/// All tokens that a module reaches, with their keys. No PIN is needed. `path` is the module; without it, the environment names
/// it.
///
/// # Errors
/// If the module cannot be loaded, or a token does not answer.
pub fn list(path: Option<&Path>) -> Result<Vec<ListedToken>> {
    let (path_of_module, module) = module::module(path)?;
    let mut listed = Vec::new();
    for token in module::tokens(&path_of_module, &module)? {
        let session = token.session(false)?;
        let found = objects::find(&session, ObjectClass::PUBLIC_KEY, &TokenUri::default())
            .map_err(|e| token.failed("list its keys", &e))?;
        let mut keys = Vec::new();
        for key in found {
            let public = objects::public_key(&session, key.handle);
            let uri = TokenUri {
                token: Some(token.label().to_owned()),
                serial: Some(token.info.serial_number().to_owned()),
                object: Some(key.label.clone()),
                id: (!key.id.is_empty()).then(|| key.id.clone()),
                module: path.map(Path::to_owned),
                ..TokenUri::default()
            };
            keys.push(ListedKey {
                label: key.label.clone(),
                id: hex::encode(&key.id),
                key_id: public
                    .as_ref()
                    .ok()
                    .map(|public| public.tuf_key().id().to_string()),
                algorithm: match &public {
                    Ok(public) => public.algorithm().to_owned(),
                    Err(why) => why.clone(),
                },
                uri: uri.to_string(),
            });
        }
        keys.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
        listed.push(ListedToken {
            label: token.label().to_owned(),
            manufacturer: token.info.manufacturer_id().to_owned(),
            model: token.info.model().to_owned(),
            serial: token.info.serial_number().to_owned(),
            keys,
        });
    }
    Ok(listed)
}
