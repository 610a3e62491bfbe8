//! Works on a PKI.
fn main() {}
