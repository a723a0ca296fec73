//! What is to be kept, and what must not leave before it is: exactly once rests on this order.
//!
//! Changes gather in a batch. One batch at a time is on its way to the disk; meanwhile the next gathers. What an
//! input wants sent is held with the batch that its changes are in, and leaves when that is committed. A batch that
//! cannot be committed is tried again until it can be; nothing new is changed before.

mod batch;
mod held;
mod marks;

use core::net::SocketAddr;

use batch::{Batch, refuse};
pub(super) use batch::{DISK, Mark};
use held::Held;

use super::actions::{Action, Actions, Conn, Position};
use super::change::Change;
use crate::limits::{GATHERED_BYTES, HELD_BYTES, RETRY_TIME, SAVE_TIME};
use crate::moment::Moment;
use crate::wire::{ErrorName, Refusal};

/// Where the batch is that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// There is none.
    Free,
    /// The store has it.
    Committing,
    /// The store could not commit it: it is to be tried again at this time.
    Failed(Moment),
}

/// What of an input must wait until what it changed is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Nothing,
    Pushes,
    /// Replies too.
    All,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Journal {
    keeps: bool,
    next_id: u64,
    gathering: Batch,
    under_way: Batch,
    way: Way,
    /// Whether the batch under way has failed before: the disk is bad until it is kept.
    failing: bool,
    /// The number of the batch that gathers; batches are numbered 1, 2, 3.
    number: u64,
    /// When the first change came to the batch that gathers.
    since: Option<Moment>,
    /// When the hub is to be woken for a commit, and whether it has been.
    pub(super) due: Option<Moment>,
    woken: bool,
    /// What of the present input must wait.
    holds: Holds,
    /// Tagged replies of the present input: in the buffer of replies, and those that have left it for the actions.
    in_replies: Vec<Mark>,
    in_actions: Vec<Mark>,
    /// What is held for each connection.
    held: Held,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            keeps: false,
            next_id: 1,
            gathering: Batch::default(),
            under_way: Batch::default(),
            way: Way::Free,
            failing: false,
            number: 1,
            since: None,
            due: None,
            woken: false,
            holds: Holds::Nothing,
            in_replies: Vec::new(),
            in_actions: Vec::new(),
            held: Held::default(),
        }
    }

    /// Keeps what changes from now on.
    pub(super) fn keep(&mut self) {
        self.keeps = true;
    }

    /// A number for a session or a mailbox.
    pub(super) fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Restores the next number.
    pub(super) fn restore(&mut self, next_id: u64) {
        self.next_id = self.next_id.max(next_id);
    }

    /// Adds a change to the batch that gathers.
    pub(super) fn note(&mut self, now: Moment, change: &Change<'_>) {
        if self.keeps {
            change.write(&mut self.gathering.changes);
            self.since.get_or_insert(now);
        }
    }

    /// Notes that there will be a change to add when the batch leaves; whether it is to be added then.
    pub(super) fn will_change(&mut self, now: Moment) -> bool {
        if self.keeps {
            self.since.get_or_insert(now);
        }
        self.keeps
    }

    /// Holds the replies and pushes of the present input until what gathers is committed.
    pub(super) fn hold(&mut self) {
        self.hold_pushes();
        if self.keeps {
            self.holds = Holds::All;
        }
    }

    /// Holds the present input's replies if its pushes are held anyway: who asked is then not read from before they
    /// leave.
    pub(super) fn hold_with_pushes(&mut self) {
        if self.holds_pushes() {
            self.hold();
        }
    }

    /// Whether pushes must stay behind others that are held.
    fn holds_pushes(&self) -> bool {
        self.holds > Holds::Nothing || self.gathering.pushes + self.under_way.pushes > 0
    }

    /// Holds the pushes of the present input until what gathers is committed.
    pub(super) fn hold_pushes(&mut self) {
        if self.keeps {
            self.holds = self.holds.max(Holds::Pushes);
            self.gathering.awaited = true;
        }
    }

    /// The number of the batch that gathers: what changes now is kept once that batch [`Self::is_committed`].
    pub(super) fn batch(&self) -> u64 {
        self.number
    }

    /// Whether everything up to this batch is kept.
    pub(super) fn is_committed(&self, batch: u64) -> bool {
        let under_way = u64::from(self.way != Way::Free);
        !self.keeps || batch + under_way < self.number
    }

    /// Whether the last commit failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Why nothing more may wait for a commit, if so.
    pub(super) fn overfull(&self) -> Option<Refusal> {
        (self.gathering.bytes.len() > HELD_BYTES).then_some(SLOW)
    }

    /// Why nothing may be changed now, if so.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if self.is_failing() {
            Some(DISK)
        } else if self.gathering.changes.len() > GATHERED_BYTES {
            Some(SLOW)
        } else {
            self.overfull()
        }
    }

    /// Whether a connection has so much held for it that no more should be read from it, until a reply that is among
    /// it has left.
    pub(super) fn is_behind(&self, conn: Conn, most_bytes: usize) -> bool {
        self.held.exceeds(conn, most_bytes)
    }

    /// Ends an input: takes out of the actions, from a position on, what must wait.
    pub(super) fn settle(&mut self, from: Position, out: &mut Actions) {
        if !self.keeps {
            return;
        }
        let holds_pushes = self.holds_pushes();
        if holds_pushes || !self.held.is_empty() {
            self.take(from, holds_pushes, out);
        }
        self.holds = Holds::Nothing;
        self.in_actions.clear();
        self.in_replies.clear();
    }

    fn take(&mut self, from: Position, holds_pushes: bool, out: &mut Actions) {
        let base = self.gathering.bytes.len();
        let mut any = false;
        for action in out.list.get_mut(from.list..).unwrap_or_default() {
            // What goes to a connection that something is held for already keeps its order.
            let is_behind = action.conn().is_some_and(|conn| self.held.has_replies(conn));
            let waits = match action {
                Action::Send { push: true, .. } | Action::Broadcast { shout: true, .. } => holds_pushes,
                Action::Send { .. } | Action::Await { .. } | Action::Answer { .. } => {
                    self.holds_all() || is_behind
                }
                Action::Close(_) => is_behind,
                Action::Broadcast { shout: false, .. } | Action::Hold { .. } | Action::Nothing => false,
            };
            if waits {
                let mut held = core::mem::replace(action, Action::Nothing);
                held.shift(|at| at - from.bytes + base);
                self.held.count(&held);
                self.gathering.pushes += usize::from(held.is_push());
                self.gathering.list.push(held);
                any = true;
            }
        }
        if any {
            self.gathering.bytes.extend_from_slice(out.bytes.get(from.bytes..).unwrap_or_default());
            let moved = |mark: &Mark| Mark { start: mark.start - from.bytes + base, ..*mark };
            self.gathering.marks.extend(self.in_actions.iter().map(moved));
            // Somebody waits for it now, be it only to keep an order.
            self.gathering.awaited = true;
        }
        if out.list.get(from.list..).is_some_and(|list| list.iter().all(|action| *action == Action::Nothing))
        {
            out.list.truncate(from.list);
            out.bytes.truncate(from.bytes);
        }
    }

    fn holds_all(&self) -> bool {
        self.holds == Holds::All
    }

    /// A connection is gone: what is held for it must not reach the next one of its number.
    pub(super) fn forget(&mut self, conn: Conn) {
        if !self.held.forget(conn) {
            return;
        }
        for action in self.gathering.list.iter_mut().chain(&mut self.under_way.list) {
            if action.conn() == Some(conn) {
                *action = Action::Nothing;
            }
        }
    }

    /// How much gathers, in bytes.
    pub(super) fn gathered_bytes(&self) -> usize {
        self.gathering.changes.len()
    }

    /// Whether there is a batch to commit now.
    pub(super) fn wants_commit(&self, now: Moment) -> bool {
        match self.way {
            Way::Committing => false,
            Way::Failed(again) => now >= again,
            Way::Free => self.since.is_some_and(|since| {
                let is_much = self.gathering.changes.len() > GATHERED_BYTES / 4;
                self.gathering.awaited || is_much || now >= since + SAVE_TIME
            }),
        }
    }

    /// Puts a batch on its way, if there is one to commit now: [`Self::under_way`]. What [`Self::will_change`] was
    /// told of is added by `rest`.
    pub(super) fn begin(&mut self, now: Moment, rest: impl FnOnce(&mut Vec<u8>)) -> bool {
        if !self.wants_commit(now) {
            return false;
        }
        if self.way == Way::Free {
            rest(&mut self.gathering.changes);
            let uptime_ms = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
            let clock = Change::Clock { uptime_ms, next_id: self.next_id };
            clock.write(&mut self.gathering.changes);
            core::mem::swap(&mut self.gathering, &mut self.under_way);
            self.number += 1;
            self.since = None;
        }
        self.way = Way::Committing;
        self.woken = false;
        true
    }

    /// The time has come that [`Self::wakes`] named: whoever let it pass asks for a batch next.
    pub(super) fn wake(&mut self) {
        self.due = None;
        self.woken = true;
    }

    /// The changes on their way.
    pub(super) fn under_way(&self) -> &[u8] {
        &self.under_way.changes
    }

    /// When [`Self::begin`] may yield a batch without anything else happening.
    pub(super) fn wakes(&self) -> Option<Moment> {
        match self.way {
            Way::Failed(again) if !self.woken => Some(again),
            Way::Free if !self.woken => self.since.map(|since| since + SAVE_TIME),
            Way::Committing | Way::Failed(_) | Way::Free => None,
        }
    }

    /// Lets nothing wait for company: [`Self::begin`] yields what there is.
    pub(super) fn hurry(&mut self) {
        self.gathering.awaited |= self.since.is_some();
    }

    /// The batch is committed: what was held with it leaves.
    pub(super) fn committed(&mut self, out: &mut Actions) {
        if self.way != Way::Committing {
            return;
        }
        self.way = Way::Free;
        self.failing = false;
        self.under_way.release(out);
        if self.since.is_none() {
            // What waited there did so only to keep its order.
            self.gathering.release(out);
        }
        self.recount();
    }

    /// The batch could not be committed. Whoever waits is told so; only pushes, which nobody waits for, stay.
    /// What is said then may be longer than what was to be said: `may_send` is asked about that.
    pub(super) fn failed(
        &mut self,
        now: Moment,
        out: &mut Actions,
        mut may_send: impl FnMut(SocketAddr, usize) -> bool,
    ) {
        if self.way != Way::Committing {
            return;
        }
        self.way = Way::Failed(now + RETRY_TIME);
        self.failing = true;
        for batch in [&mut self.under_way, &mut self.gathering] {
            batch.marks.sort_unstable_by_key(|mark| mark.start);
            for action in core::mem::take(&mut batch.list) {
                if action.is_push() {
                    batch.list.push(action);
                } else {
                    refuse(batch, action, &mut may_send, out);
                }
            }
            batch.marks.clear();
        }
        self.recount();
    }

    /// Counts anew what is held for each connection.
    fn recount(&mut self) {
        self.held.clear();
        for action in self.gathering.list.iter().chain(&self.under_way.list) {
            self.held.count(action);
        }
    }
}

const SLOW: Refusal = Refusal::new(ErrorName::Busy, "the disk cannot follow, send the same line again");
