//! Questions that wait for their answers, and the replies that wait behind them (protocol, section 3).

use std::collections::{BTreeMap, VecDeque};

use super::actions::{Action, Actions, Conn, Position, Target};
use super::directory::Slot;
use super::tally::{Owner, Owners};
use crate::limits::{QUESTIONS, QUESTIONS_PER_OWNER};
use crate::moment::Moment;
use crate::names::Code;
use crate::wire::{End, ErrorName, Number, Refusal};

/// The tagged request that a question came with.
#[derive(Debug)]
pub(super) struct Tagged {
    /// Its session, by slot and by number: the slot may serve another by now.
    pub(super) session: Slot,
    pub(super) session_id: u64,
    pub(super) number: Number,
    pub(super) fingerprint: u64,
    /// The tag as it was written, with room for the reply's seal if that needs one.
    pub(super) tag: Box<[u8]>,
    pub(super) is_sealed: bool,
}

/// A question that was asked.
#[derive(Debug)]
pub(super) struct Question {
    /// Where the answer goes; `None` if that is gone.
    pub(super) target: Option<Target>,
    /// Whom it is counted for.
    owner: Owner,
    /// How the request ended, and so the reply ends.
    pub(super) end: End,
    pub(super) tagged: Option<Tagged>,
    /// Who may answer.
    asked: Box<str>,
    ticket: Box<str>,
    /// When it is given up.
    pub(super) due: Option<Moment>,
}

impl Question {
    pub(super) fn ticket(&self) -> &str {
        &self.ticket
    }

    /// The stream on which later replies wait for this one's.
    pub(super) fn holds_up(&self) -> Option<Conn> {
        match self.target {
            Some(Target::Tcp(conn)) if self.tagged.is_none() => Some(conn),
            Some(_) | None => None,
        }
    }
}

/// What waits on a stream, in order.
#[derive(Debug)]
enum Part {
    /// The answer to this question.
    Question(u64),
    Bytes(Vec<u8>),
    Close,
}

/// All open questions, by the hub's numbers for them.
#[derive(Debug)]
pub(super) struct Asks {
    questions: BTreeMap<u64, Question>,
    askers: Owners,
    next: u64,
    seed: u64,
    /// Streams on which replies wait.
    queues: BTreeMap<Conn, VecDeque<Part>>,
}

impl Asks {
    pub(super) fn new(seed: u64) -> Self {
        let (questions, queues) = (BTreeMap::new(), BTreeMap::new());
        Self { questions, askers: Owners::new(seed), next: 1, seed, queues }
    }

    pub(super) fn len(&self) -> usize {
        self.questions.len()
    }

    /// Opens a question to a client; `busy` if there are too many. Its `due` is still to be set.
    pub(super) fn open(
        &mut self,
        target: Target,
        owner: Owner,
        end: End,
        asked: Code<'_>,
    ) -> Result<u64, Refusal> {
        if !self.askers.has_room(&owner, QUESTIONS, QUESTIONS_PER_OWNER) {
            return Err(TOO_MANY);
        }
        self.askers.add(&owner);
        let number = self.next;
        self.next += 1;
        let question = Question {
            target: Some(target),
            owner,
            end,
            tagged: None,
            asked: asked.as_str().into(),
            ticket: ticket(self.seed, number).into(),
            due: None,
        };
        self.questions.insert(number, question);
        Ok(number)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Question> {
        self.questions.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Question> {
        self.questions.get_mut(&number)
    }

    /// The open question of this ticket that this client was asked.
    pub(super) fn find(&self, ticket: &str, asked: Code<'_>) -> Option<u64> {
        let number = u64::from_str_radix(ticket.get(TICKET_HASH_DIGITS..)?, 16).ok()?;
        let question = self.get(number)?;
        (*question.ticket == *ticket && *question.asked == *asked.as_str()).then_some(number)
    }

    /// Ends a question.
    pub(super) fn close(&mut self, number: u64) -> Option<Question> {
        let question = self.questions.remove(&number)?;
        self.askers.remove(&question.owner);
        Some(question)
    }

    /// The numbers of all open questions.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.questions.keys().copied().collect()
    }

    /// The open questions under tags whose answers go to a stream: nothing there waits for them by itself.
    pub(super) fn tagged_on(&self, conn: Conn) -> impl Iterator<Item = u64> {
        let is_there =
            move |asked: &Question| asked.tagged.is_some() && asked.target == Some(Target::Tcp(conn));
        self.questions.iter().filter(move |(_, asked)| is_there(asked)).map(|(&number, _)| number)
    }

    /// Whether something on a stream waits for the answer to this question.
    pub(super) fn is_awaited(&self, conn: Conn, number: u64) -> bool {
        let waits = |part: &Part| matches!(part, Part::Question(other) if *other == number);
        self.queues.get(&conn).is_some_and(|queue| queue.iter().any(waits))
    }

    /// A connection is gone: nothing goes there any more.
    pub(super) fn forget(&mut self, conn: Conn) {
        self.queues.remove(&conn);
        let lost = self.questions.values_mut().filter(|question| question.target == Some(Target::Tcp(conn)));
        lost.for_each(|question| question.target = None);
    }

    /// Whether so many bytes wait behind a question on a stream that no more should be read from it.
    pub(super) fn is_behind(&self, conn: Conn, most_bytes: usize) -> bool {
        let bytes = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len(),
            // They cost memory too.
            Part::Question(_) | Part::Close => 64,
        };
        self.queues.get(&conn).is_some_and(|queue| queue.iter().map(bytes).sum::<usize>() > most_bytes)
    }

    /// Puts what is about to leave, from a position on, into the order that questions demand on streams.
    pub(super) fn order(&mut self, from: Position, out: &mut Actions) {
        let orders = |action: &Action| matches!(action, Action::Await { .. } | Action::Answer { .. });
        if self.queues.is_empty() && !out.list.iter().skip(from.list).any(orders) {
            return;
        }
        for action in out.list.split_off(from.list.min(out.list.len())) {
            match action {
                Action::Await { conn, question } => {
                    self.queues.entry(conn).or_default().push_back(Part::Question(question));
                }
                Action::Answer { conn, question, range } => {
                    let bytes = out.slice(&range).to_vec();
                    self.answer(conn, question, bytes, out);
                }
                Action::Send { target: Target::Tcp(conn), ref range, push: false }
                    if self.queues.contains_key(&conn) =>
                {
                    let bytes = out.slice(range).to_vec();
                    self.queue(conn, Part::Bytes(bytes));
                }
                Action::Close(conn) if self.queues.contains_key(&conn) => self.queue(conn, Part::Close),
                Action::Send { .. }
                | Action::Close(_)
                | Action::Hold { .. }
                | Action::Broadcast { .. }
                | Action::Nothing => {
                    out.list.push(action);
                }
            }
        }
    }

    fn queue(&mut self, conn: Conn, part: Part) {
        if let Some(queue) = self.queues.get_mut(&conn) {
            queue.push_back(part);
        }
    }

    /// Puts an answer where it was awaited, and lets go what waited only for that.
    fn answer(&mut self, conn: Conn, question: u64, bytes: Vec<u8>, out: &mut Actions) {
        let Some(queue) = self.queues.get_mut(&conn) else { return };
        for part in queue.iter_mut() {
            if matches!(part, Part::Question(number) if *number == question) {
                *part = Part::Bytes(bytes);
                break;
            }
        }
        while let Some(Part::Bytes(_) | Part::Close) = queue.front() {
            let Some(part) = queue.pop_front() else { return };
            match part {
                Part::Bytes(bytes) => out.reply(Target::Tcp(conn), &bytes),
                Part::Close => out.list.push(Action::Close(conn)),
                Part::Question(_) => {}
            }
        }
        if queue.is_empty() {
            self.queues.remove(&conn);
        }
    }
}

const TICKET_HASH_DIGITS: usize = 8;

/// A ticket that no other question has, not even one of another run: its first half depends on the seed.
fn ticket(seed: u64, number: u64) -> String {
    let hash = super::names::mix(seed, number) >> 32;
    format!("{hash:08x}{:x}", number & 0xffff_ffff)
}

const TOO_MANY: Refusal = Refusal::new(ErrorName::Busy, "too many questions are open, try again later");
