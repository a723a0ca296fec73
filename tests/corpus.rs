//! Every input that the fuzzers have kept (`fuzz/corpus`), with the checks that they run: see `fuzz/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

#[path = "corpus/config.rs"]
mod config;
#[path = "corpus/framing.rs"]
mod framing;
#[path = "corpus/hub.rs"]
mod hub;
#[path = "corpus/state.rs"]
mod state;
#[path = "corpus/wire.rs"]
mod wire;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Inputs of each target at the least: a folder that is not found must not pass for one that holds.
const INPUTS: usize = 20;

/// Bytes of all corpora at the most: what is added is to be minimised first (`fuzz/run`).
const CORPORA_BYTES: u64 = 300 * 1024;

/// Whether this is the crate as cargo packs it, which is without the fuzzers' own folder.
fn is_published() -> bool {
    !Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").exists()
}

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs the check on every input, and says for which ones it fails.
fn replay(target: &str, check: fn(&[u8])) {
    if is_published() {
        return;
    }
    let files = corpus(target);
    assert!(files.len() >= INPUTS, "{} inputs for {target}", files.len());
    let fails = |file: &&PathBuf| {
        let bytes = fs::read(file).unwrap();
        catch_unwind(AssertUnwindSafe(|| check(&bytes))).is_err()
    };
    let failed: Vec<&PathBuf> = files.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{target} fails for {failed:#?}");
}

#[test]
fn wire() {
    replay("wire", wire::check);
}

#[test]
fn framing() {
    replay("framing", framing::check);
}

#[test]
fn hub() {
    replay("hub", hub::check);
}

#[test]
fn config() {
    replay("config", config::check);
}

#[test]
fn state() {
    replay("state", state::check);
}

#[test]
fn corpora_stay_small() {
    if is_published() {
        return;
    }
    let targets = ["wire", "framing", "hub", "config", "state"];
    let bytes: u64 =
        targets.iter().flat_map(|target| corpus(target)).map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= CORPORA_BYTES, "{bytes} bytes");
}
