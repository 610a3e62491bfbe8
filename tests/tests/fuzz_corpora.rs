//! The committed corpora of the fuzz targets, through the same functions, with the compiler that everybody has.
//!
//! `fuzz/` is a workspace of its own, for a nightly compiler; its targets are included here as they are.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "the fuzz targets may panic: that is how they say what they have found"
)]

use std::collections::BTreeSet;
use std::path::Path;

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

/// Largest file of a corpus, in bytes.
const MOST: usize = 64 * 1024;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz")
        .join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    };
    entries.map(name).collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: BTreeSet<String> = targets::ALL.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names(&folder("fuzz_targets")), targets);
    assert_eq!(names(&folder("corpus-seeds")), targets);
}

#[test]
fn what_was_found_once_holds() {
    for (name, run) in targets::ALL {
        let mut count = 0;
        for entry in std::fs::read_dir(folder("corpus-seeds").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert!(bytes.len() <= MOST, "{}", path.display());
            if let Err(panic) = std::panic::catch_unwind(|| run(&bytes)) {
                eprintln!("{}", path.display());
                std::panic::resume_unwind(panic);
            }
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}
