//! What the store must hold, kept the simplest way; and changes as a hub would make them, by chance.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::super::ledger::Ledger;
use super::quick_directory;
use crate::config::Sync;
use crate::hub::{Change, Content, Spot};

/// Each row by its table, owner, number and name, as it is written in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model(BTreeMap<(char, u64, u64, String), Vec<u8>>);

impl Model {
    /// The model of a batch that a store gave.
    pub(super) fn of(changes: &[u8]) -> Self {
        let mut model = Self::default();
        model.apply(changes);
        model
    }

    /// Applies changes one after the other, and sees to it that each belongs to something.
    pub(super) fn apply(&mut self, changes: &[u8]) {
        for change in Change::read(changes) {
            self.apply_one(&change.unwrap());
        }
    }

    fn apply_one(&mut self, change: &Change<'_>) {
        let none = String::new;
        let (key, owner) = match *change {
            Change::Clock { .. } => (('c', 0, 0, none()), None),
            Change::Value { key, .. } => (('v', 0, 0, key.to_owned()), None),
            Change::Session { id, .. } => (('s', id, 0, none()), None),
            Change::Reply { session, number, .. } => (('r', session, number % 64, none()), Some('s')),
            Change::Keyed { session, .. } => (('k', session, 0, none()), Some('s')),
            Change::Mailbox { id, .. } => (('m', id, 0, none()), None),
            Change::Delivery { mailbox, acked, .. } => {
                self.forget(('l', mailbox, 0), ('l', mailbox, acked + 1));
                (('d', mailbox, 0, none()), Some('m'))
            }
            Change::Letter { mailbox, number, .. } => (('l', mailbox, number, none()), Some('m')),
            Change::Place { id, .. } => (('p', id, 0, none()), None),
            Change::Watch { owner, pattern } => {
                let belongs_to = if self.0.contains_key(&('p', owner, 0, none())) { 'p' } else { 'm' };
                (('w', owner, 0, pattern.to_owned()), Some(belongs_to))
            }
            Change::ValueGone { key } => {
                self.0.remove(&('v', 0, 0, key.to_owned()));
                return;
            }
            Change::WatchGone { owner, pattern } => {
                self.0.remove(&('w', owner, 0, pattern.to_owned()));
                return;
            }
            Change::PlaceGone { id } => {
                for table in ['p', 'w'] {
                    self.forget((table, id, 0), (table, id + 1, 0));
                }
                return;
            }
            Change::SessionGone { id } => {
                for table in ['s', 'k', 'r'] {
                    self.forget((table, id, 0), (table, id + 1, 0));
                }
                return;
            }
            Change::MailboxGone { id } => {
                for table in ['m', 'd', 'l', 'w'] {
                    self.forget((table, id, 0), (table, id + 1, 0));
                }
                return;
            }
        };
        if let Some(owner) = owner {
            assert!(self.0.contains_key(&(owner, key.1, 0, none())), "{change:?} belongs to nothing");
        }
        let mut row = Vec::new();
        change.write(&mut row);
        self.0.insert(key, row);
    }

    /// Removes the rows from this owner and number on, up to those.
    fn forget(&mut self, from: (char, u64, u64), to: (char, u64, u64)) {
        let key = |(table, owner, number)| (table, owner, number, String::new());
        let gone: Vec<_> = self.0.range(key(from)..key(to)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.0.remove(&key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Makes changes that a hub could make, from any numbers.
#[derive(Debug, Default)]
pub(super) struct Hub {
    next_id: u64,
    /// Each with the number of its last request.
    sessions: Vec<(u64, u64)>,
    /// Each with its last letter and the last that was acknowledged.
    mailboxes: Vec<(u64, u64, u64)>,
    places: Vec<u64>,
}

/// What happens, which of several it happens to, and with what.
pub(super) type Step = (u8, u8, u8);

impl Hub {
    /// The changes of some steps, as a batch.
    pub(super) fn batch(&mut self, steps: &[Step]) -> Vec<u8> {
        let mut batch = Vec::new();
        Change::Clock { uptime_ms: u64::from(steps[0].2), next_id: self.next_id }.write(&mut batch);
        for &step in steps {
            self.step(step, &mut batch);
        }
        batch
    }

    fn step(&mut self, (what, which, with): Step, batch: &mut Vec<u8>) {
        let maker =
            if with < 128 { IpAddr::from([10, 0, 0, with]) } else { IpAddr::from([u16::from(with); 8]) };
        let bytes = [with, b'x'];
        let name = format!("name/{}", which % 8);
        let session = usize::from(which).checked_rem(self.sessions.len());
        let mailbox = usize::from(which).checked_rem(self.mailboxes.len());
        let place = usize::from(which).checked_rem(self.places.len());
        match (what % 21, session, mailbox) {
            (0 | 1, ..) => Change::Value { key: &name, text: &bytes, maker }.write(batch),
            (2, ..) => Change::ValueGone { key: &name }.write(batch),
            (3, ..) => {
                self.next_id += 1;
                self.sessions.push((self.next_id, 0));
                new_session(self.next_id, &name, maker, with).write(batch);
            }
            (4, Some(at), _) => new_session(self.sessions[at].0, &name, maker, with).write(batch),
            (5, Some(at), _) if with < 100 => {
                Change::SessionGone { id: self.sessions.swap_remove(at).0 }.write(batch);
            }
            (6..=8, Some(at), _) => {
                let (session, number) = &mut self.sessions[at];
                *number += u64::from(with % 4);
                let line = u64::MAX - u64::from(with);
                Change::Reply { session: *session, number: *number, line, outcome: &bytes }.write(batch);
            }
            (9, ..) => {
                self.next_id += 1;
                self.mailboxes.push((self.next_id, 0, 0));
                Change::Mailbox { id: self.next_id, code: &name, name: "box1", opener: maker, left_ms: 5 }
                    .write(batch);
            }
            (10, _, Some(at)) if with < 100 => {
                Change::MailboxGone { id: self.mailboxes.swap_remove(at).0 }.write(batch);
            }
            (11 | 12, _, Some(at)) => {
                let (mailbox, last, acked) = &mut self.mailboxes[at];
                // Either one more, or the last once more.
                if with < 200 || *last == *acked {
                    *last += 1;
                }
                let content = match with % 3 {
                    0 => Content::Text { sender: &name, push: &bytes },
                    1 => Content::Key { key: &name },
                    _ => Content::Told { key: &name, push: &bytes },
                };
                Change::Letter { mailbox: *mailbox, number: *last, content }.write(batch);
            }
            (13, _, Some(at)) => {
                let (mailbox, last, acked) = &mut self.mailboxes[at];
                *acked = last.saturating_sub(u64::from(with % 3)).max(*acked);
                Change::Delivery { mailbox: *mailbox, sent: *last, acked: *acked }.write(batch);
            }
            (14, _, Some(at)) => Change::Watch { owner: self.mailboxes[at].0, pattern: &name }.write(batch),
            (15, _, Some(at)) => {
                Change::WatchGone { owner: self.mailboxes[at].0, pattern: &name }.write(batch);
            }
            (20, Some(at), _) => new_keyed(self.sessions[at].0, &name, maker, with).write(batch),
            (16.., ..) => self.step_at_a_place((what % 4, place, with), &name, maker, batch),
            _ => {}
        }
    }
}

impl Hub {
    fn step_at_a_place(
        &mut self,
        (what, place, with): (u8, Option<usize>, u8),
        name: &str,
        address: IpAddr,
        batch: &mut Vec<u8>,
    ) {
        match (what, place.map(|at| self.places[at])) {
            (0, _) => {
                self.next_id += 1;
                self.places.push(self.next_id);
                new_place(self.next_id, name, address, with).write(batch);
            }
            (1, Some(id)) => new_place(id, name, address, with).write(batch),
            (2, Some(owner)) => Change::Watch { owner, pattern: name }.write(batch),
            (_, Some(owner)) if with < 128 => Change::WatchGone { owner, pattern: name }.write(batch),
            (_, Some(id)) => {
                self.places.retain(|&other| other != id);
                Change::PlaceGone { id }.write(batch);
            }
            (_, None) => {}
        }
    }
}

fn new_spot(address: IpAddr, with: u8) -> Spot {
    match with % 3 {
        0 => Spot::Tcp { id: u64::MAX - u64::from(with) },
        1 => Spot::Udp { to: (address, 9).into(), local: None, port: 10_125, interface: 0 },
        _ => Spot::Udp { to: (address, u16::MAX).into(), local: Some(address), port: 1, interface: u32::MAX },
    }
}

fn new_keyed(session: u64, code: &str, address: IpAddr, with: u8) -> Change<'_> {
    let (spot, joined) =
        (new_spot(address, with), [None, Some(0), Some(u64::from(with))][usize::from(with % 3)]);
    Change::Keyed { session, code, nonce: "abcd", check: [b'0' + with % 10; 16], spot, joined }
}

fn new_place(id: u64, code: &str, address: IpAddr, with: u8) -> Change<'_> {
    let spot = new_spot(address, with);
    let ending: &[u8] = if with < 100 { b"\r\n" } else { b"\0" };
    Change::Place { id, code, spot, ending, boxed: with.is_multiple_of(2) }
}

fn new_session(id: u64, name: &str, opener: IpAddr, with: u8) -> Change<'_> {
    Change::Session {
        id,
        name,
        opener,
        place: with.is_multiple_of(2).then_some((u64::from(with), u64::MAX - u64::from(with))),
        superseded: with.is_multiple_of(3),
        claimed: with.is_multiple_of(5).then_some(name),
        bye: with.is_multiple_of(7),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tables_and_batches_are_what_all_batches_are(
        batches in prop::collection::vec((prop::collection::vec(any::<Step>(), 1..12), 0..8_u8), 1..60)
    ) {
        let directory = quick_directory();
        let file = directory.path().join("pigeond.db");
        let (mut ledger, _) = Ledger::open(&file, Sync::Normal).unwrap();
        let (mut hub, mut model) = (Hub::default(), Model::default());
        for (steps, then) in &batches {
            let batch = hub.batch(steps);
            ledger.commit(&batch).unwrap();
            model.apply(&batch);
            match then {
                0 => ledger.fold().unwrap(),
                1 => {
                    drop(ledger);
                    let (again, changes) = Ledger::open(&file, Sync::Normal).unwrap();
                    prop_assert_eq!(&Model::of(&changes), &model);
                    ledger = again;
                }
                _ => {}
            }
        }
        ledger.close().unwrap();
        let (ledger, changes) = Ledger::open(&file, Sync::Normal).unwrap();
        prop_assert!(!ledger.has_batches());
        prop_assert_eq!(&Model::of(&changes), &model);
    }
}
