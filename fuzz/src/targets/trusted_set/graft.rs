//! Changes of metadata between writing and signing it: valid signatures over what no tool would write.

use arbitrary::Arbitrary;
use metadata_schema::json::{Json, Object};

/// A change of what is signed, before it is signed: by the number of the value in the order of the text.
#[derive(Debug, Arbitrary)]
pub(super) struct Graft {
    at: u8,
    with: Scion,
}

#[derive(Debug, Arbitrary)]
enum Scion {
    Remove,
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    Long(u8),
    Empty,
    Wrapped,
}

impl Graft {
    /// Makes the change.
    pub(super) fn make(&self, signed: &mut Json) {
        self.with.graft(signed, &mut usize::from(self.at));
    }
}

impl Scion {
    /// Whether it has taken the place of a value.
    fn graft(&self, json: &mut Json, left: &mut usize) -> bool {
        if *left == 0 {
            self.replace(json);
            return true;
        }
        *left -= 1;
        match json {
            Json::Array(items) => {
                if matches!(self, Self::Remove) && *left < items.len() {
                    items.remove(*left);
                    return true;
                }
                items.iter_mut().any(|item| self.graft(item, left))
            }
            Json::Object(members) => {
                if matches!(self, Self::Remove) && *left < members.len() {
                    let name = members.keys().nth(*left).cloned();
                    drop(name.and_then(|name| members.remove(&name)));
                    return true;
                }
                members.values_mut().any(|value| self.graft(value, left))
            }
            _ => false,
        }
    }

    fn replace(&self, json: &mut Json) {
        *json = match self {
            Self::Remove | Self::Null => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Integer(value) => Json::Integer(value.to_string().into()),
            Self::Text(text) => Json::String(text.clone()),
            Self::Long(letter) => Json::String(char::from(*letter).to_string().repeat(2_000)),
            Self::Empty => Json::Object(Object::new()),
            Self::Wrapped => Json::Array(vec![json.clone()]),
        };
    }
}
