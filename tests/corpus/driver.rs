//! A hub with the shell that it needs: connections that are fed again what was not taken, a store, a clock. It checks
//! each thing that the hub wants done.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use pigeond::hub::{
    Action, Actions, Allowed, CodeKey, Conn, Hub, Input, Keys, Networks, Resumed, Secret, Settings, Target,
    TextReply, Via,
};
use pigeond::limits::{DATAGRAM_TURN_BYTES, LIST_BYTES, REPLY_BYTES, SHOUT_BYTES, UDP_PAYLOAD_BYTES};
use pigeond::moment::Moment;
use pigeond::wire::{Command, Kind, Message, Request};

use super::script::{Heard, PEERS, SECRETS, Step};

/// Tagged lines that are remembered to be asked once more in the end.
const ASKED: usize = 12;

/// Tickets and nonces that are remembered to be used.
const HEARD: usize = 8;

/// Turns of a connection whose bytes are not taken at once: more than all its lines could need.
const TURNS: usize = 2000;

/// Whoever looks at the hub in the end; loopback has no budget.
const PROBE: &str = "127.0.0.1:9";

/// One connection, as its shell sees it.
struct Link {
    id: u64,
    from: SocketAddr,
    /// What the hub did not take yet.
    pending: Vec<u8>,
    /// Whether something else is to be sent on it before it is given that again.
    waits: bool,
    /// Whether its peer will send no more, and whether the hub has been told.
    is_half_closed: bool,
    is_told: bool,
}

/// See the module's documentation.
pub struct Driver {
    pub hub: Hub,
    pub now: Moment,
    /// What was committed, oldest first.
    pub disk: Vec<u8>,
    /// What the store has taken and neither kept nor refused.
    under_way: Option<Vec<u8>>,
    pub settings: usize,
    /// Whether the settings have changed: a client may then be where a new hub would not let it in.
    pub is_reconfigured: bool,
    runs: u64,
    ids: u64,
    links: BTreeMap<u32, Link>,
    /// What peers that might be anybody have sent and been sent, in bytes.
    outside: BTreeMap<SocketAddr, (usize, usize)>,
    pub heard: Heard,
    /// Tagged lines that change something, without their ends.
    pub asked: VecDeque<Vec<u8>>,
    /// What was sent to the probe last.
    pub told: Vec<Vec<u8>>,
}

/// The settings of a hub, by their number in the script.
pub fn settings(number: usize) -> Settings {
    let own = vec!["10.0.0.1:10125".parse().expect("an address")];
    // Announced seldom: weeks may pass.
    let announce_every = Some(Duration::from_mins(10));
    let defaults = Settings { own, announce_every, ..Settings::default() };
    match number {
        0 => defaults,
        1 => Settings {
            clients_limit: 2,
            text_reply: TextReply::Counter,
            text_greeting: "hello".to_owned(),
            text_answers: [("1".to_owned(), "one".to_owned())].into(),
            max_message_bytes: 1500,
            tcp_connections: 3,
            tcp_connections_per_address: 2,
            text_per_second: 3,
            unread_bytes: 4096,
            values: 4,
            value_bytes: 4096,
            per_client_values: 2,
            watches_per_client: 2,
            sessions: 3,
            sessions_per_address: 2,
            mailbox: 4,
            mailboxes: 2,
            mailboxes_per_address: 1,
            guests: Some(vec![]),
            requests_per_second: NonZeroU32::new(50),
            burst: NonZeroU32::new(5),
            shout: true,
            announce_every: None,
            ..defaults
        },
        // Who has proved itself may be sent more than it sent: here nobody from outside is answered.
        2 => Settings { keys: keys(), ..defaults },
        _ => Settings {
            networks: Networks::List(["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("a network")).into()),
            text_reply: TextReply::Fixed("what?".to_owned()),
            guest_idle: None,
            first_line: None,
            shout: true,
            ..defaults
        },
    }
}

fn keys() -> Keys {
    let list = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.into()).collect();
    let allowed = |set: &[&str], watch: &[&str]| Allowed { set: list(set), watch: list(watch) };
    let key = |secret: &str| CodeKey {
        secret: Secret::new(secret.as_bytes()),
        allowed: allowed(&["*"], &["a*", "counter"]),
    };
    let codes = SECRETS.iter().map(|&(code, secret)| (code.into(), key(secret))).collect();
    Keys { codes, others: Some(allowed(&["a*", "b", "counter"], &["*"])) }
}

/// A peer, by its place in the script.
fn peer(number: usize) -> SocketAddr {
    const ADDRESSES: [&str; PEERS] = [
        "192.168.0.1:5000",
        "192.168.0.2:5000",
        "127.0.0.1:5000",
        "[fe80::1%2]:5000",
        "198.51.100.7:5000",
        "10.0.0.1:10125",
    ];
    ADDRESSES[number].parse().expect("an address")
}

fn via(from: SocketAddr) -> Via {
    let interface = if let SocketAddr::V6(v6) = from { v6.scope_id() } else { 0 };
    Via { socket: 0, port: 10125, local: None, interface }
}

impl Driver {
    pub fn new(settings_number: usize) -> Self {
        let mut hub = Hub::restore(settings(settings_number), 1, &[]).expect("nothing is damaged");
        hub.announce(hub.started());
        Self {
            now: hub.started(),
            hub,
            disk: Vec::new(),
            under_way: None,
            settings: settings_number,
            is_reconfigured: false,
            runs: 1,
            ids: 0,
            links: BTreeMap::new(),
            outside: BTreeMap::new(),
            heard: Heard::default(),
            asked: VecDeque::new(),
            told: Vec::new(),
        }
    }

    /// Lets one thing happen.
    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Datagram { peer: number, to_many, ref bytes } => {
                self.datagram(peer(number), to_many, bytes);
            }
            Step::Opened { conn, peer: number } => self.opened(conn, peer(number)),
            Step::Stream { conn, ref bytes } => {
                if let Some(link) = self.links.get_mut(&conn).filter(|link| !link.is_half_closed) {
                    link.pending.extend_from_slice(bytes);
                    self.feed(conn);
                }
            }
            Step::HalfClosed { conn } => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.is_half_closed = true;
                    self.feed(conn);
                }
            }
            Step::Closed { conn } => {
                if self.links.remove(&conn).is_some() {
                    self.handle(Input::Closed { conn: Conn(conn), why: "gone" });
                }
            }
            Step::Takes => self.takes(),
            Step::Ends { is_kept } => self.ends(is_kept),
            Step::Passes(time) => self.pass(time),
            Step::Crash { is_kept, streams_live } => self.crash(is_kept, streams_live),
            Step::Stops => self.act(Hub::stop),
            Step::Drops(datagrams) => self.hub.note_dropped(self.now, datagrams),
            Step::Reconfigured { settings: number } => {
                (self.settings, self.is_reconfigured) = (number, true);
                self.hub.reconfigure(settings(number));
            }
        }
    }

    fn datagram(&mut self, from: SocketAddr, to_many: bool, bytes: &[u8]) {
        if from == peer(4) {
            self.outside.entry(from).or_default().0 += bytes.len();
        }
        self.remember(bytes);
        let out = self.handle(Input::Datagram { from, via: via(from), to_many, bytes });
        let sent: usize =
            out.list.iter().map(|action| sent(action).map_or(0, |(_, range)| range.len())).sum();
        assert!(sent <= 2 * DATAGRAM_TURN_BYTES + UDP_PAYLOAD_BYTES, "{sent} bytes for one datagram");
        if to_many && bytes.starts_with(b"HERE ") {
            assert_eq!(sent, 0, "nobody answers HERE");
        }
        if let Some(Message::Request(request)) = only_line(bytes) {
            short_enough(&request, from, &out);
        }
    }

    /// Remembers tagged lines that change something.
    fn remember(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&b| b == b'\n').take(16) {
            let Message::Request(request) = Message::read(line) else { continue };
            let asks = matches!(request.command, Ok(Command::Ask { .. }));
            if request.tag.is_none_or(|tag| tag.mac.is_some()) || request.kind() != Kind::Change || asks {
                continue;
            }
            let bare = bytes_before_end(line);
            if !self.asked.iter().any(|asked| asked == bare) {
                self.asked.push_back(bare.to_vec());
                self.asked.truncate(ASKED);
            }
        }
    }

    fn opened(&mut self, conn: u32, from: SocketAddr) {
        if self.links.contains_key(&conn) {
            return;
        }
        self.ids += 1;
        let (id, pending) = (self.ids, Vec::new());
        let link = Link { id, from, pending, waits: false, is_half_closed: false, is_told: false };
        self.links.insert(conn, link);
        self.handle(Input::Opened { conn: Conn(conn), id, from });
    }

    /// Gives the hub what a connection has for it, until nothing is left or it must wait.
    fn feed(&mut self, conn: u32) {
        for _ in 0..TURNS {
            let Some(link) = self.links.get_mut(&conn).filter(|link| !link.waits) else { return };
            if link.pending.is_empty() {
                if link.is_half_closed && !core::mem::replace(&mut link.is_told, true) {
                    self.handle(Input::HalfClosed { conn: Conn(conn) });
                }
                return;
            }
            let bytes = core::mem::take(&mut link.pending);
            self.remember(&bytes);
            let out = self.handle(Input::Stream { conn: Conn(conn), bytes: &bytes });
            let mut held = 0;
            for action in &out.list {
                let &Action::Hold { conn: of, bytes: count, until_reply } = action else { continue };
                assert_eq!((of, held), (Conn(conn), 0), "only what was just given can be held, and once");
                assert!(count > 0 && count <= bytes.len());
                assert!(until_reply || count < bytes.len(), "something is taken in each turn");
                held = count;
                if let Some(link) = self.links.get_mut(&conn) {
                    link.pending = bytes[bytes.len() - held..].to_vec();
                    link.waits = until_reply;
                }
            }
        }
        panic!("a connection is given the same bytes for ever");
    }

    fn takes(&mut self) {
        if self.under_way.is_some() {
            assert!(self.hub.poll_commit(self.now).is_none(), "one batch at a time");
            return;
        }
        let wanted = self.hub.wants_commit(self.now);
        self.under_way = self.hub.poll_commit(self.now).map(<[u8]>::to_vec);
        assert_eq!(self.under_way.is_some(), wanted);
    }

    fn ends(&mut self, is_kept: bool) {
        let Some(batch) = self.under_way.take() else { return };
        if is_kept {
            self.disk.extend(batch);
            self.handle(Input::Committed);
        } else {
            self.handle(Input::CommitFailed);
        }
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.hub.next_deadline().filter(|&at| at <= end) {
            // What came due while something else was done is late, but never left behind.
            self.now = at.max(self.now);
            self.act(Hub::tick);
            assert!(self.hub.next_deadline().is_none_or(|at| at >= self.now), "a deadline is left behind");
        }
        self.now = end;
        self.act(Hub::tick);
    }

    /// The hub is gone, and another goes on where it ended.
    fn crash(&mut self, is_kept: bool, streams_live: bool) {
        if let Some(batch) = self.under_way.take().filter(|_| is_kept) {
            self.disk.extend(batch);
        }
        if !streams_live {
            self.links.clear();
        }
        self.runs += 1;
        let torn = self.torn();
        self.hub =
            Hub::restore(settings(self.settings), self.runs, &self.disk).expect("what was kept is read");
        self.now = self.hub.started();
        self.hub.announce(self.now);
        self.resume(&torn);
        let conns: Vec<u32> = self.links.keys().copied().collect();
        for conn in conns {
            if let Some(link) = self.links.get_mut(&conn) {
                (link.waits, link.is_told) = (false, false);
            }
            self.feed(conn);
        }
    }

    /// What each connection has said and was not understood yet.
    pub fn torn(&self) -> BTreeMap<u32, Vec<u8>> {
        let unfinished = |conn: u32| self.hub.unfinished(Conn(conn)).unwrap_or_default();
        self.links.keys().map(|&conn| (conn, unfinished(conn))).collect()
    }

    /// Gives the connections to a hub that has just been restored.
    pub fn resume(&mut self, torn: &BTreeMap<u32, Vec<u8>>) {
        let ids: Vec<(u32, u64, SocketAddr)> =
            self.links.iter().map(|(&conn, link)| (conn, link.id, link.from)).collect();
        let resumed: Vec<Resumed<'_>> = ids
            .iter()
            .filter_map(|&(conn, id, from)| {
                Some(Resumed { conn: Conn(conn), id, from, stream: torn.get(&conn)? })
            })
            .collect();
        self.act(|hub, now, out| hub.resume(now, &resumed, out));
    }

    /// Lets the hub come to rest: everything is kept, every question ends, and whoever waits is heard.
    pub fn settle(&mut self) {
        for turn in 0..TURNS {
            self.commit();
            self.pass(Duration::from_secs(11));
            // Who has asked too often is heard after some time.
            if turn >= 4 && self.links.values().all(|link| link.pending.is_empty()) {
                break;
            }
        }
        self.commit();
        assert!(!self.hub.summary().disk_fails);
        for (conn, link) in &self.links {
            assert!(link.pending.is_empty(), "connection {conn} is never heard");
        }
    }

    /// Commits until nothing is to be committed.
    pub fn commit(&mut self) {
        self.ends(true);
        for _ in 0..TURNS {
            self.takes();
            if self.under_way.is_none() {
                return;
            }
            self.ends(true);
        }
        panic!("there is always more to commit");
    }

    /// Asks as the probe does, and returns what it is told, at once and after the commit.
    pub fn probe(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.told.clear();
        self.datagram(PROBE.parse().expect("an address"), false, bytes);
        self.commit();
        core::mem::take(&mut self.told)
    }

    fn handle(&mut self, input: Input<'_>) -> Actions {
        self.act_and_look(|hub, now, out| hub.handle(now, input, out))
    }

    fn act(&mut self, act: impl FnOnce(&mut Hub, Moment, &mut Actions)) {
        self.act_and_look(act);
    }

    /// Lets the hub do something, and does what it wants done.
    fn act_and_look(&mut self, act: impl FnOnce(&mut Hub, Moment, &mut Actions)) -> Actions {
        let mut out = Actions::default();
        act(&mut self.hub, self.now, &mut out);
        let (mut closed, mut heard) = (Vec::new(), Vec::new());
        for action in &out.list {
            if let Some((target, range)) = sent(action) {
                let bytes = out.bytes.get(range.clone()).expect("bytes that are there");
                self.sends(target, bytes, matches!(action, Action::Send { push: true, .. }), &mut heard);
            } else if let Action::Close(Conn(conn)) = *action {
                assert!(self.links.remove(&conn).is_some(), "a connection is closed once");
                closed.push(conn);
            } else if let Action::Broadcast { range, shout } = action {
                self.broadcasts(out.bytes.get(range.clone()).expect("bytes that are there"), *shout);
            } else if let Action::Answer { .. } = action {
                panic!("the hub sees to its answers itself");
            }
        }
        for conn in closed {
            self.handle(Input::Closed { conn: Conn(conn), why: "closed" });
        }
        for conn in heard {
            self.feed(conn);
        }
        out
    }

    fn sends(&mut self, target: Target, bytes: &[u8], push: bool, heard: &mut Vec<u32>) {
        match target {
            Target::Udp { to, .. } => {
                assert!(bytes.len() <= UDP_PAYLOAD_BYTES);
                if let Some((came, went)) = self.outside.get_mut(&to) {
                    *went += bytes.len();
                    assert!(went <= came, "{went} bytes to an address that sent {came}");
                } else {
                    assert!(to != peer(4), "{to} is sent something unasked");
                }
                assert!(to != peer(5), "one of the hub's own sockets is sent something");
                if to == PROBE.parse().expect("an address") {
                    self.told.push(bytes.to_vec());
                }
            }
            Target::Tcp(Conn(conn)) => {
                let link = self.links.get_mut(&conn).expect("a connection that is open");
                // Sending nothing lets a connection go on that had asked too often.
                assert!(!bytes.is_empty() || !push, "a push of nothing");
                if link.waits && !push {
                    link.waits = false;
                    heard.push(conn);
                }
            }
        }
        self.hears(bytes);
    }

    /// Two hubs that hear each other must not talk for ever.
    fn broadcasts(&self, bytes: &[u8], shout: bool) {
        assert_eq!(bytes.starts_with(b"HERE "), !shout, "{}", bytes.escape_ascii());
        assert!(bytes.len() <= if shout { SHOUT_BYTES } else { REPLY_BYTES });
        assert!(!shout || self.is_reconfigured || settings(self.settings).shout);
    }

    /// Remembers tickets and nonces.
    fn hears(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut words = text.split(' ');
        while let Some(word) = words.next() {
            let list = match word {
                "ASK" => &mut self.heard.tickets,
                "prove" => &mut self.heard.nonces,
                _ => continue,
            };
            let Some(name) = words.next().map(|word| word.trim_end_matches(['\r', '\n', '\0'])) else {
                break;
            };
            list.push(name.to_owned());
            let old = list.len().saturating_sub(HEARD);
            list.drain(..old);
        }
    }
}

fn sent(action: &Action) -> Option<(Target, core::ops::Range<usize>)> {
    if let Action::Send { target, range, .. } = action { Some((*target, range.clone())) } else { None }
}

/// What a datagram asks, if it is one line.
fn only_line(bytes: &[u8]) -> Option<Message<'_>> {
    let lf = bytes.iter().position(|&b| b == b'\n');
    (lf.is_none_or(|lf| lf + 1 == bytes.len())).then(|| Message::read(bytes))
}

/// What the hub words itself is short (protocol, section 1).
fn short_enough(request: &Request<'_>, from: SocketAddr, out: &Actions) {
    let bound = match request.command {
        Ok(Command::Ping { text }) => "pong ".len() + text.len(),
        Ok(Command::Get { .. } | Command::Ask { .. } | Command::Answer { .. }) => return,
        Ok(Command::Who { .. } | Command::Keys { .. } | Command::Stats | Command::Help { .. }) => LIST_BYTES,
        Ok(_) | Err(_) => REPLY_BYTES,
    };
    if request.tag.is_some() {
        return;
    }
    for action in &out.list {
        let Action::Send { target: Target::Udp { to, .. }, range, push: false } = action else { continue };
        let text = out.bytes[range.clone()].escape_ascii();
        assert!(
            *to != from || range.len() <= bound.max(REPLY_BYTES) + request.end.as_bytes().len(),
            "{text}"
        );
    }
}

/// A line as far as its end or its NUL.
fn bytes_before_end(line: &[u8]) -> &[u8] {
    let line = line.split(|&b| b == 0 || b == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}
