//! What a courier with a secret does beside: it proves each line, believes nothing without proof, and answers the hub's
//! challenges (protocol, section 7).
//!
//! A challenge (`ERR prove nonce`) cannot be proved itself. So it may cost a line and a little time and nothing else: it
//! never ends a request, and each copy that leaves in its own time heeds one challenge at most, so that nobody can make a
//! courier send much, or use up its numbers. Of the nonces that came before the session was opened several are kept, since
//! the one that opened it shows only in the hub's reply.

#[cfg(test)]
mod naive;
#[cfg(test)]
mod network;
#[cfg(test)]
mod simulation;

use super::{Courier, Event, Opening, Push};
use crate::limits::{COURIER_TRIES, SESSION_WINDOW};
use crate::moment::Moment;
use crate::names::{Mac, Session, Ticket};
use crate::proof::{SessionKey, Way, digits, hmac};
use crate::wire::{ErrorName, Number};

/// The secret of a code, and what was agreed with it.
pub(super) struct Keyed {
    secret: Vec<u8>,
    /// The nonces that may have opened the session, oldest first, and the keys that follow from them.
    tried: Vec<(String, SessionKey)>,
    /// Which of them goes out with the next copy.
    turn: usize,
    /// How many copies have gone out with one of them.
    copies: u32,
    /// The session's key, once the hub has proved that it is.
    key: Option<SessionKey>,
    /// What the hub wants to hear in the next JOIN.
    nonce: Option<String>,
    /// The highest number of a push that nobody acknowledges.
    pushed: u64,
    has_mailbox: bool,
    /// The last reply that was not believed.
    pub(super) unproved: Option<Vec<u8>>,
    /// How many lines were not believed.
    pub(super) ignored: u64,
}

impl core::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keyed").field("is_open", &self.key.is_some()).finish_non_exhaustive()
    }
}

impl Keyed {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self {
            secret: secret.to_vec(),
            tried: Vec::new(),
            turn: 0,
            copies: 0,
            key: None,
            nonce: None,
            pushed: 0,
            has_mailbox: false,
            unproved: None,
            ignored: 0,
        }
    }

    /// The same secret for another session.
    pub(super) fn renew(&mut self) {
        let (ignored, unproved) = (self.ignored, self.unproved.take());
        *self = Self { unproved, ignored, ..Self::new(&core::mem::take(&mut self.secret)) };
    }

    /// The line that opens the session, as its next copy goes out.
    pub(super) fn opening(&mut self, session: &str, line: &[u8]) -> Vec<u8> {
        let count = self.tried.len();
        let Some((nonce, key)) = self.tried.get(self.turn) else {
            // Asks for a nonce only. A hub that knows no secret is not to keep a mailbox either.
            let mut words = line.split(|&b| b == b' ');
            let bare = [words.next().unwrap_or_default(), b" ", words.next().unwrap_or_default()].concat();
            return write(session, 1, None, &bare);
        };
        self.turn = (self.turn + count - 1) % count;
        self.copies += 1;
        let line = [line, b" ", nonce.as_bytes()].concat();
        write(session, 1, Some(key), &line)
    }

    /// Whether the hub has said this. The first answer that is proved says which nonce opened the session.
    fn is_reply(&mut self, session: &str, number: u64, reply: &[u8], mac: Option<Mac<'_>>) -> bool {
        let Some(mac) = mac.map(Mac::as_bytes) else { return false };
        if let Some(key) = &self.key {
            return key.is_proved(Way::Reply, session, number, reply, mac);
        }
        let is_proved =
            |(_, key): &&(String, SessionKey)| key.is_proved(Way::Reply, session, number, reply, mac);
        let Some((_, key)) = self.tried.iter().find(is_proved) else { return false };
        if !is_no_answer(reply) {
            self.key = Some(key.clone());
            self.tried.clear();
        }
        true
    }

    /// Another name for the session, as hard to guess, if it is to be opened anew. From another address, or with a nonce
    /// that is not kept any more, nobody could tell whether it is open; a JOIN may be asked twice.
    pub(super) fn rename(&mut self, session: &str, may_be_lost: bool) -> Option<String> {
        if self.key.is_some() || self.copies < if may_be_lost { 1 } else { COURIER_TRIES } {
            return None;
        }
        let name = digits(&hmac(&self.secret, &[b"after ", session.as_bytes()]));
        self.renew();
        Some(name.iter().copied().map(char::from).collect())
    }

    /// Nothing that the hub asked for holds at another address.
    pub(super) fn moved(&mut self) {
        self.nonce = None;
    }

    /// A JOIN was answered.
    pub(super) fn joined(&mut self, line: &[u8]) {
        self.nonce = None;
        self.has_mailbox = line.split(|&b| b == b' ').nth(2) == Some(b"ack");
    }

    /// Whether the line would have shown the nonce that was asked for last.
    fn has_answered(&self, is_join: bool) -> bool {
        !is_join || !self.tried.is_empty() || self.nonce.is_some()
    }

    /// Keeps a nonce with which the session may be opened; whether it is another one.
    fn try_nonce(&mut self, session: &str, nonce: &str) -> bool {
        if self.tried.iter().any(|(tried, _)| tried == nonce) {
            return false;
        }
        self.tried.push((nonce.to_owned(), SessionKey::new(&self.secret, session, nonce)));
        self.turn = self.tried.len() - 1;
        true
    }

    /// Reads a push that is proved and new: its number in the mailbox, if there is one.
    pub(super) fn push<'a>(&mut self, session: &str, line: &'a [u8]) -> Option<(Option<Number>, Push<'a>)> {
        let (number, mac, bare) = Push::split_number(line)?;
        let mac = mac?.as_bytes();
        if !self.key.as_ref()?.is_proved(Way::Push, session, number.get(), bare, mac) {
            self.ignored += 1;
            return None;
        }
        let push = Push::read(bare)?;
        if self.has_mailbox && push != Push::Moved {
            return Some((Some(number), push));
        }
        let is_new = number.get() > self.pushed;
        self.pushed = self.pushed.max(number.get());
        is_new.then_some((None, push))
    }

    fn distrust(&mut self, reply: &[u8]) {
        self.ignored += 1;
        self.unproved = Some(reply.to_vec());
    }
}

impl Courier {
    /// A courier as [`Courier::new`] for a code that has a secret. Its first request must be, or becomes, that code's
    /// JOIN; no other is sent before it is answered. A session that the hub has forgotten without a word is spent once
    /// the JOIN of a challenge is given up.
    #[must_use]
    pub fn keyed(session: Session<'_>, carrier: super::Carrier, seed: u64, secret: &[u8]) -> Self {
        Self { keyed: Some(Keyed::new(secret)), ..Self::new(session, carrier, seed) }
    }

    /// The line, with its end, that acknowledges the pushes of the mailbox up to this number.
    #[must_use]
    pub fn acknowledgement(&self, number: u64) -> Vec<u8> {
        let line = format!("ACK {number}").into_bytes();
        match &self.keyed {
            Some(_) => self::line(
                self.keyed.as_ref(),
                &self.session,
                self.next_number.saturating_sub(1).max(1),
                &line,
            ),
            None => [&line[..], b"\n"].concat(),
        }
    }

    /// The last reply of the session that was not believed for want of proof, without its tag: whoever sent it, it may
    /// help the person in front.
    #[must_use]
    pub fn unproved(&self) -> Option<&[u8]> {
        self.keyed.as_ref()?.unproved.as_deref()
    }

    /// How many lines were ignored because they were not proved.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.keyed.as_ref().map_or(0, |keyed| keyed.ignored)
    }

    /// Whether a reply may be acted upon. Of one that may not, a challenge is heeded.
    pub(super) fn trusts<'a>(
        &mut self,
        now: Moment,
        number: u64,
        reply: &[u8],
        mac: Option<Mac<'_>>,
    ) -> Result<(), Option<Event<'a>>> {
        let Some(keyed) = &mut self.keyed else { return Ok(()) };
        if let Some(nonce) = asked_nonce(reply) {
            return Err(self.challenged(now, number, nonce));
        }
        if keyed.is_reply(&self.session, number, reply, mac) {
            return Ok(());
        }
        keyed.distrust(reply);
        Err(None)
    }

    pub(super) fn is_keyed_join(&self, at: usize) -> bool {
        self.keyed.is_some() && self.under_way.get(at).is_some_and(|sent| sent.request.is_join())
    }

    fn challenged<'a>(&mut self, now: Moment, number: u64, nonce: &str) -> Option<Event<'a>> {
        let spread = self.spread();
        let keyed = self.keyed.as_mut()?;
        let at = self.under_way.iter().position(|sent| sent.number == number && sent.sent)?;
        let sent = self.under_way.get_mut(at)?;
        let is_join = sent.request.is_join();
        let was_tried = sent.request.excuse == Some(ErrorName::Prove);
        if keyed.has_answered(is_join) {
            sent.request.excuse = Some(ErrorName::Prove);
        }
        if !core::mem::take(&mut sent.heeds) {
            return None;
        }
        match self.opening {
            Opening::Awaited => {
                if keyed.try_nonce(&self.session, nonce) {
                    sent.due = Some(now);
                    sent.request.hurried = true;
                }
                None
            }
            Opening::Open if is_join => {
                // What is asked for again although it was shown: this number is spent.
                let is_spent = keyed.nonce.as_deref() == Some(nonce) && spread < SESSION_WINDOW;
                let has_room = spread < SESSION_WINDOW - ROOM_FOR_JOIN;
                keyed.nonce = Some(nonce.to_owned());
                (sent.request.first, sent.request.hurried) = (true, true);
                if was_tried && (has_room || is_spent) {
                    // It may have been done from another address, and its reply lost.
                    let sent = self.under_way.remove(at);
                    self.waiting.push_front(sent.request);
                    return None;
                }
                // What was refused has left no trace, so that its number can be used again.
                sent.bytes = line(Some(keyed), &self.session, number, &sent.request.line);
                sent.due = Some(now);
                None
            }
            Opening::Open => {
                let joins = self.under_way.iter().map(|sent| &sent.request).chain(&self.waiting);
                if joins.into_iter().any(super::Waiting::is_join) {
                    return None;
                }
                keyed.nonce = Some(nonce.to_owned());
                Some(Event::Challenged)
            }
            Opening::Spent => None,
        }
    }
}

/// Numbers of the window that are left to JOINs that know that theirs is spent.
const ROOM_FOR_JOIN: u64 = 8;

const JOIN: &[u8] = b"JOIN ";

/// A line of the session, once it is open if it is keyed.
pub(super) fn line(keyed: Option<&Keyed>, session: &str, number: u64, line: &[u8]) -> Vec<u8> {
    let Some(Keyed { key, nonce, .. }) = keyed else { return write(session, number, None, line) };
    match nonce.as_ref().filter(|_| line.starts_with(JOIN)) {
        Some(nonce) => write(session, number, key.as_ref(), &[line, b" ", nonce.as_bytes()].concat()),
        None => write(session, number, key.as_ref(), line),
    }
}

fn write(session: &str, number: u64, key: Option<&SessionKey>, line: &[u8]) -> Vec<u8> {
    let mut bytes = format!("#{session}.{number}").into_bytes();
    if let Some(key) = key {
        bytes.push(b'.');
        bytes.extend_from_slice(&key.prove(Way::Request, session, number, line));
    }
    bytes.push(b' ');
    bytes.extend_from_slice(line);
    bytes.push(b'\n');
    bytes
}

/// Whether the reply opens no session: the hub has no room, or cannot save.
fn is_no_answer(reply: &[u8]) -> bool {
    let name = reply.strip_prefix(b"ERR ").and_then(|error| error.split(|&b| b == b' ').next());
    name.and_then(ErrorName::parse).is_some_and(ErrorName::is_no_answer)
}

/// The nonce of a challenge.
fn asked_nonce(reply: &[u8]) -> Option<&str> {
    let nonce = reply.strip_prefix(b"ERR prove ")?;
    Ticket::parse(nonce).map(Ticket::as_str)
}
