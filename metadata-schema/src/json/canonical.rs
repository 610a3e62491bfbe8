//! OLPC canonical JSON (<http://wiki.laptop.org/go/Canonical_JSON>), the form that TUF signatures cover.

use super::Json;

impl Json {
    /// The canonical form: members sorted, no white space, strings with only `"` and `\` escaped.
    ///
    /// Control characters stand raw in it, so the result is not always RFC 8259 text. Strings are **not** normalised:
    /// the crate `olpc-cjson` brings them to NFC, which breaks signatures over names in any other form.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_canonical(&mut out);
        out
    }

    /// The value as RFC 8259 text, for a file: two spaces of indentation, members sorted.
    pub fn pretty(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_pretty(&mut out, 0);
        out.push(b'\n');
        out
    }

    fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => {
                out.push(b'"');
                for byte in text.bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write_canonical(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    Self::String(name.clone()).write_canonical(out);
                    out.push(b':');
                    value.write_canonical(out);
                }
                out.push(b'}');
            }
            atom => atom.write_atom(out),
        }
    }

    fn write_pretty(&self, out: &mut Vec<u8>, depth: usize) {
        let line = |out: &mut Vec<u8>, depth: usize| {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b' ', depth.saturating_mul(2)));
        };
        let deeper = depth.saturating_add(1);
        match self {
            Self::String(text) => write_text(text, out),
            Self::Array(items) if !items.is_empty() => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    line(out, deeper);
                    item.write_pretty(out, deeper);
                }
                line(out, depth);
                out.push(b']');
            }
            Self::Object(members) if !members.is_empty() => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    line(out, deeper);
                    write_text(name, out);
                    out.extend_from_slice(b": ");
                    value.write_pretty(out, deeper);
                }
                line(out, depth);
                out.push(b'}');
            }
            Self::Array(_) => out.extend_from_slice(b"[]"),
            Self::Object(_) => out.extend_from_slice(b"{}"),
            atom => atom.write_atom(out),
        }
    }

    fn write_atom(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Integer(digits) => out.extend_from_slice(digits.as_bytes()),
            Self::String(_) | Self::Array(_) | Self::Object(_) => {}
        }
    }
}

/// A string as RFC 8259 text, with control characters escaped.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push(b'\\');
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            '\n' => out.extend_from_slice(b"\\n"),
            '\0'..='\u{1f}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sorts_escapes_and_keeps() {
        let text = "{ \"b\": [1, -0, {}], \"a\\\"\\\\\\n\": \"\\u00e9 e\\u0301\", \"A\": null }";
        let canonical = Json::read(text.as_bytes()).unwrap().canonical();
        let expected = "{\"A\":null,\"a\\\"\\\\\n\":\"\u{e9} e\u{301}\",\"b\":[1,0,{}]}";
        assert_eq!(String::from_utf8(canonical).unwrap(), expected);
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(|n| Json::Integer(n.to_string().into())),
            any::<String>().prop_map(Json::String),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn pretty_text_reads_back_and_canonical_form_is_stable(json in any_json()) {
            let back = Json::read(&json.pretty()).unwrap();
            prop_assert_eq!(back.canonical(), json.canonical());
            prop_assert_eq!(back, json);
        }

        /// `olpc-cjson` is an independent implementation. It agrees wherever NFC changes nothing and the member names have no
        /// character up to `"` nor `\\`: it sorts names as escaped and with their quotation marks, python-tuf and we the
        /// names themselves.
        #[test]
        fn agrees_with_olpc_cjson_on_ascii(map in prop::collection::btree_map("[#-\\[\\]-~]{0,8}", ("[\\x00-\\x7f]{0,8}", any::<i64>()), 0..6)) {
            use serde::Serialize as _;
            let mut theirs = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut theirs, olpc_cjson::CanonicalFormatter::new());
            map.serialize(&mut serializer).unwrap();
            let text = serde_json::to_vec(&map).unwrap();
            prop_assert_eq!(Json::read(&text).unwrap().canonical(), theirs);
        }
    }
}
