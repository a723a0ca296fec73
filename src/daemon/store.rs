//! The state file: everything that outlives the process, in SQLite, written by one thread.
//!
//! A commit is a batch, whatever has changed, and one write to a file of batches beside it. From time to time all
//! batches are *folded*: the last change of each row is written into the table where a reader of the file looks for
//! it, in one transaction, and the file of batches is begun anew. The tables and the batches since are everything.

mod aside;
mod batches;
mod fold;
mod ledger;
mod load;
mod place;
mod row;
mod schema;
mod trouble;
mod wal;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

pub(super) use aside::SetAside;
pub(super) use place::directory;
pub(super) use writer::{Done, Writer};

use crate::config::Sync;
use crate::hub::Damage;
use ledger::{BATCHES, Ledger, beside};
use trouble::Trouble;

/// The state file's name in its directory.
const FILE: &str = "pigeond.db";

/// The file that is locked while a daemon uses the directory.
const LOCK: &str = "pigeond.lock";

/// An open state file that nobody writes to yet.
#[derive(Debug)]
pub(super) struct Store {
    ledger: Ledger,
    /// Held as long as the file is open: given back last.
    _lock: File,
}

/// An open state file, and what it held.
#[derive(Debug)]
pub(super) struct Opened<T> {
    pub(super) store: Store,
    /// What was built from what it held.
    pub(super) state: T,
    /// The damaged file in whose place this one is new and empty.
    pub(super) set_aside: Option<SetAside>,
    /// A copy of the file before what was saved last had to be given up, as its log is damaged.
    pub(super) rolled_back: Option<SetAside>,
}

/// Why there is no state file.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The directory cannot be made or written to.
    #[error("{}: the state cannot be kept here: {error}; give pigeond a directory it may write to, by [state] directory", path.display())]
    Directory {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another daemon uses it.
    #[error(
        "another pigeond ({holder}) uses the state in {}: stop it, or set [state] directory to another",
        directory.display()
    )]
    Taken {
        /// Which directory.
        directory: PathBuf,
        /// Which process, as far as it is known.
        holder: String,
    },
    /// The file was written by a newer pigeond.
    #[error(
        "{}: written by a newer pigeond (version {version} of the file; this one knows {known}): \
         install that one, or set [state] directory to another",
        file.display()
    )]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its version.
        version: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// The file cannot be read or written.
    #[error("{}: {why}", file.display())]
    Unusable {
        /// Which file.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

impl Store {
    /// Opens the state file in this directory, or makes both, and hands everything that it holds to `build`, as
    /// one batch. A damaged file, or one whose content `build` refuses, is set aside, and a new one begun. If only
    /// the log of what was saved last is damaged, the file is what it was before that, and a copy is kept.
    ///
    /// # Errors
    ///
    /// Another daemon uses the directory, a newer one wrote the file, or the system refuses something.
    pub(super) fn open<T>(
        directory: &Path,
        sync: Sync,
        build: impl Fn(&[u8]) -> Result<T, Damage>,
    ) -> Result<Opened<T>, OpenError> {
        let unusable = |path: &Path, error| OpenError::Directory { path: path.to_owned(), error };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| unusable(directory, error))?;
        let lock = lock(directory)?;
        let file = directory.join(FILE);
        let mut rolled_back = aside::keep_if_log_is_damaged(&file).map_err(|error| unusable(&file, error))?;
        let attempt = || {
            make_private(&file).map_err(|error| unusable(&file, error))?;
            let opened = Ledger::open(&file, sync);
            Ok(opened.and_then(|(ledger, changes)| Ok((ledger, build(&changes)?))))
        };
        let mut opened = attempt()?;
        if let Ok((Ledger { damage: Some(why), .. }, _)) = opened {
            // To copy an open file would give up SQLite's locks on it.
            drop(opened);
            if rolled_back.is_none() {
                rolled_back = Some(aside::keep(&file, why).map_err(|error| unusable(&file, error))?);
            }
            opened = attempt()?;
        }
        let (opened, set_aside, rolled_back) = match opened {
            Err(Trouble::Damaged(why)) => {
                let path = match rolled_back {
                    // The copy holds more than what is left.
                    Some(copy) => aside::remove(&file).map(|()| copy.path),
                    None => aside::rename(&file),
                };
                let path = path.map_err(|error| unusable(&file, error))?;
                (attempt()?, Some(SetAside { path, why }), None)
            }
            opened @ (Ok(_) | Err(Trouble::Newer { .. } | Trouble::Failed(_) | Trouble::Batches(_))) => {
                (opened, None, rolled_back)
            }
        };
        let (mut ledger, state) = opened.map_err(|trouble| match trouble {
            Trouble::Newer { version, known } => OpenError::Newer { file: file.clone(), version, known },
            Trouble::Damaged(_) | Trouble::Failed(_) | Trouble::Batches(_) => {
                OpenError::Unusable { file: file.clone(), why: trouble.to_string() }
            }
        })?;
        if rolled_back.is_some() {
            ledger.batches.cut().map_err(|error| unusable(&beside(&file, BATCHES), error))?;
            // What is behind the damage goes with the log; if not now, it is found and told again at the next start.
            let _ = ledger.checkpoint();
        }
        Ok(Opened { store: Self { ledger, _lock: lock }, state, set_aside, rolled_back })
    }

    /// Starts the thread that writes. What became of each batch comes out of the receiver.
    ///
    /// # Errors
    ///
    /// The system allows no more threads.
    pub(super) fn start(self) -> io::Result<(Writer, tokio::sync::mpsc::Receiver<Done>)> {
        Writer::start(self)
    }
}

/// Locks the directory until the returned file is dropped, or the process ends in whatever way.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK);
    let unusable = |error| OpenError::Directory { path: path.clone(), error };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who holds it is told if it is known.
            let _ = file.take(32).read_to_string(&mut holder);
            let holder = match holder.trim().parse::<u32>() {
                Ok(holder) => format!("process {holder}"),
                Err(_) => "process unknown".to_owned(),
            };
            return Err(OpenError::Taken { directory: directory.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // On a full disk the lock counts all the same.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", process::id()));
    Ok(file)
}

/// Makes the file empty and private if there is none, and sees whether it may be written to: SQLite would content
/// itself with reading. What it makes beside the file gets the file's permissions.
fn make_private(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file).map(drop)
}

#[cfg(test)]
mod tests;
