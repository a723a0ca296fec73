//! The client's half of acknowledged delivery: takes pushes in order, once, and says how far it has come.
//!
//! It is kept when its client crashes, as a client does that saves the mailbox's name and the number with what it
//! has done about the push.

use std::collections::BTreeMap;

use super::bugs::Bug;

/// See the module's documentation.
#[derive(Default)]
pub struct Inbox {
    /// The mailbox's name.
    name: String,
    /// The highest number taken.
    taken: u64,
    /// What came too early, if such is kept.
    early: BTreeMap<u64, Vec<u8>>,
    keeps_early: bool,
}

/// What comes of a push.
#[derive(Default)]
pub struct Taken {
    /// Pushes to act upon, in order, each once.
    pub pushes: Vec<Vec<u8>>,
    /// What to acknowledge.
    pub ack: Option<u64>,
}

impl Inbox {
    pub fn new(keeps_early: bool) -> Self {
        Self { keeps_early, ..Self::default() }
    }

    /// The hub has told the mailbox's name; whether it is another one.
    pub fn opened(&mut self, name: &str, bug: Option<Bug>) -> bool {
        self.early.clear();
        if self.name == name {
            return false;
        }
        name.clone_into(&mut self.name);
        if bug != Some(Bug::IgnoreBox) {
            self.taken = 0;
        }
        true
    }

    /// Takes a push.
    pub fn push(&mut self, number: u64, push: &[u8], bug: Option<Bug>) -> Taken {
        let mut taken = Taken::default();
        if bug == Some(Bug::TakeAll) && number > self.taken {
            self.taken = number;
            taken.pushes.push(push.to_vec());
        }
        if number == self.taken + 1 {
            self.taken = number;
            taken.pushes.push(push.to_vec());
            while let Some(next) = self.early.remove(&(self.taken + 1)) {
                self.taken += 1;
                taken.pushes.push(next);
            }
        } else if number > self.taken && self.keeps_early {
            self.early.insert(number, push.to_vec());
        }
        let ahead = u64::from(bug == Some(Bug::AckAhead));
        taken.ack = (number <= self.taken).then_some(self.taken + ahead);
        taken
    }

    /// What the client had not yet acted upon, though it had acknowledged it, is lost.
    pub fn crash(&mut self) {
        self.early.clear();
    }
}
