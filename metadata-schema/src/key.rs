//! Public keys as TUF names them (1.0.34, section 4.2.1), and what a signature of theirs proves.

mod scheme;

use crate::digest::Sha256Digest;
use crate::json::{Fields, Json, ShapeError, shortened};
use scheme::Verifier;
pub use scheme::{Family, UnknownFamily, ml_dsa_message};

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

/// A public key, and what it takes to verify with it if its scheme is one that we know.
#[derive(Clone, Debug)]
pub struct PublicKey {
    id: KeyId,
    json: Json,
    /// Or why nothing can be verified with it: such a key is kept, listed, and never counted.
    verifier: Result<Verifier, String>,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from these.
        self.id == other.id && self.json == other.json
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// The TUF key object of a raw Ed25519 public key of 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// If the bytes are no point on the curve.
    pub fn ed25519(bytes: &[u8; 32]) -> Result<Self, ShapeError> {
        Self::known("ed25519", "ed25519", hex::encode(bytes))
    }

    /// The TUF key object of a key type and scheme that we verify (the table stands in the module's source), with its public
    /// key as TUF writes it: hex for Ed25519, PEM for all others.
    ///
    /// # Errors
    /// If nothing could be verified with it.
    pub fn known(keytype: &str, scheme: &str, public: String) -> Result<Self, ShapeError> {
        let json = Json::object([
            ("keytype", Json::from(keytype)),
            ("scheme", Json::from(scheme)),
            ("keyval", Json::object([("public", Json::String(public))])),
        ]);
        let key = Self::from_json(json, "key")?;
        match &key.verifier {
            Ok(_) => Ok(key),
            Err(why) => Err(ShapeError::new(
                "key",
                format!("a public key for {scheme}"),
                why,
            )),
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
        let mut keyval = fields.object("keyval")?;
        let verifier = match keyval.optional("public") {
            Some(Json::String(public)) => Verifier::new(&keytype, &scheme, &public),
            _ => Err("a key without a public part that is text".to_owned()),
        };
        Ok(Self { id, json, verifier })
    }

    /// Reads the key object that metadata lists under `id`.
    ///
    /// The id must be the digest of the key (section 4.3: clients MUST calculate it). A key whose id is another is kept as it
    /// is and never counts; the keys beside it do.
    ///
    /// # Errors
    /// If the object has not the members that every key has.
    pub(crate) fn listed(id: String, json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut key = Self::from_json(json, at)?;
        if key.id.0 != id {
            let own = std::mem::replace(&mut key.id, KeyId(id));
            key.verifier = Err(format!("its id is not that of the key, which is {own}"));
        }
        Ok(key)
    }

    /// The id under which metadata lists the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key object, exactly as it was read.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The family of its signature algorithm; none for a key that we cannot verify with.
    pub fn family(&self) -> Option<Family> {
        self.verifier.as_ref().ok().map(Verifier::family)
    }

    /// The key as a SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7), to compare with a certificate's: always in the
    /// same form, however the key object writes it. None for a key that we cannot verify with.
    pub fn spki_der(&self) -> Option<&[u8]> {
        self.verifier.as_ref().ok().map(Verifier::spki)
    }

    /// The 32 bytes of an Ed25519 key; none for any other.
    pub fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        self.verifier
            .as_ref()
            .ok()
            .and_then(Verifier::ed25519_bytes)
    }

    /// Whether two key objects hold the same key material, however they are written.
    pub(crate) fn same_material(&self, other: &Self) -> bool {
        match (self.spki_der(), other.spki_der()) {
            (Some(a), Some(b)) => a == b,
            _ => self.id == other.id,
        }
    }

    /// Whether `signature` over `message` is this key's.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), String> {
        match &self.verifier {
            Ok(verifier) => verifier.verify(message, signature),
            Err(why) => Err(why.clone()),
        }
    }
}
