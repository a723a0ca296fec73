//! What the hub wants done, as plain data: the shells read it and do it.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use crate::limits::{KEPT_ACTIONS, KEPT_BYTES};
use crate::wire::{End, Refusal};

/// A stream connection, by the small number its shell chose. A number is free again once the shell has said
/// that the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u32);

/// Where a datagram came in, and so where the answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// The socket, by the number its shell chose. It holds for one run only.
    pub socket: u16,
    /// The socket's port, by which it is found in the next run.
    pub port: u16,
    /// The address it was sent to, if the socket listens on all of them.
    pub local: Option<IpAddr>,
    /// The interface it came in on; 0 if that does not matter.
    pub interface: u32,
}

/// Somebody to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A datagram.
    Udp {
        /// Where to.
        to: SocketAddr,
        /// Where from.
        via: Via,
    },
    /// More bytes on a stream.
    Tcp(Conn),
}

/// Who somebody is: over UDP an address, IPv6 scope and port, over TCP a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A UDP socket.
    Udp(SocketAddr),
    /// A TCP connection.
    Tcp(Conn),
}

impl Target {
    /// Who that is.
    #[must_use]
    pub fn peer(&self) -> Peer {
        match *self {
            Self::Udp { to, .. } => Peer::Udp(to),
            Self::Tcp(conn) => Peer::Tcp(conn),
        }
    }
}

/// One thing to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes of [`Actions::bytes`].
    Send {
        /// To whom.
        target: Target,
        /// Which bytes; for a datagram they may be none.
        range: Range<usize>,
        /// Whether nobody asked for it: a stream that does not read too many of these is closed.
        push: bool,
    },
    /// Send what is left, then close.
    Close(Conn),
    /// The last of the bytes that were just given of this stream were not taken, because their replies would
    /// be too many at once: give them again once what is to be sent on it has been sent.
    Hold {
        /// Which stream.
        conn: Conn,
        /// How many bytes, from the end.
        bytes: usize,
        /// Whether first something else is to be sent on it, which waits for the disk or for an answer.
        until_reply: bool,
    },
    /// From here on replies on this stream wait for the answer to a question that was asked on it. The hub sees to
    /// that itself; there is nothing to do.
    Await {
        /// Which stream.
        conn: Conn,
        /// The question, by the hub's number for it.
        question: u64,
    },
    /// The reply to that question: the hub makes a send of it.
    Answer {
        /// Which stream.
        conn: Conn,
        /// The question, by the hub's number for it.
        question: u64,
        /// Which bytes.
        range: Range<usize>,
    },
    /// Send these bytes of [`Actions::bytes`] to everybody on the LAN, by a socket that hears nothing.
    Broadcast {
        /// Which bytes.
        range: Range<usize>,
        /// Whether a client wants it, as against an announcement of the hub.
        shout: bool,
    },
    /// Nothing after all.
    Nothing,
}

impl Action {
    /// The stream that this is about, if any.
    pub(super) fn conn(&self) -> Option<Conn> {
        match *self {
            Self::Send { target: Target::Tcp(conn), .. }
            | Self::Close(conn)
            | Self::Hold { conn, .. }
            | Self::Await { conn, .. }
            | Self::Answer { conn, .. } => Some(conn),
            Self::Send { target: Target::Udp { .. }, .. } | Self::Broadcast { .. } | Self::Nothing => None,
        }
    }

    /// Whether nobody waits for it as for a reply.
    pub(super) fn is_push(&self) -> bool {
        matches!(self, Self::Send { push: true, .. } | Self::Broadcast { .. })
    }

    /// Moves the bytes that it speaks of.
    pub(super) fn shift(&mut self, shift: impl Fn(usize) -> usize) {
        if let Self::Send { range, .. } | Self::Answer { range, .. } | Self::Broadcast { range, .. } = self {
            *range = shift(range.start)..shift(range.end);
        }
    }
}

/// How far actions had come at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) bytes: usize,
    pub(super) list: usize,
}

/// Something that an operator may want to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client has taken its place.
    Joined {
        /// Its code.
        code: Box<str>,
        /// Where it is.
        from: SocketAddr,
    },
    /// A client's code is now held from elsewhere.
    Moved {
        /// Its code.
        code: Box<str>,
        /// Where it is now.
        from: SocketAddr,
    },
    /// A client's place is free again.
    Left {
        /// Its code.
        code: Box<str>,
        /// Why, in a word or two.
        why: &'static str,
    },
    /// A request was refused.
    Refused {
        /// Who asked.
        from: SocketAddr,
        /// What it was told.
        refusal: Refusal,
    },
}

/// Everything to do after one input, or several. Reused: what was allocated once is kept.
#[derive(Debug, Default)]
pub struct Actions {
    /// All bytes to be sent.
    pub bytes: Vec<u8>,
    /// What to do, in order.
    pub list: Vec<Action>,
    /// What to log, in order.
    pub events: Vec<Event>,
}

impl Actions {
    /// Forgets all, but keeps the memory, up to a bound.
    pub fn clear(&mut self) {
        empty(&mut self.bytes, KEPT_BYTES);
        empty(&mut self.list, KEPT_ACTIONS);
        empty(&mut self.events, KEPT_ACTIONS);
    }

    /// The bytes of a send.
    #[must_use]
    pub fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// How far they have come.
    pub(super) fn position(&self) -> Position {
        Position { bytes: self.bytes.len(), list: self.list.len() }
    }

    /// Keeps a place in the order for a reply that will be complete later.
    pub(super) fn reserve(&mut self) -> usize {
        self.list.push(Action::Nothing);
        self.list.len() - 1
    }

    /// Puts the reply into its place.
    #[inline]
    pub(super) fn fill(&mut self, place: usize, target: Target, bytes: &[u8]) -> Range<usize> {
        let range = self.append(bytes);
        if let Some(action) = self.list.get_mut(place) {
            *action = Action::Send { target, range: range.clone(), push: false };
        }
        range
    }

    /// Sends bytes that answer something.
    pub(super) fn reply(&mut self, target: Target, bytes: &[u8]) {
        let range = self.append(bytes);
        self.list.push(Action::Send { target, range, push: false });
    }

    /// Sends bytes to everybody on the LAN.
    pub(super) fn broadcast(&mut self, bytes: &[u8], shout: bool) {
        let range = self.append(bytes);
        self.list.push(Action::Broadcast { range, shout });
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

/// Empties what is soon filled again. Room for so many is kept; of more than that, what was not used is given back by and
/// by, so that who needs much each time does not ask the system for it each time.
pub(crate) fn empty<T>(list: &mut Vec<T>, kept: usize) {
    let used = list.len();
    list.clear();
    if used < list.capacity() / 4 {
        list.shrink_to(kept.max(list.capacity() / 2));
    }
}

/// One push to many: its text is encoded once for each kind of line end that is wanted.
#[derive(Debug)]
pub(super) struct Fanout {
    body: Range<usize>,
    crlf: Option<usize>,
    nul: Option<usize>,
}

impl Fanout {
    /// Encodes the push, without its end, by appending to the bytes it is given.
    pub(super) fn new(out: &mut Actions, encode: impl FnOnce(&mut Vec<u8>)) -> Self {
        let start = out.bytes.len();
        encode(&mut out.bytes);
        let body = start..out.bytes.len();
        out.bytes.extend_from_slice(End::Lf.as_bytes());
        Self { body, crlf: None, nul: None }
    }

    /// Where the push stands, without its end.
    pub(super) fn body(&self) -> Range<usize> {
        self.body.clone()
    }

    /// How long the push is, without its end.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// Sends it to one of them.
    pub(super) fn send(&mut self, out: &mut Actions, target: Target, end: End) {
        let start = match end {
            End::None | End::Lf => self.body.start,
            End::Cr | End::CrLf => *self.crlf.get_or_insert_with(|| Self::copy(&self.body, out, End::CrLf)),
            End::Nul => *self.nul.get_or_insert_with(|| Self::copy(&self.body, out, End::Nul)),
        };
        let range = start..start + self.body.len() + end.as_bytes().len();
        out.list.push(Action::Send { target, range, push: true });
    }

    fn copy(body: &Range<usize>, out: &mut Actions, end: End) -> usize {
        let start = out.bytes.len();
        out.bytes.extend_from_within(body.clone());
        out.bytes.extend_from_slice(end.as_bytes());
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_is_not_used_is_given_back_by_and_by() {
        const KEPT: usize = 16;
        let mut list = Vec::with_capacity(KEPT * 64);
        list.resize(KEPT * 16, 0);
        empty(&mut list, KEPT);
        assert_eq!(list.capacity(), KEPT * 64, "a quarter of it was used");
        for times in [32, 16, 8, 4, 2, 1, 1] {
            list.resize(KEPT / 8, 0);
            empty(&mut list, KEPT);
            assert_eq!((list.len(), list.capacity()), (0, KEPT * times));
        }
    }

    #[test]
    fn a_push_is_encoded_once_for_each_kind_of_end() {
        let mut out = Actions::default();
        let mut push = Fanout::new(&mut out, |bytes| bytes.extend_from_slice(b"MSG a b"));
        let ends = [End::None, End::Lf, End::Cr, End::CrLf, End::Nul, End::Lf, End::CrLf];
        for end in ends {
            push.send(&mut out, Target::Tcp(Conn(1)), end);
        }
        for (action, end) in out.list.iter().zip(ends) {
            let Action::Send { range, .. } = action else { panic!("not a send") };
            assert_eq!(out.slice(range), [b"MSG a b", end.as_bytes()].concat());
        }
        assert_eq!(out.bytes.len(), 3 * "MSG a b".len() + 1 + 2 + 1);
    }
}
