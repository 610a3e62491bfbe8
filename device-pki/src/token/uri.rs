//! URIs of keys on tokens (RFC 7512).

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::TokenError;
use crate::error::{Error, Result};
use crate::passphrase::Passphrase;

/// Longest URI that is read.
const MAX_LENGTH: usize = 4096;

/// Which key on which token: `pkcs11:token=release;object=alice?module-path=/usr/lib/softhsm/libsofthsm2.so`.
///
/// Of the path, `token`, `manufacturer`, `model`, `serial`, `slot-id`, `object`, `id` and `type` are followed, of the query
/// `module-path`, `pin-source` (a file) and `pin-value`. Anything else is refused: what is passed over might have named another
/// key.
///
/// ```
/// use device_pki::token::TokenUri;
/// let uri: TokenUri = "pkcs11:token=My%20token;id=%01%ab?pin-source=file:/run/pin".parse()?;
/// assert_eq!(uri.to_string(), "pkcs11:token=My%20token;id=%01%ab?pin-source=file:/run/pin");
/// assert!("pkcs11:token=a;token=b".parse::<TokenUri>().is_err());
/// # Ok::<(), device_pki::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenUri {
    /// Label of the token.
    pub token: Option<String>,
    /// Its maker.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The slot that it is in, which may change from day to day.
    pub slot: Option<u64>,
    /// Label of the key (CKA_LABEL).
    pub object: Option<String>,
    /// Number of the key (CKA_ID).
    pub id: Option<Vec<u8>>,
    /// The token's module.
    pub module: Option<PathBuf>,
    /// File whose first line is the PIN.
    pub pin_file: Option<PathBuf>,
    /// The PIN itself: only where nobody else can read the command line.
    pub pin: Option<Passphrase>,
}

impl TokenUri {
    /// What it says of the key, for people.
    pub fn key(&self) -> String {
        let label = self.object.as_ref().map(|label| format!("{label:?}"));
        let id = self.id.as_ref().map(|id| format!("id {}", hex::encode(id)));
        let parts: Vec<String> = label.into_iter().chain(id).collect();
        if parts.is_empty() {
            return "of any name".to_owned();
        }
        parts.join(", ")
    }

    /// What it says of the token, for people.
    pub fn wanted_token(&self) -> String {
        let named = [
            ("labelled", &self.token),
            ("by", &self.manufacturer),
            ("of model", &self.model),
            ("with serial number", &self.serial),
        ];
        let mut parts: Vec<String> = named
            .into_iter()
            .filter_map(|(what, value)| Some(format!("{what} {:?}", value.as_ref()?)))
            .collect();
        parts.extend(self.slot.map(|slot| format!("in slot {slot}")));
        if parts.is_empty() {
            return "here".to_owned();
        }
        parts.join(", ")
    }

    /// The PIN that the URI names; none if it names none.
    #[cfg(feature = "pkcs11")]
    pub(crate) fn named_pin(&self) -> Result<Option<Passphrase>> {
        match (&self.pin, &self.pin_file) {
            (Some(pin), _) => Ok(Some(pin.clone())),
            (None, Some(path)) => Passphrase::read(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn set(&mut self, name: &str, value: Vec<u8>) -> Result<(), String> {
        fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), String> {
            match place.replace(value) {
                None => Ok(()),
                Some(_) => Err(format!("{name} stands twice in it")),
            }
        }
        if name == "id" {
            return once(name, &mut self.id, value);
        }
        let text = String::from_utf8(value).map_err(|_| format!("{name} is not UTF-8"))?;
        match name {
            "token" => once(name, &mut self.token, text),
            "manufacturer" => once(name, &mut self.manufacturer, text),
            "model" => once(name, &mut self.model, text),
            "serial" => once(name, &mut self.serial, text),
            "object" => once(name, &mut self.object, text),
            "slot-id" => {
                let slot = text
                    .parse()
                    .map_err(|_| "slot-id is no number".to_owned())?;
                once(name, &mut self.slot, slot)
            }
            "type" if text == "private" => Ok(()),
            "type" => Err(format!("type={text}: only a private key signs")),
            "module-path" if Path::new(&text).is_absolute() => {
                once(name, &mut self.module, text.into())
            }
            "module-path" => Err("module-path is not absolute".to_owned()),
            "pin-value" => once(name, &mut self.pin, Passphrase::new(text)),
            "pin-source" => {
                let path = text.strip_prefix("file:").unwrap_or(&text);
                let path = path.strip_prefix("//").unwrap_or(path);
                if !Path::new(path).is_absolute() {
                    return Err("pin-source names no file by its absolute path".to_owned());
                }
                once(name, &mut self.pin_file, path.into())
            }
            _ => Err(format!("{name:?} is not followed here")),
        }
    }
}

impl FromStr for TokenUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The query may have the PIN.
        let shown = text.split('?').next().unwrap_or_default();
        let refuse = |reason: String| {
            Error::from(TokenError::Uri {
                uri: shown.chars().take(200).collect(),
                reason,
            })
        };
        let rest = text
            .strip_prefix("pkcs11:")
            .ok_or_else(|| refuse("it does not begin with pkcs11:".to_owned()))?;
        if text.len() > MAX_LENGTH {
            return Err(refuse(format!("longer than {MAX_LENGTH} bytes")));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let in_path = path.split(';').map(|part| (part, false));
        let in_query = query.split('&').map(|part| (part, true));
        for (part, of_query) in in_path.chain(in_query).filter(|(part, _)| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| refuse("a part of it is not NAME=VALUE".to_owned()))?;
            if of_query != matches!(name, "module-path" | "pin-source" | "pin-value") {
                let place = if of_query { "after" } else { "before" };
                return Err(refuse(format!("{name:?} does not belong {place} the ?")));
            }
            let value = decode(value).ok_or_else(|| {
                refuse(format!("the value of {name} is not percent-encoded right"))
            })?;
            uri.set(name, value).map_err(refuse)?;
        }
        Ok(uri)
    }
}

/// As it was typed, in one order; the PIN is left out.
impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path: Vec<String> = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("object", &self.object),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_ref()?))))
        .collect();
        path.extend(self.slot.map(|slot| format!("slot-id={slot}")));
        path.extend(self.id.as_ref().map(|id| {
            id.iter().fold("id=".to_owned(), |mut text, byte| {
                write!(text, "%{byte:02x}").ok();
                text
            })
        }));
        let module = self.module.as_ref();
        let module = module.map(|path| format!("module-path={}", encode(&path.to_string_lossy())));
        let pin = self.pin_file.as_ref();
        let pin = pin.map(|path| format!("pin-source=file:{}", encode(&path.to_string_lossy())));
        let query: Vec<String> = module.into_iter().chain(pin).collect();
        write!(f, "pkcs11:{}", path.join(";"))?;
        if !query.is_empty() {
            write!(f, "?{}", query.join("&"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let mut decoded = [0];
        hex::decode_to_slice(digits, &mut decoded).ok()?;
        out.extend(decoded);
    }
    Some(out)
}

/// Percent-encodes all but what RFC 7512 calls unreserved, and `/`, `:`, which are as good in path and query.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_followed_is_refused() {
        for (bad, why) in [
            ("token=a", "does not begin"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:library-version=3", "not followed"),
            ("pkcs11:token=a?token=b", "does not belong after"),
            ("pkcs11:pin-value=1", "does not belong before"),
            ("pkcs11:token", "NAME=VALUE"),
            ("pkcs11:token=%4", "percent-encoded"),
            ("pkcs11:token=%ff", "UTF-8"),
            ("pkcs11:type=cert", "only a private key"),
            ("pkcs11:token=a?module-path=x.so", "absolute"),
            ("pkcs11:token=a?pin-source=|cat", "absolute"),
            ("pkcs11:slot-id=x", "no number"),
        ] {
            let error = bad.parse::<TokenUri>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_pin_is_never_shown() {
        let text = "pkcs11:token=a;object=b;type=private?pin-value=s3cret&module-path=/m.so";
        let uri: TokenUri = text.parse().unwrap();
        #[cfg(feature = "pkcs11")]
        assert_eq!(uri.named_pin().unwrap().unwrap().as_bytes(), b"s3cret");
        for shown in [format!("{uri}"), format!("{uri:?}")] {
            assert_eq!(shown, "pkcs11:token=a;object=b?module-path=/m.so");
        }
        let bad = "pkcs11:token=a?pin-value=s3cret&x=y".parse::<TokenUri>();
        assert!(!bad.unwrap_err().to_string().contains("s3cret"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String) {
            drop(text.parse::<TokenUri>());
            drop(format!("pkcs11:{text}").parse::<TokenUri>());
        }

        #[test]
        fn survives_its_text(token: String, object: String, id: Vec<u8>) {
            let uri = TokenUri {
                token: Some(token),
                object: Some(object),
                id: Some(id),
                ..TokenUri::default()
            };
            proptest::prop_assume!(uri.to_string().len() < MAX_LENGTH);
            proptest::prop_assert_eq!(uri.to_string().parse::<TokenUri>().unwrap(), uri);
        }
    }
}
