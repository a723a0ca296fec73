//! The hub: everything that pigeond decides, and nothing of how it is done.
//!
//! It takes what happened ([`Input`]) and says what to do ([`Actions`]). It knows no socket, clock, file or
//! thread, so a test can drive it through anything, and every run can be repeated.

mod access;
mod actions;
mod brake;
mod change;
mod clients;
mod directory;
mod dispatch;
mod lists;
mod requests;
mod sessions;
mod settings;
mod streams;
mod tally;
mod timers;
mod values;
mod watches;

use core::net::{IpAddr, SocketAddr};

pub use actions::{Action, Actions, Conn, Event, Peer, Target, Via};
pub use change::{Change, Content, Damage};
pub use settings::{Networks, Settings, TextReply};

use crate::moment::Moment;
use directory::Slot;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram {
        /// From whom.
        from: SocketAddr,
        /// Where it came in.
        via: Via,
        /// Whether it was sent to a broadcast or multicast address.
        to_many: bool,
        /// What it holds.
        bytes: &'a [u8],
    },
    /// A stream connection was accepted.
    Opened {
        /// Its number, which is free.
        conn: Conn,
        /// Its peer.
        from: SocketAddr,
    },
    /// Bytes came on a stream.
    Stream {
        /// On which.
        conn: Conn,
        /// Which bytes.
        bytes: &'a [u8],
    },
    /// A stream's peer will send no more, but may still read.
    HalfClosed {
        /// Which stream.
        conn: Conn,
    },
    /// A stream is gone, for whatever reason.
    Closed {
        /// Which stream.
        conn: Conn,
        /// Why, in a word or two.
        why: &'static str,
    },
}

/// Figures since the start, for STATS and for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named as in STATS")]
pub struct Counters {
    pub datagrams: u64,
    pub requests: u64,
    pub texts: u64,
    pub pushes: u64,
    pub errors: u64,
    pub texts_dropped: u64,
    pub over_budget: u64,
    pub strangers: u64,
    pub connections: u64,
}

/// How the hub is doing, in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Clients joined.
    pub clients: usize,
    /// Clients allowed.
    pub limit: usize,
    /// Open stream connections.
    pub connections: usize,
    /// Figures since the start.
    pub counters: Counters,
}

/// The hub.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    started: Moment,
    clients: clients::Clients,
    values: values::Values,
    watches: watches::Watches,
    sessions: sessions::Sessions,
    access: access::Access,
    streams: streams::Streams,
    timers: timers::Timers,
    counters: Counters,
    /// The replies to one input, until they leave together.
    replies: Vec<u8>,
    /// Who watches what has just changed.
    watchers: Vec<Slot>,
    /// Keys that searches have looked at since the start.
    steps: u64,
}

impl Hub {
    /// An empty hub. The seed keeps strangers from choosing names and addresses that collide in its tables;
    /// what the hub does never depends on it.
    #[must_use]
    pub fn new(settings: Settings, started: Moment, seed: u64) -> Self {
        Self {
            settings,
            started,
            clients: clients::Clients::new(seed),
            values: values::Values::new(seed),
            watches: watches::Watches::new(seed),
            sessions: sessions::Sessions::new(seed),
            access: access::Access::new(seed),
            streams: streams::Streams::new(seed),
            timers: timers::Timers::default(),
            counters: Counters::default(),
            replies: Vec::new(),
            watchers: Vec::new(),
            steps: 0,
        }
    }

    /// Takes what happened and appends what to do.
    pub fn handle(&mut self, now: Moment, input: Input<'_>, out: &mut Actions) {
        match input {
            Input::Datagram { from, via, to_many, bytes } => {
                self.datagram(now, from, via, to_many, bytes, out);
            }
            Input::Opened { conn, from } => self.opened(now, conn, from, out),
            Input::Stream { conn, bytes } => self.stream(now, conn, bytes, out),
            Input::HalfClosed { conn } => self.half_closed(now, conn, out),
            Input::Closed { conn, why } => self.closed(conn, why, out),
        }
    }

    /// New settings, from now on: times reach those who are here too. Nobody is thrown out, even where a limit
    /// is now lower.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
        self.wake_streams();
        self.wake_places();
    }

    /// When [`Self::tick`] should be called next; calling it earlier or more often is harmless.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// Does what time alone causes: answers lines that no end will come to, and forgets who is silent.
    pub fn tick(&mut self, now: Moment, out: &mut Actions) {
        while let Some(due) = self.timers.pop(now) {
            match due {
                timers::Due::Quiet(conn) => self.quiet(now, conn, out),
                timers::Due::Silent(conn) => self.silent(now, conn, out),
                timers::Due::Place(slot) => self.place_due(now, slot, out),
                timers::Due::Session(slot) => self.session_due(now, slot),
            }
        }
    }

    /// How the hub is doing.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            clients: self.clients.len(),
            limit: self.settings.clients_limit,
            connections: self.streams.len(),
            counters: self.counters,
        }
    }
}

/// Who is asking, while one input is handled.
#[derive(Clone, Copy, Debug)]
struct Asker {
    now: Moment,
    target: Target,
    from: SocketAddr,
    /// The place, if it has joined.
    place: Option<Slot>,
    /// Whether the stream is to be closed after the replies.
    closes: bool,
}

impl Asker {
    fn address(&self) -> IpAddr {
        self.from.ip()
    }
}
