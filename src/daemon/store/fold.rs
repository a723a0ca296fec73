//! Folds batches into the tables: of all changes to a row only the last is written.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rusqlite::Connection;

use super::Trouble;
use super::row::{self, Key, Tally};
use crate::hub::Change;

/// Writes what the batches say into the tables, as part of the caller's transaction.
pub(super) fn apply(tables: &Connection, batches: &[u8], tally: &mut Tally) -> Result<(), Trouble> {
    for (key, change) in newest(batches)? {
        match change {
            Change::ValueGone { .. } | Change::WatchGone { .. } => row::remove(tables, key, tally)?,
            Change::PlaceGone { id } => {
                row::remove(tables, key, tally)?;
                row::remove_watches(tables, id, tally)?;
            }
            Change::SessionGone { id } => {
                row::remove(tables, key, tally)?;
                row::remove_replies(tables, id, tally)?;
            }
            Change::MailboxGone { id } => {
                row::remove(tables, key, tally)?;
                row::remove_contents(tables, id, tally)?;
            }
            Change::Delivery { mailbox, acked, .. } => {
                row::put(tables, &change, tally)?;
                row::remove_letters(tables, mailbox, acked, tally)?;
            }
            Change::Clock { .. }
            | Change::Value { .. }
            | Change::Session { .. }
            | Change::Keyed { .. }
            | Change::Reply { .. }
            | Change::Mailbox { .. }
            | Change::Letter { .. }
            | Change::Place { .. }
            | Change::Watch { .. } => row::put(tables, &change, tally)?,
        }
    }
    Ok(())
}

/// The last change of each row, without those to rows that are gone with what they belong to.
///
/// The numbers of sessions, mailboxes and letters are never used again, so a row that once went with its owner
/// cannot come back.
fn newest(batches: &[u8]) -> Result<BTreeMap<Key<'_>, Change<'_>>, Trouble> {
    // Most changes are soon replaced by another of the same row: only what is left need be put in order.
    let mut newest = HashMap::with_hasher(FixedState::default());
    for change in Change::read(batches) {
        let change = change?;
        newest.insert(Key::of(&change), change);
    }
    let mut newest: BTreeMap<_, _> = newest.into_iter().collect();
    let (mut sessions, mut mailboxes, mut places) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut acked = BTreeMap::new();
    for change in newest.values() {
        if let Change::SessionGone { id } = *change {
            sessions.insert(id);
        } else if let Change::MailboxGone { id } = *change {
            mailboxes.insert(id);
        } else if let Change::PlaceGone { id } = *change {
            places.insert(id);
        } else if let Change::Delivery { mailbox, acked: up_to, .. } = *change {
            acked.insert(mailbox, up_to);
        }
    }
    newest.retain(|key, _| match *key {
        Key::Clock | Key::Value(_) | Key::Session(_) | Key::Mailbox(_) | Key::Place(_) => true,
        Key::Reply { session, .. } | Key::Keyed(session) => !sessions.contains(&session),
        Key::Delivery(mailbox) => !mailboxes.contains(&mailbox),
        Key::Watch { owner, .. } => !mailboxes.contains(&owner) && !places.contains(&owner),
        Key::Letter { mailbox, number } => {
            !mailboxes.contains(&mailbox) && acked.get(&mailbox).is_none_or(|&acked| number > acked)
        }
    });
    Ok(newest)
}
