//! Just enough DER (X.690) for what the libraries leave to us: never more than one level at a time, never a panic.

/// SEQUENCE
pub(crate) const SEQUENCE: u8 = 0x30;
/// UTF8String
pub(crate) const UTF8_STRING: u8 = 0x0c;
/// BIT STRING
pub(crate) const BIT_STRING: u8 = 0x03;

/// Reads elements one after the other from the content of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whole and its content, if it has this tag and a definite length in shortest form.
    pub(crate) fn element(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let whole = self.0;
        let (found, rest) = whole.split_first()?;
        let (length, rest) = length(rest)?;
        if *found != tag || length > rest.len() {
            return None;
        }
        let (content, after) = rest.split_at(length);
        self.0 = after;
        let used = whole.len().checked_sub(after.len())?;
        Some((whole.get(..used)?, content))
    }

    /// The content of the next element.
    pub(crate) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element(tag).map(|(_, content)| content)
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let count = match *first {
        short @ 0..=0x7f => return Some((usize::from(short), rest)),
        0x81..=0x84 => usize::from(first & 0x0f),
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(count)?;
    let value = digits.iter().try_fold(0_usize, |value, digit| {
        value.checked_mul(256)?.checked_add(usize::from(*digit))
    })?;
    let shortest = value > 0x7f && digits.first() != Some(&0);
    shortest.then_some((value, rest))
}

/// Writes one element.
pub(crate) fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let digits: Vec<u8> = content
                .len()
                .to_be_bytes()
                .into_iter()
                .skip_while(|digit| *digit == 0)
                .collect();
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0x7f));
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = write(SEQUENCE, &vec![7; length]);
            let mut reader = Reader::new(&bytes);
            let (whole, content) = reader.element(SEQUENCE).unwrap();
            assert_eq!((whole, content.len()), (bytes.as_slice(), length));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn only_der_reads() {
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0x01],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x81, 0x01, 0],
            &[0x30, 0x82, 0x00, 0x80],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x31, 0x00],
        ] {
            assert!(Reader::new(bad).element(SEQUENCE).is_none(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, tag: u8) {
            let mut reader = Reader::new(&bytes);
            while reader.element(tag).is_some() {}
        }
    }
}
