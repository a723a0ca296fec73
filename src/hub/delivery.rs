//! From one client to others: SEND, ALL and ACK, and how what waits in a mailbox is delivered.

use super::actions::{Actions, Fanout, Target};
use super::change::Change;
use super::directory::Slot;
use super::mailbox::{self, Letter};
use super::requests::JOIN_FIRST;
use super::timers::Due;
use super::{Asker, Hub};
use crate::limits::MAILBOX_IDLE;
use crate::moment::Moment;
use crate::names::{Code, Key};
use crate::wire::{ErrorName, Number, Refusal, push};

/// What became of a text to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
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
        let delivered = self.deliver(asker, code, out, |bytes, from| push::message(bytes, from, text))?;
        body.extend_from_slice(match delivered {
            Delivered::Sent => b"sent",
            Delivered::Queued => b"queued",
        });
        Ok(())
    }

    /// The code that the asker has joined under.
    pub(super) fn own_code(&self, asker: &Asker) -> Result<Code<'_>, Refusal> {
        asker.place.and_then(|place| self.clients.code(place)).ok_or(JOIN_FIRST)
    }

    /// Hands a push to the client of a code, through its mailbox if it has one.
    pub(super) fn deliver(
        &mut self,
        asker: &Asker,
        to: Code<'_>,
        out: &mut Actions,
        encode: impl FnOnce(&mut Vec<u8>, Code<'_>),
    ) -> Result<Delivered, Refusal> {
        let (now, sender, is_proved) = (asker.now, self.own_code(asker)?, asker.session.is_some());
        if let Some(mailbox) = self.mailboxes.find(to) {
            self.mailboxes.has_room(mailbox, (sender, is_proved), self.mailbox_bounds())?;
            let mut push = Vec::new();
            encode(&mut push, sender);
            let sender = sender.as_str().into();
            let number = self.post(now, mailbox, Letter::Text { sender, is_proved, push: push.into() });
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
        let place = asker.place.ok_or(JOIN_FIRST)?;
        let sender = self.own_code(asker)?;
        let mut fanout = Fanout::new(out, |bytes| push::message(bytes, sender, text));
        let mut others = core::mem::take(&mut self.watchers);
        others.extend(self.clients.iter().map(|(slot, _)| slot).filter(|&slot| slot != place));
        let mut took = 0_usize;
        for &other in &others {
            let reached = match self.clients.get(other).and_then(|client| client.mailbox) {
                None => self.push(asker.now, other, &mut fanout, out),
                Some(mailbox) => {
                    let (sender, is_proved) = (self.own_code(asker)?, asker.session.is_some());
                    let bounds = self.mailbox_bounds();
                    let room = self.mailboxes.has_room(mailbox, (sender, is_proved), bounds).is_ok();
                    if room {
                        let (sender, push) = (sender.as_str().into(), out.slice(&fanout.body()).into());
                        self.post(asker.now, mailbox, Letter::Text { sender, is_proved, push });
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
        if self.mailboxes.get(mailbox).is_some_and(|mailbox| mailbox.keys() > 2 * self.settings.values) {
            return self.give_up(now, mailbox, out);
        }
        if let Some(number) = self.mailboxes.post_key(mailbox, key) {
            self.note_letter(now, mailbox, number);
            self.advance(now, mailbox, out);
        }
    }

    /// Deletes a mailbox that more changes wait in than there can be values: most are of keys long gone. Its client
    /// joins anew, finds another mailbox, and is told what is there.
    fn give_up(&mut self, now: Moment, mailbox: Slot, out: &mut Actions) {
        let place = self.mailboxes.get(mailbox).and_then(|mailbox| mailbox.place);
        let target = place.and_then(|place| self.clients.get(place)).map(|client| client.target);
        if let Some(Target::Tcp(conn)) = target {
            self.hang_up(now, conn, "too much waits for it", out);
        } else if let Some(place) = place {
            self.leave(now, place, "too much waits for it", out);
        }
        self.delete_mailbox(now, mailbox);
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
            if !self.send_letter(now, slot, place, number, out) {
                return;
            }
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

    /// Sends a letter to where its client is, if its address may be sent so much now; `false` if there is none.
    fn send_letter(&mut self, now: Moment, slot: Slot, place: Slot, number: u64, out: &mut Actions) -> bool {
        let letter = self.mailboxes.get(slot).and_then(|mailbox| mailbox.letter(number));
        let Some(Letter::Text { push, .. } | Letter::Told { push, .. }) = letter else { return false };
        let Some(client) = self.clients.get(place) else { return false };
        let (target, end) = (client.target, client.end);
        let Ok(seal) = self.mail_seal(place, number, push) else { return false };
        let mut fanout = Fanout::new(out, |bytes| match seal {
            None => push::numbered(bytes, number, push),
            Some(seal) => {
                push::seal(bytes, number, &seal);
                bytes.extend_from_slice(push);
            }
        });
        if seal.is_some() {
            self.count_sealed(now, target, fanout.len() + end.as_bytes().len());
            fanout.send(out, target, end);
        } else {
            self.push_as_is(now, target, end, &mut fanout, out);
        }
        true
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
        if !self.journal.is_committed(mailbox.sent_batch) {
            // It has not left yet: the disk is slow, not the client.
            return self.wake_delivery(now, slot, Some(place));
        }
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
            self.mailboxes.open(code, id, &name, (from, self.settings.keys.has(code)), now)
        };
        self.mailboxes.get_mut(slot)?.join(now, place);
        self.clients.get_mut(place)?.mailbox = Some(slot);
        self.wake_mailbox(now, slot);
        self.journal.note(now, &self.mailboxes.row(slot)?);
        // What was watched without a mailbox is watched through it, and kept behind it.
        let (owner, before) = (self.mailboxes.get(slot)?.id, self.clients.get(place)?.id);
        for pattern in self.watches.leave(place) {
            self.box_watches.watch(slot, &pattern, usize::MAX);
            self.journal.note(now, &Change::Watch { owner, pattern: &pattern });
            self.journal.note(now, &Change::WatchGone { owner: before, pattern: &pattern });
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
}

const NO_SUCH_CLIENT: Refusal =
    Refusal::new(ErrorName::NoSuchClient, "nobody is joined under this code, see WHO");
const OVER_BUDGET: Refusal =
    Refusal::new(ErrorName::Busy, "too much was sent to this client, try in a second");
