//! Untagged requests: done as often as they arrive, answered at once, and saved within a second.

use std::net::SocketAddr;

use super::ledger::Fault;
use super::plan::{MILLI, Micros, SECOND};
use super::world::{Event, World};

/// Who asks; no client's address.
const STRANGER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 200)), 7);
const KEY: &str = "untagged";
/// The longest that an answered request may be unsaved: it waits a second, then for two commits.
const UNSAVED: Micros = SECOND + 450 * MILLI;

/// What was answered since the present hub began.
#[derive(Default)]
pub struct Untagged {
    /// What the counter was then.
    base: i64,
    times: Vec<Micros>,
    failed: Option<Micros>,
    /// How many of the answered requests must survive.
    must: usize,
}

impl Untagged {
    /// The hub has answered.
    pub fn replied(&mut self, now: Micros, reply: &[u8]) -> Result<(), Fault> {
        let Ok(value) = String::from_utf8_lossy(reply).parse::<i64>() else { return Ok(()) };
        self.times.push(now);
        let expected = self.base + i64::try_from(self.times.len()).unwrap();
        if value == expected { Ok(()) } else { Err(format!("{KEY} is {value} and not {expected}")) }
    }

    pub fn disk_failed(&mut self, now: Micros) {
        self.failed = Some(now);
    }

    /// The hub has died.
    pub fn died(&mut self, now: Micros) {
        let may_be_unsaved = self.failed.is_some_and(|failed| failed + 10 * SECOND > now);
        let saved = self.times.iter().filter(|&&time| time + UNSAVED <= now).count();
        self.must = if may_be_unsaved { 0 } else { saved };
    }

    /// The hub has saved everything.
    pub fn saved(&mut self) {
        self.must = self.times.len();
    }

    /// Whether something may be unsaved.
    pub fn is_recent(&self, now: Micros) -> bool {
        self.times.last().is_some_and(|&time| time + UNSAVED > now)
    }
}

impl World {
    pub fn ask_untagged(&mut self) -> Result<(), Fault> {
        if !self.healed {
            self.datagram_up(None, STRANGER, format!("INC {KEY}").as_bytes());
            let pause = self.rng.u64(50 * MILLI..=2 * SECOND);
            self.after(pause, Event::Untagged);
        }
        Ok(())
    }

    /// A new hub has begun.
    pub fn untagged_restored(&mut self) -> Result<(), Fault> {
        let value: i64 = self.peek(KEY).map_or(Ok(0), |text| text.parse()).map_err(|_| "no number")?;
        let untagged = &mut self.untagged;
        let least = untagged.base + i64::try_from(untagged.must).unwrap();
        let most = untagged.base + i64::try_from(untagged.times.len()).unwrap();
        if !(least..=most).contains(&value) {
            return Err(format!("{KEY} is {value} after a restart, and not {least} to {most}"));
        }
        (untagged.base, untagged.must) = (value, 0);
        untagged.times.clear();
        Ok(())
    }
}
