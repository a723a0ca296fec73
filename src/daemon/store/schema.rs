//! The state file's schema, and how an older file becomes a newer one.

use rusqlite::{Connection, OptionalExtension};

use super::Trouble;

/// Says in a file's header whose it is: "Pgnd".
const APPLICATION: i64 = 0x5067_6e64;

/// What makes a file of the version before into one of the next: the first is version 1.
///
/// A step that was released is never edited; a new one is added.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("schema.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")];

/// Looks whose file this is, and changes nothing.
pub(super) fn check(connection: &Connection, migrations: &[&str]) -> Result<(), Trouble> {
    let application = header(connection, "application_id")?;
    let version = header(connection, "user_version")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(());
    }
    if application != APPLICATION {
        return Err(Trouble::Damaged("it is not pigeond's".to_owned()));
    }
    // The version stands in two places, so that a damaged one is no newer one.
    let copy = connection.query_row("SELECT version FROM file", [], |row| row.get::<_, i64>(0)).optional();
    if copy.ok().flatten().is_some_and(|copy| copy != version) || version < 1 {
        return Err(Trouble::Damaged("its version is damaged".to_owned()));
    }
    if usize::try_from(version).is_ok_and(|version| version > migrations.len()) {
        return Err(Trouble::Newer { version, known: migrations.len() });
    }
    Ok(())
}

/// The first version whose batches are in a file of their own.
const WITH_BATCHES: i64 = 3;

/// Whether this file is of a version that keeps its batches beside it.
pub(super) fn may_have_batches(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(header(connection, "user_version")? >= WITH_BATCHES)
}

/// Brings the file to the newest version, one step and one transaction after the other.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Trouble> {
    let version = usize::try_from(header(connection, "user_version")?).unwrap_or_default();
    for (step, sql) in migrations.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        let version = step + 1;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(i64::MAX))?;
        transaction.execute("UPDATE file SET version = ?", [i64::try_from(version).unwrap_or(i64::MAX)])?;
        transaction.commit()?;
    }
    Ok(())
}

fn header(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
