//! Who wants to be woken when. Exact, ordered, and the same in every run.

use std::collections::BTreeSet;

use super::actions::Conn;
use super::directory::Slot;
use crate::moment::Moment;

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// An unfinished line has waited long enough.
    Quiet(Conn),
    /// A connection may have been silent too long.
    Silent(Conn),
    /// A connection has taken too long for its first line.
    FirstLine(Conn),
    /// A connection that has asked too often may be read from again.
    Allowed(Conn),
    /// A place over UDP may have been idle too long.
    Place(Slot),
    /// A session may have been idle too long.
    Session(Slot),
    /// What is in flight from a mailbox was not acknowledged in time.
    Delivery(Slot),
    /// A mailbox's client may have been away too long.
    Mailbox(Slot),
    /// A question was not answered in time.
    Question(u64),
    /// Other keys have come, and not all that hangs on them has been seen to.
    Keys,
    /// The hub is to be announced.
    Announcement,
    /// There may be something to commit.
    Save,
}

/// All deadlines. Each owner remembers when it is to be woken, so that there is never more than one.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Moment, Due)>);

impl Timers {
    /// Moves a deadline from where its owner remembers it to another time, or to none.
    pub(super) fn reset(&mut self, held: &mut Option<Moment>, at: Option<Moment>, due: Due) {
        if *held == at {
            return;
        }
        if let Some(before) = held.take() {
            self.0.remove(&(before, due));
        }
        if let Some(at) = at {
            self.0.insert((at, due));
        }
        *held = at;
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Takes the first deadline that has come; its owner then holds none.
    pub(super) fn pop(&mut self, now: Moment) -> Option<Due> {
        let first = *self.0.first()?;
        (first.0 <= now).then(|| {
            self.0.remove(&first);
            first.1
        })
    }
}
