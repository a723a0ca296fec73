//! What clients ask for, and what the answers must be.

use pigeond::courier::{Carrier, Outcome};

use super::client::{Joins, Op, code};
use super::ledger::{Fate, Fault};
use super::people::{PATIENCE, moment};
use super::plan::{SECOND, wait};
use super::world::{Event, World};

/// What clients watch.
const WATCHED: &str = "w/*";
/// Requests that a client has in all, waiting or under way, at most.
const BUSY: usize = 60;

impl World {
    /// A client asks for something, and will again.
    pub fn act(&mut self, client: usize) -> Result<(), Fault> {
        if self.healed {
            return Ok(());
        }
        let pause = wait(&mut self.rng, self.plan.pace);
        self.after(pause, Event::Act { client });
        if !self.clients[client].up || self.clients[client].ops.len() >= BUSY {
            return Ok(());
        }
        let count = if self.rng.u8(..10) == 0 { self.rng.usize(2..40) } else { 1 };
        for _ in 0..count {
            let (line, op) = self.choose(client);
            self.request(client, &line, op);
        }
        self.pump(client)
    }

    /// Hands a request to the client's courier.
    pub fn request(&mut self, client: usize, line: &str, op: Op) {
        let impatient = !self.healed && self.rng.f64() < self.plan.impatient;
        let patience = if impatient { wait(&mut self.rng, 3 * SECOND) } else { PATIENCE };
        let it = &mut self.clients[client];
        let Ok(id) = it.courier.request(line.as_bytes(), moment(self.now + patience)) else { return };
        let text = |text: &str| text.to_owned();
        match &op {
            Op::Count(key) => self.ledger.count(key),
            Op::Set(key, value) => self.ledger.set(key, value.clone()),
            Op::Send(it) | Op::Ask(it) => {
                let to = line.split(' ').nth(1).and_then(|code| code[1..].parse().ok());
                self.ledger.send(self.now, &text(it), client, to);
            }
            Op::All(it) => self.ledger.send(self.now, it, client, None),
            Op::Join | Op::Bye | Op::Watch | Op::Read | Op::Answer(_) => {}
        }
        it.ops.insert(id, op);
    }

    fn choose(&mut self, client: usize) -> (String, Op) {
        let others = self.clients.len();
        let other = code(self.rng.usize(..others));
        let unique = format!("t{}-{}", client, self.rng.u64(..));
        let joins = self.clients[client].joins != Joins::Never;
        let count = |word: &str, key: String| (format!("{word} {key} 1"), Op::Count(key));
        match self.rng.u8(..20) {
            0..=3 => count("INC", format!("own/{client}")),
            4 | 5 => count("INC", "shared".to_owned()),
            6 => count("DEC", format!("down/{client}")),
            7 => count("INC", format!("w/{client}")),
            8 | 9 if self.register_is_free(client) => {
                let key = format!("w/set{client}");
                if self.rng.u8(..3) == 0 {
                    (format!("DEL {key}"), Op::Set(key, None))
                } else {
                    (format!("SET {key} {unique}"), Op::Set(key, Some(unique)))
                }
            }
            10..=13 if joins => (format!("SEND {other} {unique}"), Op::Send(unique)),
            14 if joins => (format!("ALL {unique}"), Op::All(unique)),
            15 | 16 if joins => (format!("ASK {other} {unique}"), Op::Ask(unique)),
            17 if self.may_leave(client) => {
                self.clients[client].has_left = true;
                ("BYE".to_owned(), Op::Bye)
            }
            18 => (format!("GET own/{client}"), Op::Read),
            _ => count("INC", format!("own/{client}")),
        }
    }

    /// Whether the client may set its own value: one after the other.
    fn register_is_free(&self, client: usize) -> bool {
        !self.clients[client].ops.values().any(|op| matches!(op, Op::Set(..)))
    }

    fn may_leave(&mut self, client: usize) -> bool {
        let it = &self.clients[client];
        it.joins == Joins::WithBox && it.joined && !it.has_left && it.ops.is_empty() && self.rng.u8(..3) == 0
    }

    /// A client answers a question, sooner or later.
    pub fn answer(&mut self, client: usize, ticket: &str, text: &str) {
        if self.rng.u8(..8) != 0 {
            let line = format!("ANSWER {ticket} re {text}");
            self.request(client, &line, Op::Answer(text.to_owned()));
        }
    }

    /// A request has ended.
    pub fn finished(&mut self, client: usize, op: Op, outcome: Outcome) -> Result<(), Fault> {
        let now = self.now;
        let body = match outcome {
            Outcome::Done(body) => String::from_utf8_lossy(&body).into_owned(),
            Outcome::Refused { name, why } => return self.refused(client, op, &name, &why),
            Outcome::GivenUp { sent, .. } => return self.given_up(client, op, sent),
        };
        match op {
            Op::Join => self.joined(client, &body),
            Op::Bye => self.left(client),
            Op::Watch => {
                self.clients[client].watches = true;
                Ok(())
            }
            Op::Read => Ok(()),
            Op::Count(key) => {
                let value = body.parse().map_err(|_| format!("{key} was answered {body}"))?;
                self.ledger.counted(&key, value)
            }
            Op::Set(key, value) => {
                self.ledger.was_set(&key, value, true);
                Ok(())
            }
            Op::Send(text) if body == "sent" || body == "queued" => {
                self.ledger.was_sent(now, &text, Fate::Accepted, 1)
            }
            Op::Send(text) => Err(format!("{text} was answered {body}")),
            Op::All(text) => {
                let took = body.parse().map_err(|_| format!("{text} was answered {body}"))?;
                self.ledger.was_sent(now, &text, Fate::Accepted, took)
            }
            Op::Ask(text) if body == format!("re {text}") => {
                self.ledger.was_sent(now, &text, Fate::Accepted, 1)
            }
            Op::Ask(text) => Err(format!("{text} was answered {body}")),
            Op::Answer(text) => self.ledger.answered(&text),
        }
    }

    /// The hub refuses for good.
    fn refused(&mut self, client: usize, op: Op, name: &str, why: &str) -> Result<(), Fault> {
        let now = self.now;
        if name == "join-first" {
            self.join(client);
        }
        match (op, name) {
            (Op::Read, "no-such-key") | (Op::Answer(_), "no-such-ticket" | "join-first") => Ok(()),
            (Op::Set(key, None), "no-such-key") => {
                self.ledger.check(&key, None)?;
                self.ledger.was_set(&key, None, false);
                Ok(())
            }
            (Op::Ask(text), "timeout") => {
                self.ledger.timed_out(&text)?;
                self.ledger.was_sent(now, &text, Fate::Accepted, 1)
            }
            (Op::Send(text) | Op::Ask(text), "full" | "no-such-client" | "join-first")
            | (Op::All(text), "join-first") => self.ledger.was_sent(now, &text, Fate::Refused, 0),
            (Op::Watch, "join-first") => Ok(()),
            // A late copy of what this client asked before it crashed has come between: it joins anew.
            (Op::Join | Op::Watch, "stale") => {
                self.after(SECOND, Event::Rejoin { client });
                Ok(())
            }
            (op, _) => Err(format!("{client} got ERR {name} {why} to {op:?}")),
        }
    }

    /// A client has given up.
    fn given_up(&mut self, client: usize, op: Op, sent: bool) -> Result<(), Fault> {
        match op {
            Op::Count(key) if !sent => self.ledger.uncounted(&key),
            Op::Set(key, value) if !sent => self.ledger.was_set(&key, value, false),
            Op::Bye => return self.left(client),
            Op::Watch => self.watch(client),
            _ => {}
        }
        Ok(())
    }

    /// A client has its place.
    fn joined(&mut self, client: usize, body: &str) -> Result<(), Fault> {
        let it = &mut self.clients[client];
        it.joined = true;
        if it.joins != Joins::WithBox {
            return Ok(());
        }
        let name = body.split(' ').nth(3).ok_or_else(|| format!("{body} names no mailbox"))?;
        if it.inbox.opened(name, self.bug) {
            // The mailbox before this one is deleted, with all that was in it.
            self.ledger.forgive(client);
            it.known.clear();
            it.watches = false;
        }
        if it.wants_watch && !it.watches {
            self.watch(client);
        }
        Ok(())
    }

    fn watch(&mut self, client: usize) {
        let it = &self.clients[client];
        if it.wants_watch && it.joins == Joins::WithBox && !it.ops.values().any(|op| matches!(op, Op::Watch))
        {
            self.request(client, &format!("WATCH {WATCHED}"), Op::Watch);
        }
    }

    /// A client has left, as far as it knows, and will come back from elsewhere: what was sent to its old mailbox may
    /// still be on its way to its old address.
    fn left(&mut self, client: usize) -> Result<(), Fault> {
        let it = &mut self.clients[client];
        (it.has_left, it.joined) = (false, false);
        if it.carrier == Carrier::Datagrams {
            it.move_to_new_port(&mut self.rng);
        } else if let Some(link) = it.link.take() {
            self.end_link(link, 0);
            let pause = wait(&mut self.rng, SECOND);
            self.after(pause, Event::Connect { client });
            return Ok(());
        }
        self.arrives(client)
    }
}
