//! Headers of a tar file: POSIX ustar, and an extended header (`pax`) where a name or a length does not fit.

use metadata_schema::time::Timestamp;

/// Bytes of a block: headers take one, content a whole number of them.
const BLOCK: usize = 512;
/// Longest length that a ustar header can write, in bytes: 8 GiB.
const MOST: u64 = 0o777_7777_7777;

/// The blocks before the content of a file.
pub(super) fn header(path: &str, length: u64, time: Timestamp) -> Vec<u8> {
    let mut blocks = Vec::new();
    let split = split(path);
    let mut records = Vec::new();
    if split.is_none() {
        records.extend(record("path", path));
    }
    if length > MOST {
        records.extend(record("size", &length.to_string()));
    }
    if !records.is_empty() {
        let size = crate::assemble::length_of(&records);
        blocks.extend(block(("", "././@PaxHeader"), size, time, b'x'));
        blocks.extend(&records);
        blocks.extend(padding(size));
    }
    let shown = split.unwrap_or(("", "././@LongName"));
    blocks.extend(block(shown, length.min(MOST), time, b'0'));
    blocks
}

/// Zeros after content of this length, up to the next block.
pub(super) fn padding(length: u64) -> Vec<u8> {
    let block = crate::assemble::length_of(&[0; BLOCK]);
    let over = length.checked_rem(block).unwrap_or(0);
    let missing = if over == 0 {
        0
    } else {
        block.saturating_sub(over)
    };
    vec![0; usize::try_from(missing).unwrap_or(0)]
}

/// What ends a tar file.
pub(super) fn end() -> Vec<u8> {
    vec![0; BLOCK.saturating_mul(2)]
}

/// The two fields that a path fits into: up to 155 bytes before a slash, up to 100 after it.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let mut slashes = path.match_indices('/');
    let (before, after) = slashes.find_map(|(at, _)| {
        let (before, after) = path.split_at_checked(at)?;
        (after.len() <= 101).then_some((before, after))
    })?;
    (before.len() <= 155).then_some((before, after.strip_prefix('/')?))
}

/// `LENGTH KEY=VALUE` and a line feed; the length counts its own digits.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while rest.len().saturating_add(length.to_string().len()) != length {
        length = rest.len().saturating_add(length.to_string().len());
    }
    format!("{length}{rest}").into_bytes()
}

fn block((prefix, name): (&str, &str), length: u64, time: Timestamp, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        let field = block.iter_mut().skip(at);
        for (byte, value) in field.zip(bytes) {
            *byte = *value;
        }
    };
    let seconds = u64::try_from(time.unix_seconds()).unwrap_or(0).min(MOST);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}").as_bytes());
    put(136, format!("{seconds:011o}").as_bytes());
    // The checksum counts its own field as blanks.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let mut put = |at: usize, bytes: &[u8]| {
        let field = block.iter_mut().skip(at);
        for (byte, value) in field.zip(bytes) {
            *byte = *value;
        }
    };
    put(148, format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_where_they_fit_and_extended_where_not() {
        let (folder, file) = ("f".repeat(120), "n".repeat(100));
        let path = format!("{folder}/{file}");
        assert_eq!(split(&path), Some((folder.as_str(), file.as_str())));
        assert_eq!(header(&path, 1, Timestamp::EPOCH).len(), BLOCK);
        let long = format!("{folder}/{file}n");
        assert_eq!(split(&long), None);
        assert_eq!(header(&long, 1, Timestamp::EPOCH).len(), 3 * BLOCK);
        assert_eq!(split(&format!("{}/n", "f".repeat(156))), None);
    }

    #[test]
    fn records_count_their_own_length() {
        assert_eq!(record("size", "1"), b"9 size=1\n");
        for length in 1..200 {
            let record = record("path", &"p".repeat(length));
            let text = String::from_utf8(record.clone()).unwrap();
            let said: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, record.len());
        }
    }

    #[test]
    fn content_ends_at_a_block() {
        let lengths = [0, 1, 511, 512, 513].map(|length| padding(length).len());
        assert_eq!(lengths, [0, 511, 1, 0, 511]);
    }
}
