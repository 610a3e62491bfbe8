//! Any bytes as JSON: what is accepted has the canonical form that a plain writer gives it, and its file form reads back as
//! the same.

use metadata_schema::json::Json;

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(json) = Json::read(bytes) else {
        return;
    };
    let canonical = json.canonical();
    assert_eq!(canonical, plainly(&json));
    let again = Json::read(&json.pretty()).expect("what was written reads back");
    assert_eq!(again, json);
    assert_eq!(again.canonical(), canonical);
}

/// OLPC canonical JSON: no white space, names in the order of their bytes, only `"` and `\` escaped.
fn plainly(json: &Json) -> Vec<u8> {
    match json {
        Json::Null => b"null".to_vec(),
        Json::Bool(true) => b"true".to_vec(),
        Json::Bool(false) => b"false".to_vec(),
        Json::Integer(digits) => digits.as_bytes().to_vec(),
        Json::String(text) => string(text),
        Json::Array(items) => {
            let items: Vec<Vec<u8>> = items.iter().map(plainly).collect();
            [b"[", items.join(&b","[..]).as_slice(), b"]"].concat()
        }
        Json::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            let members: Vec<Vec<u8>> = names
                .iter()
                .map(|name| [string(name), b":".to_vec(), plainly(&members[*name])].concat())
                .collect();
            [b"{", members.join(&b","[..]).as_slice(), b"}"].concat()
        }
        other => panic!("{other:?}"),
    }
}

fn string(text: &str) -> Vec<u8> {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"").into_bytes()
}
