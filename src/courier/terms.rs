//! What is said between the courier and whoever asked.

use super::Push;
use crate::wire::{ErrorName, Number};

/// What carries the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// May lose, repeat and reorder: lines are sent again until they are answered.
    Datagrams,
    /// Loses nothing until it breaks, unless the hub is killed, whose next run goes on with the connection: lines are
    /// sent again after [`super::Courier::reconnected`], and where an answer is very late.
    Stream,
}

/// A request's name between the courier and whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(super) u64);

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It would arrive as something else.
    #[error("a request may hold no line feed and no NUL, and may not end in a carriage return")]
    Unsendable,
    /// [`crate::limits::COURIER_QUEUE`] requests wait already.
    #[error("too many requests wait for their turn; await some answers first")]
    Full,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, exactly once: the body of the reply.
    Done(Vec<u8>),
    /// Refused for good.
    Refused {
        /// The error's word, which may be newer than this program.
        name: String,
        /// The hub's explanation.
        why: String,
    },
    /// The deadline came first.
    GivenUp {
        /// Whether any copy left: if so, the request may or may not have been done.
        sent: bool,
        /// What the hub said instead of an answer, if anything: `busy`, `stopping`, `disk`, `too-long`, or, without
        /// proof that it was the hub, `prove`.
        excuse: Option<ErrorName>,
    },
}

/// What came of a line that was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A request has ended.
    Finished(Id, Outcome),
    /// What others sent, or what the hub tells unasked; with its number in the mailbox, if there is one.
    Pushed(Option<Number>, Push<'a>),
    /// The hub wants proof that the session has come to another address: nothing more is done for it until a JOIN was
    /// asked by [`super::Courier::request_first`] and answered. Whoever says so need not be the hub.
    Challenged,
}
