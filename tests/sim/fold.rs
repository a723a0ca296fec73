//! A store that keeps each row once, as tables do: of two changes to the same row the later one counts.

use std::collections::BTreeMap;

use pigeond::hub::Change;
use pigeond::limits::SESSION_WINDOW;

/// Where a row stands: its table, in the order in which tables are read, and its key there.
type Place = (u8, u64, u64, String);

/// Batches folded into rows, as one batch.
pub fn fold(batches: &[Vec<u8>]) -> Vec<u8> {
    let mut rows: BTreeMap<Place, Vec<u8>> = BTreeMap::new();
    for batch in batches {
        for change in Change::read(batch) {
            apply(&mut rows, &change.expect("the hub writes what can be read"));
        }
    }
    rows.into_values().flatten().collect()
}

fn apply(rows: &mut BTreeMap<Place, Vec<u8>>, change: &Change<'_>) {
    let none = String::new;
    let place = match *change {
        Change::Clock { .. } => (0, 0, 0, none()),
        Change::Value { key, .. } => (1, 0, 0, key.to_owned()),
        Change::Session { id, .. } => (2, id, 0, none()),
        Change::Reply { session, number, .. } => (3, session, number % SESSION_WINDOW, none()),
        // Read with what it belongs to, behind that.
        Change::Keyed { session, .. } => (2, session, 1, none()),
        Change::Mailbox { id, .. } => (4, id, 0, none()),
        Change::Delivery { mailbox, acked, .. } => {
            rows.retain(|place, _| !(place.0 == 6 && place.1 == mailbox && place.2 <= acked));
            (5, mailbox, 0, none())
        }
        Change::Letter { mailbox, number, .. } => (6, mailbox, number, none()),
        Change::Place { id, .. } => (7, id, 0, none()),
        Change::Watch { owner, pattern } => (8, owner, 0, pattern.to_owned()),
        Change::ValueGone { key } => {
            rows.remove(&(1, 0, 0, key.to_owned()));
            return;
        }
        Change::PlaceGone { id } => {
            rows.retain(|place, _| !(matches!(place.0, 7 | 8) && place.1 == id));
            return;
        }
        Change::WatchGone { owner, pattern } => {
            rows.remove(&(8, owner, 0, pattern.to_owned()));
            return;
        }
        Change::SessionGone { id } => {
            rows.retain(|place, _| !(matches!(place.0, 2 | 3) && place.1 == id));
            return;
        }
        Change::MailboxGone { id } => {
            rows.retain(|place, _| !(matches!(place.0, 4..=6 | 8) && place.1 == id));
            return;
        }
    };
    let mut row = Vec::new();
    change.write(&mut row);
    rows.insert(place, row);
}
