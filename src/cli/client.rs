//! A link with a courier behind it: requests that are done exactly once, and a place that is kept.

mod leave;
mod open;
mod verdict;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::clock::Clock;
use super::exit::{Exit, Failure, complain};
use super::link::Link;
use super::place::{Place, Step};
use super::session_name::SessionName;
use super::settings::Settings;
use super::signals::Interrupt;
use crate::courier::{Courier, Event, Id, Inbox, Outcome, Push, Receipt};
use crate::moment::Moment;
use crate::wire::{ErrorName, Number};

/// How long one attempt to keep or regain a place lasts.
const CHORE: Duration = Duration::from_secs(10);

/// Pause between attempts to connect again.
const RECONNECT: Duration = Duration::from_millis(250);

/// Datagrams or lines taken from the socket before anything else has its turn.
const BATCH: usize = 64;

/// Pushes put aside while one answer is awaited; more than that are lost, as those without a number may be. Of
/// those with one there are never so many.
const ASIDE: usize = 4096;

/// What a client waits for.
#[derive(Debug)]
pub(super) enum Happening {
    /// A request has ended.
    Finished(Id, Outcome),
    /// What others sent. It is acknowledged when the next happening is awaited, so it must be done with then.
    Pushed(Parcel),
    /// The file with this index is readable.
    Ready(usize),
    /// The time is over.
    Time,
}

/// A push, as the line that carried it.
#[derive(Debug)]
pub(super) struct Parcel {
    line: Vec<u8>,
    receipt: Option<Receipt>,
}

impl Parcel {
    pub(super) fn push(&self) -> Option<Push<'_>> {
        Push::read_numbered(&self.line).map(|(_, push)| push)
    }
}

/// One session with the hub.
#[derive(Debug)]
pub(super) struct Client {
    settings: Settings,
    link: Link,
    courier: Courier,
    clock: Clock,
    happened: VecDeque<Happening>,
    place: Place,
    inbox: Inbox,
    /// The JOIN under way, whose answer opens the inbox.
    joining: Option<Id>,
    /// Only the session is needed, and a place that somebody else takes is no loss.
    needs_no_place: bool,
    /// What was handed out last, and is done with when the next is awaited.
    in_hand: Option<Receipt>,
    next_connect: Moment,
}

impl Client {
    /// From now on requests are given up after so long.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.settings.timeout = timeout;
    }

    /// Asks for a place, or for what belongs to one, and keeps it from then on.
    /// Ends the program, as a success, if the interrupt comes before the answer.
    pub(super) fn take_place(&mut self, line: Vec<u8>, interrupt: Option<&Interrupt>) -> Result<(), Failure> {
        self.ask_unless(&line, interrupt)?;
        self.place.add(self.clock.now(), line);
        Ok(())
    }

    /// The time, as this client's deadlines have it.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Asks and awaits the answer: the body of the reply.
    pub(super) fn ask(&mut self, line: &[u8]) -> Result<Vec<u8>, Failure> {
        self.ask_unless(line, None)
    }

    fn ask_unless(&mut self, line: &[u8], interrupt: Option<&Interrupt>) -> Result<Vec<u8>, Failure> {
        let files: Vec<BorrowedFd<'_>> = interrupt.iter().map(|interrupt| interrupt.as_fd()).collect();
        let id = self.request(line)?;
        let mut aside = VecDeque::new();
        let outcome = loop {
            match self.await_next(None, &files)? {
                Happening::Finished(finished, outcome) if finished == id => break outcome,
                // The person in front wants the end and no explanation.
                Happening::Ready(_) => return Err(Failure::new(Exit::Ok, "")),
                other if aside.len() < ASIDE => aside.push_back(other),
                Happening::Finished(..) | Happening::Pushed(_) | Happening::Time => {}
            }
        };
        aside.append(&mut self.happened);
        self.happened = aside;
        self.judge(line, outcome)
    }

    /// As [`Client::ask`], and joins once more if the hub has given the place away.
    pub(super) fn ask_as_member(&mut self, line: &[u8]) -> Result<Vec<u8>, Failure> {
        match self.ask(line) {
            Err(failure) if failure.name == Some(ErrorName::JoinFirst) => {
                self.regain_place()?;
                self.ask(line)
            }
            answer => answer,
        }
    }

    /// Takes a request whose end [`Client::next`] will tell.
    pub(super) fn request(&mut self, line: &[u8]) -> Result<Id, Failure> {
        let deadline = self.clock.now() + self.settings.timeout;
        let id = self.courier.request(line, deadline);
        let id = id.map_err(|rejected| Failure::new(Exit::Data, rejected.to_string()))?;
        self.note_join(line, id);
        Ok(id)
    }

    /// Of a JOIN, notes that its answer opens the inbox, which is closed until then.
    fn note_join(&mut self, line: &[u8], id: Id) {
        if line.starts_with(b"JOIN ") {
            self.inbox.close();
            self.joining = Some(id);
        }
    }

    /// Waits for whatever happens first: a request ends, a push comes, one of the files is readable, or it is
    /// `until`. A push that was yielded before is acknowledged.
    pub(super) fn next(
        &mut self,
        until: Option<Moment>,
        files: &[BorrowedFd<'_>],
    ) -> Result<Happening, Failure> {
        if let Some(receipt) = self.in_hand.take() {
            self.inbox.handled(receipt);
        }
        let happening = self.await_next(until, files)?;
        if let Happening::Pushed(parcel) = &happening {
            self.in_hand = parcel.receipt;
        }
        Ok(happening)
    }

    fn await_next(&mut self, until: Option<Moment>, files: &[BorrowedFd<'_>]) -> Result<Happening, Failure> {
        loop {
            if let Some(happening) = self.happened.pop_front() {
                return Ok(happening);
            }
            let now = self.clock.now();
            self.connect(now)?;
            self.acknowledge()?;
            self.transmit(now)?;
            while let Some((id, outcome)) = self.courier.tick(now) {
                self.finished(id, outcome)?;
            }
            self.keep_place(now)?;
            self.transmit(now)?;
            if !self.happened.is_empty() {
                continue;
            }
            if until.is_some_and(|until| until <= now) {
                return Ok(Happening::Time);
            }
            let wake = [until, self.courier.next_deadline(), self.next_chore()].into_iter().flatten().min();
            let ready = self.link.wait(files, wake.map(|wake| wake.since(now)))?;
            let ready = ready.iter().enumerate().filter(|(_, ready)| **ready);
            self.happened.extend(ready.map(|(index, _)| Happening::Ready(index)));
            self.receive()?;
        }
    }

    /// Joins again under the lines that made this client's place.
    pub(super) fn regain_place(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        let rejected =
            |rejected: crate::courier::Rejected| Failure::new(Exit::Software, rejected.to_string());
        let (lines, before) = self.place.rejoin(now);
        for (at, line) in lines.iter().enumerate() {
            let id = if at == 0 {
                self.courier.request_first(line, now + CHORE)
            } else {
                self.courier.request(line, now + CHORE)
            };
            let id = id.map_err(rejected)?;
            self.note_join(line, id);
            self.place.joining(id);
        }
        // By now those under way wait again, too.
        for id in before {
            self.courier.withdraw(id);
        }
        Ok(())
    }

    fn connect(&mut self, now: Moment) -> Result<(), Failure> {
        if self.link.is_up() || now < self.next_connect {
            return Ok(());
        }
        self.link.reconnect();
        if !self.link.is_up() {
            self.next_connect = now + RECONNECT;
            return Ok(());
        }
        self.courier.reconnected(now);
        // A session that is not open yet has no place to regain: its JOIN, if any, is under way.
        if self.courier.is_open() { self.regain_place() } else { Ok(()) }
    }

    fn keep_place(&mut self, now: Moment) -> Result<(), Failure> {
        if !self.place.is_held() {
            return Ok(());
        }
        if self.courier.is_spent() && self.courier.renew(SessionName::random()?.session()?) {
            self.regain_place()?;
        }
        if let Some(line) = self.place.check(now)
            && self.courier.is_open()
            && let Ok(id) = self.courier.request(line, now + CHORE)
        {
            self.place.asked(id);
        }
        Ok(())
    }

    /// When this client has something to do that the courier does not know of.
    fn next_chore(&self) -> Option<Moment> {
        let connect = (!self.link.is_up()).then_some(self.next_connect);
        connect.into_iter().chain(self.place.next_check()).min()
    }

    fn transmit(&mut self, now: Moment) -> Result<(), Failure> {
        while self.link.is_up() {
            let Some(line) = self.courier.poll_transmit(now) else { break };
            self.link.send(line)?;
        }
        Ok(())
    }

    /// Acknowledges what is done with; one that is lost is owed again when the hub repeats itself.
    fn acknowledge(&mut self) -> Result<(), Failure> {
        match self.inbox.poll_ack() {
            Some(number) => self.link.send(&self.courier.acknowledgement(number)),
            None => Ok(()),
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        for _ in 0..BATCH {
            let Some(parcel) = self.link.receive() else { break };
            for line in parcel.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                match self.courier.handle_line(self.clock.now(), line) {
                    Some(Event::Finished(id, outcome)) => self.finished(id, outcome)?,
                    Some(Event::Pushed(_, Push::Moved)) if self.needs_no_place => {}
                    Some(Event::Pushed(_, Push::Moved)) => {
                        let why = "this code has joined from elsewhere; the newest has the place";
                        return Err(Failure::new(Exit::Denied, why));
                    }
                    Some(Event::Pushed(number, _)) => self.pushed(number, line),
                    // Who has no place that is to be kept is about to end.
                    Some(Event::Challenged) if self.place.is_held() => self.regain_place()?,
                    Some(Event::Challenged) | None => {}
                }
            }
        }
        Ok(())
    }

    /// Looks soon whether the place still stands: pushes come, or it was lost just now and may be again.
    fn expect_loss(&mut self) {
        // Over TCP the end of the connection tells.
        if !self.link.is_tcp() {
            self.place.in_use(self.clock.now());
        }
    }

    fn pushed(&mut self, number: Option<Number>, line: &[u8]) {
        self.expect_loss();
        let Some(number) = number else {
            self.happened.push_back(Happening::Pushed(Parcel { line: line.to_vec(), receipt: None }));
            return;
        };
        self.inbox.take(number, line);
        while let Some((receipt, line)) = self.inbox.poll_delivery() {
            self.happened.push_back(Happening::Pushed(Parcel { line, receipt: Some(receipt) }));
        }
    }

    fn finished(&mut self, id: Id, outcome: Outcome) -> Result<(), Failure> {
        if self.joining == Some(id) {
            self.joining = None;
            if let Outcome::Done(body) = &outcome {
                self.inbox.joined(body);
                if self.place.is_held() {
                    self.expect_loss();
                }
            }
        }
        let Some(step) = self.place.finished(id, &outcome) else {
            self.happened.push_back(Happening::Finished(id, outcome));
            return Ok(());
        };
        match step {
            Step::Nothing => {}
            Step::Back => complain("the hub answers again"),
            Step::Silence { is_news, rejoin } => {
                if is_news {
                    complain(&format!("no answer from {}; trying on", self.settings.hub));
                }
                // A session that is spent is renewed first.
                if rejoin && !self.courier.is_spent() {
                    self.regain_place()?;
                }
            }
            Step::Rejoin => self.regain_place()?,
            Step::Refused => {
                if let Outcome::Refused { name, why } = outcome {
                    let failure = Failure::refused(&name, &why);
                    // Who only needs the session has it, whoever has the place.
                    if !(self.needs_no_place && failure.name == Some(ErrorName::Denied)) {
                        return Err(failure);
                    }
                }
            }
        }
        Ok(())
    }
}
