//! A network that loses, repeats and reorders, and somebody on it who sees all and forges.

use std::collections::BTreeSet;

use core::time::Duration;

use super::super::jitter::Jitter;
use crate::moment::Moment;

/// What is in the air: when it arrives, a tie-breaker, whether it goes to the hub, and the client's address.
pub(super) type Air = BTreeSet<(Moment, u64, bool, u64, String)>;

pub(super) struct Network {
    pub(super) air: Air,
    pub(super) dice: Jitter,
    pub(super) loss: f64,
    pub(super) repeats: f64,
    pub(super) forged: f64,
    pub(super) posted: u64,
    /// Everything that was ever sent.
    pub(super) recorded: Vec<String>,
}

impl Network {
    pub(super) fn post(&mut self, now: Moment, to_hub: bool, peer: u64, line: &str) {
        self.recorded.push(line.to_owned());
        let copies = 1 + u32::from(self.dice.next() < self.repeats);
        for _ in 0..copies {
            if self.dice.next() >= self.loss {
                self.fly(now, to_hub, peer, line);
            }
        }
        if self.dice.next() < self.forged {
            let forged = self.forge(line);
            self.fly(now, to_hub, peer, &forged);
            let elsewhere = self.pick();
            self.fly(now, true, 1000 + peer, &elsewhere);
        }
    }

    fn fly(&mut self, now: Moment, to_hub: bool, peer: u64, line: &str) {
        let delay = Duration::from_millis(1).mul_f64(1.0 + 300.0 * self.dice.next() * self.dice.next());
        self.posted += 1;
        self.air.insert((now + delay, self.posted, to_hub, peer, line.to_owned()));
    }

    fn pick(&mut self) -> String {
        let count = u32::try_from(self.recorded.len()).unwrap();
        let at =
            usize::try_from(Duration::from_secs(1).mul_f64(self.dice.next()).as_nanos() % u128::from(count))
                .unwrap();
        self.recorded[at].clone()
    }

    /// What somebody who sees this line, and has seen all others, could send in its place.
    fn forge(&mut self, line: &str) -> String {
        let tag = line.split(' ').next().unwrap().to_owned();
        let unproved = tag.rsplit_once('.').map_or("#s", |(bare, _)| bare).to_owned();
        let dice = self.dice.next();
        let other = self.pick();
        match dice {
            dice if dice < 0.2 => other,
            dice if dice < 0.3 => format!("{tag} {}", other.split_once(' ').unwrap().1),
            dice if dice < 0.6 => format!("{unproved} ERR prove evil{}\n", self.posted),
            dice if dice < 0.7 => format!("{tag} ERR unopened\n"),
            dice if dice < 0.8 => format!("{unproved} OK forged\n"),
            dice if dice < 0.9 => "@9.0123456789abcdef MSG eve forged\n".to_owned(),
            _ => format!("{tag} ERR reused\n"),
        }
    }
}
