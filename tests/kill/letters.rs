//! A sender and a listener: letters that wait in a mailbox until they are acknowledged.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use pigeond::courier::{Carrier, Courier, Event, Id, Outcome};
use pigeond::moment::Moment;
use pigeond::names::Session;

use crate::victim::Work;

/// Letters that are under way at the same time: each lane sends its next once the last is answered, for requests
/// that are under way together may be done in any order.
pub const LANES: usize = 24;

/// What no request takes, however long the test does.
const NEVER: Duration = Duration::from_hours(2);

/// A sender whom a full mailbox refuses asks again after this time.
const ROOM: Duration = Duration::from_millis(50);

/// A listener that hears nothing for so long joins again: its place may be lost.
const SILENCE: Duration = Duration::from_millis(100);

/// The longest that a client sleeps.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// A client's socket, session and clock.
struct Client {
    socket: UdpSocket,
    hub: SocketAddr,
    courier: Courier,
    joining: Option<Id>,
    join: &'static [u8],
    joins: u32,
    started: Instant,
}

impl Client {
    fn new(session: &str, join: &'static [u8], hub: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(LONGEST_SLEEP)).unwrap();
        let courier = Courier::new(Session::parse(session.as_bytes()).unwrap(), Carrier::Datagrams, 5);
        Self { socket, hub, courier, joining: None, join, joins: 0, started: Instant::now() }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }

    /// Joins, unless it is about to.
    fn join(&mut self) {
        if self.joining.is_none() {
            let id = self.courier.request_first(self.join, self.now() + NEVER).unwrap();
            self.joining = Some(id);
            self.joins += 1;
        }
    }

    fn send(&mut self) {
        let now = self.now();
        while let Some(line) = self.courier.poll_transmit(now) {
            self.socket.send_to(line, self.hub).unwrap();
        }
        assert_eq!(self.courier.tick(now), None, "given up");
    }

    /// The next datagram, if one comes before something is due.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let now = self.now();
        let due = self.courier.next_deadline().map_or(LONGEST_SLEEP, |due| due.since(now));
        let sleep = due.clamp(Duration::from_millis(1), LONGEST_SLEEP);
        self.socket.set_read_timeout(Some(sleep)).unwrap();
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
}

/// Sends texts `LANE NUMBER` to the listener, in each lane 1, 2, 3 and so on; how often its mailbox was full.
pub fn send(hub: SocketAddr, letters: usize, work: &Work) -> u64 {
    let _worker = work.worker();
    let mut client = Client::new("the-sender", b"JOIN ann", hub);
    client.join();
    let mut lanes = Lanes::new(letters);
    let mut full = 0;
    while !lanes.is_done() {
        let now = client.now();
        lanes.ask(&mut client.courier, now);
        client.send();
        let Some(datagram) = client.receive() else { continue };
        for line in datagram.split_inclusive(|&b| b == b'\n') {
            let now = client.now();
            let Some(Event::Finished(id, outcome)) = client.courier.handle_line(now, line) else { continue };
            if client.joining == Some(id) {
                assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
                client.joining = None;
                continue;
            }
            match outcome {
                Outcome::Done(_) => lanes.done(id),
                // Refused for good, and so it may be asked again under a new number.
                Outcome::Refused { name, .. } if name == "full" => {
                    full += 1;
                    lanes.again(id, now + ROOM);
                }
                // The new daemon does not know where its clients are.
                Outcome::Refused { name, .. } if name == "join-first" => {
                    lanes.again(id, now);
                    client.join();
                }
                outcome @ (Outcome::Refused { .. } | Outcome::GivenUp { .. }) => panic!("{outcome:?}"),
            }
        }
    }
    full
}

/// What is sent, and how far.
struct Lanes {
    lanes: Vec<Lane>,
    asked: BTreeMap<Id, usize>,
}

struct Lane {
    next: usize,
    last: usize,
    /// When to ask; `None` while it is asked.
    at: Option<Moment>,
}

impl Lanes {
    fn new(letters: usize) -> Self {
        let last = |lane| letters / LANES + usize::from(lane < letters % LANES);
        let lanes = (0..LANES).map(|lane| Lane { next: 1, last: last(lane), at: Some(Moment::ZERO) });
        Self { lanes: lanes.collect(), asked: BTreeMap::new() }
    }

    fn is_done(&self) -> bool {
        self.lanes.iter().all(|lane| lane.next > lane.last)
    }

    fn ask(&mut self, courier: &mut Courier, now: Moment) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if lane.next <= lane.last && lane.at.is_some_and(|at| at <= now) {
                let line = format!("SEND bob {index} {}", lane.next);
                self.asked.insert(courier.request(line.as_bytes(), now + NEVER).unwrap(), index);
                lane.at = None;
            }
        }
    }

    fn done(&mut self, id: Id) {
        let index = self.again(id, Moment::ZERO);
        self.lanes[index].next += 1;
    }

    fn again(&mut self, id: Id, at: Moment) -> usize {
        let index = self.asked.remove(&id).expect("a request that was asked");
        self.lanes[index].at = Some(at);
        index
    }
}

/// A listener, and what it has got.
pub struct Listener<'a> {
    client: Client,
    mailbox: Option<String>,
    /// The highest number up to which all has come, and what came beyond.
    taken: u64,
    early: BTreeMap<u64, Vec<u8>>,
    texts: Vec<String>,
    heard: Instant,
    work: &'a Work,
}

impl<'a> Listener<'a> {
    /// Joins; its mailbox is there then.
    pub fn start(hub: SocketAddr, work: &'a Work) -> Self {
        let client = Client::new("the-listener", b"JOIN bob ack", hub);
        let heard = Instant::now();
        let early = BTreeMap::new();
        let mut listener = Self { client, mailbox: None, taken: 0, early, texts: Vec::new(), heard, work };
        listener.client.join();
        while listener.mailbox.is_none() {
            listener.turn();
        }
        listener
    }

    /// Listens until so many letters have come; their texts, and how often it joined.
    pub fn listen(mut self, letters: usize) -> (Vec<String>, u32) {
        let _worker = self.work.worker();
        while self.texts.len() < letters {
            self.turn();
        }
        (self.texts, self.client.joins)
    }

    /// Waits out one pause, and takes what comes.
    fn turn(&mut self) {
        if self.heard.elapsed() >= SILENCE {
            self.client.join();
        }
        self.client.send();
        let Some(datagram) = self.client.receive() else { return };
        for line in datagram.split_inclusive(|&b| b == b'\n') {
            if line.starts_with(b"@") {
                self.take(line);
                continue;
            }
            let now = self.client.now();
            let Some(Event::Finished(id, outcome)) = self.client.courier.handle_line(now, line) else {
                continue;
            };
            assert_eq!(self.client.joining.take(), Some(id));
            let Outcome::Done(body) = outcome else { panic!("{outcome:?}") };
            let body = String::from_utf8(body).unwrap();
            let mailbox = body.rsplit(' ').next().unwrap().to_owned();
            assert_eq!(self.mailbox.get_or_insert_with(|| mailbox.clone()), &mailbox, "a mailbox stays");
            self.heard = Instant::now();
        }
    }

    /// Takes a push in its turn, and says up to where all has come.
    fn take(&mut self, line: &[u8]) {
        self.heard = Instant::now();
        let line = line.strip_suffix(b"\n").expect("pushes end as the JOIN did");
        let space = line.iter().position(|&b| b == b' ').unwrap();
        let number: u64 = std::str::from_utf8(&line[1..space]).unwrap().parse().unwrap();
        let push = line[space + 1..].to_vec();
        if number > self.taken {
            let first = self.early.entry(number).or_insert_with(|| push.clone());
            assert_eq!(*first, push, "sent again are the same bytes");
        }
        while let Some(push) = self.early.remove(&(self.taken + 1)) {
            self.taken += 1;
            let text = push.strip_prefix(b"MSG ann ").expect("a text from ann");
            self.texts.push(String::from_utf8(text.to_vec()).unwrap());
            self.work.step_done();
        }
        let ack = format!("ACK {}\n", self.taken);
        self.client.socket.send_to(ack.as_bytes(), self.client.hub).unwrap();
    }
}
