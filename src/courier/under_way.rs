//! One request on its way.

use core::time::Duration;

use super::Id;
use crate::limits::MESSAGE_BYTES_RANGE;
use crate::moment::Moment;
use crate::wire::{ErrorName, Kind, Word};

/// A request that was not sent yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: Id,
    pub(super) line: Vec<u8>,
    pub(super) deadline: Moment,
    /// Nothing else is sent until this one is answered.
    pub(super) first: bool,
}

/// A request that was sent, or is about to be.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) request: Waiting,
    pub(super) number: u64,
    /// The tag, the line and LF: the same bytes each time.
    pub(super) bytes: Vec<u8>,
    /// When to send; `None` if only a reconnect makes that necessary.
    pub(super) due: Option<Moment>,
    pub(super) pause: Duration,
    pub(super) sent: bool,
    pub(super) excuse: Option<ErrorName>,
}

impl Waiting {
    /// Whether this asks for a place or what belongs to one: JOIN, BYE, WATCH, UNWATCH.
    pub(super) fn is_place(&self) -> bool {
        let word = self.line.split(|&b| b == b' ').next().unwrap_or_default();
        Word::parse(word).is_some_and(|word| word.kind() == Kind::Place)
    }
}

impl UnderWay {
    /// Whether some hub may refuse this for its length.
    pub(super) fn is_long(&self) -> bool {
        self.bytes.len() > *MESSAGE_BYTES_RANGE.start()
    }
}
