//! One client: the courier, the inbox, and what it wants.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use fastrand::Rng;
use pigeond::courier::{Carrier, Courier, Id};
use pigeond::names::Session;

use super::inbox::Inbox;
use super::plan::Micros;

/// How a client takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// It never joins.
    Never,
    /// It joins, and gets each push once at most.
    Plainly,
    /// It joins, and has a mailbox.
    WithBox,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub enum Op {
    Join,
    Bye,
    Watch,
    Read,
    /// INC or DEC of a key.
    Count(String),
    Set(String, Option<String>),
    Send(String),
    All(String),
    Ask(String),
    /// An answer to a question of this text.
    Answer(String),
}

/// See the module's documentation.
pub struct Client {
    pub index: usize,
    pub joins: Joins,
    pub carrier: Carrier,
    pub up: bool,
    pub courier: Courier,
    /// How many sessions it has had.
    sessions: u64,
    pub address: SocketAddr,
    /// Its connection, if it has one.
    pub link: Option<u64>,
    pub ops: BTreeMap<Id, Op>,
    /// The JOIN that is under way.
    pub joining: Option<Id>,
    pub joined: bool,
    pub inbox: Inbox,
    /// Whether it has said BYE, as far as it knows, and not come back.
    pub has_left: bool,
    /// Whether it wants to watch; whether it does.
    pub wants_watch: bool,
    pub watches: bool,
    /// What it knows of the keys it watches; `None`: gone.
    pub known: BTreeMap<String, Option<String>>,
    /// Whether the network is cut between it and the hub.
    pub is_cut_off: bool,
    /// Whether it puts several lines into a datagram.
    pub bundles: bool,
    /// What has come over a stream, without a line's end.
    pub unfinished: Vec<u8>,
    /// The highest number under which something was sent.
    pub highest: u64,
}

impl Client {
    pub fn new(rng: &mut Rng, index: usize) -> Self {
        let carrier = if rng.u8(..5) < 3 { Carrier::Datagrams } else { Carrier::Stream };
        let joins = match rng.u8(..10) {
            0 => Joins::Never,
            1 | 2 => Joins::Plainly,
            _ => Joins::WithBox,
        };
        let mut client = Self {
            index,
            joins,
            carrier,
            up: true,
            courier: courier("none", carrier, 0),
            sessions: 0,
            address: SocketAddr::from(([10, 0, 0, 0], 0)),
            link: None,
            ops: BTreeMap::new(),
            joining: None,
            joined: false,
            inbox: Inbox::new(rng.bool()),
            has_left: false,
            wants_watch: rng.bool(),
            watches: false,
            known: BTreeMap::new(),
            is_cut_off: false,
            bundles: rng.bool(),
            unfinished: Vec::new(),
            highest: 0,
        };
        client.start(rng);
        client
    }

    /// Its code.
    pub fn code(&self) -> String {
        code(self.index)
    }

    /// Begins with nothing but what it has saved.
    pub fn start(&mut self, rng: &mut Rng) {
        let name = self.next_session();
        self.courier = courier(&name, self.carrier, rng.u64(..));
        self.up = true;
        (self.joining, self.joined, self.watches, self.has_left) = (None, false, false, false);
        self.ops.clear();
        self.unfinished.clear();
        self.highest = 0;
        self.move_to_new_port(rng);
    }

    /// A name that no session had before.
    pub fn next_session(&mut self) -> String {
        self.sessions += 1;
        format!("session{}-{}", self.index, self.sessions)
    }

    /// Takes another address.
    pub fn move_to_new_port(&mut self, rng: &mut Rng) {
        let last = u8::try_from(self.index + 1).unwrap();
        let before = self.address;
        while self.address == before {
            self.address = SocketAddr::new(IpAddr::from([10, 0, 0, last]), rng.u16(1024..));
        }
    }

    /// Whether it has nothing left to do.
    pub fn is_settled(&self) -> bool {
        let at_home = self.joins == Joins::Never || self.joined;
        let watches = !self.wants_watch || self.joins != Joins::WithBox || self.watches;
        self.up && self.courier.is_idle() && at_home && watches
    }

    /// When its courier wants to be asked again.
    pub fn due(&self) -> Option<Micros> {
        let due = self.courier.next_deadline().filter(|_| self.up)?;
        Some(u64::try_from(due.since_start().as_nanos().div_ceil(1000)).unwrap())
    }
}

/// The code of a client.
pub fn code(index: usize) -> String {
    format!("c{index}")
}

fn courier(name: &str, carrier: Carrier, seed: u64) -> Courier {
    Courier::new(Session::parse(name.as_bytes()).unwrap(), carrier, seed)
}
