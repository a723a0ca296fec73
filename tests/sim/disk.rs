//! The disk: what is committed is there after a crash, and nothing else.

use std::collections::BTreeMap;

use fastrand::Rng;
use pigeond::hub::{Change, Content};

use super::bugs::Bug;
use super::fold::fold;

/// Batches that are committed, oldest first.
pub struct Disk {
    batches: Vec<Vec<u8>>,
    folds: bool,
    bug: Option<Bug>,
}

impl Disk {
    pub fn new(folds: bool, bug: Option<Bug>) -> Self {
        Self { batches: Vec::new(), folds, bug }
    }

    /// Commits a batch.
    pub fn write(&mut self, rng: &mut Rng, batch: &[u8]) {
        let batch = match self.bug {
            Some(bug) => spoil(rng, bug, batch),
            None => batch.to_vec(),
        };
        self.batches.push(batch);
    }

    /// Commits the first half of a batch, which no disk should.
    pub fn write_half(&mut self, batch: &[u8]) {
        let changes: Vec<Change<'_>> = Change::read(batch).map(Result::unwrap).collect();
        let half = write(&changes[..changes.len() / 2]);
        self.batches.push(half);
    }

    /// What a new hub begins with.
    pub fn state(&mut self, rng: &mut Rng) -> Vec<u8> {
        if self.bug == Some(Bug::Reorder) && self.batches.len() >= 2 {
            let at = rng.usize(1..self.batches.len());
            self.batches.swap(at - 1, at);
        }
        if self.bug == Some(Bug::DropWindow) {
            self.batches = vec![drop_window(&self.batches.concat())];
        }
        if self.folds { fold(&self.batches) } else { self.batches.concat() }
    }
}

fn write(changes: &[Change<'_>]) -> Vec<u8> {
    let mut batch = Vec::new();
    for change in changes {
        change.write(&mut batch);
    }
    batch
}

/// A batch as a store with a bug keeps it.
fn spoil(rng: &mut Rng, bug: Bug, batch: &[u8]) -> Vec<u8> {
    let mut changes: Vec<Change<'_>> = Change::read(batch).map(Result::unwrap).collect();
    changes.retain(|change| match (bug, change) {
        (Bug::ForgetReplies, Change::Reply { .. })
        | (Bug::ForgetSessions, Change::Reply { .. } | Change::Session { .. })
        | (Bug::KeepDeleted, Change::ValueGone { .. })
        | (Bug::ForgetDelivery, Change::Delivery { .. })
        | (Bug::ForgetWatches, Change::Watch { .. }) => false,
        (Bug::LoseValue, Change::Value { .. })
        | (Bug::LoseLetter, Change::Letter { content: Content::Text { .. }, .. }) => rng.f64() > 0.05,
        _ => true,
    });
    for change in &mut changes {
        match (bug, change) {
            (Bug::OtherReply, Change::Reply { outcome, .. }) => *outcome = b"OK",
            (Bug::ForgetClock, Change::Clock { next_id, .. }) => *next_id = 1,
            _ => {}
        }
    }
    write(&changes)
}

/// Without all replies but the last of each session.
fn drop_window(state: &[u8]) -> Vec<u8> {
    let changes: Vec<Change<'_>> = Change::read(state).map(Result::unwrap).collect();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for change in &changes {
        if let Change::Reply { session, number, .. } = *change {
            let highest = last.entry(session).or_default();
            *highest = number.max(*highest);
        }
    }
    let is_kept = |change: &&Change<'_>| match change {
        Change::Reply { session, number, .. } => last.get(session) == Some(number),
        _ => true,
    };
    write(&changes.iter().filter(is_kept).cloned().collect::<Vec<_>>())
}
