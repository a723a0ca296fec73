//! Mailboxes: what waits for a client that asked for acknowledged delivery (protocol, section 6).

mod letter;
mod room;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::change::Change;
use super::directory::{Directory, Slot};
use super::memory::Memory;
use super::tally::Tally;
use crate::limits::{
    DELIVERY_BURST, DELIVERY_FIRST_PAUSE, DELIVERY_LONGEST_PAUSE, DELIVERY_TRIES, DELIVERY_WINDOW, IDS,
};
use crate::moment::Moment;
use crate::names::Code;

pub(super) use letter::Letter;
pub(super) use room::Bounds;

/// One client's mailbox.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Its number in the state.
    pub(super) id: u64,
    /// What its client knows it by.
    pub(super) name: Box<str>,
    opener: IpAddr,
    /// Whether its code has a secret.
    is_keyed: bool,
    /// When its client was last there.
    pub(super) joined: Moment,
    /// Where its client is, if it is.
    pub(super) place: Option<Slot>,
    /// What was not acknowledged; the first has the number `acked` + 1.
    letters: VecDeque<Letter>,
    /// The highest number that was acknowledged.
    pub(super) acked: u64,
    /// The highest number that may have been sent, ever.
    pub(super) sent: u64,
    /// The batch that says so.
    pub(super) sent_batch: u64,
    /// The highest number sent since the client joined, or since the last loss.
    told: u64,
    /// How many may be in flight.
    window: u64,
    /// Whether anything was acknowledged since the client joined.
    proven: bool,
    /// How often the first in flight was sent without an answer, and how long the next answer is waited for.
    tries: u32,
    pause: Duration,
    /// When to send again what was not acknowledged.
    pub(super) resend_due: Option<Moment>,
    /// When it is to be asked whether its client has been away too long.
    pub(super) expiry_due: Option<Moment>,
    texts: usize,
    /// Those of senders who have no secret.
    open_texts: usize,
    per_sender: BTreeMap<Box<str>, usize>,
    /// Keys of which a letter waits to be sent.
    keys: BTreeSet<Box<str>>,
}

impl Mailbox {
    fn new(id: u64, name: &str, opener: (IpAddr, bool), joined: Moment) -> Self {
        let (opener, is_keyed) = opener;
        Self {
            id,
            name: name.into(),
            opener,
            is_keyed,
            joined,
            place: None,
            letters: VecDeque::new(),
            acked: 0,
            sent: 0,
            sent_batch: 0,
            told: 0,
            window: 1,
            proven: false,
            tries: 0,
            pause: DELIVERY_FIRST_PAUSE,
            resend_due: None,
            expiry_due: None,
            texts: 0,
            open_texts: 0,
            per_sender: BTreeMap::new(),
            keys: BTreeSet::new(),
        }
    }

    /// The number of the last letter.
    pub(super) fn last(&self) -> u64 {
        self.acked + self.letters.len() as u64
    }

    /// How many letters about keys wait to be sent.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// How far delivery has come, as it is kept.
    pub(super) fn delivery(&self) -> Change<'static> {
        Change::Delivery { mailbox: self.id, sent: self.sent, acked: self.acked }
    }

    /// A letter that was not acknowledged.
    pub(super) fn letter(&self, number: u64) -> Option<&Letter> {
        self.letters.get(usize::try_from(number.checked_sub(self.acked + 1)?).ok()?)
    }

    /// Its client has joined: nothing is known to have arrived there that was not acknowledged.
    pub(super) fn join(&mut self, now: Moment, place: Slot) {
        (self.joined, self.place) = (now, Some(place));
        (self.told, self.window, self.proven) = (self.acked, 1, false);
        (self.tries, self.pause) = (0, DELIVERY_FIRST_PAUSE);
    }

    /// The next letter to send, if there is one and the window has room; it then counts as sent.
    pub(super) fn next(&mut self) -> Option<u64> {
        let next = self.told.max(self.acked) + 1;
        if self.place.is_none() || next > self.last() || next > self.acked + self.window {
            return None;
        }
        self.told = next;
        Some(next)
    }

    /// Notes that a number may have been sent; whether that is news.
    pub(super) fn note_sent(&mut self, number: u64) -> bool {
        let news = number > self.sent;
        self.sent = self.sent.max(number);
        news
    }

    /// Everything up to this number has arrived: takes it out, if it was still there.
    pub(super) fn ack(&mut self, number: u64) -> Option<Vec<Letter>> {
        if number <= self.acked || number > self.sent {
            return None;
        }
        let count = usize::try_from(number - self.acked).unwrap_or(usize::MAX).min(self.letters.len());
        let gone: Vec<Letter> = self.letters.drain(..count).collect();
        let grown = self.window + (number - self.acked);
        self.window = if self.proven { grown.min(DELIVERY_WINDOW) } else { DELIVERY_WINDOW };
        self.acked = number;
        self.proven = true;
        (self.tries, self.pause) = (0, DELIVERY_FIRST_PAUSE);
        for letter in &gone {
            self.forget(letter);
        }
        Some(gone)
    }

    /// How long to wait for an acknowledgement of what is in flight; `None` if nothing is.
    pub(super) fn patience(&self) -> Option<Duration> {
        (self.told > self.acked).then_some(self.pause)
    }

    /// What is in flight was not acknowledged in time: the first few are to be sent again. `false` if that was tried
    /// often enough.
    pub(super) fn lose(&mut self) -> bool {
        self.tries += 1;
        self.pause = (self.pause * 2).min(DELIVERY_LONGEST_PAUSE);
        self.window = if self.proven { DELIVERY_BURST } else { 1 };
        self.told = self.acked;
        self.tries <= DELIVERY_TRIES
    }

    fn forget(&mut self, letter: &Letter) {
        if let Letter::Text { sender, is_proved, .. } = letter {
            self.texts -= 1;
            self.open_texts -= usize::from(!is_proved);
            if let Some(count) = self.per_sender.get_mut(sender) {
                *count -= 1;
                if *count == 0 {
                    self.per_sender.remove(sender);
                }
            }
        }
    }

    fn add(&mut self, letter: Letter) {
        match &letter {
            Letter::Text { sender, is_proved, .. } => {
                self.texts += 1;
                self.open_texts += usize::from(!is_proved);
                *self.per_sender.entry(sender.clone()).or_default() += 1;
            }
            Letter::Key(key) => {
                self.keys.insert(key.clone());
            }
            Letter::Told { .. } => {}
        }
        self.letters.push_back(letter);
    }
}

/// All mailboxes, by the code of their client.
#[derive(Debug)]
pub(super) struct Mailboxes {
    directory: Directory<Mailbox>,
    /// How many those have opened who have no secret.
    openers: Tally,
    letters: usize,
    memory: Memory,
    seed: u64,
}

impl Mailboxes {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            directory: Directory::new(seed),
            openers: Tally::new(seed),
            letters: 0,
            memory: Memory::default(),
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.directory.len()
    }

    /// How many letters wait in all.
    pub(super) fn letters(&self) -> usize {
        self.letters
    }

    pub(super) fn find(&self, code: Code<'_>) -> Option<Slot> {
        if self.directory.is_empty() {
            return None;
        }
        self.directory.find(code.as_str())
    }

    /// Whose mailbox it is.
    pub(super) fn code(&self, slot: Slot) -> Option<&str> {
        self.directory.name(slot)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Mailbox> {
        self.directory.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Mailbox> {
        self.directory.get_mut(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Mailbox)> {
        self.directory.iter()
    }

    /// A mailbox as it is kept.
    pub(super) fn row(&self, slot: Slot) -> Option<Change<'_>> {
        let mailbox = self.directory.get(slot)?;
        Some(Change::Mailbox {
            id: mailbox.id,
            code: self.directory.name(slot)?,
            name: &mailbox.name,
            opener: mailbox.opener,
            left_ms: match mailbox.place {
                Some(_) => u64::MAX,
                None => u64::try_from(mailbox.joined.since_start().as_millis()).unwrap_or(u64::MAX),
            },
        })
    }

    /// Opens a mailbox for a code that has none.
    pub(super) fn open(
        &mut self,
        code: Code<'_>,
        id: u64,
        name: &str,
        opener: (IpAddr, bool),
        now: Moment,
    ) -> Slot {
        let (source, is_keyed) = opener;
        if !is_keyed {
            self.openers.add(source, usize::MAX);
        }
        self.directory.insert(code.as_str(), Mailbox::new(id, name, opener, now)).0
    }

    /// Deletes a mailbox.
    pub(super) fn delete(&mut self, slot: Slot) -> Option<Mailbox> {
        let (_, mailbox) = self.directory.remove(slot)?;
        if !mailbox.is_keyed {
            self.openers.remove(&mailbox.opener);
        }
        self.letters -= mailbox.letters.len();
        for letter in &mailbox.letters {
            *self.memory.of_mut(letter.is_proved()) -= letter.cost();
        }
        Some(mailbox)
    }

    /// Adds a letter; returns its number.
    pub(super) fn post(&mut self, slot: Slot, letter: Letter) -> Option<u64> {
        let mailbox = self.directory.get_mut(slot)?;
        self.letters += 1;
        *self.memory.of_mut(letter.is_proved()) += letter.cost();
        mailbox.add(letter);
        Some(mailbox.last())
    }

    /// Adds what has become of a key, unless a letter that will tell of it waits; returns its number.
    pub(super) fn post_key(&mut self, slot: Slot, key: &str) -> Option<u64> {
        if self.get(slot)?.keys.contains(key) {
            return None;
        }
        self.post(slot, Letter::Key(key.into()))
    }

    /// Freezes what a letter about a key says, since it is about to be sent.
    pub(super) fn tell(&mut self, slot: Slot, number: u64, push: &[u8]) {
        let Some(mailbox) = self.directory.get_mut(slot) else { return };
        let index = number.checked_sub(mailbox.acked + 1).and_then(|index| usize::try_from(index).ok());
        let Some(letter) = index.and_then(|index| mailbox.letters.get_mut(index)) else { return };
        if let Letter::Key(key) = letter {
            mailbox.keys.remove(key);
            let told = Letter::Told { key: core::mem::take(key), push: push.into() };
            *self.memory.of_mut(false) += push.len();
            *letter = told;
        }
    }

    /// Everything up to this number has arrived at the client; whether that is news.
    pub(super) fn ack(&mut self, slot: Slot, number: u64) -> bool {
        let Some(mailbox) = self.directory.get_mut(slot) else { return false };
        let Some(gone) = mailbox.ack(number) else { return false };
        self.letters -= gone.len();
        for letter in &gone {
            *self.memory.of_mut(letter.is_proved()) -= letter.cost();
        }
        true
    }

    /// Restores a letter: a new one behind the others, or what one says now.
    pub(super) fn restore_letter(&mut self, slot: Slot, number: u64, letter: Letter) -> Option<()> {
        let mailbox = self.directory.get_mut(slot)?;
        if number > mailbox.last() {
            return if number == mailbox.last() + 1 { self.post(slot, letter).map(|_| ()) } else { None };
        }
        if let Letter::Told { push, .. } = &letter {
            self.tell(slot, number, push);
        }
        Some(())
    }

    /// Restores how far delivery has come.
    pub(super) fn restore_delivery(&mut self, slot: Slot, sent: u64, acked: u64) -> Option<()> {
        if sent.max(acked) > IDS {
            return None;
        }
        let mailbox = self.directory.get_mut(slot)?;
        if mailbox.letters.is_empty() && mailbox.acked == 0 {
            // The letters that it speaks of are gone, or come behind it.
            (mailbox.acked, mailbox.told) = (acked, acked);
        }
        mailbox.sent = mailbox.sent.max(sent).max(acked);
        // What is behind that already comes from a batch that is there twice.
        let arrived = acked <= mailbox.acked || self.ack(slot, acked);
        let mailbox = self.directory.get_mut(slot)?;
        (mailbox.window, mailbox.proven) = (1, false);
        arrived.then_some(())
    }
}
