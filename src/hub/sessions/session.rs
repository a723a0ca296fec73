//! One client's run: its numbers, and what was done under them.

use core::net::IpAddr;
use core::time::Duration;

use super::super::tally::Owner;
use super::Keyed;
use super::recorded::Recorded;
use crate::limits::{KEYED_LINGER, SESSION_LINGER, SESSION_WINDOW};
use crate::moment::Moment;
use crate::wire::Number;

/// What was done under one number.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) number: Number,
    pub(super) fingerprint: u64,
    pub(super) outcome: Recorded,
}

/// One client's run.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number in the state.
    pub(super) id: u64,
    /// The last batch with a change of it.
    pub(super) batch: u64,
    pub(super) opener: IpAddr,
    /// The highest number so far that changed something, or the client's place. Others leave nothing behind.
    pub(super) highest: u64,
    /// The last numbers' records, each at its number modulo the window.
    pub(super) window: Vec<Option<Record>>,
    /// The highest JOIN, BYE, WATCH or UNWATCH done, and its line.
    pub(super) place: Option<(Number, u64)>,
    /// Whether another session has since joined under this one's code.
    pub(super) superseded: bool,
    /// The code it last joined under.
    pub(super) claimed: Option<Box<str>>,
    pub(super) touched: Moment,
    /// Whether its client has said BYE, and nothing new since.
    pub(super) bye: bool,
    /// When it is to be asked whether it has ended.
    pub(super) due: Option<Moment>,
    /// What only a session has whose code has a secret.
    pub(super) keyed: Option<Box<Keyed>>,
}

impl Session {
    pub(super) fn new(id: u64, opener: IpAddr, touched: Moment) -> Self {
        Self {
            id,
            batch: 0,
            opener,
            highest: 0,
            window: Vec::new(),
            place: None,
            superseded: false,
            claimed: None,
            touched,
            bye: false,
            due: None,
            keyed: None,
        }
    }

    pub(super) fn index(number: Number) -> usize {
        // The remainder is below the window's length, which fits any usize.
        usize::try_from(number.get() % SESSION_WINDOW).unwrap_or_default()
    }

    /// Whether a record of this number would take more memory than the session has.
    pub(super) fn needs_memory(&self, number: Number) -> bool {
        Self::index(number) >= self.window.len()
    }

    pub(super) fn record(&self, number: Number) -> Option<&Record> {
        let record = self.window.get(Self::index(number))?.as_ref()?;
        (record.number == number).then_some(record)
    }

    /// Whom it is counted for.
    pub(super) fn owner(&self) -> Owner {
        self.keyed.as_ref().map_or(Owner::Source(self.opener), |keyed| Owner::Code(keyed.code.clone()))
    }

    /// Memory that its records take, in bytes.
    pub(super) fn memory(&self) -> usize {
        let own: usize = self.window.iter().flatten().map(|held| held.outcome.cost()).sum();
        self.window.capacity() * size_of::<Option<Record>>() + own
    }

    pub(super) fn ends(&self, idle: Duration) -> Moment {
        self.touched
            + match (&self.keyed, self.bye) {
                (Some(_), true) => KEYED_LINGER,
                (Some(_), false) => KEYED_LINGER.max(idle),
                (None, true) => SESSION_LINGER.min(idle),
                (None, false) => idle,
            }
    }
}
