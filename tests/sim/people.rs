//! What clients do: come and go, send what their couriers want sent, and act upon what comes.

use core::time::Duration;
use std::collections::BTreeMap;

use pigeond::courier::{Carrier, Event as Said, Id, Outcome};
use pigeond::moment::Moment;
use pigeond::names::Session;

use super::bugs::Bug;
use super::client::{Joins, Op};
use super::ledger::Fault;
use super::plan::{MILLI, Micros, SECOND, wait};
use super::world::{Event, World};

/// How often a client over UDP makes sure of its place.
const KEEP_ALIVE: Micros = 8 * SECOND;
/// How long a request is tried.
pub const PATIENCE: Micros = 1800 * SECOND;

/// A point in simulated time, for couriers.
pub fn moment(at: Micros) -> Moment {
    Moment::after_start(Duration::from_micros(at))
}

impl World {
    pub fn client_begins(&mut self, client: usize) -> Result<(), Fault> {
        self.clients[client].start(&mut self.rng);
        self.trace.note(self.now, "client begins", client as u64, b"");
        if self.clients[client].carrier == Carrier::Stream {
            return self.connect(client);
        }
        self.after(KEEP_ALIVE, Event::Rejoin { client });
        self.arrives(client)
    }

    pub fn client_ends(&mut self, client: usize) -> Result<(), Fault> {
        if self.healed {
            return Ok(());
        }
        self.misfortune(self.plan.client_life, |client| Event::ClientEnds { client }, client);
        if !self.clients[client].up {
            return Ok(());
        }
        self.trace.note(self.now, "client dies", client as u64, b"");
        self.clients[client].up = false;
        self.clients[client].inbox.crash();
        if let Some(link) = self.clients[client].link.take() {
            self.end_link(link, SECOND);
        }
        let pause = wait(&mut self.rng, SECOND);
        self.after(pause, Event::ClientBegins { client });
        Ok(())
    }

    /// A client over UDP is somewhere else now.
    pub fn moves(&mut self, client: usize) -> Result<(), Fault> {
        if self.healed {
            return Ok(());
        }
        self.misfortune(self.plan.move_every, |client| Event::Move { client }, client);
        if self.clients[client].up && self.clients[client].carrier == Carrier::Datagrams {
            self.trace.note(self.now, "moves", client as u64, b"");
            self.clients[client].move_to_new_port(&mut self.rng);
            return self.arrives(client);
        }
        Ok(())
    }

    pub fn partition(&mut self, client: usize, begins: bool) -> Result<(), Fault> {
        if self.healed {
            return Ok(());
        }
        self.trace.note(self.now, "cut off", client as u64, &[u8::from(begins)]);
        self.clients[client].is_cut_off = begins;
        if begins {
            let pause = wait(&mut self.rng, 3 * SECOND);
            self.after(pause, Event::Partition { client, begins: false });
        } else {
            let again = |client| Event::Partition { client, begins: true };
            self.misfortune(self.plan.partition_every, again, client);
        }
        Ok(())
    }

    /// A client has a new address or connection.
    pub fn arrives(&mut self, client: usize) -> Result<(), Fault> {
        let now = moment(self.now);
        self.join(client);
        self.clients[client].courier.reconnected(now);
        self.pump(client)
    }

    /// A client over UDP joins again from time to time, lest its place be lost.
    pub fn keep_place(&mut self, client: usize) -> Result<(), Fault> {
        self.after(KEEP_ALIVE, Event::Rejoin { client });
        if self.clients[client].up && !self.clients[client].has_left {
            self.join(client);
            return self.pump(client);
        }
        Ok(())
    }

    /// Asks for a place, unless that is under way.
    pub fn join(&mut self, client: usize) {
        let it = &mut self.clients[client];
        let ack = match it.joins {
            Joins::Never => return,
            Joins::Plainly => "",
            Joins::WithBox => " ack",
        };
        if it.joining.is_some() || it.has_left && it.joined {
            return;
        }
        let line = format!("JOIN {}{ack}", it.code());
        if let Ok(id) = it.courier.request_first(line.as_bytes(), moment(self.now + PATIENCE)) {
            it.ops.insert(id, Op::Join);
            (it.joining, it.joined) = (Some(id), false);
        }
    }

    /// Sends what a client's courier wants sent, until it wants nothing more for now.
    pub fn pump(&mut self, client: usize) -> Result<(), Fault> {
        let now = moment(self.now);
        loop {
            let it = &mut self.clients[client];
            if !it.up {
                return Ok(());
            }
            let mut lines: Vec<Vec<u8>> = Vec::new();
            while let Some(line) = it.courier.poll_transmit(now) {
                lines.push(line.to_vec());
            }
            if it.courier.is_spent() {
                let name = it.next_session();
                let session = Session::parse(name.as_bytes()).ok_or("no name")?;
                if it.courier.renew(session) {
                    it.highest = 0;
                }
            }
            let ended = it.courier.tick(now);
            if lines.is_empty() && ended.is_none() {
                return Ok(());
            }
            self.transmit(client, lines)?;
            if let Some((id, outcome)) = ended {
                self.ends(client, id, outcome)?;
            }
        }
    }

    fn transmit(&mut self, client: usize, mut lines: Vec<Vec<u8>>) -> Result<(), Fault> {
        for line in &mut lines {
            self.count_line(client, line)?;
            self.observer.asked(line)?;
        }
        if self.clients[client].bundles {
            lines = lines.chunks(10).map(<[_]>::concat).collect();
        }
        for line in lines {
            self.sends(client, &line);
        }
        Ok(())
    }

    /// A client sends bytes on what it has.
    fn sends(&mut self, client: usize, bytes: &[u8]) {
        let it = &self.clients[client];
        match (it.carrier, it.link) {
            (Carrier::Datagrams, _) => self.datagram_up(Some(client), it.address, bytes),
            (Carrier::Stream, Some(link)) => self.stream_up(link, bytes),
            (Carrier::Stream, None) => {}
        }
    }

    /// Counts what is under way, and lets a bug change a line that is sent again.
    fn count_line(&mut self, client: usize, line: &mut Vec<u8>) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(line).into_owned();
        let (tag, request) = text.split_once(' ').ok_or("a line without a tag")?;
        let (session, number) = tag[1..].split_once('.').ok_or("a tag without a number")?;
        let number: u64 = number.parse().map_err(|_| "no number")?;
        let it = &mut self.clients[client];
        if number > it.highest {
            it.highest = number;
            return Ok(());
        }
        let alias = match self.bug {
            Some(Bug::Renumber) => (session.to_owned(), number + 20),
            Some(Bug::NewSession) => (format!("again{}", self.aliases.len()), 1),
            _ => return Ok(()),
        };
        *line = format!("#{}.{} {request}", alias.0, alias.1).into_bytes();
        self.aliases.insert(alias, (session.to_owned(), number));
        Ok(())
    }

    /// A line reaches a client.
    pub fn hears(&mut self, client: usize, line: &[u8]) -> Result<(), Fault> {
        self.trace.note(self.now, "client <-", client as u64, line);
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        if let Some((number, push)) = text.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
            let number = number.parse().map_err(|_| format!("{text} has no number"))?;
            return self.takes(client, number, push);
        }
        let line = self.without_alias(&text);
        let now = moment(self.now);
        match self.clients[client].courier.handle_line(now, line.as_bytes()) {
            Some(Said::Finished(id, outcome)) => self.ends(client, id, outcome),
            Some(Said::Pushed(..) | Said::Challenged) | None => Ok(()),
        }
    }

    fn without_alias(&self, line: &str) -> String {
        let original = || {
            let (tag, rest) = line.strip_prefix('#')?.split_once(' ')?;
            let (session, number) = tag.split_once('.')?;
            let (session, number) = self.aliases.get(&(session.to_owned(), number.parse().ok()?))?;
            Some(format!("#{session}.{number} {rest}"))
        };
        original().unwrap_or_else(|| line.to_owned())
    }

    /// A numbered push reaches a client.
    fn takes(&mut self, client: usize, number: u64, push: &str) -> Result<(), Fault> {
        let it = &mut self.clients[client];
        // Until the reply to JOIN it is not known which mailbox this is from.
        if it.joining.is_some() || it.joins != Joins::WithBox || it.has_left {
            return Ok(());
        }
        let taken = it.inbox.push(number, push.as_bytes(), self.bug);
        if let Some(ack) = taken.ack {
            self.sends(client, format!("ACK {ack}\n").as_bytes());
        }
        // One that acknowledges first may crash before it acts.
        if self.bug == Some(Bug::AckFirst) && !self.healed && self.rng.u8(..20) == 0 {
            return self.client_ends(client);
        }
        for push in taken.pushes {
            self.acts_upon(client, &String::from_utf8_lossy(&push))?;
        }
        self.pump(client)
    }

    /// A client acts upon a push.
    fn acts_upon(&mut self, client: usize, push: &str) -> Result<(), Fault> {
        let mut words = push.splitn(3, ' ');
        let (word, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let rest = words.next().unwrap_or_default();
        match word {
            "MSG" => self.ledger.deliver(rest, client),
            "ASK" => {
                let text = rest.split_once(' ').map_or("", |(_, text)| text);
                self.ledger.deliver(text, client)?;
                self.answer(client, second, text);
                Ok(())
            }
            "VAL" | "GONE" => {
                let value = (word == "VAL").then(|| rest.to_owned());
                self.tell(client, second, value)
            }
            _ => Err(format!("{push} is no push")),
        }
    }

    /// A watcher learns of a key.
    fn tell(&mut self, client: usize, key: &str, value: Option<String>) -> Result<(), Fault> {
        let known = &mut self.clients[client].known;
        let before = known.insert(key.to_owned(), value.clone()).flatten();
        let numbers =
            before.zip(value).and_then(|(a, b)| Some((a.parse::<i64>().ok()?, b.parse::<i64>().ok()?)));
        match numbers {
            Some((before, after)) if after.abs() < before.abs() => {
                Err(format!("{client} saw {key} go from {before} to {after}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The key of which a watcher knows less than the newest, if there is one.
    pub fn stale_watch(&mut self) -> Result<Option<Fault>, Fault> {
        for client in 0..self.clients.len() {
            let it = &self.clients[client];
            if !it.watches || it.joins != Joins::WithBox {
                continue;
            }
            let known: BTreeMap<String, Option<String>> = it.known.clone();
            let keys = self.ledger.counters.keys().chain(self.ledger.registers.keys()).cloned();
            for key in keys.filter(|key| key.starts_with("w/")).collect::<Vec<_>>() {
                let value = self.peek(&key);
                let told = known.get(&key).cloned().flatten();
                if told != value {
                    return Ok(Some(format!("{client} knows of {key} {told:?}, and it is {value:?}")));
                }
            }
        }
        Ok(None)
    }

    /// A request has ended.
    fn ends(&mut self, client: usize, id: Id, outcome: Outcome) -> Result<(), Fault> {
        let it = &mut self.clients[client];
        let Some(op) = it.ops.remove(&id) else { return Err("an unknown request ended".to_owned()) };
        if it.joining == Some(id) {
            it.joining = None;
        }
        self.finished(client, op, outcome)?;
        let pause = self.rng.u64(..=MILLI);
        if self.clients[client].has_left && self.clients[client].joining.is_none() {
            self.after(pause, Event::Rejoin { client });
        }
        Ok(())
    }
}
