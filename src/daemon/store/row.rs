//! The tables' rows: which change each stands for, and back.

use std::net::IpAddr;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row, params};

use super::Trouble;
use crate::hub::{Change, Content, Spot};
use crate::limits::SESSION_WINDOW;

/// Which row a change is about. The order is that in which rows are written and read: what others belong to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key<'a> {
    Clock,
    Value(&'a str),
    Session(u64),
    Keyed(u64),
    Reply { session: u64, slot: u64 },
    Mailbox(u64),
    Delivery(u64),
    Letter { mailbox: u64, number: u64 },
    Place(u64),
    Watch { owner: u64, pattern: &'a str },
}

impl<'a> Key<'a> {
    pub(super) fn of(change: &Change<'a>) -> Self {
        match *change {
            Change::Clock { .. } => Self::Clock,
            Change::Value { key, .. } | Change::ValueGone { key } => Self::Value(key),
            Change::Session { id, .. } | Change::SessionGone { id } => Self::Session(id),
            Change::Keyed { session, .. } => Self::Keyed(session),
            Change::Reply { session, number, .. } => Self::Reply { session, slot: number % SESSION_WINDOW },
            Change::Mailbox { id, .. } | Change::MailboxGone { id } => Self::Mailbox(id),
            Change::Delivery { mailbox, .. } => Self::Delivery(mailbox),
            Change::Letter { mailbox, number, .. } => Self::Letter { mailbox, number },
            Change::Watch { owner, pattern } | Change::WatchGone { owner, pattern } => {
                Self::Watch { owner, pattern }
            }
            Change::Place { id, .. } | Change::PlaceGone { id } => Self::Place(id),
        }
    }
}

/// How many rows there are in all tables, and the sum of their checksums: one row more, less or other shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: i64,
    pub(super) sum: i64,
}

impl Tally {
    pub(super) fn add(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(crc.into());
    }

    fn subtract(&mut self, crc: i64) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(crc);
    }
}

/// Writes one row, in place of an earlier one. What says that a row is gone is not for this.
pub(super) fn put(tables: &Connection, change: &Change<'_>, tally: &mut Tally) -> rusqlite::Result<()> {
    remove(tables, Key::of(change), tally)?;
    let mut encoded = Vec::new();
    change.write(&mut encoded);
    let crc = crc32fast::hash(&encoded);
    match *change {
        Change::Clock { uptime_ms, next_id } => {
            let row = params![uptime_ms.cast_signed(), next_id.cast_signed(), crc];
            insert(tables, "INSERT INTO clock VALUES (1, ?, ?, ?)", row)?;
        }
        Change::Value { key, text, maker } => {
            let row = params![key, shown(text), maker.to_string(), crc];
            insert(tables, "INSERT INTO value VALUES (?, ?, ?, ?)", row)?;
        }
        Change::Session { id, name, opener, place, superseded, claimed, bye } => {
            let (place, line) = place.map(|(place, line)| (place.cast_signed(), line.cast_signed())).unzip();
            let (id, opener) = (id.cast_signed(), opener.to_string());
            let row = params![id, name, opener, place, line, superseded, claimed, bye, crc];
            insert(tables, "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)?;
        }
        Change::Reply { session, number, line, outcome } => {
            let (session, slot) = (session.cast_signed(), (number % SESSION_WINDOW).cast_signed());
            let row = params![session, slot, number.cast_signed(), line.cast_signed(), shown(outcome), crc];
            insert(tables, "INSERT INTO reply VALUES (?, ?, ?, ?, ?, ?)", row)?;
        }
        Change::Mailbox { id, code, name, opener, left_ms } => {
            let row = params![id.cast_signed(), code, name, opener.to_string(), left_ms.cast_signed(), crc];
            insert(tables, "INSERT INTO mailbox VALUES (?, ?, ?, ?, ?, ?)", row)?;
        }
        Change::Delivery { mailbox, sent, acked } => {
            let row = params![mailbox.cast_signed(), sent.cast_signed(), acked.cast_signed(), crc];
            insert(tables, "INSERT INTO delivery VALUES (?, ?, ?, ?)", row)?;
        }
        Change::Letter { mailbox, number, ref content } => {
            let (sender, key, push) = match *content {
                Content::Text { sender, push } => (Some(sender), None, Some(push)),
                Content::Key { key } => (None, Some(key), None),
                Content::Told { key, push } => (None, Some(key), Some(push)),
            };
            let (mailbox, number) = (mailbox.cast_signed(), number.cast_signed());
            let row = params![mailbox, number, sender, key, push.map(shown), crc];
            insert(tables, "INSERT INTO letter VALUES (?, ?, ?, ?, ?, ?)", row)?;
        }
        Change::Watch { owner, pattern } => {
            let row = params![owner.cast_signed(), pattern, crc];
            insert(tables, "INSERT INTO watch VALUES (?, ?, ?)", row)?;
        }
        Change::Place { id, code, spot, ending, boxed } => {
            let (conn, address, local, port, interface) = columns(spot);
            let id = id.cast_signed();
            let row = params![id, code, conn, address, local, port, interface, shown(ending), boxed, crc];
            insert(tables, "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)?;
        }
        Change::Keyed { session, code, nonce, ref check, spot, joined } => {
            let (conn, address, local, port, interface) = columns(spot);
            let (session, joined) = (session.cast_signed(), joined.map(u64::cast_signed));
            let check = shown(check);
            let row =
                params![session, code, nonce, check, conn, address, local, port, interface, joined, crc];
            insert(tables, "INSERT INTO keyed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)?;
        }
        Change::ValueGone { .. }
        | Change::SessionGone { .. }
        | Change::MailboxGone { .. }
        | Change::WatchGone { .. }
        | Change::PlaceGone { .. } => return Err(rusqlite::Error::InvalidQuery),
    }
    tally.add(crc);
    Ok(())
}

type Columns = (Option<i64>, Option<String>, Option<String>, Option<u16>, Option<u32>);

/// Where somebody is, as the columns conn, address, local, port and interface.
fn columns(spot: Spot) -> Columns {
    match spot {
        Spot::Tcp { id } => (Some(id.cast_signed()), None, None, None, None),
        Spot::Udp { to, local, port, interface } => {
            let local = local.map(|local| local.to_string());
            (None, Some(to.to_string()), local, Some(port), Some(interface))
        }
    }
}

/// Removes one row, if it is there.
pub(super) fn remove(tables: &Connection, key: Key<'_>, tally: &mut Tally) -> rusqlite::Result<()> {
    match key {
        Key::Clock => delete(tables, "DELETE FROM clock RETURNING crc", [], tally),
        Key::Value(key) => delete(tables, "DELETE FROM value WHERE key = ? RETURNING crc", [key], tally),
        Key::Session(id) => {
            delete(tables, "DELETE FROM session WHERE id = ? RETURNING crc", [id.cast_signed()], tally)
        }
        Key::Keyed(session) => {
            let sql = "DELETE FROM keyed WHERE session = ? RETURNING crc";
            delete(tables, sql, [session.cast_signed()], tally)
        }
        Key::Reply { session, slot } => {
            let sql = "DELETE FROM reply WHERE session = ? AND slot = ? RETURNING crc";
            delete(tables, sql, [session.cast_signed(), slot.cast_signed()], tally)
        }
        Key::Mailbox(id) => {
            delete(tables, "DELETE FROM mailbox WHERE id = ? RETURNING crc", [id.cast_signed()], tally)
        }
        Key::Delivery(mailbox) => {
            let sql = "DELETE FROM delivery WHERE mailbox = ? RETURNING crc";
            delete(tables, sql, [mailbox.cast_signed()], tally)
        }
        Key::Letter { mailbox, number } => {
            let sql = "DELETE FROM letter WHERE mailbox = ? AND number = ? RETURNING crc";
            delete(tables, sql, [mailbox.cast_signed(), number.cast_signed()], tally)
        }
        Key::Place(id) => {
            delete(tables, "DELETE FROM place WHERE id = ? RETURNING crc", [id.cast_signed()], tally)
        }
        Key::Watch { owner, pattern } => {
            let sql = "DELETE FROM watch WHERE owner = ? AND pattern = ? RETURNING crc";
            delete(tables, sql, params![owner.cast_signed(), pattern], tally)
        }
    }
}

/// Removes what belongs to a session.
pub(super) fn remove_replies(tables: &Connection, session: u64, tally: &mut Tally) -> rusqlite::Result<()> {
    remove(tables, Key::Keyed(session), tally)?;
    delete(tables, "DELETE FROM reply WHERE session = ? RETURNING crc", [session.cast_signed()], tally)
}

/// Removes what belongs to a mailbox.
pub(super) fn remove_contents(tables: &Connection, mailbox: u64, tally: &mut Tally) -> rusqlite::Result<()> {
    remove(tables, Key::Delivery(mailbox), tally)?;
    remove_letters(tables, mailbox, u64::MAX, tally)?;
    remove_watches(tables, mailbox, tally)
}

/// Removes what a mailbox or a place watches.
pub(super) fn remove_watches(tables: &Connection, owner: u64, tally: &mut Tally) -> rusqlite::Result<()> {
    delete(tables, "DELETE FROM watch WHERE owner = ? RETURNING crc", [owner.cast_signed()], tally)
}

/// Removes a mailbox's letters up to this one.
pub(super) fn remove_letters(
    tables: &Connection,
    mailbox: u64,
    up_to: u64,
    tally: &mut Tally,
) -> rusqlite::Result<()> {
    let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
    let sql = "DELETE FROM letter WHERE mailbox = ? AND number <= ? RETURNING crc";
    delete(tables, sql, [mailbox.cast_signed(), up_to], tally)
}

fn insert(tables: &Connection, sql: &str, row: impl Params) -> rusqlite::Result<()> {
    tables.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn delete(tables: &Connection, sql: &str, key: impl Params, tally: &mut Tally) -> rusqlite::Result<()> {
    let mut statement = tables.prepare_cached(sql)?;
    let mut gone = statement.query(key)?;
    while let Some(row) = gone.next()? {
        tally.subtract(row.get(0)?);
    }
    Ok(())
}

/// Text is stored as text where it is some, so that `sqlite3` shows it; else as bytes.
fn shown(bytes: &[u8]) -> ToSqlOutput<'_> {
    let is_text = !bytes.contains(&0) && str::from_utf8(bytes).is_ok();
    ToSqlOutput::Borrowed(if is_text { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) })
}

/// How to read one table: its rows in the order of their keys, and the change that each stands for.
pub(super) type Table = (&'static str, for<'r> fn(&'r Row<'_>) -> Result<Change<'r>, Trouble>);

/// All tables, what others belong to first. Each row's last column is its checksum.
pub(super) const TABLES: [Table; 10] = [
    ("SELECT uptime_ms, next_id, crc FROM clock", |row| {
        Ok(Change::Clock { uptime_ms: number(row, 0)?, next_id: number(row, 1)? })
    }),
    ("SELECT key, text, maker, crc FROM value ORDER BY key", |row| {
        Ok(Change::Value { key: name(row, 0)?, text: bytes(row, 1)?, maker: address(row, 2)? })
    }),
    (
        "SELECT id, name, opener, place, place_line, superseded, claimed, bye, crc FROM session ORDER BY id",
        session,
    ),
    (
        "SELECT session, code, nonce, secret_check, conn, address, local, port, interface, joined, crc \
         FROM keyed ORDER BY session",
        keyed,
    ),
    ("SELECT session, slot, number, line, outcome, crc FROM reply ORDER BY session, slot", reply),
    ("SELECT id, code, name, opener, left_ms, crc FROM mailbox ORDER BY id", |row| {
        Ok(Change::Mailbox {
            id: number(row, 0)?,
            code: name(row, 1)?,
            name: name(row, 2)?,
            opener: address(row, 3)?,
            left_ms: number(row, 4)?,
        })
    }),
    ("SELECT mailbox, sent, acked, crc FROM delivery ORDER BY mailbox", |row| {
        Ok(Change::Delivery { mailbox: number(row, 0)?, sent: number(row, 1)?, acked: number(row, 2)? })
    }),
    ("SELECT mailbox, number, sender, key, push, crc FROM letter ORDER BY mailbox, number", letter),
    (
        "SELECT id, code, conn, address, local, port, interface, ending, boxed, crc FROM place ORDER BY id",
        place,
    ),
    ("SELECT owner, pattern, crc FROM watch ORDER BY owner, pattern", |row| {
        Ok(Change::Watch { owner: number(row, 0)?, pattern: name(row, 1)? })
    }),
];

fn session<'r>(row: &'r Row<'_>) -> Result<Change<'r>, Trouble> {
    let place = if is_null(row, 3)? { None } else { Some((number(row, 3)?, number(row, 4)?)) };
    Ok(Change::Session {
        id: number(row, 0)?,
        name: name(row, 1)?,
        opener: address(row, 2)?,
        place,
        superseded: number(row, 5)? != 0,
        claimed: if is_null(row, 6)? { None } else { Some(name(row, 6)?) },
        bye: number(row, 7)? != 0,
    })
}

fn reply<'r>(row: &'r Row<'_>) -> Result<Change<'r>, Trouble> {
    let (session, slot, number_) = (number(row, 0)?, number(row, 1)?, number(row, 2)?);
    if slot != number_ % SESSION_WINDOW {
        return Err(wrong());
    }
    Ok(Change::Reply { session, number: number_, line: number(row, 3)?, outcome: bytes(row, 4)? })
}

fn letter<'r>(row: &'r Row<'_>) -> Result<Change<'r>, Trouble> {
    let content = match (is_null(row, 2)?, is_null(row, 3)?, is_null(row, 4)?) {
        (false, true, false) => Content::Text { sender: name(row, 2)?, push: bytes(row, 4)? },
        (true, false, true) => Content::Key { key: name(row, 3)? },
        (true, false, false) => Content::Told { key: name(row, 3)?, push: bytes(row, 4)? },
        (true, true, _) | (false, false, _) | (false, true, true) => return Err(wrong()),
    };
    Ok(Change::Letter { mailbox: number(row, 0)?, number: number(row, 1)?, content })
}

fn place<'r>(row: &'r Row<'_>) -> Result<Change<'r>, Trouble> {
    let spot = spot(row, 2)?;
    let (id, code) = (number(row, 0)?, name(row, 1)?);
    Ok(Change::Place { id, code, spot, ending: bytes(row, 7)?, boxed: number(row, 8)? != 0 })
}

fn keyed<'r>(row: &'r Row<'_>) -> Result<Change<'r>, Trouble> {
    Ok(Change::Keyed {
        session: number(row, 0)?,
        code: name(row, 1)?,
        nonce: name(row, 2)?,
        check: bytes(row, 3)?.try_into().map_err(|_| wrong())?,
        spot: spot(row, 4)?,
        joined: if is_null(row, 9)? { None } else { Some(number(row, 9)?) },
    })
}

/// Where somebody is: five columns from this one on.
fn spot(row: &Row<'_>, first: usize) -> Result<Spot, Trouble> {
    if is_null(row, first + 1)? {
        return Ok(Spot::Tcp { id: number(row, first)? });
    }
    Ok(Spot::Udp {
        to: name(row, first + 1)?.parse().map_err(|_| wrong())?,
        local: if is_null(row, first + 2)? { None } else { Some(address(row, first + 2)?) },
        port: number(row, first + 3)?.try_into().map_err(|_| wrong())?,
        interface: number(row, first + 4)?.try_into().map_err(|_| wrong())?,
    })
}

fn wrong() -> Trouble {
    Trouble::Damaged("a row holds what was never written".to_owned())
}

fn is_null(row: &Row<'_>, column: usize) -> Result<bool, Trouble> {
    Ok(matches!(row.get_ref(column)?, ValueRef::Null))
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, Trouble> {
    row.get_ref(column)?.as_i64().map(i64::cast_unsigned).map_err(|_| wrong())
}

fn name<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, Trouble> {
    row.get_ref(column)?.as_str().map_err(|_| wrong())
}

fn bytes<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], Trouble> {
    row.get_ref(column)?.as_bytes().map_err(|_| wrong())
}

fn address(row: &Row<'_>, column: usize) -> Result<IpAddr, Trouble> {
    name(row, column)?.parse().map_err(|_| wrong())
}
