//! The open state file: commits, folds and checkpoints.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi::{self, Error as Failure};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::aside::is_empty;
use super::batches::Batches;
use super::load::{self, Position};
use super::schema::{self, MIGRATIONS};
use super::{Trouble, fold};
use crate::config::Sync;

/// Batches that are kept before they are folded: they are read again at each start. Many, as of all changes to a row
/// only the last is then written.
const MAX_BATCHES: u32 = 4096;

/// Batches after which a fold that failed is tried again.
const RETRY_BATCHES: u32 = 256;

/// How long those may be together, in bytes: a fold has them in memory.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How long SQLite's log of written pages may grow before it is copied into the file and emptied, in bytes: each
/// time costs the disk two waits, and a page that was written often in between is copied once.
const MAX_WAL_BYTES: u64 = 4 * 1024 * 1024;

/// Small pages, because each row that has changed makes a fold write at least one.
const PAGE_BYTES: u32 = 1024;

/// Somebody who looks into the file with other tools may hold it for this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Room for each statement that the store uses.
const STATEMENTS: usize = 32;

/// The open file.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) connection: Connection,
    file: PathBuf,
    sync: Sync,
    position: Position,
    pub(super) batches: Batches,
    /// What is wrong with the batches, if anything is: those before that are taken.
    pub(super) damage: Option<&'static str>,
    /// Batches at which a fold is tried again after one failed.
    retry_at: u32,
}

impl Ledger {
    /// Opens the file, or makes it, and reads all that it holds.
    pub(super) fn open(file: &Path, sync: Sync) -> Result<(Self, Vec<u8>), Trouble> {
        let mut connection = connect(file, sync)?;
        let path = beside(file, BATCHES);
        if !schema::may_have_batches(&connection)? && !is_empty(&path)? {
            return Err(Trouble::Damaged("it is older than its batches".to_owned()));
        }
        schema::migrate(&mut connection, MIGRATIONS)?;
        let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if finding != "ok" {
            return Err(Trouble::Damaged(finding));
        }
        // A fold is on the disk before batches are written over those that it took.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let (position, mut changes) = load::everything(&connection)?;
        // What was read once is not needed again soon.
        connection.release_memory()?;
        let (batches, damage) = Batches::open(path, sync, position.base(), &mut changes)?;
        let file = file.to_owned();
        Ok((Self { connection, file, sync, position, batches, damage, retry_at: 0 }, changes))
    }

    /// Opens the file anew: after an error of the system only the file says how far it has come.
    pub(super) fn reopen(&mut self) -> Result<(), Trouble> {
        // Two connections could wait for each other.
        self.connection = Connection::open_in_memory()?;
        let (ledger, _) = Self::open(&self.file, self.sync)?;
        let how_far = |ledger: &Self| (ledger.position.fold, ledger.batches.count());
        if ledger.damage.is_some() || how_far(&ledger) < how_far(self) {
            return Err(Trouble::Damaged("it no longer holds what was kept in it".to_owned()));
        }
        *self = Self { retry_at: self.retry_at, ..ledger };
        Ok(())
    }

    /// Keeps a batch.
    pub(super) fn commit(&mut self, batch: &[u8]) -> Result<(), Trouble> {
        match self.batches.append(batch).map_err(Trouble::from) {
            // SQLite's log may be what fills the disk.
            Err(trouble) if trouble.is_disk_full() && self.checkpoint().is_ok() => {
                Ok(self.batches.append(batch)?)
            }
            result => result,
        }
    }

    /// Whether there are batches that no fold has taken yet.
    pub(super) fn has_batches(&self) -> bool {
        self.position.batches > 0 || self.batches.count() > 0
    }

    /// Whether there are as many batches as should be kept.
    pub(super) fn is_full(&self) -> bool {
        let (count, bytes) = (self.batches.count(), self.batches.length());
        count >= self.retry_at && (count >= MAX_BATCHES || bytes >= MAX_BATCH_BYTES)
    }

    /// Folds all batches into the tables, in one transaction. If that fails, nothing has changed, and it is not
    /// yet time for the next.
    pub(super) fn fold(&mut self) -> Result<(), Trouble> {
        self.retry_at = self.batches.count().saturating_add(RETRY_BATCHES);
        let next = Position { fold: self.position.fold + 1, batches: 0, tally: self.position.tally };
        let next = self.fold_into(next)?;
        self.position = next;
        self.batches.begin_anew(next.base());
        self.retry_at = 0;
        let wal = fs::metadata(beside(&self.file, "-wal")).map_or(0, |wal| wal.len());
        if wal >= MAX_WAL_BYTES { self.checkpoint() } else { Ok(()) }
    }

    fn fold_into(&mut self, mut next: Position) -> Result<Position, Trouble> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut batches = Vec::with_capacity(self.batches.length());
        load::batches(&transaction, self.position.fold, &mut batches)?;
        self.batches.read(&mut batches)?;
        fold::apply(&transaction, &batches, &mut next.tally)?;
        transaction
            .prepare_cached("UPDATE file SET fold = ?, row_count = ?, crc_sum = ?")?
            .execute(params![next.fold.cast_signed(), next.tally.rows, next.tally.sum])?;
        transaction.prepare_cached("DELETE FROM batch")?.execute([])?;
        transaction.commit()?;
        Ok(next)
    }

    /// Copies SQLite's log into the file and empties it, as far as nobody else is reading.
    pub(super) fn checkpoint(&self) -> Result<(), Trouble> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let done = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(PATIENCE)?;
        Ok(done?)
    }

    /// Closes the file in good order: one file is left, with all in its tables.
    pub(super) fn close(mut self) -> Result<(), Trouble> {
        if self.has_batches() {
            self.fold()?;
        }
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(self.batches.remove()?)
    }
}

/// What is appended to the file's name for that of its batches.
pub(super) const BATCHES: &str = "-batches";

/// The name of a file that belongs to another.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn connect(file: &Path, sync: Sync) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A file that is set aside or refused stays as it is, and so does one whose daemon is killed.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    schema::check(&connection, MIGRATIONS)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0) {
        // One page makes a file of an empty one: there is nothing to go back to, and the disk is waited for once.
        connection.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let why =
            format!("SQLite's write-ahead log cannot be used on this file system: it stays with {mode}");
        return Err(Trouble::Failed(rusqlite::Error::SqliteFailure(
            Failure::new(ffi::SQLITE_CANTOPEN),
            Some(why),
        )));
    }
    // The file as such may be written to, or it would not have come to this.
    if connection.is_readonly("main")? {
        return Err(Trouble::Damaged("its header says that it is not to be written to".to_owned()));
    }
    let synchronous = match sync {
        Sync::Normal => "NORMAL",
        Sync::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}
