//! What a client that has joined does to keep its place: ask whether the place still stands, and join again.
//!
//! Pure: it is told the time and what came of its requests, and says what to ask.

use std::time::Duration;

use crate::courier::{Id, Outcome};
use crate::moment::Moment;
use crate::wire::ErrorName;

/// How often a client that holds a place asks for it: well below `clients.idle`, and below the half minute after
/// which many routers forget a UDP peer.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The same while pushes come over UDP: a place that is lost amid them is soon missed.
const KEEP_ALIVE_IN_USE: Duration = Duration::from_millis(500);

/// What came of a request that was made for the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All is as it was.
    Nothing,
    /// The hub answers after it did not; the person in front may be told.
    Back,
    /// No answer came.
    Silence {
        /// The person in front does not know yet.
        is_news: bool,
        /// Nothing else is under way: the place, which may be lost by now, is to be taken again.
        rejoin: bool,
    },
    /// The hub has given the place away: it is to be taken again.
    Rejoin,
    /// The hub refuses for good.
    Refused,
}

/// A place at the hub, and the requests that nobody but this client asked for.
#[derive(Debug)]
pub(super) struct Place {
    /// The lines that make the place, JOIN first.
    lines: Vec<Vec<u8>>,
    /// Requests that take the place again.
    joining: Vec<Id>,
    /// The request that asks whether the place stands.
    asking: Option<Id>,
    next_check: Moment,
    /// When the place was first in use since a question was asked.
    used: Option<Moment>,
    /// Nobody asks whether the place stands.
    unchecked: bool,
    /// The hub has not answered; the person in front has been told.
    away: bool,
}

impl Place {
    pub(super) fn none() -> Self {
        let next_check = Moment::ZERO;
        let (unchecked, away) = (false, false);
        Self { lines: Vec::new(), joining: Vec::new(), asking: None, next_check, used: None, unchecked, away }
    }

    /// Adds a line that the hub has obeyed.
    pub(super) fn add(&mut self, now: Moment, line: Vec<u8>) {
        self.lines.push(line);
        self.next_check = now + KEEP_ALIVE;
    }

    /// A push has come, or the place was taken again: the next question is asked sooner.
    pub(super) fn in_use(&mut self, now: Moment) {
        self.used.get_or_insert(now);
    }

    /// The place is taken again where a request needs that, and not because it was lost.
    pub(super) fn stay_unchecked(&mut self) {
        self.unchecked = true;
    }

    /// Keeps the place no longer.
    pub(super) fn give_up(&mut self) {
        *self = Self::none();
    }

    pub(super) fn is_held(&self) -> bool {
        !self.lines.is_empty()
    }

    /// When [`Place::check`] has something to say.
    pub(super) fn next_check(&self) -> Option<Moment> {
        let used = self.used.map(|used| used + KEEP_ALIVE_IN_USE);
        (self.is_held() && !self.unchecked).then_some(self.next_check.min(used.unwrap_or(self.next_check)))
    }

    /// The line that asks whether the place stands, when it is time to.
    ///
    /// PING would not do: a guest may ask that too, and would never learn that it has become one. To stop
    /// watching what was never watched needs a place and changes nothing.
    pub(super) fn check(&mut self, now: Moment) -> Option<&'static [u8]> {
        if self.next_check().is_none_or(|next| now < next) {
            return None;
        }
        self.used = None;
        self.next_check = now + KEEP_ALIVE;
        if self.asking.is_some() || !self.joining.is_empty() {
            return None;
        }
        let is_watched = self.lines.iter().any(|line| line == b"WATCH -");
        Some(if is_watched { b"UNWATCH _" } else { b"UNWATCH -" })
    }

    /// Notes under which name the line of [`Place::check`] is asked.
    pub(super) fn asked(&mut self, id: Id) {
        self.asking = Some(id);
    }

    /// The lines that take the place again, JOIN first. What was under way to that end counts no longer, and is
    /// yielded too.
    pub(super) fn rejoin(&mut self, now: Moment) -> (Vec<Vec<u8>>, Vec<Id>) {
        self.next_check = now + KEEP_ALIVE;
        let mut before = core::mem::take(&mut self.joining);
        before.extend(self.asking.take());
        (self.lines.clone(), before)
    }

    /// Notes under which name a line of [`Place::rejoin`] is asked.
    pub(super) fn joining(&mut self, id: Id) {
        self.joining.push(id);
    }

    /// What follows from the end of a request; `None` if it was not made for the place.
    pub(super) fn finished(&mut self, id: Id, outcome: &Outcome) -> Option<Step> {
        let was_asking = self.asking == Some(id);
        if was_asking {
            self.asking = None;
        } else {
            let at = self.joining.iter().position(|&joining| joining == id)?;
            self.joining.swap_remove(at);
        }
        Some(match outcome {
            Outcome::Done(_) if core::mem::take(&mut self.away) => Step::Back,
            Outcome::Done(_) => Step::Nothing,
            Outcome::GivenUp { .. } => Step::Silence {
                is_news: !core::mem::replace(&mut self.away, true),
                rejoin: self.asking.is_none() && self.joining.is_empty(),
            },
            Outcome::Refused { name, .. } => match ErrorName::parse(name.as_bytes()) {
                Some(ErrorName::JoinFirst) if was_asking => Step::Rejoin,
                // A place that is lost between JOIN and WATCH is found out by the next check, not in a circle. A
                // session that is forgotten is renewed; a request that a newer one overtook is no loss.
                Some(ErrorName::JoinFirst | ErrorName::Unopened | ErrorName::Stale) => Step::Nothing,
                _ => Step::Refused,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::courier::{Carrier, Courier, Event};
    use crate::names::Session;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn sent(courier: &mut Courier, now: Moment) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = courier.poll_transmit(now) {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
        lines
    }

    fn finished(courier: &mut Courier, now: Moment, line: &[u8]) -> (Id, Outcome) {
        match courier.handle_line(now, line) {
            Some(Event::Finished(id, outcome)) => (id, outcome),
            other => panic!("{other:?}"),
        }
    }

    /// A courier whose session is open, and the place that it has taken at second 0.
    fn joined(lines: &[&str]) -> (Courier, Place) {
        let mut courier = Courier::new(Session::parse(b"s").unwrap(), Carrier::Datagrams, 1);
        let mut place = Place::none();
        for (line, number) in lines.iter().zip(1..) {
            courier.request(line.as_bytes(), at(60)).unwrap();
            sent(&mut courier, at(0));
            finished(&mut courier, at(0), format!("#s.{number} OK").as_bytes());
            place.add(at(0), line.as_bytes().to_vec());
        }
        (courier, place)
    }

    fn check(courier: &mut Courier, place: &mut Place, now: Moment) {
        let line = place.check(now).expect("it is time to check");
        place.asked(courier.request(line, now + KEEP_ALIVE).unwrap());
    }

    #[test]
    fn a_place_that_is_lost_without_a_word_is_taken_again() {
        let (mut courier, mut place) = joined(&["JOIN ann", "WATCH a*"]);
        assert_eq!(place.next_check(), Some(at(10)));
        assert_eq!(place.check(at(9)), None);
        check(&mut courier, &mut place, at(10));
        assert_eq!(sent(&mut courier, at(10)), ["#s.3 UNWATCH -\n"]);
        let (id, outcome) = finished(&mut courier, at(10), b"#s.3 ERR join-first JOIN code");
        assert_eq!(place.finished(id, &outcome), Some(Step::Rejoin));
        let (lines, before) = place.rejoin(at(10));
        assert_eq!((lines, before), (vec![b"JOIN ann".to_vec(), b"WATCH a*".to_vec()], Vec::new()));
    }

    #[test]
    fn a_place_that_stands_is_asked_for_again_and_again() {
        let (mut courier, mut place) = joined(&["JOIN ann"]);
        for number in 2..5 {
            let now = at((number - 1) * 10);
            check(&mut courier, &mut place, now);
            assert_eq!(sent(&mut courier, now).len(), 1);
            let reply = format!("#s.{number} OK unwatching -");
            let (id, outcome) = finished(&mut courier, now, reply.as_bytes());
            assert_eq!(place.finished(id, &outcome), Some(Step::Nothing));
        }
    }

    #[test]
    fn while_pushes_come_the_question_is_asked_sooner() {
        let (_, mut place) = joined(&["JOIN ann"]);
        place.in_use(at(3));
        place.in_use(at(4));
        assert_eq!(place.next_check(), Some(at(3) + KEEP_ALIVE_IN_USE));
        assert!(place.check(at(4)).is_some());
        assert_eq!(place.next_check(), Some(at(14)), "and no sooner again unless more come");
    }

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let (mut courier, mut place) = joined(&["JOIN ann"]);
        check(&mut courier, &mut place, at(10));
        let silence = Outcome::GivenUp { sent: true, excuse: None };
        let (id, outcome) = courier.tick(at(20)).unwrap();
        assert_eq!(outcome, Outcome::GivenUp { sent: false, excuse: None });
        assert_eq!(place.finished(id, &silence), Some(Step::Silence { is_news: true, rejoin: true }));
        for step in [Step::Silence { is_news: false, rejoin: true }, Step::Back, Step::Nothing] {
            let id = courier.request(b"JOIN ann", at(60)).unwrap();
            place.joining(id);
            let is_silence = matches!(step, Step::Silence { .. });
            let outcome = if is_silence { silence.clone() } else { Outcome::Done(Vec::new()) };
            assert_eq!(place.finished(id, &outcome), Some(step));
            assert_eq!(place.finished(id, &outcome), None, "not twice");
        }
    }

    #[test]
    fn what_is_watched_is_never_unwatched_by_the_question() {
        for (watch, question) in
            [("WATCH -", "UNWATCH _"), ("WATCH _", "UNWATCH -"), ("WATCH a", "UNWATCH -")]
        {
            let (_, mut place) = joined(&["JOIN ann", watch]);
            assert_eq!(place.check(at(10)), Some(question.as_bytes()), "{watch}");
        }
    }

    #[test]
    fn nothing_is_asked_while_the_place_is_being_taken_or_when_there_is_none() {
        let (mut courier, mut place) = joined(&["JOIN ann"]);
        place.joining(courier.request(b"JOIN ann", at(60)).unwrap());
        assert_eq!(place.check(at(10)), None);
        place.give_up();
        assert_eq!((place.check(at(30)), place.next_check()), (None, None));
    }
}
