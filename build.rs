//! What the linker does with the programs that are installed.

use std::env;
use std::process::Command;

/// Leaves out what nobody would read.
const SCRIPT: &str = "packaging/no-unwinding.ld";

fn main() {
    println!("cargo::rerun-if-changed={SCRIPT}");
    let is = |variable, value| env::var_os(variable).is_some_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/{SCRIPT}", env!("CARGO_MANIFEST_DIR"));
        // A start reads eighty KiB less: what is to be put right in memory is listed by bits.
        if glibc() >= Some((2, 36)) {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// The version of glibc here; the programs are to run with the same, or with a newer one.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let version = str::from_utf8(&output.stdout).ok()?.trim().strip_prefix("glibc ")?;
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
