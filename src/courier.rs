//! The client's half of exactly-once: number, send again with back-off, match the reply, give up clearly.
//!
//! A pure state machine in the manner of quinn-proto's `Connection`: it is told the time and what arrived,
//! and is asked what to send ([`Courier::poll_transmit`]) and when to come back ([`Courier::next_deadline`]).
//! A call that was not needed does no harm.
//!
//! What must hold (protocol, section 4): number 1 is awaited before any other; at most 32 requests are under
//! way, the newest less than 64 numbers above the oldest; a request is the same bytes each time; and of
//! JOIN, BYE, WATCH and UNWATCH only one is under way, for a later one makes an earlier one stale.

mod inbox;
mod jitter;
mod push;
mod reply;
#[cfg(test)]
mod simulation;
mod under_way;

use std::collections::VecDeque;

pub use inbox::{Inbox, Receipt};
pub use push::Push;

use jitter::{FIRST_PAUSE, Jitter, LONGEST_PAUSE, STREAM_PAUSE};
use reply::{is_word, read_reply};
use under_way::{UnderWay, Waiting};

use crate::limits::{COURIER_QUEUE, COURIER_UNDER_WAY, SESSION_WINDOW};
use crate::moment::Moment;
use crate::names::Session;
use crate::wire::{ErrorName, Number, Tag};

/// What carries the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// May lose, repeat and reorder: lines are sent again until they are answered.
    Datagrams,
    /// Loses nothing until it breaks, unless the hub is killed, whose next run goes on with the connection: lines are
    /// sent again after [`Courier::reconnected`], and where an answer is very late.
    Stream,
}

/// A request's name between the courier and whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It would arrive as something else.
    #[error("a request may hold no line feed and no NUL, and may not end in a carriage return")]
    Unsendable,
    /// [`COURIER_QUEUE`] requests wait already.
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
        /// What the hub said instead of an answer, if anything: `busy`, `stopping`, `disk`, or `too-long`.
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
}

/// The state of one session. See the module's documentation.
#[derive(Debug)]
pub struct Courier {
    session: String,
    carrier: Carrier,
    opening: Opening,
    next_number: u64,
    next_id: u64,
    jitter: Jitter,
    /// Not yet sent, in order.
    waiting: VecDeque<Waiting>,
    /// Sent and not yet answered, by number.
    under_way: Vec<UnderWay>,
    /// A long line has ended otherwise than by its own reply: see [`Courier::too_long`].
    long_line_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Number 1 has not been answered.
    Awaited,
    Open,
    /// Number 1 was given up, or the hub has forgotten the session.
    Spent,
}

impl Courier {
    /// A courier for one session, whose name must be new and hard to guess. The seed spreads the pauses of
    /// many couriers.
    #[must_use]
    pub fn new(session: Session<'_>, carrier: Carrier, seed: u64) -> Self {
        Self {
            session: session.as_str().to_owned(),
            carrier,
            opening: Opening::Awaited,
            next_number: 1,
            next_id: 1,
            jitter: Jitter(seed),
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            long_line_ended: false,
        }
    }

    /// Takes a request, without tag and line end; it is given up at `deadline`.
    ///
    /// # Errors
    /// The line cannot be sent as it is, or too many wait.
    pub fn request(&mut self, line: &[u8], deadline: Moment) -> Result<Id, Rejected> {
        self.check(line)?;
        let id = self.new_id();
        self.waiting.push_back(Waiting { id, line: line.to_vec(), deadline, first: false });
        Ok(id)
    }

    /// Takes a request that must be answered before anything else is sent, or sent again: the JOIN without
    /// which a new connection's other requests would be refused for good. JOIN, WATCH and the like that are
    /// under way follow it under new numbers, since it makes their old ones stale.
    ///
    /// # Errors
    /// As [`Courier::request`].
    pub fn request_first(&mut self, line: &[u8], deadline: Moment) -> Result<Id, Rejected> {
        self.check(line)?;
        while let Some(at) = self.under_way.iter().position(|sent| sent.request.is_place()) {
            if self.opening == Opening::Awaited {
                break;
            }
            let sent = self.under_way.remove(at);
            self.waiting.push_front(sent.request);
        }
        // Two that wait for each other would both wait for ever.
        self.waiting.iter_mut().for_each(|request| request.first = false);
        let id = self.new_id();
        self.waiting.push_front(Waiting { id, line: line.to_vec(), deadline, first: true });
        Ok(id)
    }

    /// Handles one line from the hub, with or without its end. `None` if nothing came of it: a late copy,
    /// another session's reply, or no answer yet.
    pub fn handle_line<'a>(&mut self, now: Moment, line: &'a [u8]) -> Option<Event<'a>> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some((number, reply)) = self.own_reply(line) {
            return self.answered(now, number, reply);
        }
        if is_word(line, b"ERR too-long") {
            return self.too_long();
        }
        Push::read_numbered(line).map(|(number, push)| Event::Pushed(number, push))
    }

    /// The next line to send now, with its tag and line end; call until it says `None`.
    pub fn poll_transmit(&mut self, now: Moment) -> Option<&[u8]> {
        if self.may_start() {
            self.start(now);
        }
        let held = self.held_for();
        let is_due = |sent: &UnderWay| {
            sent.due.is_some_and(|due| due <= now) && held.is_none_or(|first| first == sent.request.id)
        };
        let at = self.under_way.iter().position(is_due)?;
        let carrier = self.carrier;
        let fraction = self.jitter.next();
        let sent = self.under_way.get_mut(at)?;
        let answer_is_late = sent.pause.mul_f64(0.75 + fraction / 2.0);
        sent.due = match carrier {
            Carrier::Datagrams => Some(now + answer_is_late),
            Carrier::Stream => Some(now + answer_is_late.max(STREAM_PAUSE)),
        };
        sent.pause = (sent.pause * 2).min(LONGEST_PAUSE);
        sent.sent = true;
        Some(&sent.bytes)
    }

    /// When to call [`Courier::poll_transmit`] and [`Courier::tick`] next; `None` if only a line from the hub
    /// or a new request changes anything.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.may_start() {
            return Some(Moment::ZERO);
        }
        let held = self.held_for();
        let may_go = |sent: &&UnderWay| held.is_none_or(|first| first == sent.request.id);
        let dues = self.under_way.iter().filter(may_go).filter_map(|sent| sent.due);
        let ends = self.under_way.iter().map(|sent| sent.request.deadline);
        dues.chain(ends).chain(self.waiting.iter().map(|request| request.deadline)).min()
    }

    /// Gives up the next request whose deadline has come; call until it says `None`.
    pub fn tick(&mut self, now: Moment) -> Option<(Id, Outcome)> {
        if let Some(at) = self.under_way.iter().position(|sent| sent.request.deadline <= now) {
            let sent = self.under_way.remove(at);
            self.long_line_ended |= sent.is_long();
            if sent.number == 1 {
                self.opening = Opening::Spent;
            }
            return Some((sent.request.id, Outcome::GivenUp { sent: sent.sent, excuse: sent.excuse }));
        }
        let at = self.waiting.iter().position(|request| request.deadline <= now)?;
        let request = self.waiting.remove(at)?;
        Some((request.id, Outcome::GivenUp { sent: false, excuse: None }))
    }

    /// A new connection or socket stands: all that is under way is sent again.
    pub fn reconnected(&mut self, now: Moment) {
        for sent in &mut self.under_way {
            sent.due = Some(now);
            sent.pause = FIRST_PAUSE;
        }
    }

    /// Whether no request waits or is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Takes back a request that was not sent yet; nothing if it was, or has ended.
    pub fn withdraw(&mut self, id: Id) {
        self.waiting.retain(|request| request.id != id);
    }

    /// Begins a new session under a name as for [`Courier::new`], in which what waits is sent; not before this
    /// one is spent and nothing is under way in it any more. Says whether it did.
    pub fn renew(&mut self, session: Session<'_>) -> bool {
        if !self.is_spent() || !self.under_way.is_empty() {
            return false;
        }
        session.as_str().clone_into(&mut self.session);
        self.opening = Opening::Awaited;
        self.next_number = 1;
        self.long_line_ended = false;
        true
    }

    /// Whether number 1 was answered and the session is still known, as far as anybody can tell from here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opening == Opening::Open
    }

    /// Whether nothing more can be sent in this session: number 1 was given up, or the hub has forgotten it. What
    /// waits, and what is asked from now on, waits for [`Courier::renew`] until its deadline.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.opening == Opening::Spent
    }

    fn check(&self, line: &[u8]) -> Result<(), Rejected> {
        if memchr::memchr2(b'\n', 0, line).is_some() || line.last() == Some(&b'\r') {
            Err(Rejected::Unsendable)
        } else if self.waiting.len() >= COURIER_QUEUE {
            Err(Rejected::Full)
        } else {
            Ok(())
        }
    }

    fn new_id(&mut self) -> Id {
        let id = Id(self.next_id);
        self.next_id += 1;
        id
    }

    /// How many numbers lie between the oldest under way and the next.
    fn spread(&self) -> u64 {
        self.next_number - self.under_way.first().map_or(self.next_number, |sent| sent.number)
    }

    /// The request that must be answered before any other is sent. One that has no room in the window holds up
    /// nothing: the oldest under way must be sent again to make room.
    fn held_for(&self) -> Option<Id> {
        let waiting = self.waiting.front().filter(|request| request.first && self.spread() < SESSION_WINDOW);
        let waiting = waiting.map(|request| request.id);
        let sent = || self.under_way.iter().find(|sent| sent.request.first).map(|sent| sent.request.id);
        match self.opening {
            // Number 1 goes before even that, and alone anyway.
            Opening::Awaited if !self.under_way.is_empty() => None,
            Opening::Awaited | Opening::Open | Opening::Spent => waiting.or_else(sent),
        }
    }

    fn may_start(&self) -> bool {
        let Some(request) = self.waiting.front() else { return false };
        let in_window = self.spread() < SESSION_WINDOW;
        let leaves_room = self.spread() < SESSION_WINDOW - ROOM_FOR_FIRST;
        let place_is_free = !request.is_place() || !self.under_way.iter().any(|sent| sent.request.is_place());
        let held = self.under_way.iter().any(|sent| sent.request.first);
        match self.opening {
            Opening::Awaited => self.under_way.is_empty(),
            Opening::Open if request.first => in_window && place_is_free && !held,
            Opening::Open => {
                leaves_room && place_is_free && !held && self.under_way.len() < COURIER_UNDER_WAY
            }
            Opening::Spent => false,
        }
    }

    fn start(&mut self, now: Moment) {
        let Some(request) = self.waiting.pop_front() else { return };
        let number = self.next_number;
        self.next_number += 1;
        let mut bytes = format!("#{}.{number} ", self.session).into_bytes();
        bytes.extend_from_slice(&request.line);
        bytes.push(b'\n');
        let due = Some(now);
        self.under_way.push(UnderWay {
            request,
            number,
            bytes,
            due,
            pause: FIRST_PAUSE,
            sent: false,
            excuse: None,
        });
    }

    /// The number of this session's request that the line answers, and the answer.
    fn own_reply<'a>(&self, line: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let (tag, reply) = Tag::split(line)?;
        (tag.session.as_str() == self.session).then_some((tag.number.get(), reply))
    }

    fn answered<'a>(&mut self, now: Moment, number: u64, reply: &[u8]) -> Option<Event<'a>> {
        let at = self.under_way.iter().position(|sent| sent.number == number && sent.sent)?;
        let outcome = read_reply(reply)?;
        if let Outcome::Refused { name, .. } = &outcome {
            let name = ErrorName::parse(name.as_bytes());
            if name.is_some_and(ErrorName::is_no_answer) {
                let sent = self.under_way.get_mut(at)?;
                sent.excuse = name;
                // It was not late: over a stream too the next copy goes soon.
                sent.due = sent.due.min(Some(now + sent.pause));
                return None;
            }
            if number > 1 && name == Some(ErrorName::Unopened) {
                self.opening = Opening::Spent;
            }
        }
        let sent = self.under_way.remove(at);
        if number == 1 {
            self.opening = Opening::Open;
        }
        Some(Event::Finished(sent.request.id, outcome))
    }

    /// The hub refuses a line that it did not read so far as to find the tag. That is the longest under way,
    /// or the word is a late copy about one that has ended; where that cannot be told apart nothing is
    /// concluded, and the deadline ends the request.
    fn too_long<'a>(&mut self) -> Option<Event<'a>> {
        let sent_lines =
            self.under_way.iter_mut().enumerate().filter(|(_, sent)| sent.sent && sent.is_long());
        let (at, longest) = sent_lines.max_by_key(|(_, sent)| sent.bytes.len())?;
        longest.excuse = Some(ErrorName::TooLong);
        if self.long_line_ended {
            return None;
        }
        self.long_line_ended = true;
        let sent = self.under_way.remove(at);
        if sent.number == 1 {
            self.opening = Opening::Spent;
        }
        let why = format!("the hub takes no line of {} bytes", sent.bytes.len());
        let name = ErrorName::TooLong.as_str().to_owned();
        Some(Event::Finished(sent.request.id, Outcome::Refused { name, why }))
    }
}

/// Numbers of the window that are left to requests that go first: a client may lose its place often while one of its
/// requests waits for its answer.
const ROOM_FOR_FIRST: u64 = 16;
