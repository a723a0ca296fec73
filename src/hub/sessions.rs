//! Exactly once: what each session has asked and been told (protocol, section 4).

mod keyed;
mod recorded;
mod session;

use core::net::IpAddr;
use core::time::Duration;

use super::change::Change;
use super::directory::{Directory, Slot};
use super::memory::Memory;
use super::tally::{Owner, Owners};
use crate::limits::{RECORDED_BYTES, SESSION_WINDOW};
use crate::moment::Moment;
use crate::names::{Code, Session as Name};
use crate::wire::{ErrorName, Kind, Number, Refusal, Tag};

pub(super) use keyed::{Joining, Keyed, Life, Origin};
use recorded::Recorded;
use session::{Record, Session};

/// What to do with a tagged request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Do it.
    Do,
    /// It was done: this was the outcome.
    Done(&'a [u8]),
    /// It was refused, for good.
    Refused(Refusal),
    /// It was done, and asked this question, which is still open.
    Asked(u64),
}

/// Bounds on the sessions of those who have no secret, and once more on those of all others: nobody else takes their room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Sessions in all.
    pub(super) sessions: usize,
    /// Sessions that one source address may open, or one code.
    pub(super) per_owner: usize,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    directory: Directory<Session>,
    owners: Owners,
    /// Which session last joined under a code.
    claims: Directory<Slot>,
    memory: Memory,
}

impl Sessions {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            directory: Directory::new(seed),
            owners: Owners::new(seed),
            claims: Directory::new(seed),
            memory: Memory::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.directory.len()
    }

    /// The tag's session, opened if this is its number 1; says whether it was opened now. Who has proved a code's secret
    /// opens it for that code.
    pub(super) fn find_or_open(
        &mut self,
        now: Moment,
        tag: &Tag<'_>,
        opener: (IpAddr, Option<Code<'_>>),
        bounds: Bounds,
        new_id: impl FnOnce() -> Result<u64, Refusal>,
    ) -> Result<(Slot, bool), Refusal> {
        if let Some(slot) = self.find(tag.session) {
            return Ok((slot, false));
        }
        if tag.number != Number::FIRST {
            return Err(UNOPENED);
        }
        let id = new_id()?;
        let (source, code) = opener;
        let owner = code.map_or(Owner::Source(source), |code| Owner::Code(code.as_str().into()));
        if !self.owners.has_room(&owner, bounds.sessions, bounds.per_owner) {
            return Err(TOO_MANY);
        }
        let session = Session::new(id, source, now);
        self.owners.add(&session.owner());
        Ok((self.directory.insert(tag.session.as_str(), session).0, true))
    }

    /// What to do with a request of this kind, by its number and its line's fingerprint.
    pub(super) fn check(
        &mut self,
        now: Moment,
        slot: Slot,
        request: (Number, Kind, u64),
    ) -> Result<Verdict<'_>, Refusal> {
        let (number, kind, fingerprint) = request;
        let Some(session) = self.directory.get_mut(slot) else { return Err(UNOPENED) };
        let is_full = self.memory.of(session.keyed.is_some()) >= RECORDED_BYTES;
        // A proved line was seen to before.
        if session.keyed.is_none() {
            session.touched = now;
        }
        if number.get() + SESSION_WINDOW <= session.highest {
            return Err(STALE);
        }
        let is_over = session.keyed.is_some() && session.bye;
        if !is_over && session.place.is_some_and(|(place, _)| number > place) {
            session.bye = false;
        }
        if let Some(record) = session.record(number) {
            return if record.fingerprint == fingerprint {
                Ok(record.outcome.verdict())
            } else {
                Err(REUSED)
            };
        }
        match session.place {
            Some((place, line)) if place == number && line != fingerprint => Err(REUSED),
            Some((place, _))
                if kind == Kind::Place && (number < place || (number == place && session.superseded)) =>
            {
                Err(STALE_PLACE)
            }
            // After BYE nothing is new: what was recorded on its way cannot be played to the hub later.
            Some((place, _)) if is_over && place != number => Err(UNOPENED),
            // What would be done could not be remembered.
            Some(_) | None if kind == Kind::Change && is_full && session.needs_memory(number) => {
                Err(TOO_MUCH)
            }
            Some(_) | None => Ok(Verdict::Do),
        }
    }

    /// Records the outcome of something that changes something; `false` if a later number has its place in the window
    /// by now, which a question that was answered late may find.
    pub(super) fn record(&mut self, slot: Slot, number: Number, fingerprint: u64, outcome: &[u8]) -> bool {
        self.put(slot, Record { number, fingerprint, outcome: Recorded::new(outcome) })
    }

    /// Records that something was refused for good.
    pub(super) fn record_refused(&mut self, slot: Slot, number: Number, fingerprint: u64, refusal: Refusal) {
        self.put(slot, Record { number, fingerprint, outcome: Recorded::refused(refusal) });
    }

    /// Records that a question was asked; its outcome is recorded once there is one.
    pub(super) fn record_asked(&mut self, slot: Slot, number: Number, fingerprint: u64, question: u64) {
        self.put(slot, Record { number, fingerprint, outcome: Recorded::Asked(question) });
    }

    fn put(&mut self, slot: Slot, record: Record) -> bool {
        let Some(session) = self.directory.get_mut(slot) else { return false };
        session.highest = session.highest.max(record.number.get());
        let memory = self.memory.of_mut(session.keyed.is_some());
        let index = Session::index(record.number);
        if session.window.len() <= index {
            let before = session.window.capacity();
            session.window.resize(index + 1, None);
            *memory += (session.window.capacity() - before) * size_of::<Option<Record>>();
        }
        let Some(place) = session.window.get_mut(index) else { return false };
        let is_newest = place.as_ref().is_none_or(|held| held.number <= record.number);
        if is_newest {
            *memory += record.outcome.cost();
            *memory -= place.replace(record).map_or(0, |held| held.outcome.cost());
        }
        is_newest
    }

    /// The number of a session in the state.
    pub(super) fn id(&self, slot: Slot) -> Option<u64> {
        self.directory.get(slot).map(|session| session.id)
    }

    /// Whether a session's client has said BYE, and nothing new since.
    pub(super) fn said_bye(&self, slot: Slot) -> bool {
        self.directory.get(slot).is_some_and(|session| session.bye)
    }

    /// The last batch with a change of this session; 0 if there was none since the start.
    pub(super) fn batch(&self, slot: Slot) -> u64 {
        self.directory.get(slot).map_or(0, |session| session.batch)
    }

    /// Notes that a session changes in a batch.
    pub(super) fn changes(&mut self, slot: Slot, batch: u64) {
        if let Some(session) = self.directory.get_mut(slot) {
            session.batch = batch;
        }
    }

    /// Whether no more may be remembered, for those who have a secret or for all others.
    pub(super) fn is_full(&self, is_keyed: bool) -> bool {
        self.memory.of(is_keyed) >= RECORDED_BYTES
    }

    /// All sessions.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.directory.slots()
    }

    /// A session as it is kept.
    pub(super) fn row(&self, slot: Slot) -> Option<Change<'_>> {
        let session = self.directory.get(slot)?;
        Some(Change::Session {
            id: session.id,
            name: self.directory.name(slot)?,
            opener: session.opener,
            place: session.place.map(|(number, line)| (number.get(), line)),
            superseded: session.superseded,
            claimed: session.claimed.as_deref(),
            bye: session.bye,
        })
    }

    /// Restores a session as it was kept; it is as if it had just been heard of.
    pub(super) fn restore(&mut self, now: Moment, row: &Change<'_>) -> Option<Slot> {
        let &Change::Session { id, name, opener, place, superseded, claimed, bye } = row else { return None };
        let place = match place {
            Some((number, line)) => Some((Number::new(number)?, line)),
            None => None,
        };
        let known = self.find(Name::parse(name.as_bytes())?);
        let same = known.filter(|&slot| self.id(slot) == Some(id));
        if let Some(other) = known.filter(|_| same.is_none()) {
            self.forget(other);
        }
        let slot = same.unwrap_or_else(|| {
            let session = Session::new(id, opener, now);
            self.owners.add(&session.owner());
            self.directory.insert(name, session).0
        });
        self.give_up_claim(slot);
        if let Some(code) = claimed {
            self.claim(Code::parse(code.as_bytes())?, Some(slot));
        }
        let session = self.directory.get_mut(slot)?;
        session.highest = session.highest.max(1).max(place.map_or(0, |(number, _)| number.get()));
        (session.place, session.superseded, session.bye) = (place, superseded, bye);
        Some(slot)
    }

    /// Remembers that a JOIN, BYE, WATCH or UNWATCH was done; whether that is news.
    pub(super) fn placed(&mut self, slot: Slot, number: Number, fingerprint: u64, is_bye: bool) -> bool {
        let Some(session) = self.directory.get_mut(slot) else { return false };
        let before = (session.place, session.superseded, session.bye);
        if session.place.is_none_or(|(place, _)| place != number) {
            session.superseded = false;
        }
        session.highest = session.highest.max(number.get());
        session.place = Some((number, fingerprint));
        session.bye = is_bye;
        before != (session.place, session.superseded, session.bye)
    }

    /// Remembers who last joined under a code, `None` being an untagged JOIN: late copies of an earlier
    /// session's JOIN are then stale. Returns that earlier session.
    pub(super) fn claim(&mut self, code: Code<'_>, slot: Option<Slot>) -> Option<Slot> {
        let held = self.claims.find(code.as_str());
        let before = held.and_then(|held| self.claims.get(held)).copied();
        let before = before.filter(|&before| Some(before) != slot);
        if let Some(before) = before {
            if let Some(session) = self.directory.get_mut(before) {
                (session.superseded, session.claimed) = (true, None);
            }
            held.and_then(|held| self.claims.remove(held));
        }
        if let Some(slot) = slot {
            self.give_up_claim(slot);
            self.claims.insert(code.as_str(), slot);
            if let Some(session) = self.directory.get_mut(slot) {
                session.claimed = Some(code.as_str().into());
            }
        }
        before
    }

    fn give_up_claim(&mut self, slot: Slot) {
        let claimed = self.directory.get_mut(slot).and_then(|session| session.claimed.take());
        if let Some(claim) = claimed.and_then(|code| self.claims.find(&code)) {
            self.claims.remove(claim);
        }
    }

    /// When a session ends, unless it is heard of again; and where it remembers its deadline.
    pub(super) fn ends(&mut self, slot: Slot, idle: Duration) -> Option<(Moment, &mut Option<Moment>)> {
        self.directory.get_mut(slot).map(|session| (session.ends(idle), &mut session.due))
    }

    /// Forgets a session; returns its number in the state.
    pub(super) fn forget(&mut self, slot: Slot) -> Option<u64> {
        self.give_up_claim(slot);
        let (_, session) = self.directory.remove(slot)?;
        *self.memory.of_mut(session.keyed.is_some()) -= session.memory();
        self.owners.remove(&session.owner());
        Some(session.id)
    }

    /// The session of this name.
    pub(super) fn find(&self, name: Name<'_>) -> Option<Slot> {
        self.directory.find(name.as_str())
    }
}

/// Tells two lines under one tag apart. FNV-1a in 64 bits: fixed for all time, since it is compared across
/// restarts; a client that wants to confuse it can only confuse itself.
pub(super) fn fingerprint(line: &[u8]) -> u64 {
    line.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) const UNOPENED: Refusal =
    Refusal::new(ErrorName::Unopened, "no such session, begin a new one with number 1");
const TOO_MANY: Refusal = Refusal::new(ErrorName::Busy, "too many sessions are open, try again later");
pub(super) const TOO_MUCH: Refusal = Refusal::new(ErrorName::Busy, "too much is remembered, try again later");
const STALE: Refusal = Refusal::new(ErrorName::Stale, "64 or more below the newest number, not done now");
const STALE_PLACE: Refusal =
    Refusal::new(ErrorName::Stale, "a later request has taken its place, not done now");
pub(super) const REUSED: Refusal = Refusal::new(ErrorName::Reused, "this number was used for another line");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SESSION_LINGER;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const BOUNDS: Bounds = Bounds { sessions: 3, per_owner: 2 };

    fn open(sessions: &mut Sessions, line: &str, from: IpAddr) -> Result<(Slot, bool), Refusal> {
        sessions.find_or_open(
            Moment::ZERO,
            &Tag::split(line.as_bytes()).unwrap().0,
            (from, None),
            BOUNDS,
            || Ok(1),
        )
    }

    #[test]
    fn sessions_are_bounded_in_all_and_per_address() {
        let there = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let mut sessions = Sessions::new(1);
        let (first, opened) = open(&mut sessions, "#a.1 ", HERE).unwrap();
        assert!(opened);
        assert_eq!(open(&mut sessions, "#a.7 ", there), Ok((first, false)));
        open(&mut sessions, "#b.1 ", HERE).unwrap();
        assert_eq!(open(&mut sessions, "#c.1 ", HERE), Err(TOO_MANY));
        assert_eq!(open(&mut sessions, "#c.2 ", there), Err(UNOPENED));
        open(&mut sessions, "#c.1 ", there).unwrap();
        assert_eq!(open(&mut sessions, "#d.1 ", there), Err(TOO_MANY));
        sessions.forget(first);
        open(&mut sessions, "#d.1 ", there).unwrap();
        assert_eq!((sessions.len(), sessions.owners.sources()), (3, 3));
    }

    #[test]
    fn an_earlier_join_is_stale_once_another_session_has_joined_under_the_code() {
        let ann = Code::parse(b"ann").unwrap();
        let mut sessions = Sessions::new(1);
        let (a, _) = open(&mut sessions, "#a.1 ", HERE).unwrap();
        let (b, _) = open(&mut sessions, "#b.1 ", HERE).unwrap();
        let join = (Number::FIRST, Kind::Place, 7);
        for (session, other) in [(a, Some(b)), (b, None)] {
            let check = |sessions: &mut Sessions| sessions.check(Moment::ZERO, session, join).map(|_| ());
            assert_eq!(check(&mut sessions), Ok(()));
            sessions.placed(session, Number::FIRST, 7, false);
            sessions.claim(ann, Some(session));
            assert_eq!(check(&mut sessions), Ok(()), "a copy is done anew");
            sessions.claim(ann, other);
            assert_eq!(check(&mut sessions), Err(STALE_PLACE));
        }
    }

    #[test]
    fn a_session_lingers_a_minute_after_its_bye_and_comes_back_if_it_goes_on() {
        let idle = Duration::from_hours(1);
        let mut sessions = Sessions::new(1);
        let (slot, _) = open(&mut sessions, "#a.1 ", HERE).unwrap();
        sessions.check(Moment::ZERO, slot, (Number::FIRST, Kind::Place, 1)).unwrap();
        sessions.placed(slot, Number::FIRST, 1, true);
        assert_eq!(sessions.ends(slot, idle), Some((Moment::ZERO + SESSION_LINGER, &mut None)));
        let second = Number::new(2).unwrap();
        sessions.check(Moment::ZERO, slot, (second, Kind::Read, 1)).unwrap();
        assert_eq!(sessions.ends(slot, idle), Some((Moment::ZERO + idle, &mut None)));
    }

    proptest! {
        #[test]
        fn the_window_equals_a_map_of_the_last_64(steps in prop::collection::vec((1..200_u64, 0..3_u64), 1..200)) {
            let mut sessions = Sessions::new(1);
            let (slot, _) = open(&mut sessions, "#a.1 ", HERE).unwrap();
            let mut model: BTreeMap<u64, (u64, Vec<u8>)> = BTreeMap::new();
            let mut highest = 0;
            for (step, (n, line)) in steps.into_iter().enumerate() {
                let number = Number::new(n).unwrap();
                let verdict = sessions.check(Moment::ZERO, slot, (number, Kind::Change, line));
                if n + 64 <= highest {
                    prop_assert_eq!(verdict, Err(STALE));
                    continue;
                }
                highest = highest.max(n);
                match model.get(&n) {
                    Some((known, outcome)) if *known == line => {
                        prop_assert_eq!(verdict, Ok(Verdict::Done(outcome)));
                    }
                    Some(_) => prop_assert_eq!(verdict, Err(REUSED)),
                    None => {
                        prop_assert_eq!(verdict, Ok(Verdict::Do));
                        let outcome = vec![b'x'; step];
                        sessions.record(slot, number, line, &outcome);
                        model.insert(n, (line, outcome));
                    }
                }
            }
        }
    }
}
