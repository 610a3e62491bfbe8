//! How the program for devices (profile `device`, the only one that is optimised for size) is linked: without what unwinding
//! would need, and with its relative relocations packed. Profiles themselves cannot say so.
//!
//! Packed relocations ask for glibc 2.36 or musl 1.2.4 on the device; `UPDATER_OLD_LIBC=1` leaves them as they were.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks")]

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=device.ld");
    println!("cargo::rerun-if-env-changed=UPDATER_OLD_LIBC");
    println!("cargo::rustc-check-cfg=cfg(without_unwind_tables)");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    if !is("OPT_LEVEL", "z") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    // `main.rs` refuses to be compiled so with a panic that unwinds.
    println!("cargo::rustc-cfg=without_unwind_tables");
    if let Ok(folder) = var("CARGO_MANIFEST_DIR") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/device.ld");
    }
    // Functions that came out alike are kept once: 54 KB less. The linker that Rust brings for this target can do so; others may
    // not, and some (mold) read no linker scripts, so it is asked for even where a person's own configuration names another.
    if is("TARGET", "x86_64-unknown-linux-gnu") {
        println!("cargo::rustc-link-arg-bins=-fuse-ld=lld");
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all,-O2");
    }
    if var("UPDATER_OLD_LIBC").is_err() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
