//! From one client to others: SEND, ALL, ASK, ANSWER and ACK, and how what waits in a mailbox is delivered.

use super::actions::{Action, Actions, Fanout, Target};
use super::asks::{Question, Tagged};
use super::change::Change;
use super::directory::Slot;
use super::journal::Mark;
use super::mailbox::{self, Letter};
use super::timers::Due;
use super::{Asker, Hub};
use crate::limits::MAILBOX_IDLE;
use crate::moment::Moment;
use crate::names::{Code, Key, Ticket};
use crate::wire::{End, ErrorName, Number, Refusal, Reply, push};

/// What became of a text to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivered {
    /// It is on its way.
    Sent,
    /// It waits in the client's mailbox.
    Queued,
}

impl Hub {
    pub(super) fn send(
        &mut self,
        asker: &Asker,
        code: Code<'_>,
        text: &[u8],
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(super::requests::JOIN_FIRST)?;
        let from = self.clients.code(place).ok_or(super::requests::JOIN_FIRST)?.as_str().to_owned();
        let delivered =
            self.deliver(asker.now, &from, code, out, |bytes, from| push::message(bytes, from, text))?;
        body.extend_from_slice(match delivered {
            Delivered::Sent => b"sent",
            Delivered::Queued => b"queued",
        });
        Ok(())
    }

    /// Hands a push to the client of a code, through its mailbox if it has one.
    fn deliver(
        &mut self,
        now: Moment,
        from: &str,
        to: Code<'_>,
        out: &mut Actions,
        encode: impl FnOnce(&mut Vec<u8>, Code<'_>),
    ) -> Result<Delivered, Refusal> {
        let sender = Code::parse(from.as_bytes()).ok_or(super::requests::JOIN_FIRST)?;
        if let Some(mailbox) = self.mailboxes.find(to) {
            self.mailboxes.has_room(mailbox, sender, self.mailbox_bounds())?;
            let mut push = Vec::new();
            encode(&mut push, sender);
            let number = self.post(now, mailbox, Letter::Text { sender: from.into(), push: push.into() });
            self.advance(now, mailbox, out);
            let sent = self.mailboxes.get(mailbox).is_some_and(|mailbox| Some(mailbox.sent) >= number);
            return Ok(if sent { Delivered::Sent } else { Delivered::Queued });
        }
        let place = self.clients.find(to).ok_or(NO_SUCH_CLIENT)?;
        let mut fanout = Fanout::new(out, |bytes| encode(bytes, sender));
        if self.push(now, place, &mut fanout, out) { Ok(Delivered::Sent) } else { Err(OVER_BUDGET) }
    }

    pub(super) fn send_all(
        &mut self,
        asker: &Asker,
        text: &[u8],
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(super::requests::JOIN_FIRST)?;
        let code = self.clients.code(place).ok_or(super::requests::JOIN_FIRST)?.as_str().to_owned();
        let sender = Code::parse(code.as_bytes()).ok_or(super::requests::JOIN_FIRST)?;
        let mut fanout = Fanout::new(out, |bytes| push::message(bytes, sender, text));
        let mut others = core::mem::take(&mut self.watchers);
        others.extend(self.clients.iter().map(|(slot, _)| slot).filter(|&slot| slot != place));
        let mut took = 0_usize;
        for &other in &others {
            let reached = match self.clients.get(other).and_then(|client| client.mailbox) {
                None => self.push(asker.now, other, &mut fanout, out),
                Some(mailbox) => {
                    let room = self.mailboxes.has_room(mailbox, sender, self.mailbox_bounds()).is_ok();
                    if room {
                        let push = out.slice(&fanout.body()).into();
                        self.post(asker.now, mailbox, Letter::Text { sender: code.as_str().into(), push });
                        self.advance(asker.now, mailbox, out);
                    }
                    room
                }
            };
            took += usize::from(reached);
        }
        self.recycle_watchers(others);
        body.extend_from_slice(itoa::Buffer::new().format(took).as_bytes());
        Ok(())
    }

    pub(super) fn mailbox_bounds(&self) -> mailbox::Bounds {
        mailbox::Bounds {
            mailboxes: self.settings.mailboxes,
            per_address: self.settings.mailboxes_per_address,
            texts: self.settings.mailbox,
        }
    }

    /// Puts a letter into a mailbox.
    fn post(&mut self, now: Moment, mailbox: Slot, letter: Letter) -> Option<u64> {
        let number = self.mailboxes.post(mailbox, letter);
        self.note_letter(now, mailbox, number?);
        number
    }

    /// Lets a mailbox tell what has become of a key.
    pub(super) fn post_key(&mut self, now: Moment, mailbox: Slot, key: &str, out: &mut Actions) {
        if let Some(number) = self.mailboxes.post_key(mailbox, key) {
            self.note_letter(now, mailbox, number);
            self.advance(now, mailbox, out);
        }
    }

    fn note_letter(&mut self, now: Moment, mailbox: Slot, number: u64) {
        let Some(mailbox) = self.mailboxes.get(mailbox) else { return };
        if let Some(letter) = mailbox.letter(number) {
            let content = letter.content();
            self.journal.note(now, &Change::Letter { mailbox: mailbox.id, number, content });
        }
    }

    /// Sends what a mailbox's window has room for. What has never been sent before leaves once it is kept under its
    /// number: else another push could have that number after a crash.
    pub(super) fn advance(&mut self, now: Moment, slot: Slot, out: &mut Actions) {
        let (mut any, mut news) = (false, false);
        while let Some(number) = self.mailboxes.get_mut(slot).and_then(mailbox::Mailbox::next) {
            self.tell(now, slot, number);
            let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
            news |= mailbox.note_sent(number);
            let Some(place) = mailbox.place else { return };
            let Some(Letter::Text { push, .. } | Letter::Told { push, .. }) = mailbox.letter(number) else {
                return;
            };
            let mut fanout = Fanout::new(out, |bytes| push::numbered(bytes, number, push));
            self.push(now, place, &mut fanout, out);
            any = true;
        }
        let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
        let place = mailbox.place;
        if news {
            self.journal.note(now, &mailbox.delivery());
            mailbox.sent_batch = self.journal.batch();
        }
        if any && !self.journal.is_committed(mailbox.sent_batch) {
            self.journal.hold_pushes();
        }
        self.wake_delivery(now, slot, place);
    }

    /// Freezes what a letter about a key says, if this is one.
    fn tell(&mut self, now: Moment, slot: Slot, number: u64) {
        let Some(Letter::Key(key)) = self.mailboxes.get(slot).and_then(|mailbox| mailbox.letter(number))
        else {
            return;
        };
        let key = key.clone();
        let mut push = Vec::new();
        push::value(&mut push, &key, &[]);
        let present = Key::parse(key.as_bytes()).is_some_and(|key| self.values.get(key, &mut push).is_ok());
        if !present {
            push.clear();
            push::gone(&mut push, &key);
        }
        self.mailboxes.tell(slot, number, &push);
        self.note_letter(now, slot, number);
    }

    /// Sets when what is in flight is sent again: over UDP only, since a stream loses nothing until it ends.
    fn wake_delivery(&mut self, now: Moment, slot: Slot, place: Option<Slot>) {
        let is_udp = place
            .and_then(|place| self.clients.get(place))
            .is_some_and(|client| matches!(client.target, Target::Udp { .. }));
        let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
        let due = mailbox.patience().filter(|_| is_udp).map(|patience| now + patience);
        self.timers.reset(&mut mailbox.resend_due, due, Due::Delivery(slot));
    }

    /// What is in flight may not have arrived.
    pub(super) fn delivery_due(&mut self, now: Moment, slot: Slot, out: &mut Actions) {
        let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
        mailbox.resend_due = None;
        let Some(place) = mailbox.place else { return };
        if mailbox.lose() {
            self.advance(now, slot, out);
        } else {
            self.leave(now, place, "does not acknowledge", out);
        }
    }

    /// Everything up to a number has arrived, says the client at this place.
    pub(super) fn acknowledge(&mut self, asker: &Asker, number: Number, out: &mut Actions) {
        let client = asker.place.and_then(|place| self.clients.get(place));
        let Some(slot) = client.and_then(|client| client.mailbox) else { return };
        if self.mailboxes.ack(slot, number.get()) {
            if let Some(mailbox) = self.mailboxes.get(slot) {
                self.journal.note(asker.now, &mailbox.delivery());
            }
            self.advance(asker.now, slot, out);
        }
    }

    /// Opens the client's mailbox, or hands it what waits there; returns the mailbox's name.
    pub(super) fn join_mailbox(&mut self, now: Moment, place: Slot, from: core::net::IpAddr) -> Option<Slot> {
        let code = self.clients.code(place)?.as_str().to_owned();
        let code = Code::parse(code.as_bytes())?;
        let slot = if let Some(slot) = self.mailboxes.find(code) {
            slot
        } else {
            let id = self.journal.new_id();
            let name = super::names::mailbox(self.seed, id);
            let slot = self.mailboxes.open(code, id, &name, from, now);
            for pattern in self.watches.leave(place) {
                self.box_watches.watch(slot, &pattern, usize::MAX);
                self.journal.note(now, &Change::Watch { mailbox: id, pattern: &pattern });
            }
            slot
        };
        self.mailboxes.get_mut(slot)?.join(now, place);
        self.clients.get_mut(place)?.mailbox = Some(slot);
        self.wake_mailbox(now, slot);
        if let Some(row) = self.mailboxes.row(slot) {
            self.journal.note(now, &row);
        }
        self.journal.hold();
        Some(slot)
    }

    /// Deletes a mailbox, with its watches.
    pub(super) fn delete_mailbox(&mut self, now: Moment, slot: Slot) {
        self.box_watches.leave(slot);
        let Some(mut mailbox) = self.mailboxes.delete(slot) else { return };
        self.timers.reset(&mut mailbox.resend_due, None, Due::Delivery(slot));
        self.timers.reset(&mut mailbox.expiry_due, None, Due::Mailbox(slot));
        self.journal.note(now, &Change::MailboxGone { id: mailbox.id });
    }

    /// The client of a mailbox is gone; what waits there waits on.
    pub(super) fn leave_mailbox(&mut self, now: Moment, slot: Slot) {
        let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
        (mailbox.place, mailbox.joined) = (None, now);
        self.timers.reset(&mut mailbox.resend_due, None, Due::Delivery(slot));
        self.wake_mailbox(now, slot);
        if let Some(row) = self.mailboxes.row(slot) {
            self.journal.note(now, &row);
        }
    }

    /// Sets when it is asked whether a mailbox's client has been away too long.
    pub(super) fn wake_mailbox(&mut self, now: Moment, slot: Slot) {
        let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
        let since = if mailbox.place.is_some() { now } else { mailbox.joined };
        self.timers.reset(&mut mailbox.expiry_due, Some(since + MAILBOX_IDLE), Due::Mailbox(slot));
    }

    /// A mailbox's client may have been away too long.
    pub(super) fn mailbox_due(&mut self, now: Moment, slot: Slot) {
        let Some(mailbox) = self.mailboxes.get_mut(slot) else { return };
        mailbox.expiry_due = None;
        if mailbox.place.is_some() || mailbox.joined + MAILBOX_IDLE > now {
            self.wake_mailbox(now, slot);
        } else {
            self.delete_mailbox(now, slot);
        }
    }

    /// Asks a client; the reply comes with its answer.
    pub(super) fn ask(
        &mut self,
        asker: &mut Asker,
        code: Code<'_>,
        text: &[u8],
        end: End,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(super::requests::JOIN_FIRST)?;
        let from = self.clients.code(place).ok_or(super::requests::JOIN_FIRST)?.as_str().to_owned();
        let number = self.asks.open(asker.target, asker.from, end, code)?;
        let ticket = self.asks.get(number).map_or_else(String::new, |question| question.ticket().to_owned());
        let delivered = self.deliver(asker.now, &from, code, out, |bytes, from| {
            push::question(bytes, &ticket, from, text);
        });
        if let Err(refusal) = delivered {
            self.asks.close(number);
            return Err(refusal);
        }
        if let Some(question) = self.asks.get_mut(number) {
            let due = asker.now + self.settings.ask_timeout;
            self.timers.reset(&mut question.due, Some(due), Due::Question(number));
        }
        asker.asked = Some(number);
        Ok(())
    }

    /// Hands an answer to whoever asked.
    pub(super) fn answer(
        &mut self,
        asker: &Asker,
        ticket: Ticket<'_>,
        text: &[u8],
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(super::requests::JOIN_FIRST)?;
        let code = self.clients.code(place).ok_or(super::requests::JOIN_FIRST)?;
        let number = self.asks.find(ticket.as_str(), code).ok_or(NO_SUCH_TICKET)?;
        self.end_question(asker.now, number, Ok(text), out);
        Ok(())
    }

    /// A question was not answered in time.
    pub(super) fn question_due(&mut self, now: Moment, number: u64, out: &mut Actions) {
        if let Some(question) = self.asks.get_mut(number) {
            question.due = None;
        }
        self.end_question(now, number, Err(TIMEOUT), out);
    }

    /// Ends all questions: the hub stops, and would not hear the answers.
    pub(super) fn end_questions(&mut self, now: Moment, out: &mut Actions) {
        for number in self.asks.numbers() {
            self.end_question(now, number, Err(STOPPING), out);
        }
    }

    fn end_question(&mut self, now: Moment, number: u64, outcome: Result<&[u8], Refusal>, out: &mut Actions) {
        let Some(mut question) = self.asks.close(number) else { return };
        self.timers.reset(&mut question.due, None, Due::Question(number));
        let start = out.bytes.len();
        let tag = question.tagged.as_ref().map(|tagged| &*tagged.tag);
        let reply = Reply::begin_with(&mut out.bytes, tag);
        out.bytes.extend_from_slice(outcome.unwrap_or_default());
        reply.complete(&mut out.bytes, outcome.map(|_| ()));
        let is_answer = outcome.err().is_none_or(|refusal| !refusal.name.is_no_answer());
        if let Some(tagged) = question.tagged.as_ref().filter(|_| is_answer) {
            self.record_answer(now, tagged, reply.outcome(&out.bytes), outcome.is_ok());
        }
        out.bytes.extend_from_slice(question.end.as_bytes());
        if out.bytes.len() == start && question.holds_up().is_some() {
            out.bytes.extend_from_slice(End::Lf.as_bytes());
        }
        self.answer_question(now, number, &question, start, out);
    }

    /// Records how a question ended; that it was not answered was recorded when it was asked.
    fn record_answer(&mut self, now: Moment, tagged: &Tagged, outcome: &[u8], answered: bool) {
        let slot = tagged.session;
        if self.sessions.id(slot) != Some(tagged.session_id) {
            return;
        }
        self.sessions.record(slot, tagged.number, tagged.fingerprint, outcome);
        if answered {
            let (session, number, line) = (tagged.session_id, tagged.number.get(), tagged.fingerprint);
            self.journal.note(now, &Change::Reply { session, number, line, outcome });
            self.sessions.changes(slot, self.journal.batch());
        }
        if !self.journal.is_committed(self.sessions.batch(slot)) {
            self.journal.hold();
        }
    }

    /// Sends the reply that stands at the end of the bytes.
    fn answer_question(
        &mut self,
        now: Moment,
        number: u64,
        question: &Question,
        start: usize,
        out: &mut Actions,
    ) {
        let range = start..out.bytes.len();
        let Some(target) = question.target else { return };
        if let Some(tagged) = &question.tagged {
            let (tag, length) = (tagged.tag.len(), range.len());
            self.journal.mark_sent(Mark { start, tag, length, end: question.end });
        }
        match (question.holds_up(), target) {
            (Some(conn), _) => out.list.push(Action::Answer { conn, question: number, range }),
            (None, Target::Udp { to, .. }) if !self.access.send(now, to.ip(), range.len()) => {
                self.counters.over_budget += 1;
            }
            (None, _) => out.list.push(Action::Send { target, range, push: false }),
        }
    }
}

const NO_SUCH_CLIENT: Refusal =
    Refusal::new(ErrorName::NoSuchClient, "nobody is joined under this code, see WHO");
const OVER_BUDGET: Refusal =
    Refusal::new(ErrorName::Busy, "too much was sent to this client, try in a second");
const NO_SUCH_TICKET: Refusal =
    Refusal::new(ErrorName::NoSuchTicket, "no such question waits for your answer, it may be too late");
pub(super) const TIMEOUT: Refusal = Refusal::new(ErrorName::Timeout, "the client did not answer in time");
const STOPPING: Refusal = Refusal::new(ErrorName::Stopping, "the hub stops, ask again");
