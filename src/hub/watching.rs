//! What WATCH and UNWATCH do, and what is told to those who watch (protocol, section 5).

use super::actions::{Actions, Fanout};
use super::change::Change;
use super::requests::JOIN_FIRST;
use super::watches::Watches;
use super::{Asker, Hub, Slot};
use crate::moment::Moment;
use crate::names::{Key, Pattern};
use crate::wire::{ErrorName, Refusal, push};

impl Hub {
    /// Tells everybody who watches this key.
    pub(super) fn changed(
        &mut self,
        now: Moment,
        key: Key<'_>,
        out: &mut Actions,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.watches.is_empty() && self.box_watches.is_empty() {
            return;
        }
        let mut watchers = core::mem::take(&mut self.watchers);
        self.watches.watchers(key, &mut watchers);
        if !watchers.is_empty() {
            let mut fanout = Fanout::new(out, encode);
            for &watcher in &watchers {
                self.push(now, watcher, &mut fanout, out);
            }
        }
        self.box_watches.watchers(key, &mut watchers);
        for &watcher in &watchers {
            self.post_key(now, watcher, key.as_str(), out);
        }
        self.recycle_watchers(watchers);
    }

    pub(super) fn watch(
        &mut self,
        asker: &Asker,
        pattern: Pattern<'_>,
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(JOIN_FIRST)?;
        let present = self.matching(pattern, self.settings.unread_bytes / 2).ok_or(TOO_MANY_VALUES)?;
        let mailbox = self.clients.get(place).and_then(|client| client.mailbox);
        let limit = self.settings.watches_per_client;
        let (watches, slot, owner) = self.watches_of(place).ok_or(JOIN_FIRST)?;
        if !watches.has(slot, pattern) {
            if !watches.watch(slot, pattern.as_str(), limit) {
                return Err(TOO_MANY_WATCHES);
            }
            self.journal.note(asker.now, &Change::Watch { owner, pattern: pattern.as_str() });
            self.journal.hold();
        }
        body.extend_from_slice(b"watching ");
        body.extend_from_slice(pattern.as_bytes());
        if let Some(mailbox) = mailbox {
            for (_, key) in present {
                self.post_key(asker.now, mailbox, &key, out);
            }
            return Ok(());
        }
        if !present.is_empty() {
            self.journal.hold_with_pushes();
        }
        for (slot, key) in present {
            let mut fanout = Fanout::new(out, |bytes| {
                push::value(bytes, &key, &[]);
                self.values.write(slot, bytes);
            });
            self.push(asker.now, place, &mut fanout, out);
        }
        Ok(())
    }

    /// Watches a pattern no longer.
    pub(super) fn unwatch(&mut self, asker: &Asker, pattern: Pattern<'_>) -> Result<(), Refusal> {
        let place = asker.place.ok_or(JOIN_FIRST)?;
        let (watches, slot, owner) = self.watches_of(place).ok_or(JOIN_FIRST)?;
        if watches.unwatch(slot, pattern) {
            self.journal.note(asker.now, &Change::WatchGone { owner, pattern: pattern.as_str() });
            self.journal.hurry();
        }
        Ok(())
    }

    /// Where it stands what a client watches: the table, by whom there, and by which number in what is kept.
    fn watches_of(&mut self, place: Slot) -> Option<(&mut Watches, Slot, u64)> {
        let client = self.clients.get(place)?;
        Some(match client.mailbox {
            Some(slot) => (&mut self.box_watches, slot, self.mailboxes.get(slot)?.id),
            None => (&mut self.watches, place, client.id),
        })
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

const TOO_MANY_WATCHES: Refusal =
    Refusal::new(ErrorName::Full, "you watch too many patterns, UNWATCH some (limits.watches_per_client)");
const TOO_MANY_VALUES: Refusal =
    Refusal::new(ErrorName::Full, "too much matches this pattern, watch a narrower one");
