//! What was asked, what was answered, and what must therefore be true.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Micros;

/// A fault of the hub or of the client.
pub type Fault = String;

/// A counter that is only ever changed by 1, under tags.
#[derive(Default)]
pub struct Counter {
    pub answered: i64,
    /// Requests that are under way, or whose fate is unknown.
    open: i64,
    /// Every value that was answered: no two may be the same.
    seen: BTreeSet<i64>,
}

/// A value that one client sets, one request after the other.
#[derive(Default)]
pub struct Register {
    /// What was answered last; `None` if it was deleted.
    last: Option<String>,
    /// What it may be beside that.
    open: BTreeSet<Option<String>>,
}

/// How a request that sends something has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    Accepted,
    Refused,
}

/// What one client sent to others: MSG or ASK.
pub struct Letter {
    from: usize,
    /// `None`: to all.
    to: Option<usize>,
    submitted: Micros,
    accepted: Option<Micros>,
    fate: Fate,
    /// How many took it, says the hub.
    took: usize,
    /// Who has got it, or need not any more.
    delivered: BTreeSet<usize>,
    forgiven: BTreeSet<usize>,
    /// Clients without a mailbox to whom the hub has sent it.
    told: BTreeSet<usize>,
    /// Whether an ANSWER to it was answered.
    answered: bool,
    timed_out: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Ledger {
    pub counters: BTreeMap<String, Counter>,
    pub registers: BTreeMap<String, Register>,
    letters: BTreeMap<String, Letter>,
    /// For each client, when the last of what it got was submitted.
    latest: BTreeMap<usize, Micros>,
    pub answers: u64,
    pub deliveries: u64,
}

impl Ledger {
    pub fn count(&mut self, key: &str) {
        self.counters.entry(key.to_owned()).or_default().open += 1;
    }

    /// A counting request was answered with this value.
    pub fn counted(&mut self, key: &str, value: i64) -> Result<(), Fault> {
        let counter = self.counters.entry(key.to_owned()).or_default();
        counter.open -= 1;
        counter.answered += 1;
        self.answers += 1;
        if counter.seen.insert(value) { Ok(()) } else { Err(format!("{key} was answered {value} twice")) }
    }

    /// A counting request was surely not done.
    pub fn uncounted(&mut self, key: &str) {
        self.counters.entry(key.to_owned()).or_default().open -= 1;
    }

    pub fn set(&mut self, key: &str, value: Option<String>) {
        self.registers.entry(key.to_owned()).or_default().open.insert(value);
    }

    /// A value was set or deleted, or surely was not.
    pub fn was_set(&mut self, key: &str, value: Option<String>, done: bool) {
        let register = self.registers.entry(key.to_owned()).or_default();
        // A deletion may be open more than once; then it stays possible.
        if value.is_some() {
            register.open.remove(&value);
        }
        if done {
            register.last = value;
            self.answers += 1;
        }
    }

    /// Whether this is what a key may hold now.
    pub fn check(&self, key: &str, value: Option<&str>) -> Result<(), Fault> {
        if let Some(counter) = self.counters.get(key) {
            let number: i64 = value.unwrap_or("0").parse().map_err(|_| format!("{key} is {value:?}"))?;
            let most = counter.answered + counter.open;
            if !(counter.answered..=most).contains(&number.abs()) {
                let answered = counter.answered;
                return Err(format!("{key} is {number}, but {answered} were answered, and {most} asked"));
            }
        }
        if let Some(register) = self.registers.get(key) {
            let value = value.map(str::to_owned);
            if value != register.last && !register.open.contains(&value) {
                return Err(format!("{key} is {value:?}, but {:?} was answered last", register.last));
            }
        }
        Ok(())
    }

    pub fn send(&mut self, now: Micros, text: &str, from: usize, to: Option<usize>) {
        let letter = Letter {
            from,
            to,
            submitted: now,
            accepted: None,
            fate: Fate::Open,
            took: 0,
            delivered: BTreeSet::new(),
            forgiven: BTreeSet::new(),
            told: BTreeSet::new(),
            answered: false,
            timed_out: false,
        };
        self.letters.insert(text.to_owned(), letter);
    }

    /// The hub has taken a text, or has refused it.
    pub fn was_sent(&mut self, now: Micros, text: &str, fate: Fate, took: usize) -> Result<(), Fault> {
        let letter = self.letters.get_mut(text).ok_or_else(|| format!("nobody sent {text}"))?;
        (letter.fate, letter.took) = (fate, took);
        if fate == Fate::Accepted {
            letter.accepted = Some(now);
            self.answers += 1;
        }
        if fate == Fate::Refused && !letter.delivered.is_empty() {
            return Err(format!("{text} was refused and delivered"));
        }
        if letter.to.is_none() && letter.fate == Fate::Accepted && letter.delivered.len() > took {
            return Err(format!("{text} went to more than {took}"));
        }
        Ok(())
    }

    /// A question was not answered in time; it was asked all the same.
    pub fn timed_out(&mut self, text: &str) -> Result<(), Fault> {
        let letter = self.letters.get_mut(text).ok_or_else(|| format!("nobody asked {text}"))?;
        letter.timed_out = true;
        if letter.answered { Err(format!("{text} was answered, and timed out")) } else { Ok(()) }
    }

    /// An answer to a question was taken.
    pub fn answered(&mut self, text: &str) -> Result<(), Fault> {
        let letter = self.letters.get_mut(text).ok_or_else(|| format!("nobody asked {text}"))?;
        letter.answered = true;
        self.answers += 1;
        if letter.timed_out { Err(format!("{text} timed out, and was answered")) } else { Ok(()) }
    }

    /// A client has taken a text out of its mailbox.
    pub fn deliver(&mut self, text: &str, at: usize) -> Result<(), Fault> {
        let letter = self.letters.get_mut(text).ok_or_else(|| format!("nobody sent {text}"))?;
        self.deliveries += 1;
        if letter.from == at && letter.to != Some(at) || letter.to.is_some_and(|to| to != at) {
            return Err(format!("{text} was delivered to {at}"));
        }
        if letter.fate == Fate::Refused {
            return Err(format!("{text} was refused and delivered"));
        }
        if !letter.delivered.insert(at) {
            return Err(format!("{text} was delivered to {at} twice"));
        }
        let latest = self.latest.entry(at).or_default();
        if letter.accepted.is_some_and(|accepted| accepted < *latest) {
            return Err(format!("{text} came to {at} behind what was sent later"));
        }
        *latest = letter.submitted.max(*latest);
        Ok(())
    }

    /// The hub has sent a text to a client without a mailbox.
    pub fn told(&mut self, text: &str, at: usize) -> Result<(), Fault> {
        let letter = self.letters.get_mut(text).ok_or_else(|| format!("nobody sent {text}"))?;
        if letter.told.insert(at) { Ok(()) } else { Err(format!("{text} was sent to {at} twice")) }
    }

    /// A mailbox was deleted: what was in it need not come any more.
    pub fn forgive(&mut self, at: usize) {
        for letter in self.letters.values_mut() {
            if letter.to.is_none_or(|to| to == at) && !letter.delivered.contains(&at) {
                letter.forgiven.insert(at);
            }
        }
    }

    /// What was accepted, but has not come. Clients without a mailbox, of whom there are so many, may have missed it.
    pub fn missing(&self, has_box: impl Fn(usize) -> bool, without: usize) -> Option<Fault> {
        let accepted = self.letters.iter().filter(|(_, letter)| letter.fate == Fate::Accepted);
        accepted.into_iter().find_map(|(text, letter)| match letter.to {
            Some(to) if has_box(to) => {
                let arrived = letter.delivered.contains(&to) || letter.forgiven.contains(&to);
                (!arrived).then(|| format!("{text} never came to {to}"))
            }
            Some(_) => None,
            None => {
                let reached = letter.delivered.len() + letter.forgiven.len() + without;
                let took = letter.took;
                (reached < took).then(|| format!("{text} went to {took}, but came to {reached}"))
            }
        })
    }

    /// How many texts wait for a client at least, in all and from the one who sent most.
    pub fn waiting(&self, at: usize) -> (usize, usize) {
        let mut by_sender: BTreeMap<usize, usize> = BTreeMap::new();
        for letter in self.letters.values() {
            let waits = letter.to == Some(at) && letter.fate == Fate::Accepted;
            if waits && !letter.delivered.contains(&at) && !letter.forgiven.contains(&at) {
                *by_sender.entry(letter.from).or_default() += 1;
            }
        }
        (by_sender.values().sum(), by_sender.values().max().copied().unwrap_or_default())
    }
}
