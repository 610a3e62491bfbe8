//! PEM (RFC 7468): text in, bytes out, bounded.

use pem::{EncodeConfig, LineEnding, Pem};

use crate::error::{Error, Result};

/// Longest text of a key or request.
const MAX_SINGLE: usize = 32 * 1024;

/// One PEM block.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), config)
}

/// Label and content of the only block in `text`.
pub(crate) fn first(what: &str, text: &[u8]) -> Result<(String, Vec<u8>)> {
    let mut blocks = all(what, text)?.into_iter();
    match (blocks.next(), blocks.next()) {
        (Some(block), None) => Ok((block.tag().to_owned(), block.into_contents())),
        (None, _) => Err(Error::malformed(what, "PEM", "there is no PEM block")),
        _ => Err(Error::malformed(what, "PEM", "more than one PEM block")),
    }
}

/// The content of the only block in `text`, which must have this label. For keys and requests: `text` is bounded.
pub(crate) fn only(what: &str, text: &[u8], label: &'static str) -> Result<Vec<u8>> {
    let expected = "one PEM block";
    if text.len() > MAX_SINGLE {
        let reason = format!("{} bytes, at most {MAX_SINGLE}", text.len());
        return Err(Error::malformed(what, expected, reason));
    }
    match <[_; 1]>::try_from(contents(what, text, label)?) {
        Ok([der]) => Ok(der),
        Err(several) => {
            let reason = format!("{} blocks", several.len());
            Err(Error::malformed(what, expected, reason))
        }
    }
}

/// The label of the first block.
pub(crate) fn first_label(what: &str, text: &[u8]) -> Result<String> {
    let first = all(what, text)?.into_iter().next();
    first
        .map(|block| block.tag().to_owned())
        .ok_or_else(|| Error::malformed(what, "PEM", "there is no PEM block"))
}

/// The contents of all blocks in `text`, which must have this label.
pub(crate) fn contents(what: &str, text: &[u8], label: &'static str) -> Result<Vec<Vec<u8>>> {
    let unexpected =
        |found: &str| Error::malformed(what, "PEM", format!("label {found:?}, expected {label:?}"));
    all(what, text)?
        .into_iter()
        .map(|block| {
            if block.tag() == label {
                Ok(block.into_contents())
            } else {
                Err(unexpected(block.tag()))
            }
        })
        .collect()
}

fn all(what: &str, text: &[u8]) -> Result<Vec<Pem>> {
    pem::parse_many(text).map_err(|e| Error::malformed(what, "PEM", e))
}
