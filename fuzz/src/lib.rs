//! What the fuzz targets do, as plain functions: `cargo +nightly fuzz` searches with them, and a test of the main
//! workspace (`tests/tests/fuzz_corpora.rs`, which includes [`targets`] as it is) runs the committed corpora through them
//! with the stable compiler.

pub mod targets;
