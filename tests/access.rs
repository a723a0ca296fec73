//! Whom the hub answers and how much, over the pure hub: no echo loop lives, no address is buried under what it did not
//! ask for, and no silent connection keeps others out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use pigeond::hub::{
    Action, Allowed, CodeKey, Conn, Hub, Input, Networks, Secret, Settings, Target, TextReply,
};
use pigeond::limits::{LOOP_TEXTS, SILENT_TIME};
use proptest::prelude::*;
use world::{VIA, World, peer};

const MS: fn(u64) -> Duration = Duration::from_millis;

// --- amplification ---------------------------------------------------------------------------------------------------

/// A hub that answers everybody, keeps what it is told, and counts what every address sends and is sent.
struct Scales {
    world: World,
    received: BTreeMap<IpAddr, usize>,
    sent: BTreeMap<IpAddr, usize>,
}

fn outside(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([203, 0, 113, n % 2]), 5000 + u16::from(n / 2))
}

impl Scales {
    /// If so, ann has a secret, which nobody there knows.
    fn new(is_keyed: bool) -> Self {
        let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
        let mut settings = Settings { networks: Networks::List(everywhere.to_vec()), ..Settings::default() };
        if is_keyed {
            let secret = Secret::new(b"00112233445566778899aabbccddeeff");
            settings.keys.codes.insert("ann".into(), CodeKey { secret, allowed: Allowed::default() });
        }
        let mut world = World::new();
        world.hub = Hub::restore(settings, 1, &[]).unwrap();
        Self { world, received: BTreeMap::new(), sent: BTreeMap::new() }
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8], to_many: bool) -> bool {
        *self.received.entry(from.ip()).or_default() += bytes.len();
        self.world.handle(Input::Datagram { from, via: VIA, to_many, bytes });
        self.weigh()
    }

    fn pass(&mut self, time: Duration) -> bool {
        let end = self.world.now + time;
        let mut holds = true;
        // What is to be saved may be overdue here, where nobody saves it unless a step says so.
        while let Some(at) = self.world.hub.next_deadline().filter(|&at| at <= end) {
            self.world.now = at.max(self.world.now);
            self.world.out.clear();
            self.world.hub.tick(self.world.now, &mut self.world.out);
            holds &= self.weigh();
        }
        self.world.now = end;
        holds
    }

    fn commit(&mut self, is_kept: bool) -> bool {
        let world = &mut self.world;
        if world.hub.poll_commit(world.now).is_some() {
            world.handle(if is_kept { Input::Committed } else { Input::CommitFailed });
            return self.weigh();
        }
        true
    }

    /// Weighs what was just sent; `false` if an address outside has been sent more than came from it.
    fn weigh(&mut self) -> bool {
        for action in &self.world.out.list {
            if let Action::Send { target: Target::Udp { to, .. }, range, .. } = action {
                *self.sent.entry(to.ip()).or_default() += range.len();
            }
        }
        let is_outside = |address: &IpAddr| *address == outside(0).ip() || *address == outside(1).ip();
        self.sent.iter().filter(|(address, _)| is_outside(address)).all(|(address, sent)| {
            let received = self.received.get(address).copied().unwrap_or_default();
            *sent <= received
        })
    }

    /// What is left of what came is not to hide what is sent without asking.
    fn forget(&mut self) {
        self.received.clear();
        self.sent.clear();
    }

    /// Whether an address outside has been sent anything at all.
    fn has_sent(&self) -> bool {
        self.sent.keys().any(|address| *address == outside(0).ip() || *address == outside(1).ip())
    }
}

/// One line of the protocol: each command, with words that mean something here, and blanks behind it that are worth bytes.
fn line() -> impl Strategy<Value = String> {
    let code = prop::sample::select(vec!["ann", "bob", "k"]);
    let text = prop_oneof![Just(String::new()), "[a-z ]{1,30}", "[a-z]{300,900}"];
    let tag = prop::option::weighted(0.5, (0..4_u8, 1..5_u64));
    let pad = prop::sample::select(vec![0_usize, 0, 20, 300, 1200]);
    let end = prop::sample::select(vec!["", "\n", "\r\n", "\0"]);
    (0..29_u8, code, text, tag, pad, end).prop_map(|(which, code, text, tag, pad, end)| {
        let command = match which {
            0 | 1 => format!("JOIN {code}"),
            2 | 3 => format!("JOIN {code} ack"),
            4 => "BYE".to_owned(),
            5 => format!("SEND {code} {text}"),
            6 => format!("ALL {text}"),
            7 => format!("ASK {code} {text}"),
            8 => format!("ANSWER 0123 {text}"),
            9 => format!("GET {code}"),
            10 | 11 => format!("SET {code} {text}"),
            12 => format!("INC n{code}"),
            13 => "DEC n 3".to_owned(),
            14 => format!("DEL {code}"),
            15 => "KEYS".to_owned(),
            16 | 17 => "WATCH *".to_owned(),
            18 => "UNWATCH *".to_owned(),
            19 => "DISCOVER".to_owned(),
            20 => format!("SHOUT {text}"),
            21 => "STATS".to_owned(),
            22 => "HELP".to_owned(),
            23 => format!("ACK {}", 1 + text.len() % 4),
            24 => format!("PING {text}"),
            25 => "WHO".to_owned(),
            26 => "INFO".to_owned(),
            27 => format!("JOIN {code} 0123456789abcdef"),
            _ => text,
        };
        let tag = tag.map_or_else(String::new, |(session, number)| match number {
            4 => format!("#session{session}.{number}.0123456789abcdef "),
            _ => format!("#session{session}.{number} "),
        });
        format!("{tag}{command}{}{end}", " ".repeat(pad))
    })
}

#[derive(Clone, Debug)]
enum Step {
    Outside(u8, Vec<String>, bool),
    Inside(u8, String),
    Pass(u64),
    Commit(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop_oneof![prop::collection::vec(line(), 1..2), prop::collection::vec(line(), 1..6)];
    prop_oneof![
        6 => (0..4_u8, lines, prop::bool::weighted(0.1)).prop_map(|(n, lines, to_many)| Step::Outside(n, lines, to_many)),
        4 => (1..4_u8, line()).prop_map(|(n, line)| Step::Inside(n, line)),
        2 => prop::sample::select(vec![10_u64, 300, 1000, 1100, 11_000, 310_000]).prop_map(Step::Pass),
        3 => prop::bool::weighted(0.9).prop_map(Step::Commit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_address_outside_is_never_sent_more_than_came_from_it(
        steps in prop::collection::vec(step(), 1..80),
        is_keyed in any::<bool>(),
    ) {
        let mut scales = Scales::new(is_keyed);
        for (index, step) in steps.iter().enumerate() {
            let holds = match step {
                Step::Outside(n, lines, to_many) => scales.datagram(outside(*n), lines.concat().as_bytes(), *to_many),
                Step::Inside(n, line) => scales.datagram(peer(*n), line.as_bytes(), false),
                Step::Pass(ms) => scales.pass(MS(*ms)),
                Step::Commit(is_kept) => scales.commit(*is_kept),
            };
            prop_assert!(holds, "step {index}: {step:?}; sent {:?}, received {:?}", scales.sent, scales.received);
        }
    }
}

/// Scales with somebody outside who has joined as `ann`, in this way, and whose bytes of that second are long past.
fn joined_from_outside(join: &str) -> Scales {
    let mut scales = Scales::new(false);
    assert!(scales.datagram(outside(0), format!("{join}{}\n", " ".repeat(300)).as_bytes(), false));
    assert!(scales.commit(true));
    assert!(scales.has_sent(), "who asks with enough bytes is answered");
    assert!(scales.datagram(peer(1), b"JOIN bob", false) && scales.commit(true));
    assert!(scales.pass(MS(2000)));
    scales.forget();
    scales
}

#[test]
fn an_address_outside_is_told_nothing_that_it_did_not_just_pay_for() {
    for join in ["JOIN ann", "JOIN ann ack", "JOIN ann\nWATCH *", "#s123.1 JOIN ann ack\n#s123.2 WATCH *"] {
        let mut scales = joined_from_outside(join);
        for line in
            ["ALL hello", "SEND ann hello", "SET k v", "ASK ann what", "DEL k", "JOIN ann", "JOIN ann ack"]
        {
            assert!(scales.datagram(peer(1), line.as_bytes(), false), "{join:?}, {line}");
            assert!(scales.commit(true) && scales.pass(MS(900)) && scales.commit(true), "{join:?}, {line}");
        }
        assert!(scales.pass(Duration::from_mins(6)), "{join:?}");
        assert!(!scales.has_sent());
    }
}

#[test]
fn an_answer_too_late_and_a_disk_that_fails_are_no_gift_to_an_address_outside() {
    let mut scales = Scales::new(false);
    assert!(scales.datagram(peer(1), b"JOIN bob", false) && scales.commit(true));
    let request = format!("JOIN ann{}\nASK bob what\n", " ".repeat(40));
    assert!(scales.datagram(outside(0), request.as_bytes(), false));
    assert!(scales.commit(true));
    scales.forget();
    assert!(scales.pass(Duration::from_secs(11)), "the answer comes in another second");
    // This reply has just the length of its request; the word that it was not kept is longer.
    assert!(scales.datagram(outside(0), b"#s.1 SET a bcd", false));
    assert!(scales.commit(false));
    let to = |scales: &Scales| scales.world.sent(|target| matches!(target, Target::Udp { .. })).len();
    assert_eq!(to(&scales), 0);
    // One that has paid for it hears of it.
    assert!(scales.pass(MS(2000)) && scales.commit(true));
    let request = format!("#t.1 SET a {}", "b".repeat(100));
    assert!(scales.datagram(outside(0), request.as_bytes(), false));
    assert!(scales.commit(false));
    assert_eq!(to(&scales), 1);
}

#[test]
fn a_move_is_told_in_the_local_networks_and_a_flood_of_them_ends() {
    let mut world = World::new();
    world.ask(1, b"JOIN ann");
    world.ask(2, b"JOIN ann");
    assert_eq!(world.to(1), ["BYE moved"]);
}

// --- loops -----------------------------------------------------------------------------------------------------------

/// Lets one text go between two hubs until it is not answered; how often it was.
fn rounds(replies: [TextReply; 2], delay: Duration) -> u32 {
    let mut hubs = replies.map(|text_reply| World::with(Settings { text_reply, ..Settings::default() }));
    let mut text = b"hello".to_vec();
    let (mut now, mut count) = (Duration::ZERO, 0);
    loop {
        for (at, from) in [(0, 1), (1, 2)] {
            now += delay;
            hubs[at].pass_quietly(delay * 2);
            match hubs[at].ask(from, &text).pop() {
                Some(reply) => text = reply.into_bytes(),
                None => return count,
            }
            count += 1;
            assert!(count < 100_000, "it goes round for ever");
        }
    }
}

#[test]
fn a_text_does_not_go_round_for_ever_between_two_hubs() {
    let fixed = |text: &str| TextReply::Fixed(text.to_owned());
    for delay in [MS(0), MS(20), MS(40)] {
        for pair in [
            [TextReply::Echo, TextReply::Echo],
            [TextReply::Counter, TextReply::Echo],
            [TextReply::Counter, TextReply::Counter],
            [fixed("what?"), fixed("sorry?")],
            [fixed("what?"), TextReply::Echo],
        ] {
            let rounds = rounds(pair.clone(), delay);
            assert!(rounds <= 2 * LOOP_TEXTS, "{pair:?} at {delay:?}: {rounds}");
        }
    }
}

#[test]
fn two_texts_that_go_round_together_end_too() {
    let mut world = World::new();
    let (mut lives, mut count) = (vec![b"one".to_vec(), b"two".to_vec()], 0);
    while !lives.is_empty() {
        world.pass_quietly(MS(20));
        lives.retain(|text| !world.ask(1, text).is_empty());
        count += 1;
        assert!(count <= LOOP_TEXTS);
    }
}

#[test]
fn who_sends_the_same_now_and_then_is_always_answered() {
    let mut world = World::new();
    for _ in 0..3 * LOOP_TEXTS {
        world.pass_quietly(MS(1001));
        assert_eq!(world.ask(1, b"hello"), ["hello"]);
    }
}

// --- rates -----------------------------------------------------------------------------------------------------------

fn limited(rate: u32) -> Settings {
    Settings { requests_per_second: NonZeroU32::new(rate), ..Settings::default() }
}

#[test]
fn who_asks_too_often_is_told_once_then_dropped_and_others_are_served() {
    let mut world = World::with(limited(100));
    assert!((0..100).all(|_| world.ask(1, b"INC") != Vec::<String>::new()));
    assert!(world.ask(1, b"#s.1 INC")[0].starts_with("#s.1 ERR busy "));
    assert!(world.ask(1, b"INC").is_empty() && world.ask(1, b"hello").is_empty());
    assert_eq!(world.ask(2, b"GET counter"), ["100"]);
    let stats = world.ask(2, b"STATS").concat();
    assert!(stats.contains(" rate_dropped=3 "), "{stats}");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ask(1, b"#s.1 INC"), ["#s.1 OK 101"]);
}

#[test]
fn outside_all_addresses_of_one_network_of_ipv6_share_what_one_source_may() {
    let networks = Networks::List(vec!["::/0".parse().unwrap()]);
    let settings =
        Settings { networks, sessions_per_address: 2, tcp_connections_per_address: 2, ..limited(4) };
    let mut world = World::with(settings);
    let from = |text: &str| text.parse::<SocketAddr>().unwrap();
    let mut ask = |from: SocketAddr, line: &str| {
        // Who is outside gets no more than it sends.
        let bytes = format!("{line:100}");
        world.handle(Input::Datagram { from, via: VIA, to_many: false, bytes: bytes.as_bytes() });
        String::from_utf8_lossy(&world.out.bytes).into_owned()
    };
    assert_eq!(ask(from("[2001:db8::1]:5000"), "#a.1 INC"), "#a.1 OK 1");
    assert_eq!(ask(from("[2001:db8::2]:5000"), "#b.1 INC"), "#b.1 OK 2");
    assert!(ask(from("[2001:db8::3]:5000"), "#c.1 INC").starts_with("#c.1 ERR busy"), "too many sessions");
    assert_eq!(ask(from("[2001:db8::4]:5000"), "GET counter"), "2");
    assert!(ask(from("[2001:db8::5]:5000"), "GET counter").starts_with("ERR busy"), "too many requests");
    assert_eq!(ask(from("[2001:db8:0:1::3]:5000"), "#c.1 INC"), "#c.1 OK 3", "another network");
    for (conn, address, is_let_in) in
        [(1, "[2001:db8::1]:1", true), (2, "[2001:db8::2]:1", true), (3, "[2001:db8::3]:1", false)]
    {
        world.handle(Input::Opened { conn: Conn(conn), id: conn.into(), from: from(address) });
        assert_eq!(world.closed().is_empty(), is_let_in, "{address}");
    }
    world.handle(Input::Closed { conn: Conn(2), why: "closed" });
    world.handle(Input::Opened { conn: Conn(3), id: 4, from: from("[2001:db8::9]:1") });
    assert!(world.closed().is_empty(), "there is room again");
}

#[test]
fn lines_count_as_much_as_datagrams_and_an_ack_is_not_told() {
    let mut world = World::with(limited(100));
    assert_eq!(
        world.ask(1, &b"INC\n".repeat(150)).concat().lines().count(),
        150,
        "a datagram is not cut in two"
    );
    assert!(world.ask(1, b"ACK 5").is_empty());
    world.pass(MS(400));
    assert!(world.ask(1, b"INC").is_empty(), "that was its one answer of this second");
    world.pass(MS(200));
    assert_eq!(world.ask(1, b"INC"), ["151"]);
}

#[test]
fn a_stream_that_asks_too_often_waits_and_loses_nothing() {
    let mut world = World::with(limited(100));
    world.open(0);
    assert_eq!(world.stream(0, &b"INC\n".repeat(150)).lines().count(), 150);
    assert_eq!(world.stream(0, b"INC\n"), "");
    assert!(world.out.list.contains(&Action::Hold { conn: Conn(0), bytes: 4, until_reply: true }));
    world.pass(MS(400));
    assert!(world.out.list.is_empty(), "not yet");
    world.pass(MS(200));
    let goes_on = |action: &Action| matches!(action, Action::Send { target: Target::Tcp(Conn(0)), range, .. } if range.is_empty());
    assert!(world.out.list.iter().any(goes_on), "{:?}", world.out.list);
    assert_eq!(world.stream(0, b"INC\n"), "151\n");
}

// --- connections -----------------------------------------------------------------------------------------------------

#[test]
fn a_first_line_that_never_ends_costs_the_connection() {
    let mut world = World::with(Settings { guest_idle: None, ..Settings::default() });
    for conn in 0..4 {
        world.open(conn);
    }
    world.pass(MS(5000));
    world.stream(0, b"#s.1 INC");
    world.stream(1, b"PING\n#s.1 INC");
    world.stream(2, b"#s.1 INC");
    world.pass(MS(59_999));
    assert_eq!(world.closed(), []);
    world.stream(2, b"\n");
    world.pass(MS(1));
    assert_eq!(world.closed(), [Conn(0)], "the one that says nothing stays, and so does who has said a line");
    world.pass(Duration::from_hours(1));
    assert_eq!(world.closed(), []);
}

#[test]
fn a_byte_now_and_then_does_not_make_a_first_line_last() {
    let mut world = World::new();
    world.open(0);
    world.stream(0, b"#s.1 PING ");
    for _ in 0..59 {
        world.pass(MS(1000));
        assert_eq!(world.closed(), []);
        world.stream(0, b"x");
    }
    world.pass(MS(1000));
    assert_eq!(world.closed(), [Conn(0)]);
}

#[test]
fn a_new_time_for_first_lines_reaches_those_who_have_begun_one() {
    let never = Settings { first_line: None, guest_idle: None, ..Settings::default() };
    let mut world = World::with(never.clone());
    world.open(0);
    world.stream(0, b"#s.1 INC");
    world.pass(Duration::from_hours(2));
    assert_eq!(world.closed(), []);
    world.hub.reconfigure(Settings { first_line: Some(Duration::from_hours(3)), ..never });
    world.pass(Duration::from_hours(1));
    assert_eq!(world.closed(), [Conn(0)]);
}

#[test]
fn silent_connections_make_room_for_others_and_those_who_spoke_do_not() {
    let settings = Settings { tcp_connections: 3, tcp_connections_per_address: 3, ..Settings::default() };
    let mut world = World::with(settings);
    world.open(0);
    assert_eq!(world.stream(0, b"PING\n"), "pong\n");
    world.open(1);
    world.pass(MS(10));
    world.open(2);
    world.pass(SILENT_TIME.saturating_sub(MS(11)));
    assert!(world.open(3).starts_with("ERR full "));
    assert_eq!(world.closed(), [Conn(3)]);
    world.pass(MS(1));
    assert_eq!(world.open(3), "");
    assert_eq!(world.closed(), [Conn(1)], "the oldest that has not said a line");
    assert!(world.open(4).starts_with("ERR full "), "the other is not that old yet");
    world.pass(MS(10));
    assert_eq!(world.open(4), "");
    assert_eq!(world.closed(), [Conn(2)]);
}

#[test]
fn an_address_makes_room_for_itself_first() {
    let mut world = World::with(Settings { tcp_connections_per_address: 2, ..Settings::default() });
    let from = |n: u8| SocketAddr::new(IpAddr::from([192, 168, 0, n]), 7);
    let open = |world: &mut World, conn: u32, n: u8| {
        world.handle(Input::Opened { conn: Conn(conn), id: conn.into(), from: from(n) });
    };
    open(&mut world, 0, 1);
    open(&mut world, 1, 2);
    open(&mut world, 2, 2);
    world.pass(SILENT_TIME);
    open(&mut world, 3, 2);
    assert_eq!(world.closed(), [Conn(1)], "the older one of the same address");
    open(&mut world, 4, 3);
    assert_eq!(world.closed(), [], "there is room for another address");
}
