//! Any text as a target path and as the name of a role: what is accepted stays in its folder, and comes back from the form
//! that it has in URLs and file names.

use metadata_schema::name::{RoleName, TargetPath};

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    target_path(text);
    role_name(text);
}

fn target_path(text: &str) {
    let Ok(path) = TargetPath::new(text) else {
        return;
    };
    assert_eq!(path.as_str(), text);
    assert!(text.len() <= TargetPath::MAX_LENGTH);
    let joined = std::path::Path::new("/base").join(text);
    let depth = joined.components().count();
    // "/", "base", and one component for every segment: none of them was empty, `.` or `..`.
    assert_eq!(depth, 2 + text.split('/').count());
    assert!(joined.starts_with("/base"));
    let normal = |c| matches!(c, std::path::Component::Normal(_));
    assert!(joined.components().skip(1).all(normal));
    assert!(!text.contains(['\\', '\0', '\n']));
    let (folder, file) = path.split();
    assert_eq!(format!("{folder}{file}"), text);
    assert!(!file.is_empty() && !file.contains('/'));
}

fn role_name(text: &str) {
    let Ok(name) = RoleName::delegated(text) else {
        return;
    };
    assert_eq!(name.as_str(), text);
    assert!(!name.is_top_level());
    let stem = name.file_stem();
    assert!((1..=RoleName::MAX_LENGTH).contains(&stem.len()));
    assert!(!stem.starts_with('.'));
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-_~.%".contains(&b);
    assert!(stem.bytes().all(harmless), "{stem}");
    assert_eq!(decoded(&stem).as_deref(), Some(text.as_bytes()), "{stem}");
}

/// Percent-decoding (RFC 3986, section 2.1), where every escape is a whole one.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = tail.split_at_checked(2)?;
            out.extend(hex::decode(digits).ok()?);
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    Some(out)
}
