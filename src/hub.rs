//! The hub: everything that pigeond decides, and nothing of how it is done.
//!
//! It takes what happened ([`Input`]) and says what to do ([`Actions`]). It knows no socket, clock, file or
//! thread, so a test can drive it through anything, and every run can be repeated.

mod access;
mod actions;
mod air;
mod asks;
mod brake;
mod change;
mod clients;
mod delivery;
mod directory;
mod dispatch;
mod journal;
mod keyed;
mod keyring;
mod keys;
mod lists;
mod mailbox;
mod memory;
mod names;
mod places;
mod questions;
mod requests;
mod restore;
mod seals;
mod sessions;
mod settings;
mod streams;
mod tagged;
mod tally;
mod timers;
mod values;
mod watches;
mod watching;

use core::net::{IpAddr, SocketAddr};

pub(crate) use actions::empty;
pub use actions::{Action, Actions, Conn, Event, Peer, Target, Via};
pub use change::{Change, Content, Damage, Spot};
pub use keys::{Allowed, CodeKey, Keys, Secret};
pub use places::Resumed;
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
        /// What it is called in what is kept: no other connection, of any run, is.
        id: u64,
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
    /// The batch of [`Hub::poll_commit`] is kept.
    Committed,
    /// That batch could not be kept; it will be asked for again.
    CommitFailed,
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
    pub rate_dropped: u64,
    pub dropped: u64,
    pub connections: u64,
    pub kept: u64,
    pub commits: u64,
    pub disk_errors: u64,
    pub written: u64,
    pub set_aside: u64,
    pub broadcasts: u64,
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
    /// Whether nothing can be saved at present.
    pub disk_fails: bool,
}

/// The hub.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    started: Moment,
    clients: clients::Clients,
    values: values::Values,
    watches: watches::Watches,
    /// Watches of those who have a mailbox: they last as long as that.
    box_watches: watches::Watches,
    mailboxes: mailbox::Mailboxes,
    asks: asks::Asks,
    journal: journal::Journal,
    seed: u64,
    keyring: keyring::Keyring,
    sessions: sessions::Sessions,
    access: access::Access,
    streams: streams::Streams,
    /// Who stood somewhere when the last hub on this state ended.
    absent: Vec<places::Absent>,
    timers: timers::Timers,
    air: air::Air,
    counters: Counters,
    /// The replies to one input, until they leave together.
    replies: Vec<u8>,
    /// Who watches what has just changed.
    watchers: Vec<Slot>,
    /// Keys that searches have looked at since the start.
    steps: u64,
}

impl Hub {
    /// An empty hub that keeps nothing. The seed keeps strangers from choosing names and addresses that collide in
    /// its tables, and makes the names of mailboxes and tickets; it should be new in each run.
    #[must_use]
    pub fn new(settings: Settings, started: Moment, seed: u64) -> Self {
        Self {
            settings,
            started,
            clients: clients::Clients::new(seed),
            values: values::Values::new(seed),
            watches: watches::Watches::new(seed),
            box_watches: watches::Watches::new(seed),
            mailboxes: mailbox::Mailboxes::new(seed),
            asks: asks::Asks::new(seed),
            journal: journal::Journal::new(),
            seed,
            keyring: keyring::Keyring::new(seed),
            sessions: sessions::Sessions::new(seed),
            access: access::Access::new(seed),
            streams: streams::Streams::new(seed),
            absent: Vec::new(),
            timers: timers::Timers::default(),
            air: air::Air::default(),
            counters: Counters::default(),
            replies: Vec::new(),
            watchers: Vec::new(),
            steps: 0,
        }
    }

    /// Takes what happened and appends what to do.
    pub fn handle(&mut self, now: Moment, input: Input<'_>, out: &mut Actions) {
        let start = out.position();
        match input {
            Input::Datagram { from, via, to_many, bytes } => {
                self.datagram(now, from, via, to_many, bytes, out);
            }
            Input::Opened { conn, id, from } => {
                // What was still to go to the last connection of this number must not reach this one.
                self.journal.forget(conn);
                self.asks.forget(conn);
                self.opened(now, conn, id, from, out);
            }
            Input::Stream { conn, bytes } => self.stream(now, conn, bytes, out),
            Input::HalfClosed { conn } => self.half_closed(now, conn, out),
            Input::Closed { conn, why } => {
                self.closed(now, conn, why, out);
                self.journal.forget(conn);
                self.asks.forget(conn);
            }
            Input::Committed | Input::CommitFailed => return self.saved(now, input, out),
        }
        self.settle(start, out);
    }

    /// Takes out of what is to be done what must wait: for the disk, or for an answer.
    fn settle(&mut self, start: actions::Position, out: &mut Actions) {
        self.journal.settle(start, out);
        self.asks.order(start, out);
        self.wake_journal();
    }

    /// A commit has ended, well or badly.
    fn saved(&mut self, now: Moment, input: Input<'_>, out: &mut Actions) {
        let start = out.position();
        if matches!(input, Input::Committed) {
            self.counters.commits += 1;
            self.journal.committed(out);
        } else {
            self.counters.disk_errors += 1;
            let (settings, access) = (&self.settings, &mut self.access);
            // The refusals are longer than what was counted when they were replies.
            self.journal.failed(now, out, |to, more| Self::may_send_with(settings, access, now, to, more));
        }
        self.asks.order(start, out);
        self.wake_journal();
    }

    #[inline]
    fn wake_journal(&mut self) {
        let wakes = self.journal.wakes();
        self.timers.reset(&mut self.journal.due, wakes, timers::Due::Save);
    }

    /// How much gathers for the next batch, in bytes.
    #[must_use]
    pub fn gathered_bytes(&self) -> usize {
        self.journal.gathered_bytes()
    }

    /// Whether [`Self::poll_commit`] would yield a batch.
    #[must_use]
    pub fn wants_commit(&self, now: Moment) -> bool {
        self.journal.wants_commit(now)
    }

    /// The batch to save now, if there is one; to be asked after each input and each tick. It is one transaction.
    /// The next input about it is [`Input::Committed`] or [`Input::CommitFailed`].
    pub fn poll_commit(&mut self, now: Moment) -> Option<&[u8]> {
        let values = &mut self.values;
        let begun = self.journal.begin(now, |batch| values.take_changed(|change| change.write(batch)));
        if !begun {
            return None;
        }
        self.wake_journal();
        Some(self.journal.under_way())
    }

    /// The hub is about to stop: open questions end, and what has gathered is to be saved at once.
    pub fn stop(&mut self, now: Moment, out: &mut Actions) {
        let start = out.position();
        self.end_questions(now, out);
        self.settle(start, out);
        self.journal.hurry();
    }

    /// How many bytes saving has cost so far, for STATS.
    pub fn note_written(&mut self, bytes: u64) {
        self.counters.written = self.counters.written.max(bytes);
    }

    /// The kernel had no room for so many datagrams since it was last asked: the hub could not keep up with those who
    /// send most.
    pub fn note_dropped(&mut self, now: Moment, datagrams: u64) {
        self.counters.dropped += datagrams;
        self.access.overflowed(now, &self.settings);
    }

    /// More has come than the hub could read in several turns: those who are not known wait for those who are.
    pub fn crowded(&mut self, now: Moment) {
        self.access.crowded(now);
    }

    /// The state was damaged, and this hub began without it.
    pub fn note_set_aside(&mut self) {
        self.counters.set_aside += 1;
    }

    /// How long hubs have run on this state; the moments that this one is told of begin here.
    #[must_use]
    pub fn started(&self) -> Moment {
        self.started
    }

    /// New settings, from now on: times reach those who are here too. Nobody is thrown out, even where a limit
    /// is now lower.
    pub fn reconfigure(&mut self, settings: Settings) {
        let before = core::mem::replace(&mut self.settings, settings);
        if before.keys != self.settings.keys {
            self.rekey(&before.keys);
        }
        self.wake_streams();
        self.wake_places();
        self.wake_announcement();
    }

    /// When [`Self::tick`] should be called next; calling it earlier or more often is harmless.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// Does what time alone causes: answers lines that no end will come to, and forgets who is silent.
    pub fn tick(&mut self, now: Moment, out: &mut Actions) {
        let start = out.position();
        while let Some(due) = self.timers.pop(now) {
            match due {
                timers::Due::Quiet(conn) => self.quiet(now, conn, out),
                timers::Due::Silent(conn) => self.silent(now, conn, out),
                timers::Due::FirstLine(conn) => self.first_line_due(now, conn, out),
                timers::Due::Allowed(conn) => self.allowed(conn, out),
                timers::Due::Place(slot) => self.place_due(now, slot, out),
                timers::Due::Session(slot) => self.session_due(now, slot),
                timers::Due::Delivery(slot) => self.delivery_due(now, slot, out),
                timers::Due::Mailbox(slot) => self.mailbox_due(now, slot),
                timers::Due::Question(number) => self.question_due(now, number, out),
                timers::Due::Keys => self.keys_due(now, out),
                timers::Due::Announcement => self.announcement_due(now, out),
                timers::Due::Save => self.journal.wake(),
            }
        }
        self.settle(start, out);
    }

    /// How the hub is doing.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            clients: self.clients.len(),
            limit: self.settings.places(),
            connections: self.streams.len(),
            counters: self.counters,
            disk_fails: self.journal.is_failing(),
        }
    }
}

/// Who is asking, while one input is handled.
#[derive(Clone, Copy, Debug)]
struct Asker {
    now: Moment,
    target: Target,
    from: SocketAddr,
    /// The place, if it has joined; one that needs a key, only while a line is handled that is proved.
    place: Option<Slot>,
    /// The keyed session of the present request, which is proved.
    session: Option<Slot>,
    /// Whether that may be a copy of one that was heard before.
    is_copy: bool,
    /// Whether the stream is to be closed after the replies.
    closes: bool,
    /// The question that the present request has asked: its reply comes later.
    asked: Option<u64>,
}

impl Asker {
    fn new(now: Moment, target: Target, from: SocketAddr, place: Option<Slot>) -> Self {
        let (session, is_copy) = (None, false);
        Self { now, target, from, place, session, is_copy, closes: false, asked: None }
    }

    fn address(&self) -> IpAddr {
        self.from.ip()
    }
}
