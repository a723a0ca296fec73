//! One request on its way.

use core::time::Duration;

use super::Id;
use super::jitter::FIRST_PAUSE;
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
    /// What the hub said instead of an answer.
    pub(super) excuse: Option<ErrorName>,
    /// The next copy leaves before its time, because of a challenge.
    pub(super) hurried: bool,
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
    /// The copy that left last may be challenged.
    pub(super) heeds: bool,
}

impl Waiting {
    pub(super) fn new(id: Id, line: &[u8], deadline: Moment) -> Self {
        Self { id, line: line.to_vec(), deadline, first: false, excuse: None, hurried: false }
    }

    pub(super) fn is_join(&self) -> bool {
        self.line.starts_with(b"JOIN ")
    }

    /// Whether this is a JOIN that the hub did nothing but challenge: most likely it has forgotten the session.
    pub(super) fn is_unproved_join(&self) -> bool {
        self.is_join() && self.excuse == Some(ErrorName::Prove)
    }

    /// Whether this asks for a place or what belongs to one: JOIN, BYE, WATCH, UNWATCH.
    pub(super) fn is_place(&self) -> bool {
        let word = self.line.split(|&b| b == b' ').next().unwrap_or_default();
        Word::parse(word).is_some_and(|word| word.kind() == Kind::Place)
    }
}

impl UnderWay {
    /// About to be sent.
    pub(super) fn new(request: Waiting, number: u64, bytes: Vec<u8>, now: Moment) -> Self {
        Self { request, number, bytes, due: Some(now), pause: FIRST_PAUSE, sent: false, heeds: false }
    }

    /// Whether some hub may refuse this for its length.
    pub(super) fn is_long(&self) -> bool {
        self.bytes.len() > *MESSAGE_BYTES_RANGE.start()
    }
}
