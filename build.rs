//! What the linker does with the programs that are installed.

use std::env;

/// Leaves out what nobody would read.
const SCRIPT: &str = "packaging/no-unwinding.ld";

fn main() {
    println!("cargo::rerun-if-changed={SCRIPT}");
    let is = |variable, value| env::var_os(variable).is_some_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/{SCRIPT}", env!("CARGO_MANIFEST_DIR"));
        // A start reads eighty KiB less: what is to be put right in memory is listed by bits. It takes glibc 2.36.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
