//! The strict reader: RFC 8259 text, less what canonical JSON cannot express.

use super::{Json, Object};

/// Deepest nesting that is read. TUF metadata needs about eight levels; a bound keeps hostile text off the stack.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are not JSON that metadata may consist of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct JsonError {
    /// Offset of the first byte that could not be accepted.
    pub at: usize,
    /// What was expected or refused there.
    pub what: Refused,
}

/// What the reader refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The text ends within a value.
    #[error("the text ends in the middle of a value")]
    Truncated,
    /// Bytes follow the value.
    #[error("more text after the end of the value")]
    Trailing,
    /// Something else was expected here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Two members of one object have the same name.
    #[error("the member name {0:?} appears twice in one object")]
    Duplicate(String),
    /// A fraction or an exponent, which canonical JSON does not have.
    #[error("a number with a fraction or an exponent has no canonical form")]
    NotInteger,
    /// A string is not UTF-8, holds a raw control character, or has half of a surrogate pair.
    #[error("malformed string: {0}")]
    String(&'static str),
    /// Nesting beyond [`MAX_DEPTH`].
    #[error("nesting is deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More arrays and objects than text of this length has in any metadata.
    #[error(
        "more than {0} arrays and objects that are not empty, too many for text of this length"
    )]
    TooMany(usize),
}

/// Most arrays and objects that are not empty in text of `length` bytes.
///
/// Each takes some hundred bytes of memory, and seven bytes of text can make one. Metadata has one in thirty bytes or more (the
/// shortest is an entry of a snapshot, `"a.json":{"version":1}`), so this costs nobody anything but who wants a device's memory.
fn most_containers(length: usize) -> usize {
    (length / 20).saturating_add(64)
}

impl Json {
    /// Reads one value from `text`, which may have white space around it and nothing else.
    ///
    /// Time and memory are linear in the length of `text` (memory some thirty times as much at worst); bounding that is the
    /// caller's part.
    ///
    /// # Errors
    /// [`JsonError`] with the offset of the first byte that is not acceptable.
    pub fn read(text: &[u8]) -> Result<Self, JsonError> {
        let mut reader = Reader {
            text,
            at: 0,
            containers: 0,
        };
        let value = reader.value(0)?;
        reader.white_space();
        if reader.at < text.len() {
            return Err(reader.refuse(Refused::Trailing));
        }
        Ok(value)
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Arrays and objects so far that are not empty.
    containers: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.refuse(Refused::TooDeep));
        }
        self.white_space();
        match self.peek() {
            Some(b'{') => self.object(depth.saturating_add(1)),
            Some(b'[') => self.array(depth.saturating_add(1)),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.refuse(Refused::Expected("a JSON value"))),
            None => Err(self.refuse(Refused::Truncated)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.skip();
        self.white_space();
        if self.take(b'}') {
            return Ok(Json::Object(Object::new()));
        }
        self.count()?;
        let mut members = Vec::new();
        loop {
            self.white_space();
            let name_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member name in quotation marks"));
            }
            let name = self.string()?;
            self.white_space();
            if !self.take(b':') {
                return Err(self.expected("':' after a member name"));
            }
            members.push((name, name_at, self.value(depth)?));
            self.white_space();
            if self.take(b'}') {
                return unique(members).map(Json::Object);
            }
            if !self.take(b',') {
                return Err(self.expected("',' or '}' after a member"));
            }
        }
    }

    /// Counts an array or object that is not empty.
    fn count(&mut self) -> Result<(), JsonError> {
        self.containers = self.containers.saturating_add(1);
        let most = most_containers(self.text.len());
        if self.containers > most {
            return Err(self.refuse(Refused::TooMany(most)));
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.skip();
        self.white_space();
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        self.count()?;
        loop {
            items.push(self.value(depth)?);
            self.white_space();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.expected("',' or ']' after an item"));
            }
        }
    }

    fn integer(&mut self) -> Result<Json, JsonError> {
        let negative = self.take(b'-');
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.skip();
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        match digits {
            [] => return Err(self.expected("a digit")),
            [b'0', _, ..] => {
                return Err(self.refuse(Refused::Expected("a number without leading zeros")));
            }
            _ => {}
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(self.refuse(Refused::NotInteger));
        }
        // Digits are ASCII; -0 is the integer 0.
        let digits = String::from_utf8_lossy(digits);
        let sign = if negative && digits != "0" { "-" } else { "" };
        Ok(Json::Integer(format!("{sign}{digits}").into()))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.skip();
        let mut out = Vec::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.skip();
            }
            out.extend_from_slice(self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.skip();
                    let malformed = Refused::String("not UTF-8");
                    return String::from_utf8(out).map_err(|_| self.refuse(malformed));
                }
                Some(b'\\') => {
                    self.skip();
                    let character = self.escape()?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(_) => return Err(self.refuse(Refused::String("raw control character"))),
                None => return Err(self.refuse(Refused::Truncated)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(letter) = self.peek() else {
            return Err(self.refuse(Refused::Truncated));
        };
        self.skip();
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.refuse(Refused::String("unknown escape"))),
        })
    }

    /// RFC 8259, section 7: characters outside the basic plane are a pair of surrogates.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.four_hex_digits()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.take(b'\\') && self.take(b'u') {
            units.push(self.four_hex_digits()?);
        }
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(self.refuse(Refused::String("half of a surrogate pair"))),
        }
    }

    fn four_hex_digits(&mut self) -> Result<u16, JsonError> {
        let end = self.at.saturating_add(4);
        let Some(digits) = self.text.get(self.at..end) else {
            return Err(self.refuse(Refused::Truncated));
        };
        let unit = std::str::from_utf8(digits)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|text| u16::from_str_radix(text, 16).ok());
        let unit = unit.ok_or_else(|| self.refuse(Refused::String("expected four hex digits")))?;
        self.at = end;
        Ok(unit)
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        let end = self.at.saturating_add(word.len());
        if self.text.get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.refuse(Refused::Expected("a JSON value")));
        }
        self.at = end;
        Ok(value)
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.skip();
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.skip();
        }
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn expected(&self, what: &'static str) -> JsonError {
        match self.peek() {
            Some(_) => self.refuse(Refused::Expected(what)),
            None => self.refuse(Refused::Truncated),
        }
    }

    fn refuse(&self, what: Refused) -> JsonError {
        JsonError { at: self.at, what }
    }
}

/// The members by name, if no name is there twice.
fn unique(mut members: Vec<(String, usize, Json)>) -> Result<Object, JsonError> {
    members.sort_by(|a, b| a.0.cmp(&b.0));
    let pairs = members.iter().zip(members.iter().skip(1));
    if let Some((_, (name, at, _))) = pairs.into_iter().find(|(a, b)| a.0 == b.0) {
        let what = Refused::Duplicate(name.clone());
        return Err(JsonError { at: *at, what });
    }
    Ok(members
        .into_iter()
        .map(|(name, _, value)| (name, value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_canonical_json_cannot_express() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for (text, message) in [
            (
                r#"{"a":1,"a":2}"#,
                "byte 7: the member name \"a\" appears twice in one object",
            ),
            (
                r#"{"a":1,"\u0061":2}"#,
                "byte 7: the member name \"a\" appears twice in one object",
            ),
            (
                "1.0",
                "byte 1: a number with a fraction or an exponent has no canonical form",
            ),
            (
                "1e3",
                "byte 1: a number with a fraction or an exponent has no canonical form",
            ),
            ("01", "byte 2: expected a number without leading zeros"),
            ("-", "byte 1: the text ends in the middle of a value"),
            (
                "\"a\nb\"",
                "byte 2: malformed string: raw control character",
            ),
            (
                r#""\ud800x""#,
                "byte 7: malformed string: half of a surrogate pair",
            ),
            (
                r#""\ud800\u0041""#,
                "byte 13: malformed string: half of a surrogate pair",
            ),
            (
                r#""\u+123""#,
                "byte 3: malformed string: expected four hex digits",
            ),
            ("{} {}", "byte 3: more text after the end of the value"),
            ("{\"a\":", "byte 5: the text ends in the middle of a value"),
            (
                "{'a':1}",
                "byte 1: expected a member name in quotation marks",
            ),
            ("[1,]", "byte 3: expected a JSON value"),
            ("nul", "byte 0: expected a JSON value"),
            ("\u{feff}{}", "byte 0: expected a JSON value"),
            ("", "byte 0: the text ends in the middle of a value"),
            (&deep, "byte 65: nesting is deeper than 64 levels"),
        ] {
            assert_eq!(
                Json::read(text.as_bytes()).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
        assert!(Json::read(b"\"\xff\"").is_err());
    }

    /// Seven bytes make an object of hundreds of bytes in memory: nobody needs half a million of them.
    #[test]
    fn text_that_is_nothing_but_small_objects_is_refused() {
        let objects = |count: usize| format!("[{}]", vec![r#"{"":0}"#; count].join(","));
        assert!(Json::read(objects(90).as_bytes()).is_ok());
        let error = Json::read(objects(70_000).as_bytes()).unwrap_err();
        assert_eq!(error.what, Refused::TooMany(24_564));
        // Metadata at its tersest, and empty ones, which take no memory.
        let entries = (0..9_999).map(|n| format!(r#""{n:04}.json":{{"version":1}}"#));
        let snapshot = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
        assert!(Json::read(snapshot.as_bytes()).is_ok());
        assert!(Json::read(format!("[{}]", vec!["{}"; 70_000].join(",")).as_bytes()).is_ok());
    }

    #[test]
    fn keeps_integers_of_any_size() {
        let big = "123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(Json::read(big.as_bytes()), Ok(Json::Integer(big.into())));
        assert_eq!(Json::read(b"-0"), Ok(Json::Integer("0".into())));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Json::read(&bytes);
        }

        /// What we accept, an independent parser accepts with the same meaning.
        #[test]
        fn accepts_a_part_of_what_serde_json_accepts(text in r#"[\[\]{}:,"\\ua0-9 -]{0,24}"#) {
            if let Ok(ours) = Json::read(text.as_bytes()) {
                let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
                let again: serde_json::Value = serde_json::from_slice(&ours.canonical()).unwrap();
                // To serde_json -0 is a float, to us the integer 0.
                proptest::prop_assert!(text.contains("-0") || again == theirs);
            }
        }
    }
}
