//! A client with a secret, written from the protocol page alone; and a hub with a disk that it talks to.

use std::collections::BTreeMap;
use std::time::Duration;

use pigeond::hub::{Allowed, Change, CodeKey, Conn, Hub, Input, Keys, Secret, Settings};
use pigeond::proof::{Proof, SessionKey, Way};

use crate::world::{VIA, World, peer};

pub const ANN: &str = "00112233445566778899aabbccddeeff";
pub const BOB: &str = "ffeeddccbbaa99887766554433221100";

/// Settings in which ann and bob have secrets.
pub fn settings() -> Settings {
    Settings { keys: keys(&[("ann", ANN), ("bob", BOB)]), ..Settings::default() }
}

pub fn keys(codes: &[(&str, &str)]) -> Keys {
    let key = |secret: &str| CodeKey { secret: Secret::new(secret.as_bytes()), allowed: Allowed::default() };
    Keys { codes: codes.iter().map(|&(code, secret)| (code.into(), key(secret))).collect(), others: None }
}

pub fn allowed(set: &[&str], watch: &[&str]) -> Allowed {
    let list = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.into()).collect();
    Allowed { set: list(set), watch: list(watch) }
}

/// A client in one session.
#[derive(Clone)]
pub struct Person {
    pub session: String,
    pub key: SessionKey,
    pub number: u64,
    /// Its lines so far.
    pub said: Vec<String>,
}

impl Person {
    pub fn new(secret: &str, session: &str, nonce: &str) -> Self {
        let key = SessionKey::new(secret.as_bytes(), session, nonce);
        Self { session: session.to_owned(), key, number: 0, said: Vec::new() }
    }

    /// The line of this number, proved.
    pub fn line(&self, number: u64, line: &str) -> String {
        let mac = self.key.prove(Way::Request, &self.session, number, line.as_bytes());
        format!("#{}.{number}.{} {line}", self.session, text(&mac))
    }

    /// The next line, proved.
    pub fn next(&mut self, line: &str) -> String {
        self.number += 1;
        let line = self.line(self.number, line);
        self.said.push(line.clone());
        line
    }

    /// What a reply under a number says, if it is proved.
    pub fn heard(&self, number: u64, reply: &str) -> String {
        let (tag, outcome) = reply.split_once(' ').expect("a tagged reply");
        let mac = self.key.prove(Way::Reply, &self.session, number, outcome.as_bytes());
        assert_eq!(tag, format!("#{}.{number}.{}", self.session, text(&mac)), "{reply}");
        outcome.to_owned()
    }

    /// The number and the text of a push, if it is proved.
    pub fn pushed(&self, push: &str) -> (u64, String) {
        let (head, line) = push.split_once(' ').expect("a numbered push");
        let (number, mac) = head.strip_prefix('@').and_then(|head| head.split_once('.')).expect("a mac");
        let number = number.parse().expect("a number");
        assert_eq!(mac, text(&self.key.prove(Way::Push, &self.session, number, line.as_bytes())), "{push}");
        (number, line.to_owned())
    }
}

fn text(proof: &Proof) -> &str {
    str::from_utf8(proof).unwrap()
}

/// The nonce in a reply that asks for proof.
pub fn nonce(reply: &str) -> String {
    let words: Vec<&str> = reply.split(' ').collect();
    let at = words.iter().position(|word| *word == "ERR").unwrap_or_else(|| panic!("no refusal: {reply}"));
    assert_eq!((words[at + 1], words.len()), ("prove", at + 3), "{reply}");
    assert!(words[at + 2].len() == 16, "{reply}");
    words[at + 2].to_owned()
}

/// A hub with a disk.
pub struct Place {
    pub world: World,
    pub disk: Vec<u8>,
    pub settings: Settings,
    restarts: u64,
}

impl Place {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        let mut world = World::with(settings.clone());
        world.hub = Hub::restore(settings.clone(), 1, &[]).unwrap();
        // Not in the very first minute, so that there is one before.
        world.now = world.now + Duration::from_mins(10);
        Self { world, disk: Vec::new(), settings, restarts: 0 }
    }

    /// Commits what is to be committed.
    pub fn commit(&mut self) {
        self.world.out.clear();
        while let Some(batch) = self.world.hub.poll_commit(self.world.now) {
            self.disk.extend_from_slice(batch);
            self.world.hub.handle(self.world.now, Input::Committed, &mut self.world.out);
        }
    }

    /// Asks, commits, and returns what this peer gets.
    pub fn ask(&mut self, n: u8, line: &str) -> Vec<String> {
        self.world.ask(n, line.as_bytes());
        let mut all = self.world.to(n);
        self.commit();
        all.extend(self.world.to(n));
        all
    }

    /// The same on a stream.
    pub fn stream(&mut self, conn: u32, line: &str) -> String {
        self.world.handle(Input::Stream { conn: Conn(conn), bytes: format!("{line}\n").as_bytes() });
        let mut all = self.world.on(conn);
        self.commit();
        all.push_str(&self.world.on(conn));
        all
    }

    /// Asks and returns what another gets.
    pub fn seen_by(&mut self, other: u8, n: u8, line: &str) -> Vec<String> {
        self.world.handle(Input::Datagram {
            from: peer(n),
            via: VIA,
            to_many: false,
            bytes: line.as_bytes(),
        });
        let mut all = self.world.to(other);
        self.commit();
        all.extend(self.world.to(other));
        all
    }

    /// A client that has joined from a peer.
    pub fn join(&mut self, n: u8, code: &str, secret: &str, session: &str, ack: &str) -> Person {
        let nonce = nonce(&self.ask(n, &format!("JOIN {code}"))[0]);
        let mut person = Person::new(secret, session, &nonce);
        let line = person.next(&format!("JOIN {code}{ack} {nonce}"));
        let replies = self.ask(n, &line);
        assert!(person.heard(1, &replies[0]).starts_with("OK joined"), "{replies:?}");
        person
    }

    /// A client asks from where it is; what it is told.
    pub fn say(&mut self, n: u8, person: &mut Person, line: &str) -> String {
        let line = person.next(line);
        let replies = self.ask(n, &line);
        assert_eq!(replies.len(), 1, "{replies:?}");
        person.heard(person.number, &replies[0])
    }

    /// The settings are read anew.
    pub fn reload(&mut self) {
        self.world.hub.reconfigure(self.settings.clone());
        self.world.out.clear();
        self.world.hub.tick(self.world.now, &mut self.world.out);
        self.commit();
    }

    /// The hub is killed and started again.
    pub fn crash(&mut self) {
        self.restarts += 1;
        self.world.hub = Hub::restore(self.settings.clone(), 1 + self.restarts, &self.disk).unwrap();
        self.world.now = self.world.hub.started();
        self.world.out.clear();
        self.world.hub.resume(self.world.now, &[], &mut self.world.out);
        self.commit();
    }

    /// All that is kept, row by row, once everything is.
    pub fn digest(&mut self) -> BTreeMap<String, String> {
        self.world.pass(Duration::from_secs(2));
        self.commit();
        let mut rows = BTreeMap::new();
        for change in Change::read(&self.disk).map(Result::unwrap) {
            let (row, value) = match change {
                Change::Clock { .. } => continue,
                Change::Value { key, text, .. } => (format!("value {key}"), Some(format!("{text:?}"))),
                Change::ValueGone { key } => (format!("value {key}"), None),
                Change::Session { id, .. } => (format!("session {id}"), Some(format!("{change:?}"))),
                Change::SessionGone { id } => (format!("session {id}"), None),
                Change::Keyed { session, .. } => (format!("keyed {session}"), Some(format!("{change:?}"))),
                Change::Reply { session, number, .. } => {
                    (format!("reply {session} {number}"), Some(format!("{change:?}")))
                }
                Change::Mailbox { id, .. } => (format!("mailbox {id}"), Some(format!("{change:?}"))),
                Change::MailboxGone { id } => (format!("mailbox {id}"), None),
                Change::Delivery { mailbox, .. } => {
                    (format!("delivery {mailbox}"), Some(format!("{change:?}")))
                }
                Change::Letter { mailbox, number, .. } => {
                    (format!("letter {mailbox} {number}"), Some(format!("{change:?}")))
                }
                Change::Watch { owner, pattern } => (format!("watch {owner} {pattern}"), Some(String::new())),
                Change::WatchGone { owner, pattern } => (format!("watch {owner} {pattern}"), None),
                Change::Place { id, .. } => (format!("place {id}"), Some(format!("{change:?}"))),
                Change::PlaceGone { id } => (format!("place {id}"), None),
            };
            match value {
                Some(value) => drop(rows.insert(row, value)),
                None => drop(rows.remove(&row)),
            }
        }
        rows
    }
}
