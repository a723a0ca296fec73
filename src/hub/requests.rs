//! What each command does (protocol, section 3).

use super::actions::{Actions, Event, Fanout, Target};
use super::clients::Joined;
use super::timers::Due;
use super::values::Bounds;
use super::{Asker, Hub, Slot};
use crate::limits::KEPT_ACTIONS;
use crate::moment::Moment;
use crate::names::{Code, Key, Pattern};
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
                let sum = self.values.add(key, by, asker.address(), self.bounds())?;
                self.counted(asker.now, key, sum, body, out);
            }
            Command::Dec { key, by } => {
                let rest = self.values.take(key, by, asker.address(), self.bounds())?;
                self.counted(asker.now, key, rest, body, out);
            }
            Command::Get { key } => self.values.get(key, body)?,
            Command::Set { key, text } => {
                self.values.set(key, text, asker.address(), self.bounds())?;
                body.extend_from_slice(b"set");
                self.changed(asker.now, key, out, |bytes| push::value(bytes, key.as_str(), text));
            }
            Command::Del { key } => {
                self.values.delete(key)?;
                body.extend_from_slice(b"deleted");
                self.changed(asker.now, key, out, |bytes| push::gone(bytes, key.as_str()));
            }
            Command::Keys { pattern, after } => self.list_keys(pattern, after, body),
            Command::Who { after } => self.list_codes(after, body),
            Command::Ping { text } => ping(text, body),
            Command::Send { code, text } => self.send(asker, code, text, body, out)?,
            Command::All { text } => self.send_all(asker, text, body, out)?,
            Command::Join { code, ack, nonce } => {
                if ack {
                    return Err(NO_ACK);
                }
                if nonce.is_some() {
                    return Err(NO_NONCE);
                }
                self.join(asker, code, end, body, out)?;
            }
            Command::Bye => {
                if let Some(place) = asker.place.take() {
                    self.leave(place, "bye", out);
                }
                asker.closes = matches!(asker.target, Target::Tcp(_));
                body.extend_from_slice(b"bye");
            }
            Command::Watch { pattern } => self.watch(asker, pattern, body, out)?,
            Command::Unwatch { pattern } => {
                self.watches.unwatch(asker.place.ok_or(JOIN_FIRST)?, pattern);
                body.extend_from_slice(b"unwatching ");
                body.extend_from_slice(pattern.as_bytes());
            }
            Command::Info => self.info(asker.now, body),
            Command::Stats => self.stats(asker.now, body),
            Command::Help { topic } => super::lists::help(topic, body),
            Command::Ask { .. } | Command::Answer { .. } | Command::Shout { .. } if asker.place.is_none() => {
                return Err(JOIN_FIRST);
            }
            Command::Ask { .. } | Command::Answer { .. } => return Err(NO_ASK),
            Command::Shout { .. } => return Err(NO_SHOUT),
            Command::Discover => return Err(NO_DISCOVERY),
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

    fn counted(&mut self, now: Moment, key: Key<'_>, sum: i64, body: &mut Vec<u8>, out: &mut Actions) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(sum).as_bytes();
        body.extend_from_slice(digits);
        self.changed(now, key, out, |bytes| push::value(bytes, key.as_str(), digits));
    }

    /// Tells everybody who watches this key.
    fn changed(&mut self, now: Moment, key: Key<'_>, out: &mut Actions, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut watchers = core::mem::take(&mut self.watchers);
        self.watches.watchers(key, &mut watchers);
        if !watchers.is_empty() {
            let mut fanout = Fanout::new(out, encode);
            for &watcher in &watchers {
                self.push(now, watcher, &mut fanout, out);
            }
        }
        self.recycle_watchers(watchers);
    }

    /// Keeps the memory of a list of clients, up to a bound.
    fn recycle_watchers(&mut self, mut watchers: Vec<Slot>) {
        watchers.clear();
        watchers.shrink_to(KEPT_ACTIONS);
        self.watchers = watchers;
    }

    /// Sends a push to one client; `false` if its address has had enough for this second.
    fn push(&mut self, now: Moment, to: Slot, fanout: &mut Fanout, out: &mut Actions) -> bool {
        let Some(client) = self.clients.get(to) else { return false };
        if let Target::Udp { to, .. } = client.target {
            let over = self.access.is_over_budget(now, to.ip());
            if over || !self.access.send(now, to.ip(), fanout.len() + client.end.as_bytes().len()) {
                self.counters.over_budget += 1;
                return false;
            }
        }
        fanout.send(out, client.target, client.end);
        self.counters.pushes += 1;
        true
    }

    fn send(
        &mut self,
        asker: &Asker,
        code: Code<'_>,
        text: &[u8],
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let from = asker.place.and_then(|place| self.clients.code(place)).ok_or(JOIN_FIRST)?;
        let to = self.clients.find(code).ok_or(NO_SUCH_CLIENT)?;
        let mut fanout = Fanout::new(out, |bytes| push::message(bytes, from, text));
        if !self.push(asker.now, to, &mut fanout, out) {
            return Err(OVER_BUDGET);
        }
        body.extend_from_slice(b"sent");
        Ok(())
    }

    fn send_all(
        &mut self,
        asker: &Asker,
        text: &[u8],
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(JOIN_FIRST)?;
        let from = self.clients.code(place).ok_or(JOIN_FIRST)?;
        let mut fanout = Fanout::new(out, |bytes| push::message(bytes, from, text));
        let mut others = core::mem::take(&mut self.watchers);
        others.extend(self.clients.iter().map(|(slot, _)| slot).filter(|&slot| slot != place));
        let mut took = 0_usize;
        for &other in &others {
            took += usize::from(self.push(asker.now, other, &mut fanout, out));
        }
        self.recycle_watchers(others);
        body.extend_from_slice(itoa::Buffer::new().format(took).as_bytes());
        Ok(())
    }

    fn join(
        &mut self,
        asker: &mut Asker,
        code: Code<'_>,
        end: End,
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        self.clients.check(asker.now, code, asker.target.peer(), self.settings.clients_limit)?;
        if let Some(other) = asker.place.filter(|&place| self.clients.code(place) != Some(code)) {
            self.leave(other, "took another code", out);
        }
        let push_end = match asker.target {
            Target::Tcp(_) => End::Lf,
            Target::Udp { .. } => end,
        };
        let joined = self.clients.join(asker.now, code, asker.target, push_end);
        let from = asker.from;
        let place = match joined {
            Joined::New(place) => {
                out.events.push(Event::Joined { code: code.as_str().into(), from });
                place
            }
            Joined::Same(place) => place,
            Joined::Moved(place, old_target, old_end) => {
                Fanout::new(out, push::moved).send(out, old_target, old_end);
                out.events.push(Event::Moved { code: code.as_str().into(), from });
                place
            }
        };
        asker.place = Some(place);
        self.wake_place(place);
        body.extend_from_slice(b"joined ");
        body.extend_from_slice(code.as_bytes());
        for (before, number) in [(b' ', self.clients.len()), (b'/', self.settings.clients_limit)] {
            body.push(before);
            body.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Ok(())
    }

    /// Frees a place, with all that hangs on it.
    pub(super) fn leave(&mut self, place: Slot, why: &'static str, out: &mut Actions) {
        self.watches.leave(place);
        if let Some((code, mut client)) = self.clients.leave(place) {
            self.timers.reset(&mut client.due, None, Due::Place(place));
            out.events.push(Event::Left { code, why });
        }
    }

    /// Sets when a place is asked whether it is idle: one over TCP lasts as long as its connection.
    fn wake_place(&mut self, place: Slot) {
        let Some(client) = self.clients.get_mut(place) else { return };
        let ends = match client.target {
            Target::Udp { .. } => Some(client.heard + self.settings.clients_idle),
            Target::Tcp(_) => None,
        };
        self.timers.reset(&mut client.due, ends, Due::Place(place));
    }

    /// Sets that anew for every place.
    pub(super) fn wake_places(&mut self) {
        let places: Vec<Slot> = self.clients.iter().map(|(place, _)| place).collect();
        for place in places {
            self.wake_place(place);
        }
    }

    /// A place over UDP may have been idle too long.
    pub(super) fn place_due(&mut self, now: Moment, place: Slot, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(place) else { return };
        client.due = None;
        if client.heard + self.settings.clients_idle <= now {
            self.leave(place, "idle", out);
        } else {
            self.wake_place(place);
        }
    }

    fn watch(
        &mut self,
        asker: &Asker,
        pattern: Pattern<'_>,
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(JOIN_FIRST)?;
        let present = self.matching(pattern, self.settings.unread_bytes / 2).ok_or(TOO_MANY_VALUES)?;
        if !self.watches.watch(place, pattern, self.settings.watches_per_client) {
            return Err(TOO_MANY_WATCHES);
        }
        body.extend_from_slice(b"watching ");
        body.extend_from_slice(pattern.as_bytes());
        for (slot, key) in present {
            let mut fanout = Fanout::new(out, |bytes| {
                push::value(bytes, &key, &[]);
                self.values.write(slot, bytes);
            });
            self.push(asker.now, place, &mut fanout, out);
        }
        Ok(())
    }

    /// The values that match a pattern; `None` if telling them all would take more than so many bytes.
    fn matching(&mut self, pattern: Pattern<'_>, most_bytes: usize) -> Option<Vec<(Slot, Box<str>)>> {
        let mut bytes = 0;
        let mut found = Vec::new();
        for (slot, key) in self.values.beginning_with(pattern.literal_prefix(), None) {
            self.steps += 1;
            if pattern.matches(key) {
                bytes += self.values.length(slot) + key.len() + "VAL  \r\n".len();
                found.push((slot, key.into()));
            }
            if bytes > most_bytes {
                return None;
            }
        }
        Some(found)
    }
}

fn ping(text: &[u8], body: &mut Vec<u8>) {
    body.extend_from_slice(b"pong");
    if !text.is_empty() {
        body.push(b' ');
        body.extend_from_slice(text);
    }
}

const JOIN_FIRST: Refusal = Refusal::new(ErrorName::JoinFirst, "register with JOIN code, then ask again");
const NO_SUCH_CLIENT: Refusal =
    Refusal::new(ErrorName::NoSuchClient, "nobody is joined under this code, see WHO");
const TOO_MANY_WATCHES: Refusal =
    Refusal::new(ErrorName::Full, "you watch too many patterns, UNWATCH some (limits.watches_per_client)");
const TOO_MANY_VALUES: Refusal =
    Refusal::new(ErrorName::Full, "too much matches this pattern, watch a narrower one");
const OVER_BUDGET: Refusal =
    Refusal::new(ErrorName::Busy, "too much was sent to this client, try in a second");
const NO_ACK: Refusal =
    Refusal::new(ErrorName::Denied, "this version has no acknowledged delivery, JOIN without ack");
const NO_NONCE: Refusal = Refusal::new(ErrorName::Denied, "this hub has no keys, JOIN without a nonce");
const NO_ASK: Refusal = Refusal::new(ErrorName::Denied, "this version has no ASK and ANSWER, use SEND");
const NO_SHOUT: Refusal = Refusal::new(ErrorName::Denied, "this version does not broadcast, use ALL");
const NO_DISCOVERY: Refusal =
    Refusal::new(ErrorName::Denied, "this version cannot be discovered, use its address");
