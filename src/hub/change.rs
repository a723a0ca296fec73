//! What is kept, as rows: each change is one row as it is from now on, or the word that it is gone.
//!
//! A batch is some changes in a row that become true together. Applying a batch once more changes nothing, and
//! of two changes to the same row the later one counts, so that a store may keep batches as they come or fold
//! them into tables, as it likes. The encoding is postcard's: fixed by its specification, compact, and read back
//! without a copy.

mod reply;

use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::limits::MAC_DIGITS;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change<'a> {
    /// How far the hub has come. One row, in each batch.
    Clock {
        /// How long hubs have run on this state in all, in milliseconds.
        uptime_ms: u64,
        /// The next number for a session, a mailbox or a place; none is ever used twice.
        next_id: u64,
    },
    /// A value, by its key.
    Value {
        /// Its key.
        key: &'a str,
        /// Its text; a counter's digits.
        #[serde(with = "serde_bytes")]
        text: &'a [u8],
        /// The source address that it counts against.
        maker: IpAddr,
    },
    /// A value was deleted.
    ValueGone {
        /// Its key.
        key: &'a str,
    },
    /// A session, by its number.
    Session {
        /// Its number.
        id: u64,
        /// Its name in the tags.
        name: &'a str,
        /// The source address that it counts against.
        opener: IpAddr,
        /// The number of its highest JOIN, BYE, WATCH or UNWATCH, and the fingerprint of that line.
        place: Option<(u64, u64)>,
        /// Whether another session has since joined under the code that this one had joined under.
        superseded: bool,
        /// The code that it was the last to join under.
        claimed: Option<&'a str>,
        /// Whether its client has said BYE.
        bye: bool,
    },
    /// A session was forgotten, with its replies.
    SessionGone {
        /// Its number.
        id: u64,
    },
    /// The outcome of one tagged request, by session and place in the window: the number modulo
    /// [`crate::limits::SESSION_WINDOW`].
    Reply {
        /// The session's number.
        session: u64,
        /// The request's number in it.
        number: u64,
        /// The fingerprint of its line.
        line: u64,
        /// The reply from its `OK` or `ERR` on, without its end.
        #[serde(with = "serde_bytes")]
        outcome: &'a [u8],
    },
    /// A mailbox, by its number.
    Mailbox {
        /// Its number.
        id: u64,
        /// Whose it is.
        code: &'a str,
        /// What clients know it by.
        name: &'a str,
        /// The source address that it counts against.
        opener: IpAddr,
        /// When its client left, as uptime in milliseconds; `u64::MAX` while it is there.
        left_ms: u64,
    },
    /// How far a mailbox's delivery has come, by the mailbox's number. Letters up to `acked` are gone.
    Delivery {
        /// The mailbox's number.
        mailbox: u64,
        /// The highest letter that may have been sent; 0 before the first.
        sent: u64,
        /// The highest letter that was acknowledged; 0 before the first.
        acked: u64,
    },
    /// A mailbox was deleted, with its letters and watches.
    MailboxGone {
        /// Its number.
        id: u64,
    },
    /// A letter, by its mailbox and number there.
    Letter {
        /// The mailbox's number.
        mailbox: u64,
        /// Its number: 1, 2, 3 and so on.
        number: u64,
        /// What it holds.
        content: Content<'a>,
    },
    /// A mailbox, or a place without one, watches a pattern, by both.
    Watch {
        /// The mailbox's number, or the place's.
        owner: u64,
        /// The pattern.
        pattern: &'a str,
    },
    /// A pattern is watched no longer.
    WatchGone {
        /// The mailbox's number, or the place's.
        owner: u64,
        /// The pattern.
        pattern: &'a str,
    },
    /// A client's place, by its number.
    Place {
        /// Its number.
        id: u64,
        /// The client's code.
        code: &'a str,
        /// Where it stands.
        spot: Spot,
        /// What pushes to it end with.
        #[serde(with = "serde_bytes")]
        ending: &'a [u8],
        /// Whether its pushes go through its mailbox.
        boxed: bool,
    },
    /// A client has left, and what its place watched with it.
    PlaceGone {
        /// The place's number.
        id: u64,
    },
    /// What makes a session a keyed one, by its number. It goes with the session.
    Keyed {
        /// The session's number.
        session: u64,
        /// The code that it is for.
        code: &'a str,
        /// The nonce that it began with.
        nonce: &'a str,
        /// Tells whether the code still has the secret that it had then, and nothing else of it.
        check: [u8; MAC_DIGITS],
        /// Where its lines come from.
        spot: Spot,
        /// The mailbox that it has joined with, 0 if without one; `None` if it has not joined.
        joined: Option<u64>,
    },
}

/// Where a client stands, in words that hold in the next run too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Spot {
    /// On a connection.
    Tcp {
        /// What it is called.
        id: u64,
    },
    /// At an address.
    Udp {
        /// Which. An IPv6 scope is not kept with it.
        to: SocketAddr,
        /// The address of this machine that it talks to, if the socket listens on all of them.
        local: Option<IpAddr>,
        /// The port that it talks to.
        port: u16,
        /// The interface that it is reached on, which is its scope too; 0 if that does not matter.
        interface: u32,
    },
}

/// What a letter holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Content<'a> {
    /// A push from another client, without number and end: `MSG …` or `ASK …`.
    Text {
        /// The code of the client that sent it.
        sender: &'a str,
        /// The push.
        #[serde(with = "serde_bytes")]
        push: &'a [u8],
    },
    /// What has become of a key, told when it is sent: it has not been sent yet.
    Key {
        /// The key.
        key: &'a str,
    },
    /// What had become of a key when it was sent, without number and end: `VAL …` or `GONE …`.
    Told {
        /// The key.
        key: &'a str,
        /// The push.
        #[serde(with = "serde_bytes")]
        push: &'a [u8],
    },
}

/// These bytes are no batch, or a row in it cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state is damaged: {0}")]
pub struct Damage(pub &'static str);

impl<'a> Change<'a> {
    /// Appends this change to a batch.
    pub fn write(&self, batch: &mut Vec<u8>) {
        if let Self::Reply { session, number, line, outcome } = *self {
            return reply::write(session, number, line, outcome, batch);
        }
        // Writing to memory cannot fail.
        if let Ok(longer) = postcard::to_extend(self, core::mem::take(batch)) {
            *batch = longer;
        }
    }

    /// Reads a batch, change by change; after a damage nothing more comes.
    pub fn read(batch: &'a [u8]) -> impl Iterator<Item = Result<Self, Damage>> {
        let mut rest = batch;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let read = reply::read(rest).map_or_else(|| postcard::take_from_bytes(rest), Ok);
            rest = read.as_ref().map_or(&[], |(_, rest)| rest);
            Some(read.map(|(change, _)| change).map_err(|_| Damage("a row cannot be read")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_back_as_it_was_written() {
        let changes = [
            Change::Clock { uptime_ms: 1, next_id: 300 },
            Change::Value { key: "a", text: b"\xff", maker: IpAddr::from([127, 0, 0, 1]) },
            Change::Reply { session: 1, number: 70_000, line: u64::MAX, outcome: b"OK 1" },
            Change::Letter { mailbox: 2, number: 1, content: Content::Key { key: "a" } },
        ];
        let mut batch = Vec::new();
        for change in &changes {
            change.write(&mut batch);
        }
        let read: Result<Vec<_>, _> = Change::read(&batch).collect();
        assert_eq!(read.as_deref(), Ok(&changes[..]));
    }

    #[test]
    fn what_is_cut_is_damaged_and_ends() {
        let mut batch = Vec::new();
        Change::Value { key: "abc", text: b"def", maker: IpAddr::from([127, 0, 0, 1]) }.write(&mut batch);
        for cut in 1..batch.len() {
            let read: Vec<_> = Change::read(&batch[..cut]).collect();
            assert_eq!(read, [Err(Damage("a row cannot be read"))], "{cut}");
        }
    }
}
