use std::io::Cursor;

use super::tar::{Index, MAX_HEADERS, MAX_NAMES, Place, TarError};

/// A header with a right checksum.
fn header(name: &str, size: &str, kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(124, size.as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn entry(name: &str, content: &[u8], kind: u8) -> Vec<u8> {
    let mut entry = header(name, &format!("{:011o}", content.len()), kind);
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn read(entries: &[Vec<u8>]) -> Result<Index, TarError> {
    let mut file = entries.concat();
    file.extend([0; 1024]);
    Index::read(&mut Cursor::new(file))
}

fn refused(entries: &[Vec<u8>]) -> String {
    read(entries).unwrap_err().to_string()
}

#[test]
fn files_are_found_by_their_names() {
    let record = "26 path=targets/long/name\n";
    let index = read(&[
        entry("metadata/", b"", b'5'),
        entry("./metadata/bundle.json", b"{}", b'0'),
        entry("ignored", record.as_bytes(), b'x'),
        entry("targets/short", b"payload", 0),
    ])
    .unwrap();
    let names: Vec<&str> = index.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["metadata/bundle.json", "targets/long/name"]);
    let place = Place {
        offset: 6 * 512,
        length: 7,
    };
    assert_eq!(index.place("targets/long/name"), Some(place));
    assert_eq!(index.place("targets/short"), None);
}

#[test]
fn sizes_that_lie_are_refused() {
    let beyond = "it ends after 1536 bytes, in the midst of metadata/a: the copy is not whole";
    let number =
        "at byte 0: its size is no octal number; expected a tar header in the ustar or pax format";
    for (size, expected) in [
        ("77777777777", beyond),
        ("00000002001", beyond),
        ("-0000000001", number),
        ("+0000000001", number),
        ("00000000009", number),
        ("           ", number),
        // Numbers of GNU tar's own.
        ("\u{1}\u{0}\u{0}", number),
    ] {
        assert_eq!(
            refused(&[header("metadata/a", size, b'0')]),
            expected,
            "{size:?}"
        );
    }
    // The extended header's word counts as the other does.
    let huge = entry("x", b"29 size=18446744073709551615\n", b'x');
    let lied = refused(&[huge, entry("metadata/a", b"", b'0')]);
    assert!(lied.contains("in the midst of metadata/a"), "{lied}");
    let long = refused(&[entry("x", &[b' '; 16 * 1024 + 1], b'x')]);
    assert!(long.contains("longer than 16 KiB"), "{long}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../a",
        "/a",
        "a//b",
        "a/./b",
        "a/..",
        "metadata/",
        "a\nb",
        "",
    ] {
        let said = refused(&[entry(name, b"", b'0')]);
        assert!(said.contains("is not acceptable"), "{name:?}: {said}");
    }
    let twice = [entry("a", b"1", b'0'), entry("./a", b"2", b'0')];
    assert_eq!(refused(&twice), "\"a\" is there twice");
}

#[test]
fn what_is_neither_file_nor_folder_is_refused() {
    for kind in *b"123467gLKS" {
        let said = refused(&[entry("a", b"", kind)]);
        assert!(said.contains("expected files and folders only"), "{said}");
    }
    // A folder has no content.
    let said = refused(&[entry("a", b"content", b'5')]);
    assert!(said.contains("expected files and folders only"), "{said}");
    let old = {
        let mut old = entry("a", b"", b'0');
        old[257..265].copy_from_slice(b"ustar  \0");
        old
    };
    assert!(refused(&[old]).contains("there is no mark"));
}

#[test]
fn entries_and_names_are_bounded() {
    let folder = entry("a/", b"", b'5');
    let many = vec![folder; usize::try_from(MAX_HEADERS).unwrap()];
    assert_eq!(refused(&many), "it has more than 16384 entries");
    assert!(read(&many[1..]).is_ok());
    let named = |number: usize| {
        let name = format!("{number:05}{}", "n".repeat(1000));
        let record = format!("{} path={name}\n", name.len() + 11);
        [entry("x", record.as_bytes(), b'x'), entry("a", b"", b'0')].concat()
    };
    let many: Vec<Vec<u8>> = (0..1100).map(named).collect();
    let expected = format!("it has more than {MAX_NAMES} bytes of names");
    assert_eq!(refused(&many), expected);
}
