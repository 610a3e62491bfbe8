//! Public keys as TUF names them (1.0.34, section 4.2.1), and what a signature of theirs proves.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::digest::Sha256Digest;
use crate::json::{Fields, Json, ShapeError, shortened};

/// The identifier of a key: the hex SHA-256 digest of the key object's canonical form (section 4.2.1).
///
/// In a signature it is whatever the signer wrote, and matches nothing unless it is the id of an authorised key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// An identifier that somebody claims. It proves nothing until it is found among the ids of known keys.
    pub fn claimed(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> String {
        self.0.chars().take(8).collect()
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shortened_id(&self.0))
    }
}

fn shortened_id(text: &str) -> String {
    if text.len() <= 64 {
        text.to_owned()
    } else {
        shortened(text)
    }
}

impl From<KeyId> for Json {
    fn from(id: KeyId) -> Self {
        Self::String(id.0)
    }
}

/// A public key, with the algorithm it is for if that is one we can verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    json: Json,
    algorithm: Algorithm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Algorithm {
    Ed25519(VerifyingKey),
    /// A key type or scheme that we do not know: kept, listed, and never counted (TUF 1.0.34, section 4.2.1).
    Unknown(String),
}

impl PublicKey {
    /// The TUF key object of a raw Ed25519 public key of 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// If the bytes are no point on the curve.
    pub fn ed25519(bytes: &[u8; 32]) -> Result<Self, ShapeError> {
        let json = Json::object([
            ("keytype", Json::from("ed25519")),
            ("scheme", Json::from("ed25519")),
            (
                "keyval",
                Json::object([("public", Json::String(hex::encode(bytes)))]),
            ),
        ]);
        let key = Self::from_json(json, "key")?;
        match key.algorithm {
            Algorithm::Ed25519(_) => Ok(key),
            Algorithm::Unknown(why) => Err(ShapeError::new("key", "an Ed25519 public key", why)),
        }
    }

    /// Reads a key object that stands at the path `at`.
    ///
    /// A key type that we do not know is no error, and neither is a malformed key of a known type: it will never count.
    ///
    /// # Errors
    /// If the object has not the members that every key has.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let id = KeyId(Sha256Digest::of(&json.canonical()).to_string());
        let mut fields = Fields::of(json.clone(), at)?;
        let keytype = fields.take("keytype", Json::into_string)?;
        let scheme = fields.take("scheme", Json::into_string)?;
        let mut keyval = fields.take("keyval", |json, at| Fields::of(json, at))?;
        let algorithm = match (keytype.as_str(), scheme.as_str()) {
            ("ed25519", "ed25519") => {
                let public = keyval.take("public", Json::into_string)?;
                ed25519_point(&public).map_or_else(
                    || Algorithm::Unknown("malformed ed25519 key".to_owned()),
                    Algorithm::Ed25519,
                )
            }
            _ => Algorithm::Unknown(format!(
                "unknown key type {:?}/{:?}",
                shortened(&keytype),
                shortened(&scheme)
            )),
        };
        Ok(Self {
            id,
            json,
            algorithm,
        })
    }

    /// The id, computed from the key itself.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key object, exactly as it was read.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The 32 bytes of an Ed25519 key, to compare with a certificate's; none for a key that we cannot verify with.
    pub fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match &self.algorithm {
            Algorithm::Ed25519(key) => Some(key.as_bytes()),
            Algorithm::Unknown(_) => None,
        }
    }

    /// Whether two key objects hold the same key material, however they are written.
    pub(crate) fn same_material(&self, other: &Self) -> bool {
        match (&self.algorithm, &other.algorithm) {
            (Algorithm::Ed25519(a), Algorithm::Ed25519(b)) => a == b,
            _ => self.id == other.id,
        }
    }

    /// Whether `signature` over `message` is this key's.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), String> {
        match &self.algorithm {
            Algorithm::Ed25519(key) => {
                let signature = Signature::from_slice(signature)
                    .map_err(|_| format!("signature of {} bytes, expected 64", signature.len()))?;
                // Strict: refuses keys and signatures of small order, for which one signature fits many messages.
                key.verify_strict(message, &signature)
                    .map_err(|_| "wrong signature".to_owned())
            }
            Algorithm::Unknown(why) => Err(why.clone()),
        }
    }
}

fn ed25519_point(public: &str) -> Option<VerifyingKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(public, &mut bytes).ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}
