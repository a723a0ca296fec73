//! What all tasks of the daemon share: the hub, its actions, and the sockets to do them with.

use std::cell::RefCell;
use std::net::{SocketAddr, SocketAddrV6};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use super::broadcast::Air;
use super::ears::Ears;
use super::journal::EventLog;
use super::keeper::{Keeper, Names};
use super::store::{Done, Writer};
use super::streams::{Held, Streams};
use super::udp::Sockets;
use crate::hub::{Action, Actions, Hub, Input, Resumed, Target};
use crate::limits::{KEPT_ACTIONS, KEPT_BYTES};
use crate::moment::Moment;

/// The shared core; borrowed for one turn at a time, never across an await.
pub(super) type Shared = Rc<RefCell<Core>>;

/// The hub and its shells.
pub(super) struct Core {
    pub(super) hub: Hub,
    pub(super) udp: Sockets,
    pub(super) streams: Streams,
    pub(super) air: Air,
    pub(super) ears: Ears,
    /// Keeps connections for the next run, where somebody does.
    pub(super) keeper: Option<Keeper>,
    pub(super) names: Names,
    actions: Actions,
    events: EventLog,
    saver: Option<Saver>,
    started: Instant,
    /// What time it was then.
    start: Moment,
    /// When the timer task will wake by itself.
    pub(super) armed: Option<Moment>,
    /// Wakes the timer task earlier.
    pub(super) rearm: Rc<Notify>,
    /// Wakes the task that ends turns.
    turn: Rc<Notify>,
}

impl Core {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
    pub(super) fn new(hub: Hub, unread_bytes: usize, writer: Option<Writer>) -> Self {
        let start = hub.started();
        Self {
            hub,
            udp: Sockets::new(),
            streams: Streams::new(unread_bytes),
            air: Air::default(),
            ears: Ears::default(),
            keeper: None,
            names: Names::default(),
            actions: Actions::default(),
            events: EventLog::default(),
            saver: writer.map(|writer| Saver { writer, wake: Rc::default(), busy: false, failing: false }),
            started: Instant::now(),
            start,
            armed: None,
            rearm: Rc::default(),
            turn: Rc::default(),
        }
    }

    /// What time it is.
    pub(super) fn now(&self) -> Moment {
        self.start + self.started.elapsed()
    }

    /// When that moment is on the machine's clock.
    pub(super) fn instant(&self, moment: Moment) -> tokio::time::Instant {
        (self.started + moment.since(self.start)).into()
    }

    /// Hands the hub what happened. What it wants done is done by [`Self::perform`].
    pub(super) fn handle(&mut self, now: Moment, input: Input<'_>) {
        if let Some(saver) = &self.saver {
            self.hub.note_written(saver.writer.written());
        }
        self.hub.handle(now, input, &mut self.actions);
    }

    /// Goes on with the connections that were kept, and with who stood there and elsewhere.
    pub(super) fn resume_all(&mut self, streams: &[Resumed<'_>]) {
        let now = self.now();
        self.hub.resume(now, streams, &mut self.actions);
        self.perform();
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        self.hub.tick(now, &mut self.actions);
        self.perform();
    }

    /// Does what the hub wants done if that has become much.
    pub(super) fn perform_if_much(&mut self) {
        if self.actions.bytes.len() > KEPT_BYTES {
            self.perform();
        }
    }

    /// How much there is to do.
    pub(super) fn to_do(&self) -> usize {
        self.actions.list.len()
    }

    /// What the hub has told to hold since there was so much to do.
    pub(super) fn hold(&self, before: usize) -> Option<Held> {
        self.since(before).iter().find_map(|action| {
            if let Action::Hold { conn, bytes, until_reply } = *action {
                Some(Held { conn, bytes, until_reply })
            } else {
                None
            }
        })
    }

    fn since(&self, before: usize) -> &[Action] {
        self.actions.list.get(before..).unwrap_or_default()
    }

    /// Does what the hub wants done, once all who are ready have had their turn: each connection is written to once, and
    /// a peer that serves several is woken once. What is more than that, or more than sends, is done at once.
    pub(super) fn perform_soon(&mut self, before: usize) {
        let only_sends = self.since(before).iter().all(|action| matches!(action, Action::Send { .. }));
        if only_sends && self.actions.list.len() <= KEPT_ACTIONS && self.actions.bytes.len() <= KEPT_BYTES {
            // What was read is noted before it is answered, and before more is read.
            self.note_tails();
            self.turn.notify_one();
        } else {
            self.perform();
        }
    }

    /// Does what the hub wants done, and what follows from that.
    pub(super) fn perform(&mut self) {
        // What was read is noted before it is answered: whoever has its answer can count on that.
        self.note_tails();
        while self.perform_once() {}
        self.note_tails();
        self.rearm_if_earlier();
        if let Some(saver) = self.saver.as_ref().filter(|saver| !saver.busy)
            && self.hub.wants_commit(self.now())
        {
            saver.wake.notify_one();
        }
    }

    /// How much is to be saved, in bytes.
    pub(super) fn gathered_bytes(&self) -> usize {
        self.hub.gathered_bytes()
    }

    /// Whether anything outlives the process.
    pub(super) fn saves(&self) -> bool {
        self.saver.is_some()
    }

    /// Hands what is to be saved to the thread that does.
    pub(super) fn commit(&mut self) {
        let now = self.now();
        let Some(saver) = &mut self.saver else { return };
        let Some(batch) = self.hub.poll_commit(now) else { return };
        saver.busy = true;
        if let Err(failure) = saver.writer.commit(batch.to_vec()) {
            self.committed(&Done { result: Err(failure) });
        }
    }

    /// Wakes whoever is to call [`Self::commit`].
    pub(super) fn commit_wanted(&self) -> Option<Rc<Notify>> {
        self.saver.as_ref().map(|saver| Rc::clone(&saver.wake))
    }

    /// What became of a commit.
    pub(super) fn committed(&mut self, done: &Done) {
        let now = self.now();
        let Some(saver) = &mut self.saver else { return };
        saver.busy = false;
        let was_failing = std::mem::replace(&mut saver.failing, done.result.is_err());
        match &done.result {
            Ok(()) if was_failing => tracing::info!("the state can be saved again"),
            Err(failure) if !was_failing => {
                tracing::warn!("the state cannot be saved, what would change it is refused: {failure}");
            }
            Ok(()) | Err(_) => {}
        }
        self.handle(now, if done.result.is_ok() { Input::Committed } else { Input::CommitFailed });
        self.perform();
    }

    /// Ends what would wait, and saves what is left; whether all is saved, or cannot be.
    pub(super) fn save_rest(&mut self) -> bool {
        let now = self.now();
        self.hub.stop(now, &mut self.actions);
        self.perform();
        self.commit();
        self.saver.as_ref().is_none_or(|saver| !saver.busy)
    }

    /// Ends the thread that writes, once it has written.
    pub(super) fn close(&mut self) {
        if let Some(saver) = self.saver.take() {
            saver.writer.close();
        }
    }

    /// Does what the hub wants done now; whether connections broke over it, of which the hub was told.
    fn perform_once(&mut self) -> bool {
        let mut actions = std::mem::take(&mut self.actions);
        for action in &actions.list {
            match action {
                Action::Send { target: Target::Tcp(conn), range, push } => {
                    self.streams.append(*conn, actions.slice(range), *push);
                }
                Action::Close(conn) => self.streams.close(*conn),
                // Datagrams leave together, below.
                // What is held was seen to when it was given.
                Action::Send { target: Target::Udp { .. }, .. }
                | Action::Hold { .. }
                | Action::Await { .. }
                | Action::Answer { .. }
                | Action::Nothing => {}
                Action::Broadcast { range, .. } => self.air.send(actions.slice(range)),
            }
        }
        self.udp.send_all(&actions);
        if self.udp.wants_look() || !actions.events.is_empty() {
            let now = self.now();
            self.udp.look_for_silent(now);
            for event in &actions.events {
                self.events.write(now, event);
            }
        }
        actions.clear();
        self.actions = actions;
        let broken = self.streams.flush();
        for &conn in &broken {
            let now = self.now();
            self.handle(now, Input::Closed { conn, why: "does not read" });
        }
        !broken.is_empty()
    }

    /// Wakes the timer task if the hub now wants to be woken before it would wake by itself.
    fn rearm_if_earlier(&mut self) {
        if let Some(deadline) = self.hub.next_deadline()
            && self.armed.is_none_or(|armed| deadline < armed)
        {
            self.armed = Some(deadline);
            self.rearm.notify_one();
        }
    }
}

/// Ends each turn in which somebody was answered.
pub(super) async fn end_turns(shared: Shared) {
    let turn = Rc::clone(&shared.borrow().turn);
    loop {
        turn.notified().await;
        shared.borrow_mut().perform();
    }
}

/// The thread that saves, as seen from here.
struct Saver {
    writer: Writer,
    /// Wakes the task that hands it what is to be saved.
    wake: Rc<Notify>,
    /// Whether it has a batch.
    busy: bool,
    /// Whether it could not save the last one.
    failing: bool,
}

/// The peer's address; its IPv6 flow is no part of who it is.
pub(super) fn without_flow(from: SocketAddr) -> SocketAddr {
    match from {
        SocketAddr::V4(_) => from,
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into(),
    }
}
