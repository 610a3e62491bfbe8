//! What can be read from bytes that anyone can make: headers, whole payloads, checkpoints.
//! A header that is accepted comes back byte by byte.
use firmware_delta::format::{HEADER_LEN, Header};
use firmware_delta::{CHECKPOINT_LEN, Checkpoint, ImageId, inspect};

/// See the module.
pub fn run(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<HEADER_LEN>()
        && let Ok(header) = Header::parse(bytes)
    {
        assert_eq!(header.to_bytes(), *bytes);
    }
    let _ = inspect(&mut { data });
    let _ = Checkpoint::from_bytes(data);
    // The check digest put right, so that what is behind it is reached.
    if let Some(stored) = data.get(..data.len().saturating_sub(32))
        && stored.len() >= CHECKPOINT_LEN - 32
    {
        let fixed = [stored, &ImageId::of(stored).sha256].concat();
        if let Ok(checkpoint) = Checkpoint::from_bytes(&fixed) {
            assert_eq!(checkpoint.to_bytes().as_slice(), fixed);
            let _ = checkpoint.header();
        }
    }
}
