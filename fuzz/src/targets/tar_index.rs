//! Bundles: any bytes as a tar file, and headers that say anything under a right checksum. What the index says lies within the
//! file, apart from everything else, under a name that leads nowhere but to itself.
//!
//! Input: a byte that says which, and the rest.
//!
//! The index is included as it stands in the updater, whose HTTP and TLS are of no use here.

use std::io::Cursor;

use arbitrary::{Arbitrary, Unstructured};

#[path = "../../../updater/src/transport/bundle/tar.rs"]
mod tar;

use tar::{Index, MAX_HEADERS, MAX_NAMES};

/// See the module.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((which, rest)) if which % 2 == 0 => held(rest),
        Some((_, rest)) => scripted(rest),
        None => {}
    }
}

/// An entry as a stranger may write it.
#[derive(Arbitrary, Debug)]
struct Entry {
    kind: Kind,
    prefix: String,
    name: String,
    /// What the header says; none for the truth.
    size: Option<u64>,
    content: Vec<u8>,
    /// Whether the content is filled up to a block.
    whole: bool,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    File,
    Folder,
    Extended,
    Records(Vec<(String, String)>),
    Other(u8),
}

fn scripted(script: &[u8]) {
    let Ok((entries, end)) = <(Vec<Entry>, bool)>::arbitrary(&mut Unstructured::new(script)) else {
        return;
    };
    let mut file = Vec::new();
    for mut entry in entries {
        let kind = match entry.kind {
            Kind::File => b'0',
            Kind::Folder => b'5',
            Kind::Extended => b'x',
            Kind::Records(records) => {
                entry.content = records.iter().flat_map(record).collect();
                b'x'
            }
            Kind::Other(kind) => kind,
        };
        let size = entry.size.unwrap_or(entry.content.len() as u64);
        file.extend(header(&entry.prefix, &entry.name, size, kind));
        file.extend(&entry.content);
        if entry.whole {
            file.resize(file.len().next_multiple_of(512), 0);
        }
    }
    if end {
        file.extend([0; 1024]);
    }
    held(&file);
}

fn record((key, value): &(String, String)) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|length: &usize| length.to_string().len() + rest.len() == *length);
    length.map_or_else(Vec::new, |length| format!("{length}{rest}").into_bytes())
}

fn header(prefix: &str, name: &str, size: u64, kind: u8) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, most: usize, bytes: &[u8]| {
        let length = bytes.len().min(most);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, 100, name.as_bytes());
    put(124, 12, format!("{size:011o}").as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(257, 8, b"ustar\x0000");
    put(345, 155, prefix.as_bytes());
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn held(file: &[u8]) {
    let Ok(index) = Index::read(&mut Cursor::new(file)) else {
        return;
    };
    let (mut names, mut count, mut places) = (0, 0, Vec::new());
    for (name, place) in index.iter() {
        count += 1;
        names += name.len();
        assert_eq!(index.place(name), Some(place));
        let segments = name.split('/');
        assert!(
            !segments
                .into_iter()
                .any(|part| matches!(part, "" | "." | "..")),
            "{name:?}"
        );
        assert!(!name.chars().any(char::is_control), "{name:?}");
        assert!(place.offset.checked_add(place.length).unwrap() <= file.len() as u64);
        assert!(place.offset.is_multiple_of(512) && place.offset >= 512);
        places.push(place);
    }
    assert!(count <= MAX_HEADERS && names <= MAX_NAMES);
    places.sort_by_key(|place| place.offset);
    for pair in places.windows(2) {
        // There is a header between any two.
        assert!(
            pair[0].offset + pair[0].length + 512 <= pair[1].offset,
            "{pair:?}"
        );
    }
}
