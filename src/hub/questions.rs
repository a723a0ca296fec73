//! ASK and ANSWER (protocol, section 3).

use super::actions::{Action, Actions, Target};
use super::asks::{Question, Tagged};
use super::change::Change;
use super::journal::Mark;
use super::sessions::TOO_MUCH;
use super::tally::Owner;
use super::timers::Due;
use super::{Asker, Hub};
use crate::moment::Moment;
use crate::names::{Code, Ticket};
use crate::proof::{Proof, Way};
use crate::wire::{End, ErrorName, Refusal, Reply, push};

impl Hub {
    /// Asks a client; the reply comes with its answer.
    pub(super) fn ask(
        &mut self,
        asker: &mut Asker,
        code: Code<'_>,
        text: &[u8],
        end: End,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        self.own_code(asker)?;
        // An answer may be long, and is remembered.
        if self.sessions.is_full(asker.session.is_some()) {
            return Err(TOO_MUCH);
        }
        let keyed = asker.session.and_then(|session| self.sessions.keyed(session));
        let owner =
            keyed.map_or_else(|| Owner::Source(self.source(asker)), |keyed| Owner::Code(keyed.code.clone()));
        let number = self.asks.open(asker.target, owner, end, code)?;
        let ticket = self.asks.get(number).map_or_else(String::new, |question| question.ticket().to_owned());
        let delivered = self.deliver(asker, code, out, |bytes, from| {
            push::question(bytes, &ticket, from, text);
        });
        if let Err(refusal) = delivered {
            self.asks.close(number);
            return Err(refusal);
        }
        if let Some(question) = self.asks.get_mut(number) {
            let due = asker.now + self.settings.ask_timeout;
            self.timers.reset(&mut question.due, Some(due), Due::Question(number));
        }
        asker.asked = Some(number);
        Ok(())
    }

    /// Hands an answer to whoever asked.
    pub(super) fn answer(
        &mut self,
        asker: &Asker,
        ticket: Ticket<'_>,
        text: &[u8],
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let code = self.own_code(asker)?;
        let number = self.asks.find(ticket.as_str(), code).ok_or(NO_SUCH_TICKET)?;
        self.end_question(asker.now, number, Ok(text), out);
        Ok(())
    }

    /// A question was not answered in time.
    pub(super) fn question_due(&mut self, now: Moment, number: u64, out: &mut Actions) {
        if let Some(question) = self.asks.get_mut(number) {
            question.due = None;
        }
        self.end_question(now, number, Err(TIMEOUT), out);
    }

    /// Ends all questions: the hub stops, and would not hear the answers.
    pub(super) fn end_questions(&mut self, now: Moment, out: &mut Actions) {
        for number in self.asks.numbers() {
            self.end_question(now, number, Err(STOPPING), out);
        }
    }

    fn end_question(&mut self, now: Moment, number: u64, outcome: Result<&[u8], Refusal>, out: &mut Actions) {
        let Some(mut question) = self.asks.close(number) else { return };
        self.timers.reset(&mut question.due, None, Due::Question(number));
        let start = out.bytes.len();
        let tag = question.tagged.as_ref().map(|tagged| &*tagged.tag);
        let reply = Reply::begin_with(&mut out.bytes, tag);
        out.bytes.extend_from_slice(outcome.unwrap_or_default());
        reply.complete(&mut out.bytes, outcome.map(|_| ()));
        let is_answer = outcome.err().is_none_or(|refusal| !refusal.name.is_no_answer());
        if let Some(tagged) = question.tagged.as_ref().filter(|_| is_answer) {
            self.record_answer(now, tagged, reply.outcome(&out.bytes), outcome.is_ok());
        }
        let mut seal = None;
        if let Some(tagged) = question.tagged.as_ref().filter(|tagged| tagged.is_sealed) {
            // Its session outlives it, or nobody waits for the reply.
            let is_there = self.sessions.id(tagged.session) == Some(tagged.session_id);
            if let Some((key, name)) = self.session_key(tagged.session).filter(|_| is_there) {
                let number = tagged.number.get();
                reply.seal(&mut out.bytes, |outcome| key.prove(Way::Reply, name, number, outcome));
                seal = Some(Self::disk_seal(name, number, &key));
            }
        }
        out.bytes.extend_from_slice(question.end.as_bytes());
        if out.bytes.len() == start && question.holds_up().is_some() {
            out.bytes.extend_from_slice(End::Lf.as_bytes());
        }
        self.answer_question(now, number, &question, (start, seal), out);
    }

    /// Records how a question ended; that it was not answered was recorded when it was asked.
    fn record_answer(&mut self, now: Moment, tagged: &Tagged, outcome: &[u8], answered: bool) {
        let slot = tagged.session;
        if self.sessions.id(slot) != Some(tagged.session_id) {
            return;
        }
        let recorded = self.sessions.record(slot, tagged.number, tagged.fingerprint, outcome);
        if answered && recorded {
            let (session, number, line) = (tagged.session_id, tagged.number.get(), tagged.fingerprint);
            self.journal.note(now, &Change::Reply { session, number, line, outcome });
            self.sessions.changes(slot, self.journal.batch());
        }
        if !self.journal.is_committed(self.sessions.batch(slot)) {
            self.journal.hold();
        }
    }

    /// Sends the reply that stands at the end of the bytes.
    fn answer_question(
        &mut self,
        now: Moment,
        number: u64,
        question: &Question,
        (start, seal): (usize, Option<Proof>),
        out: &mut Actions,
    ) {
        let range = start..out.bytes.len();
        let Some(target) = question.target else { return };
        let tag = question.tagged.as_ref().map_or(0, |tagged| tagged.tag.len());
        self.journal.mark_sent(Mark { start, tag, length: range.len(), end: question.end, seal });
        let awaited = match target {
            Target::Tcp(conn) if question.tagged.is_none() || self.asks.is_awaited(conn, number) => {
                Some(conn)
            }
            Target::Tcp(_) | Target::Udp { .. } => None,
        };
        match (awaited, target) {
            (Some(conn), _) => out.list.push(Action::Answer { conn, question: number, range }),
            (None, Target::Udp { to, .. }) if !self.may_send(now, to, range.len()) => {
                self.counters.over_budget += 1;
            }
            (None, _) => out.list.push(Action::Send { target, range, push: false }),
        }
    }
}

const NO_SUCH_TICKET: Refusal =
    Refusal::new(ErrorName::NoSuchTicket, "no such question waits for your answer, it may be too late");
pub(super) const TIMEOUT: Refusal = Refusal::new(ErrorName::Timeout, "the client did not answer in time");
const STOPPING: Refusal = Refusal::new(ErrorName::Stopping, "the hub stops, ask again");
