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
mod keyed;
mod push;
mod reply;
#[cfg(test)]
mod simulation;
mod terms;
mod under_way;

use std::collections::VecDeque;

pub use inbox::{Inbox, Receipt};
pub use push::Push;
pub use terms::{Carrier, Event, Id, Outcome, Rejected};

use jitter::{FIRST_PAUSE, Jitter, LONGEST_PAUSE, STREAM_PAUSE};
use keyed::Keyed;
use reply::{is_word, read_reply};
use under_way::{UnderWay, Waiting};

use crate::limits::{COURIER_QUEUE, COURIER_UNDER_WAY, SESSION_WINDOW};
use crate::moment::Moment;
use crate::names::Session;
use crate::wire::{ErrorName, Tag};

/// The state of one session. See the module's documentation.
#[derive(Debug)]
pub struct Courier {
    session: String,
    carrier: Carrier,
    /// What a code's secret makes necessary, if there is one.
    keyed: Option<Keyed>,
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
            keyed: None,
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
        self.waiting.push_back(Waiting::new(id, line, deadline));
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
        self.waiting.push_front(Waiting { first: true, ..Waiting::new(id, line, deadline) });
        Ok(id)
    }

    /// Handles one line from the hub, with or without its end. `None` if nothing came of it: a late copy,
    /// another session's reply, or no answer yet.
    pub fn handle_line<'a>(&mut self, now: Moment, line: &'a [u8]) -> Option<Event<'a>> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let own = Tag::split(line).filter(|(tag, _)| tag.session.as_str() == self.session);
        if let Some((tag, reply)) = own {
            let number = tag.number.get();
            return match self.trusts(now, number, reply, tag.mac) {
                Ok(()) => self.answered(now, number, reply),
                Err(event) => event,
            };
        }
        if let Some(keyed) = &mut self.keyed {
            let pushed = keyed.push(&self.session, line);
            return pushed.map(|(number, push)| Event::Pushed(number, push));
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
        sent.heeds = !core::mem::take(&mut sent.request.hurried);
        if let Some(keyed) = self.keyed.as_mut().filter(|_| self.opening == Opening::Awaited) {
            if sent.heeds
                && let Some(name) = keyed.rename(&self.session, false)
            {
                self.session = name;
            }
            sent.bytes = keyed.opening(&self.session, &sent.request.line);
        }
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
            if sent.number == 1 || sent.request.is_unproved_join() {
                self.opening = Opening::Spent;
            }
            return Some((
                sent.request.id,
                Outcome::GivenUp { sent: sent.sent, excuse: sent.request.excuse },
            ));
        }
        let at = self.waiting.iter().position(|request| request.deadline <= now)?;
        let request = self.waiting.remove(at)?;
        Some((request.id, Outcome::GivenUp { sent: false, excuse: request.excuse }))
    }

    /// A new connection or socket stands: all that is under way is sent again.
    pub fn reconnected(&mut self, now: Moment) {
        if let Some(keyed) = &mut self.keyed {
            keyed.moved();
            if let Some(name) = keyed.rename(&self.session, true) {
                self.session = name;
            }
        }
        self.send_again(now);
    }

    fn send_again(&mut self, now: Moment) {
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
        if let Some(keyed) = &mut self.keyed {
            keyed.renew();
        }
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

    /// Which of those that wait is to be sent next: the first, but a keyed session is opened by JOIN only.
    fn next_up(&self) -> Option<usize> {
        match self.opening {
            Opening::Awaited if self.keyed.is_some() => self.waiting.iter().position(Waiting::is_join),
            Opening::Awaited | Opening::Open | Opening::Spent => (!self.waiting.is_empty()).then_some(0),
        }
    }

    fn may_start(&self) -> bool {
        let Some(request) = self.next_up().and_then(|at| self.waiting.get(at)) else { return false };
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
        let Some(request) = self.next_up().and_then(|at| self.waiting.remove(at)) else { return };
        let number = self.next_number;
        self.next_number += 1;
        let bytes = keyed::line(self.keyed.as_ref(), &self.session, number, &request.line);
        self.under_way.push(UnderWay::new(request, number, bytes, now));
    }

    fn answered<'a>(&mut self, now: Moment, number: u64, reply: &[u8]) -> Option<Event<'a>> {
        let at = self.under_way.iter().position(|sent| sent.number == number && sent.sent)?;
        let outcome = read_reply(reply)?;
        if let Outcome::Refused { name, .. } = &outcome {
            let name = ErrorName::parse(name.as_bytes());
            if name.is_some_and(ErrorName::is_no_answer) {
                let sent = self.under_way.get_mut(at)?;
                sent.request.excuse = name;
                // It was not late: over a stream too the next copy goes soon.
                sent.due = sent.due.min(Some(now + sent.pause));
                return None;
            }
            if name == Some(ErrorName::Reused) && self.is_keyed_join(at) {
                // It was done with another nonce, from another address, and its reply is lost.
                let sent = self.under_way.remove(at);
                self.waiting.push_front(Waiting { first: true, ..sent.request });
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
        if let Some(keyed) = self.keyed.as_mut().filter(|_| sent.request.is_join()) {
            keyed.joined(&sent.request.line);
            // What was challenged meanwhile is taken now.
            self.send_again(now);
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
        longest.request.excuse = Some(ErrorName::TooLong);
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
