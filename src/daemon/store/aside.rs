//! Keeps damaged files: on a failing card they may hold the only copy of something.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::ledger::{BATCHES, beside};
use super::wal;

/// What is appended to the name of a damaged file: the first that is free, or the last.
const BAD: [&str; 9] = [".bad", ".bad2", ".bad3", ".bad4", ".bad5", ".bad6", ".bad7", ".bad8", ".bad9"];

/// The file itself, and what is kept beside it. The file comes first: if anything ends halfway, what belongs to a
/// file that is not there is not taken for another's.
const PARTS: [&str; 4] = ["", "-wal", "-shm", BATCHES];

/// A damaged file that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct SetAside {
    /// Where it is now.
    pub(in crate::daemon) path: PathBuf,
    /// What is wrong with it.
    pub(in crate::daemon) why: String,
}

/// Copies the file and its log if the log is damaged: SQLite will take what is before the damage, and the rest is
/// lost without a word.
pub(super) fn keep_if_log_is_damaged(file: &Path) -> io::Result<Option<SetAside>> {
    let log = beside(file, "-wal");
    let mut damage = wal::damage(&log)?;
    // SQLite never leaves a log without a file, and would remove it.
    if is_empty(file)? && !is_empty(&log)? {
        damage = Some("it is empty, and its log is not");
    }
    damage.map(|why| keep(file, why)).transpose()
}

/// Copies a file that nobody has open, and what is kept beside it.
pub(super) fn keep(file: &Path, why: &str) -> io::Result<SetAside> {
    let path = free(file)?;
    let mut parts = ["", "-wal", BATCHES].iter();
    let copied = parts.try_for_each(|part| copy(&beside(file, part), &beside(&path, part))).and_then(|()| {
        let directory = file.parent().unwrap_or(file);
        File::open(directory)?.sync_all()
    });
    if copied.is_err() {
        // Half a copy would only keep the name from the next.
        let _ = remove(&path);
    }
    copied.map(|()| SetAside { path, why: why.to_owned() })
}

/// Renames a damaged file, and what is kept beside it; its new path.
pub(super) fn rename(file: &Path) -> io::Result<PathBuf> {
    let bad = free(file)?;
    for part in PARTS {
        ignore_missing(fs::rename(beside(file, part), beside(&bad, part)))?;
    }
    Ok(bad)
}

/// Removes a file, and what is kept beside it.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    PARTS.iter().try_for_each(|part| ignore_missing(fs::remove_file(beside(file, part))))
}

/// A path where a damaged file can be kept. The earliest are never given up, the last of all is.
fn free(file: &Path) -> io::Result<PathBuf> {
    let mut path = file.to_owned();
    for suffix in BAD {
        path = beside(file, suffix);
        let is_taken = |part| fs::symlink_metadata(beside(&path, part)).is_ok();
        if !PARTS.into_iter().any(is_taken) {
            return Ok(path);
        }
    }
    remove(&path)?;
    Ok(path)
}

/// Copies a file, with its permissions, onto the disk.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    ignore_missing(fs::copy(from, to).and_then(|_| File::open(to)?.sync_all()))
}

/// Whether there is nothing in a file, or no file.
pub(super) fn is_empty(file: &Path) -> io::Result<bool> {
    match fs::metadata(file) {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
