//! A sender and a listener: letters that wait in a mailbox until they are acknowledged.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use pigeond::courier::{Carrier, Courier, Event, Id, Inbox, Outcome};
use pigeond::moment::Moment;
use pigeond::names::Session;
use pigeond::wire::Number;

use crate::victim::Work;

/// Letters that are under way at the same time: each lane sends its next once the last is answered, for requests
/// that are under way together may be done in any order.
const LANES: usize = 8;

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
    join: String,
    joins: u32,
    started: Instant,
}

impl Client {
    fn new(session: &str, join: String, hub: SocketAddr) -> Self {
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
            let id = self.courier.request_first(self.join.as_bytes(), self.now() + NEVER).unwrap();
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
pub fn send(hub: SocketAddr, pair: usize, letters: usize, work: &Work) -> u64 {
    let _worker = work.worker();
    let mut client = Client::new(&format!("the-sender{pair}"), format!("JOIN ann{pair}"), hub);
    client.join();
    let mut lanes = Lanes::new(pair, letters);
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
    to: String,
    all: Vec<Lane>,
    asked: BTreeMap<Id, usize>,
}

struct Lane {
    next: usize,
    last: usize,
    /// When to ask; `None` while it is asked.
    at: Option<Moment>,
}

impl Lanes {
    fn new(pair: usize, letters: usize) -> Self {
        let last = |lane| letters / LANES + usize::from(lane < letters % LANES);
        let lanes = (0..LANES).map(|lane| Lane { next: 1, last: last(lane), at: Some(Moment::ZERO) });
        Self { to: format!("bob{pair}"), all: lanes.collect(), asked: BTreeMap::new() }
    }

    fn is_done(&self) -> bool {
        self.all.iter().all(|lane| lane.next > lane.last)
    }

    fn ask(&mut self, courier: &mut Courier, now: Moment) {
        for (index, lane) in self.all.iter_mut().enumerate() {
            if lane.next <= lane.last && lane.at.is_some_and(|at| at <= now) {
                let line = format!("SEND {} {index} {}", self.to, lane.next);
                self.asked.insert(courier.request(line.as_bytes(), now + NEVER).unwrap(), index);
                lane.at = None;
            }
        }
    }

    fn done(&mut self, id: Id) {
        let index = self.again(id, Moment::ZERO);
        self.all[index].next += 1;
    }

    fn again(&mut self, id: Id, at: Moment) -> usize {
        let index = self.asked.remove(&id).expect("a request that was asked");
        self.all[index].at = Some(at);
        index
    }
}

/// Whether the texts are those of [`send`], each once, and in each lane in order.
pub fn check(texts: &[String], letters: usize) {
    assert_eq!(texts.len(), letters);
    for (index, lane) in Lanes::new(0, letters).all.iter().enumerate() {
        let prefix = format!("{index} ");
        let numbers = texts.iter().filter_map(|text| text.strip_prefix(&prefix));
        let expected: Vec<String> = (1..=lane.last).map(|number| number.to_string()).collect();
        assert!(numbers.eq(&expected), "lane {index} of {texts:?}");
    }
}

/// A listener, and what it has got.
pub struct Listener<'a> {
    client: Client,
    inbox: Inbox,
    mailbox: Option<String>,
    /// What all texts begin with.
    prefix: String,
    texts: Vec<String>,
    heard: Instant,
    work: &'a Work,
}

impl<'a> Listener<'a> {
    /// Joins; its mailbox is there then.
    pub fn start(hub: SocketAddr, pair: usize, work: &'a Work) -> Self {
        let client = Client::new(&format!("the-listener{pair}"), format!("JOIN bob{pair} ack"), hub);
        let inbox = Inbox::new(Carrier::Datagrams);
        let mut listener = Self {
            client,
            inbox,
            mailbox: None,
            prefix: format!("MSG ann{pair} "),
            texts: Vec::new(),
            heard: Instant::now(),
            work,
        };
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
        if self.heard.elapsed() >= SILENCE && self.client.joining.is_none() {
            self.inbox.close();
            self.client.join();
        }
        self.client.send();
        let Some(datagram) = self.client.receive() else { return };
        for line in datagram.split_inclusive(|&b| b == b'\n') {
            let now = self.client.now();
            match self.client.courier.handle_line(now, line) {
                Some(Event::Pushed(number, _)) => {
                    self.take(number.expect("a number"), line.strip_suffix(b"\n").expect("an end"));
                }
                Some(Event::Finished(id, outcome)) => {
                    assert_eq!(self.client.joining.take(), Some(id));
                    let Outcome::Done(body) = outcome else { panic!("{outcome:?}") };
                    self.joined(&body);
                }
                Some(Event::Challenged) | None => {}
            }
        }
        if let Some(number) = self.inbox.poll_ack() {
            let ack = format!("ACK {number}\n");
            self.client.socket.send_to(ack.as_bytes(), self.client.hub).unwrap();
        }
    }

    fn joined(&mut self, body: &[u8]) {
        self.heard = Instant::now();
        self.inbox.joined(body);
        let mailbox = std::str::from_utf8(body).unwrap().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(self.mailbox.get_or_insert_with(|| mailbox.clone()), &mailbox, "a mailbox stays");
    }

    fn take(&mut self, number: Number, line: &[u8]) {
        self.heard = Instant::now();
        self.inbox.take(number, line);
        while let Some((receipt, line)) = self.inbox.poll_delivery() {
            let space = line.iter().position(|&b| b == b' ').expect("a number in front");
            let text =
                line[space + 1..].strip_prefix(self.prefix.as_bytes()).expect("a text from the sender");
            self.texts.push(String::from_utf8(text.to_vec()).unwrap());
            self.inbox.handled(receipt);
            self.work.step_done();
        }
    }
}
