//! Reads everything that a state file holds, as one run of changes.

use rusqlite::Connection;

use super::Trouble;
use super::batches::Base;
use super::row::{TABLES, Table, Tally};

/// How far the file has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// How often batches were folded into the tables.
    pub(super) fold: u64,
    /// Batches since then in the file's own table, where versions before 3 kept them.
    pub(super) batches: u64,
    /// What the tables hold.
    pub(super) tally: Tally,
}

impl Position {
    /// What batches from now on come after.
    pub(super) fn base(&self) -> Base {
        let Tally { rows, sum } = self.tally;
        let mut tables = crc32fast::Hasher::new();
        tables.update(&rows.to_le_bytes());
        tables.update(&sum.to_le_bytes());
        Base { fold: self.fold, tables: tables.finalize() }
    }
}

/// Everything in the file, as changes to be applied one after the other: the tables' rows, then the batches since.
pub(super) fn everything(connection: &Connection) -> Result<(Position, Vec<u8>), Trouble> {
    let (fold, expected) = connection.query_row("SELECT fold, row_count, crc_sum FROM file", [], |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), Tally { rows: row.get(1)?, sum: row.get(2)? }))
    })?;
    let (mut changes, mut tally) = (Vec::new(), Tally::default());
    for table in &TABLES {
        read_table(connection, table, &mut changes, &mut tally)?;
    }
    // A row's checksum vouches for the row; only the sum vouches that none is missing, or there in an earlier form.
    if tally != expected {
        return Err(Trouble::Damaged("a row is missing".to_owned()));
    }
    let batches = self::batches(connection, fold, &mut changes)?;
    Ok((Position { fold, batches, tally }, changes))
}

fn read_table(
    connection: &Connection,
    (sql, read): &Table,
    changes: &mut Vec<u8>,
    tally: &mut Tally,
) -> Result<(), Trouble> {
    let mut statement = connection.prepare(sql)?;
    let crc_column = statement.column_count() - 1;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let start = changes.len();
        read(row)?.write(changes);
        let crc = crc32fast::hash(changes.get(start..).unwrap_or_default());
        if row.get::<_, u32>(crc_column)? != crc {
            return Err(Trouble::Damaged("a row does not match its checksum".to_owned()));
        }
        tally.add(crc);
    }
    Ok(())
}

/// Appends the batches since the last fold that an older version has left; how many there are.
pub(super) fn batches(connection: &Connection, fold: u64, changes: &mut Vec<u8>) -> Result<u64, Trouble> {
    let mut statement = connection.prepare_cached("SELECT seq, changes, crc FROM batch ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let start = changes.len();
        changes.extend_from_slice(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
        let batch = changes.get(start..).unwrap_or_default();
        if row.get::<_, i64>(0)?.cast_unsigned() != count || row.get::<_, u32>(2)? != crc(fold, count, batch)
        {
            return Err(Trouble::Damaged("a batch is not what was written".to_owned()));
        }
    }
    Ok(count)
}

/// A batch's checksum. Its place is part of it: a batch of an earlier fold must not come again.
fn crc(fold: u64, seq: u64, batch: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&fold.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(batch);
    hasher.finalize()
}
