//! What each command does (protocol, section 3).

use super::actions::{Actions, Event, Fanout, Target, empty};
use super::change::Change;
use super::clients::Joined;
use super::timers::Due;
use super::values::Bounds;
use super::{Asker, Hub, Slot};
use crate::limits::KEPT_ACTIONS;
use crate::moment::Moment;
use crate::names::{Code, Key};
use crate::wire::{Command, End, ErrorName, Refusal, push};

impl Hub {
    /// Does what a command asks, appending the body of its reply to `body`.
    pub(super) fn execute(
        &mut self,
        asker: &mut Asker,
        command: &Command<'_>,
        end: End,
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        match *command {
            Command::Inc { key, by } => {
                let counted = self.values.add(key, by, self.source(asker), self.bounds())?;
                self.counted(asker.now, key, counted, body, out);
            }
            Command::Dec { key, by } => {
                let counted = self.values.take(key, by, self.source(asker), self.bounds())?;
                self.counted(asker.now, key, counted, body, out);
            }
            Command::Get { key } => self.values.get(key, body)?,
            Command::Set { key, text } => {
                let slot = self.values.set(key, text, self.source(asker), self.bounds())?;
                body.extend_from_slice(b"set");
                self.note_value(asker.now, slot);
                self.changed(asker.now, key, out, |bytes| push::value(bytes, key.as_str(), text));
            }
            Command::Del { key } => {
                self.values.delete(key)?;
                body.extend_from_slice(b"deleted");
                self.journal.note(asker.now, &Change::ValueGone { key: key.as_str() });
                self.changed(asker.now, key, out, |bytes| push::gone(bytes, key.as_str()));
            }
            Command::Keys { pattern, after } => self.list_keys(pattern, after, body),
            Command::Who { after } => self.list_codes(after, body),
            Command::Ping { text } => super::lists::ping(text, body),
            Command::Send { code, text } => self.send(asker, code, text, body, out)?,
            Command::All { text } => self.send_all(asker, text, body, out)?,
            Command::Join { code, ack, nonce } => {
                if nonce.is_some() && asker.session.is_none() {
                    return Err(NO_NONCE);
                }
                self.join(asker, code, ack, end, body, out)?;
            }
            Command::Bye => {
                if let Some(place) = asker.place.take() {
                    let mailbox = self.clients.get(place).and_then(|client| client.mailbox);
                    self.leave(asker.now, place, "bye", out);
                    if let Some(mailbox) = mailbox {
                        self.delete_mailbox(asker.now, mailbox);
                    }
                }
                asker.closes = matches!(asker.target, Target::Tcp(_));
                body.extend_from_slice(b"bye");
            }
            Command::Watch { pattern } => self.watch(asker, pattern, body, out)?,
            Command::Unwatch { pattern } => {
                self.unwatch(asker, pattern)?;
                body.extend_from_slice(b"unwatching ");
                body.extend_from_slice(pattern.as_bytes());
            }
            Command::Info => self.info(asker.now, body),
            Command::Stats => self.stats(asker.now, body),
            Command::Help { topic } => super::lists::help(topic, body),
            Command::Ask { code, text } => self.ask(asker, code, text, end, out)?,
            Command::Answer { ticket, text } => {
                self.answer(asker, ticket, text, out)?;
                body.extend_from_slice(b"answered");
            }
            Command::Shout { text } => self.shout(asker, text, body, out)?,
            Command::Discover => self.discover(body)?,
            // Never answered, so never executed.
            Command::Ack { .. } => {}
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            values: self.settings.values,
            bytes: self.settings.value_bytes,
            per_address: self.settings.per_client_values,
        }
    }

    fn counted(
        &mut self,
        now: Moment,
        key: Key<'_>,
        (slot, number): (Slot, i64),
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        body.extend_from_slice(digits);
        self.note_value(now, slot);
        self.changed(now, key, out, |bytes| push::value(bytes, key.as_str(), digits));
    }

    /// Keeps a value.
    fn note_value(&mut self, now: Moment, slot: Slot) {
        if self.journal.will_change(now) {
            self.values.note_changed(slot);
        }
    }

    /// Keeps the memory of a list of clients, up to a bound.
    pub(super) fn recycle_watchers(&mut self, mut watchers: Vec<Slot>) {
        empty(&mut watchers, KEPT_ACTIONS);
        self.watchers = watchers;
    }

    /// Sends a push to one client; `false` if its address has had enough for this second.
    pub(super) fn push(&mut self, now: Moment, to: Slot, fanout: &mut Fanout, out: &mut Actions) -> bool {
        let Some(client) = self.clients.get(to) else { return false };
        let (target, end) = (client.target, client.end);
        if let Some(session) = client.session {
            return self.push_sealed(now, (session, target, end), fanout.body(), out);
        }
        self.push_as_is(now, target, end, fanout, out)
    }

    /// Sends a push that needs no seal, or has one.
    pub(super) fn push_as_is(
        &mut self,
        now: Moment,
        target: Target,
        end: End,
        fanout: &mut Fanout,
        out: &mut Actions,
    ) -> bool {
        if !self.may_leave(now, target, fanout.len() + end.as_bytes().len()) {
            return false;
        }
        fanout.send(out, target, end);
        self.counters.pushes += 1;
        true
    }

    /// Whether a push of so many bytes may be sent, as far as the address goes; it then counts as sent.
    pub(super) fn may_leave(&mut self, now: Moment, target: Target, bytes: usize) -> bool {
        if let Target::Udp { to, .. } = target
            && (self.access.is_over_budget(now, to.ip()) || !self.may_send(now, to, bytes))
        {
            self.counters.over_budget += 1;
            return false;
        }
        true
    }

    fn join(
        &mut self,
        asker: &mut Asker,
        code: Code<'_>,
        ack: bool,
        end: End,
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let limit = match asker.session {
            // A code has one place at most, and whose secret is proved always has it.
            Some(_) => usize::MAX,
            None => self.settings.clients_limit,
        };
        self.clients.check(asker.now, code, asker.target.peer(), limit)?;
        match self.mailboxes.find(code) {
            Some(_) if !ack => return Err(HAS_MAILBOX),
            None if ack => {
                let opener = (self.source(asker), self.settings.keys.has(code));
                self.mailboxes.check(opener, self.mailbox_bounds())?;
            }
            Some(_) | None => {}
        }
        if let Some(session) = asker.session {
            self.check_joining(session, code, ack)?;
        }
        // Whoever is proved takes the place of somebody at the same address who is not, too.
        let here = self.clients.at(asker.target.peer());
        if let Some(other) = here.filter(|&place| self.clients.code(place) != Some(code)) {
            self.leave(asker.now, other, "took another code", out);
        }
        let push_end = match asker.target {
            Target::Tcp(_) => End::Lf,
            Target::Udp { .. } => end,
        };
        let before = self.clients.find(code).and_then(|place| self.clients.get(place)).copied();
        let joined = self.clients.join(asker.now, code, asker.target, push_end);
        let from = asker.from;
        let place = match joined {
            Joined::New(place) => {
                out.events.push(Event::Joined { code: code.as_str().into(), from });
                place
            }
            Joined::Same(place) => {
                // A copy says nothing of who is there now.
                if let Some((client, before)) =
                    self.clients.get_mut(place).zip(before).filter(|_| asker.is_copy)
                {
                    client.heard = before.heard;
                }
                place
            }
            Joined::Moved(place, old_target, old_end) => {
                match before.and_then(|before| before.session) {
                    None => self.tell_moved(asker.now, old_target, old_end, out),
                    // It is the client itself that has moved.
                    same if same == asker.session => {}
                    Some(old) => {
                        let moved = Fanout::new(out, push::moved);
                        self.push_sealed(asker.now, (old, old_target, old_end), moved.body(), out);
                    }
                }
                out.events.push(Event::Moved { code: code.as_str().into(), from });
                place
            }
        };
        asker.place = Some(place);
        self.wake_place(place);
        body.extend_from_slice(b"joined ");
        body.extend_from_slice(code.as_bytes());
        for (before, number) in [(b' ', self.clients.len()), (b'/', self.settings.places())] {
            body.push(before);
            body.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        self.clients.give_to(place, asker.session);
        let mailbox = if ack { self.join_mailbox(asker.now, place, self.source(asker)) } else { None };
        if let Some(session) = asker.session {
            self.note_joining(session, mailbox);
        }
        self.note_place(asker.now, place, before);
        if let Some(mailbox) = mailbox {
            body.push(b' ');
            body.extend_from_slice(
                self.mailboxes.get(mailbox).map_or(b"", |mailbox| mailbox.name.as_bytes()),
            );
            self.advance(asker.now, mailbox, out);
        }
        Ok(())
    }

    /// Tells an old place that its client is elsewhere now, unless its address has had enough: a flood of moves must not
    /// become one of these.
    fn tell_moved(&mut self, now: Moment, target: Target, end: End, out: &mut Actions) {
        let mut fanout = Fanout::new(out, push::moved);
        match target {
            Target::Udp { to, .. } if !self.may_send(now, to, fanout.len() + end.as_bytes().len()) => {
                self.counters.over_budget += 1;
            }
            Target::Udp { .. } | Target::Tcp(_) => fanout.send(out, target, end),
        }
    }

    /// Frees a place, with all that hangs on it; a mailbox stays.
    pub(super) fn leave(&mut self, now: Moment, place: Slot, why: &'static str, out: &mut Actions) {
        self.watches.leave(place);
        if let Some((code, mut client)) = self.clients.leave(place) {
            if let Some(mailbox) = client.mailbox {
                self.leave_mailbox(now, mailbox);
            }
            self.timers.reset(&mut client.due, None, Due::Place(place));
            self.journal.note(now, &Change::PlaceGone { id: client.id });
            out.events.push(Event::Left { code, why });
        }
    }

    /// Sets when a place is asked whether it is idle: one over TCP lasts as long as its connection.
    pub(super) fn wake_place(&mut self, place: Slot) {
        let Some(client) = self.clients.get_mut(place) else { return };
        let ends = match client.target {
            Target::Udp { .. } => Some(client.heard + self.settings.clients_idle),
            Target::Tcp(_) => None,
        };
        self.timers.reset(&mut client.due, ends, Due::Place(place));
    }

    /// A place over UDP may have been idle too long.
    pub(super) fn place_due(&mut self, now: Moment, place: Slot, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(place) else { return };
        client.due = None;
        if client.heard + self.settings.clients_idle <= now {
            self.leave(now, place, "idle", out);
        } else {
            self.wake_place(place);
        }
    }
}

pub(super) const JOIN_FIRST: Refusal =
    Refusal::new(ErrorName::JoinFirst, "register with JOIN code, then ask again");
const HAS_MAILBOX: Refusal =
    Refusal::new(ErrorName::Denied, "this code has a mailbox: JOIN with ack, or BYE there first");
const NO_NONCE: Refusal =
    Refusal::new(ErrorName::Denied, "no key is known for this code, JOIN without a nonce");
