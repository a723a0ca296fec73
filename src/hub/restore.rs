//! Begins where an earlier hub ended: reads what was kept.

use std::collections::{BTreeMap, BTreeSet};

use super::Hub;
use super::change::{Change, Damage};
use super::directory::Slot;
use super::mailbox::Letter;
use super::places::Absent;
use super::settings::Settings;
use crate::limits::{IDS, UPTIME};
use crate::moment::Moment;
use crate::names::{Code, Key, Pattern, Ticket};
use crate::wire::Number;

/// Sessions and mailboxes by their numbers in the state.
#[derive(Default)]
struct Known {
    sessions: BTreeMap<u64, Slot>,
    mailboxes: BTreeMap<u64, Slot>,
    places: BTreeMap<u64, Absent>,
    /// Sessions, mailboxes and places that are gone, which share their numbers: a row of one comes from a batch that is
    /// there twice.
    deleted: BTreeSet<u64>,
}

impl Hub {
    /// A hub that goes on from these batches, oldest first, and keeps what changes from now on. Time goes on from
    /// where they ended: see [`Hub::started`].
    ///
    /// # Errors
    /// A row cannot be read, or contradicts the others; it is not known which of them is wrong.
    pub fn restore(settings: Settings, seed: u64, batches: &[u8]) -> Result<Self, Damage> {
        let mut uptime_ms = 0;
        for change in Change::read(batches) {
            if let Change::Clock { uptime_ms: later, next_id } = change? {
                if u128::from(later) > UPTIME.as_millis() || next_id > IDS {
                    return Err(CLOCK);
                }
                uptime_ms = later.max(uptime_ms);
            }
        }
        let now = Moment::after_start(core::time::Duration::from_millis(uptime_ms));
        let mut hub = Self::new(settings, now, seed);
        let mut known = Known::default();
        for change in Change::read(batches) {
            hub.take(now, &change?, &mut known)?;
        }
        hub.absent = known.places.into_values().collect();
        hub.journal.keep();
        hub.wake_restored(now);
        Ok(hub)
    }

    fn take(&mut self, now: Moment, change: &Change<'_>, known: &mut Known) -> Result<(), Damage> {
        match *change {
            Change::Clock { next_id, .. } => self.journal.restore(next_id),
            Change::Value { key, text, maker } => {
                let key = Key::parse(key.as_bytes()).ok_or(NAME)?;
                self.values.restore(key, text, maker);
            }
            Change::ValueGone { key } => {
                let key = Key::parse(key.as_bytes()).ok_or(NAME)?;
                // It may be gone already.
                let _ = self.values.delete(key);
            }
            Change::Session { id, .. }
            | Change::Reply { session: id, .. }
            | Change::Keyed { session: id, .. }
                if known.deleted.contains(&id) => {}
            Change::Session { id, .. } => {
                let slot = self.sessions.restore(now, change).ok_or(SESSION)?;
                known.sessions.insert(id, slot);
            }
            Change::SessionGone { id } => {
                known.deleted.insert(id);
                if let Some(slot) = known.sessions.remove(&id) {
                    self.sessions.forget(slot);
                }
            }
            Change::Reply { session, number, line, outcome } => {
                let slot = *known.sessions.get(&session).ok_or(SESSION)?;
                let number = Number::new(number).ok_or(SESSION)?;
                self.sessions.record(slot, number, line, outcome);
            }
            Change::Keyed { session, .. } => {
                let slot = *known.sessions.get(&session).ok_or(SESSION)?;
                self.sessions.restore_keyed(slot, change, &self.settings.keys).ok_or(SESSION)?;
            }
            Change::Mailbox { .. }
            | Change::Delivery { .. }
            | Change::MailboxGone { .. }
            | Change::Letter { .. }
            | Change::Watch { .. }
            | Change::WatchGone { .. }
            | Change::Place { .. }
            | Change::PlaceGone { .. } => return self.take_mail(now, change, known).ok_or(MAILBOX),
        }
        Ok(())
    }

    fn take_mail(&mut self, now: Moment, change: &Change<'_>, known: &mut Known) -> Option<()> {
        let find = |known: &Known, id: u64| known.mailboxes.get(&id).copied();
        match *change {
            Change::Mailbox { id, .. }
            | Change::Delivery { mailbox: id, .. }
            | Change::Letter { mailbox: id, .. }
            | Change::Watch { owner: id, .. }
            | Change::WatchGone { owner: id, .. }
            | Change::Place { id, .. }
                if known.deleted.contains(&id) => {}
            Change::Mailbox { id, code, name, opener, left_ms } => {
                // Whose client was there when the hub ended is as if that had left now.
                let left = Moment::after_start(core::time::Duration::from_millis(left_ms)).min(now);
                if let Some(mailbox) = find(known, id).and_then(|slot| self.mailboxes.get_mut(slot)) {
                    mailbox.joined = left;
                    return Some(());
                }
                let code = Code::parse(code.as_bytes())?;
                let name = Ticket::parse(name.as_bytes())?;
                if self.mailboxes.find(code).is_some() {
                    return None;
                }
                let opener = (opener, self.settings.keys.has(code));
                known.mailboxes.insert(id, self.mailboxes.open(code, id, name.as_str(), opener, left));
            }
            Change::MailboxGone { id } => {
                known.deleted.insert(id);
                if let Some(slot) = known.mailboxes.remove(&id) {
                    self.box_watches.leave(slot);
                    self.mailboxes.delete(slot);
                }
            }
            Change::Delivery { mailbox, sent, acked } => {
                self.mailboxes.restore_delivery(find(known, mailbox)?, sent, acked)?;
            }
            Change::Letter { mailbox, number, ref content } => {
                self.mailboxes.restore_letter(
                    find(known, mailbox)?,
                    number,
                    Letter::restore(content, &self.settings.keys),
                )?;
            }
            Change::Watch { owner, pattern } => match known.places.get_mut(&owner) {
                Some(place) => place.watch(pattern)?,
                None => {
                    self.box_watches.watch(find(known, owner)?, pattern, usize::MAX).then_some(())?;
                }
            },
            Change::WatchGone { owner, pattern } => match known.places.get_mut(&owner) {
                Some(place) => place.unwatch(pattern),
                None => {
                    self.box_watches.unwatch(find(known, owner)?, Pattern::parse(pattern.as_bytes())?);
                }
            },
            Change::Place { id, .. } => {
                let place = Absent::read(change, known.places.remove(&id))?;
                known.places.insert(id, place);
            }
            Change::PlaceGone { id } => {
                known.deleted.insert(id);
                known.places.remove(&id);
            }
            Change::Clock { .. }
            | Change::Value { .. }
            | Change::ValueGone { .. }
            | Change::Session { .. }
            | Change::SessionGone { .. }
            | Change::Keyed { .. }
            | Change::Reply { .. } => return None,
        }
        Some(())
    }

    /// Sets the deadlines of what was restored.
    fn wake_restored(&mut self, now: Moment) {
        for slot in self.sessions.slots() {
            self.wake_session(slot);
        }
        let mailboxes: Vec<Slot> = self.mailboxes.iter().map(|(slot, _)| slot).collect();
        for slot in mailboxes {
            self.wake_mailbox(now, slot);
        }
    }
}

const CLOCK: Damage = Damage("it says that hubs have run for longer than can be");
const NAME: Damage = Damage("a name is none");
const SESSION: Damage = Damage("a session contradicts itself");
const MAILBOX: Damage = Damage("a mailbox or a place contradicts itself");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_no_older_than_can_be() {
        let longest = u64::try_from(UPTIME.as_millis()).unwrap();
        for (uptime_ms, next_id, fits) in [(longest, IDS, true), (longest + 1, 1, false), (0, IDS + 1, false)]
        {
            let mut batch = Vec::new();
            Change::Clock { uptime_ms, next_id }.write(&mut batch);
            assert_eq!(Hub::restore(Settings::default(), 1, &batch).is_ok(), fits, "{uptime_ms} {next_id}");
        }
    }
}
