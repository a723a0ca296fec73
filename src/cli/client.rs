//! A link with a courier behind it: requests that are done exactly once, and a place that is kept.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::clock::Clock;
use super::duration;
use super::exit::{Exit, Failure, complain};
use super::link::{Link, no_hub};
use super::place::{Place, Step};
use super::settings::Settings;
use super::signals::Interrupt;
use crate::courier::{Carrier, Courier, Event, Id, Outcome, Push};
use crate::moment::Moment;
use crate::names::Session;
use crate::wire::{ErrorName, Kind, Word};

/// How long one attempt to keep or regain a place lasts.
const CHORE: Duration = Duration::from_secs(10);

/// Pause between attempts to connect again.
const RECONNECT: Duration = Duration::from_millis(250);

/// How long a client that leaves waits for its goodbye to be answered.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a session's name is made of.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// Datagrams or lines taken from the socket before anything else has its turn.
const BATCH: usize = 64;

/// Pushes put aside while one answer is awaited; more than that are lost, as pushes may be.
const ASIDE: usize = 4096;

/// What a client waits for.
#[derive(Debug)]
pub(super) enum Happening {
    /// A request has ended.
    Finished(Id, Outcome),
    /// A push, as the line that carried it; [`Push::read`] reads it.
    Pushed(Vec<u8>),
    /// The file with this index is readable.
    Ready(usize),
    /// The time is over.
    Time,
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
    next_connect: Moment,
}

impl Client {
    /// Opens a link with a new session.
    pub(super) fn open(settings: &Settings) -> Result<Self, Failure> {
        let link = Link::open(settings)?;
        Ok(Self {
            settings: settings.clone(),
            courier: new_courier(&link)?,
            link,
            clock: Clock::start(),
            happened: VecDeque::new(),
            place: Place::none(),
            next_connect: Moment::ZERO,
        })
    }

    /// Opens a link and joins under a code.
    pub(super) fn join(
        settings: &Settings,
        code: &str,
        interrupt: Option<&Interrupt>,
    ) -> Result<Self, Failure> {
        let mut client = Self::open(settings)?;
        client.take_place(format!("JOIN {code}").into_bytes(), interrupt)?;
        Ok(client)
    }

    /// Asks for a place, or for what belongs to one, and keeps it from then on.
    /// Ends the program, as a success, if the interrupt comes before the answer.
    pub(super) fn take_place(&mut self, line: Vec<u8>, interrupt: Option<&Interrupt>) -> Result<(), Failure> {
        self.ask_unless(&line, interrupt)?;
        self.place.add(self.clock.now(), line);
        Ok(())
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
            match self.next(None, &files)? {
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
        id.map_err(|rejected| Failure::new(Exit::Data, rejected.to_string()))
    }

    /// Waits for whatever happens first: a request ends, a push comes, one of the files is readable, or it is
    /// `until`.
    pub(super) fn next(
        &mut self,
        until: Option<Moment>,
        files: &[BorrowedFd<'_>],
    ) -> Result<Happening, Failure> {
        loop {
            if let Some(happening) = self.happened.pop_front() {
                return Ok(happening);
            }
            let now = self.clock.now();
            self.connect(now)?;
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

    /// Ends the session without waiting, so that the hub may soon forget it.
    pub(super) fn farewell(mut self) {
        let now = self.clock.now();
        if self.courier.is_open() && self.courier.request(b"BYE", now + GOODBYE).is_ok() {
            let _ = self.transmit(now);
        }
    }

    /// Gives up the place, and waits a second at most for the hub to say that it knows.
    pub(super) fn leave(mut self) {
        self.place.give_up();
        if self.courier.is_spent() {
            return;
        }
        let until = self.clock.now() + GOODBYE;
        let Ok(bye) = self.courier.request(b"BYE", until) else { return };
        while let Ok(happening) = self.next(Some(until), &[]) {
            match happening {
                Happening::Finished(id, _) if id == bye => return,
                Happening::Time => return,
                Happening::Finished(..) | Happening::Pushed(_) | Happening::Ready(_) => {}
            }
        }
    }

    /// What a request's outcome means for whoever asked.
    pub(super) fn judge(&self, line: &[u8], outcome: Outcome) -> Result<Vec<u8>, Failure> {
        match outcome {
            Outcome::Done(body) => Ok(body),
            Outcome::Refused { name, why } => Err(Failure::refused(&name, &why)),
            Outcome::GivenUp { sent, excuse } => Err(self.given_up(line, sent, excuse)),
        }
    }

    fn given_up(&self, line: &[u8], sent: bool, excuse: Option<ErrorName>) -> Failure {
        let hub = &self.settings.hub;
        if self.link.refused && !self.link.heard {
            return no_hub(hub);
        }
        let time = duration::show(self.settings.timeout);
        let what = match excuse {
            Some(ErrorName::TooLong) => return Failure::refused("too-long", "the hub takes no line so long"),
            Some(name) => format!("the hub at {hub} said `{}` for all of {time}", name.as_str()),
            None if self.link.heard => format!("no answer from {hub} within {time}"),
            None => {
                format!(
                    "no answer from {hub} within {time}; is pigeond running there, and does every firewall let it answer?"
                )
            }
        };
        let word = line.split(|&b| b == b' ').next().and_then(Word::parse);
        let changes = word.is_some_and(|word| word.kind() == Kind::Change);
        let fate = match (changes, sent) {
            (true, true) => "; whether the request was done is unknown",
            (true, false) => "; the request was not sent",
            (false, _) => "",
        };
        Failure::new(Exit::Timeout, format!("{what}{fate}"))
    }

    /// Joins again under the lines that made this client's place.
    pub(super) fn regain_place(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        let rejected =
            |rejected: crate::courier::Rejected| Failure::new(Exit::Software, rejected.to_string());
        let (lines, before) = self.place.rejoin(now);
        for id in before {
            self.courier.withdraw(id);
        }
        for (at, line) in lines.iter().enumerate() {
            let id = if at == 0 {
                self.courier.request_first(line, now + CHORE)
            } else {
                self.courier.request(line, now + CHORE)
            };
            self.place.joining(id.map_err(rejected)?);
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
        if self.courier.is_spent() {
            let (name, _) = new_name()?;
            if self.courier.renew(session(&name)?) {
                self.regain_place()?;
            }
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

    fn receive(&mut self) -> Result<(), Failure> {
        for _ in 0..BATCH {
            let Some(parcel) = self.link.receive() else { break };
            for line in parcel.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                match self.courier.handle_line(self.clock.now(), line) {
                    Some(Event::Finished(id, outcome)) => self.finished(id, outcome)?,
                    Some(Event::Pushed(_, Push::Moved)) => {
                        let why = "this code has joined from elsewhere; the newest has the place";
                        return Err(Failure::new(Exit::Denied, why));
                    }
                    Some(Event::Pushed(..)) => self.happened.push_back(Happening::Pushed(line.to_vec())),
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn finished(&mut self, id: Id, outcome: Outcome) -> Result<(), Failure> {
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
                    return Err(Failure::refused(&name, &why));
                }
            }
        }
        Ok(())
    }
}

fn new_courier(link: &Link) -> Result<Courier, Failure> {
    let (name, seed) = new_name()?;
    let carrier = if link.is_tcp() { Carrier::Stream } else { Carrier::Datagrams };
    Ok(Courier::new(session(&name)?, carrier, seed))
}

/// A name for a session that nobody can guess, and a number as hard to guess.
fn new_name() -> Result<(Vec<u8>, u64), Failure> {
    let mut random = [0; 24];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random))?;
    let (name, seed) = random.split_at(16);
    let name = name.iter().filter_map(|b| ALPHABET.get(usize::from(b % 64)).copied()).collect();
    Ok((name, seed.iter().fold(0, |seed, &b| seed << 8 | u64::from(b))))
}

fn session(name: &[u8]) -> Result<Session<'_>, Failure> {
    Session::parse(name).ok_or_else(|| Failure::new(Exit::Software, "no name for a session"))
}
