//! What is for everybody on the LAN, in the pure hub: DISCOVER, announcements, SHOUT, and what must not go round.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use pigeond::hub::{Actions, Hub, Input, Settings};
use pigeond::limits::{ANNOUNCE_PAUSE, SHOUT_BURST, SHOUT_BYTES, SHOUTS_AT_ONCE};
use pigeond::moment::Moment;

use world::{VIA, World, peer};

const EVERY: Duration = Duration::from_secs(30);

fn named() -> Settings {
    Settings { name: "attic".to_owned(), version: "1.2.3", ..Settings::default() }
}

fn shouting() -> Settings {
    Settings { shout: true, ..named() }
}

/// A hub where these many clients, peers 1 and on, have joined.
fn joined(clients: u8) -> World {
    let mut world = World::with(Settings { clients_limit: 100, ..shouting() });
    for n in 1..=clients {
        world.ask(n, format!("JOIN c{n}").as_bytes());
    }
    world
}

/// Lets time pass until the next announcement; how long that took.
fn until_announced(world: &mut World) -> Duration {
    let start = world.now;
    while world.aired().is_empty() || world.now == start {
        let at = world.hub.next_deadline().expect("something is to come");
        let wait = at.since(world.now);
        world.pass(wait);
        assert!(wait > Duration::ZERO || !world.aired().is_empty());
    }
    world.now.since(start)
}

#[test]
fn discover_is_answered_with_what_hub_this_is() {
    let mut world = World::with(named());
    let here = |clients| format!("HERE attic 1.2.3 10125 {clients}/10");
    assert_eq!(world.ask(1, b"DISCOVER"), [here(0)]);
    assert_eq!(world.broadcast(1, b"DISCOVER"), [here(0)]);
    world.ask(2, b"JOIN ann");
    assert_eq!(world.broadcast(1, b"DISCOVER\r\n"), [here(1) + "\r\n"]);
    assert_eq!(world.broadcast(1, b"#s.1 DISCOVER\n"), [format!("#s.1 OK {}\n", here(1))]);
    world.open(0);
    assert_eq!(world.stream(0, b"DISCOVER\n"), here(1) + "\n");
    assert!(world.aired().is_empty());
}

#[test]
fn the_longest_here_line_stays_within_the_bound_of_replies() {
    let settings =
        Settings { name: "n".repeat(24), clients_limit: 100_000, port: 65_535, ..Settings::default() };
    let here = &World::with(settings).ask(1, b"DISCOVER\r\n")[0];
    assert!(here.len() <= pigeond::limits::REPLY_BYTES, "{here}");
}

#[test]
fn a_hub_that_must_not_be_found_says_so_to_who_knows_it_and_nothing_to_others() {
    let mut world = World::with(Settings { discovery: false, ..Settings::default() });
    assert!(world.ask(1, b"DISCOVER")[0].starts_with("ERR denied "));
    for line in [&b"DISCOVER"[..], b"DISCOVER\n", b"#s.1 DISCOVER"] {
        assert!(world.broadcast(1, line).is_empty());
    }
    assert!(world.ask(1, b"#s.2 DISCOVER")[0].starts_with("#s.2 ERR unopened "), "no session was opened");
    assert_eq!(world.broadcast(1, b"PING"), ["pong"]);
}

#[test]
fn a_hub_is_not_announced_before_there_is_somebody_to_hear_it() {
    let mut world = World::with(named());
    assert_eq!(world.hub.next_deadline(), None);
    world.hub.network_changed(Vec::new(), Vec::new());
    world.hub.reconfigure(named());
    assert_eq!(world.hub.next_deadline(), None);
    world.hub.announce(world.now);
    world.pass(Duration::ZERO);
    assert_eq!(world.aired(), ["HERE attic 1.2.3 10125 0/10"]);
    assert_eq!(world.out.list.len(), 1);
}

#[test]
fn announcements_come_every_interval_a_tenth_more_or_less() {
    let mut world = World::with(named());
    world.hub.announce(world.now);
    world.pass(Duration::ZERO);
    let waits: Vec<Duration> = (0..500).map(|_| until_announced(&mut world)).collect();
    assert!(waits.iter().all(|&wait| wait >= EVERY * 9 / 10 && wait <= EVERY * 11 / 10), "{waits:?}");
    let (shortest, longest) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*shortest < EVERY * 92 / 100 && *longest > EVERY * 108 / 100, "{shortest:?} {longest:?}");
    assert!(waits.iter().collect::<BTreeSet<_>>().len() > 400, "they differ");
}

#[test]
fn hubs_that_began_together_part() {
    let announced = |seed| {
        let mut hub = Hub::new(Settings::default(), Moment::ZERO, seed);
        hub.announce(Moment::ZERO);
        hub.tick(Moment::ZERO, &mut Actions::default());
        hub.next_deadline().unwrap()
    };
    assert_eq!(announced(1), announced(1));
    assert_eq!((0..20).map(announced).collect::<BTreeSet<_>>().len(), 20);
}

#[test]
fn a_changed_network_hears_of_the_hub_at_once_but_not_more_than_once_a_second() {
    let mut world = World::with(named());
    world.hub.announce(world.now);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.aired().len(), 1);
    world.hub.announce(world.now);
    world.pass(Duration::ZERO);
    assert_eq!(world.aired().len(), 1);
    for _ in 0..3 {
        world.hub.announce(world.now);
        world.pass(ANNOUNCE_PAUSE / 4);
        assert!(world.aired().is_empty());
    }
    world.pass(ANNOUNCE_PAUSE / 4);
    assert_eq!(world.aired().len(), 1);
    assert!(until_announced(&mut world) >= EVERY * 9 / 10);
}

#[test]
fn new_settings_reach_the_announcements() {
    let never = || Settings { announce_every: None, ..named() };
    let mut world = World::with(never());
    world.hub.announce(world.now);
    assert_eq!(world.hub.next_deadline(), None);
    world.pass(Duration::from_secs(7));
    world.hub.reconfigure(named());
    world.out.clear();
    world.hub.tick(world.now, &mut world.out);
    assert_eq!(world.aired().len(), 1, "at once");
    assert!(until_announced(&mut world) >= EVERY * 9 / 10);
    world.hub.reconfigure(Settings { announce_every: Some(Duration::from_secs(1)), ..named() });
    assert!(until_announced(&mut world) <= Duration::from_millis(1100));
    world.hub.reconfigure(never());
    assert_eq!(world.hub.next_deadline(), None);
    world.hub.announce(world.now);
    assert_eq!(world.hub.next_deadline(), None);
}

#[test]
fn a_shout_goes_to_everybody_as_it_is() {
    let mut world = joined(1);
    assert_eq!(world.ask(1, b"SHOUT  two  spaces \r\n"), ["shouted\r\n"]);
    assert_eq!(world.aired(), [" two  spaces "]);
    assert_eq!(world.ask(1, b"SHOUT "), ["shouted"]);
    assert_eq!(world.aired(), [""]);
    assert!(world.ask(1, b"STATS")[0].contains(" broadcasts=2 "));
}

#[test]
fn only_clients_shout_and_only_where_they_may() {
    let mut world = joined(1);
    assert!(world.ask(9, b"SHOUT hi")[0].starts_with("ERR join-first "));
    assert!(world.aired().is_empty());
    assert!(world.broadcast(1, b"SHOUT hi").is_empty());
    assert!(world.aired().is_empty());
    world.hub.reconfigure(named());
    let denied = &world.ask(1, b"SHOUT hi")[0];
    assert!(denied.starts_with("ERR denied ") && denied.contains("broadcast.shout"), "{denied}");
    assert!(world.aired().is_empty());
}

#[test]
fn a_shout_is_one_datagram_that_nobody_cuts_and_no_hubs_word_of_itself() {
    let mut world = joined(1);
    let shout = |world: &mut World, length| world.ask(1, &[b"SHOUT ", &vec![b'x'; length][..]].concat());
    assert_eq!(shout(&mut world, SHOUT_BYTES), ["shouted"]);
    assert_eq!(world.aired(), ["x".repeat(SHOUT_BYTES)]);
    assert!(shout(&mut world, SHOUT_BYTES + 1)[0].starts_with("ERR too-long "));
    assert!(world.ask(1, b"SHOUT HERE me 1 1 0/1")[0].starts_with("ERR denied "));
    assert!(world.aired().is_empty());
}

#[test]
fn one_client_shouts_five_times_and_then_once_a_second() {
    let mut world = joined(2);
    let shouts = |world: &mut World, n| {
        let replies: Vec<_> = (0..20).flat_map(|_| world.ask(n, b"SHOUT hi")).collect();
        assert!(replies.iter().all(|reply| reply == "shouted" || reply.starts_with("ERR busy ")));
        u32::try_from(replies.iter().filter(|reply| *reply == "shouted").count()).unwrap()
    };
    assert_eq!(shouts(&mut world, 1), SHOUT_BURST);
    world.pass(Duration::from_millis(999));
    assert_eq!(shouts(&mut world, 1), 0);
    assert_eq!(shouts(&mut world, 2), SHOUT_BURST, "the other has its own share");
    world.pass(Duration::from_millis(1));
    assert_eq!(shouts(&mut world, 1), 1);
    world.pass(Duration::from_secs(100));
    assert_eq!(shouts(&mut world, 1), SHOUT_BURST);
}

#[test]
fn all_clients_together_shout_ten_times_a_second() {
    let mut world = joined(50);
    let shouts = |world: &mut World| (1..=50).filter(|&n| world.ask(n, b"SHOUT hi") == ["shouted"]).count();
    assert_eq!(shouts(&mut world), SHOUTS_AT_ONCE as usize);
    world.pass(Duration::from_millis(99));
    assert_eq!(shouts(&mut world), 0);
    world.pass(Duration::from_millis(1));
    assert_eq!(shouts(&mut world), 1);
    world.pass(Duration::from_secs(1));
    assert_eq!(shouts(&mut world), 10);
}

#[test]
fn a_tagged_shout_is_shouted_once_and_busy_is_no_answer() {
    let mut world = joined(1);
    assert_eq!(world.ask(1, b"#s.1 SHOUT hi"), ["#s.1 OK shouted"]);
    assert_eq!(world.aired(), ["hi"]);
    assert_eq!(world.ask(1, b"#s.1 SHOUT hi"), ["#s.1 OK shouted"]);
    assert!(world.aired().is_empty());
    for number in 2..=SHOUT_BURST {
        world.ask(1, format!("#s.{number} SHOUT hi").as_bytes());
    }
    let late = format!("#s.{} SHOUT late", SHOUT_BURST + 1);
    assert!(world.ask(1, late.as_bytes())[0].contains(" ERR busy "));
    world.pass(Duration::from_secs(1));
    assert!(world.ask(1, late.as_bytes())[0].ends_with(" OK shouted"));
    assert_eq!(world.aired(), ["late"]);
}

/// A hub that keeps what changes, with a client.
fn keeping() -> World {
    let mut world = World::with(shouting());
    world.hub = Hub::restore(shouting(), 1, &[]).unwrap();
    world.now = world.hub.started();
    world.ask(1, b"JOIN ann");
    commit(&mut world, true);
    world
}

/// Ends the commit that is wanted now.
fn commit(world: &mut World, succeeds: bool) {
    world.pass(Duration::from_secs(1));
    assert!(world.hub.poll_commit(world.now).is_some());
    world.handle(if succeeds { Input::Committed } else { Input::CommitFailed });
}

#[test]
fn a_tagged_shout_leaves_once_it_is_kept() {
    let mut world = keeping();
    assert!(world.ask(1, b"#s.1 SHOUT one").is_empty() && world.aired().is_empty());
    // What is shouted later stays behind it, and an announcement does not.
    assert_eq!(world.ask(1, b"SHOUT two"), ["shouted"]);
    assert!(world.aired().is_empty());
    world.hub.announce(world.now);
    world.pass(Duration::ZERO);
    assert_eq!(world.aired().len(), 1);
    assert!(world.aired()[0].starts_with("HERE "));
    commit(&mut world, true);
    assert_eq!(
        (world.to(1), world.aired()),
        (vec!["#s.1 OK shouted".to_owned()], vec!["one".into(), "two".into()])
    );
}

#[test]
fn a_tagged_shout_that_cannot_be_kept_waits_until_it_can() {
    let mut world = keeping();
    world.ask(1, b"#s.1 SHOUT one");
    commit(&mut world, false);
    assert!(world.to(1)[0].starts_with("#s.1 ERR disk ") && world.aired().is_empty());
    assert!(world.ask(1, b"SHOUT two")[0].starts_with("ERR disk "), "nothing gathers meanwhile");
    commit(&mut world, true);
    assert_eq!(world.aired(), ["one"]);
    assert_eq!(world.ask(1, b"#s.1 SHOUT one"), ["#s.1 OK shouted"]);
    assert!(world.aired().is_empty());
}

#[test]
fn a_hubs_word_of_itself_to_everybody_is_answered_by_nobody() {
    let mut world = World::new();
    for text in [&b"HERE attic 1.2.3 10125 0/10"[..], b"HERE \n", b"HERE a\nINC\n"] {
        assert!(world.broadcast(1, text).is_empty());
    }
    assert_eq!(world.broadcast(1, b"PING\nHERE a 1 2 0/1\nPING\n"), ["pong\npong\n"]);
    assert_eq!(world.broadcast(1, b"HEREABOUTS"), ["HEREABOUTS"]);
    assert_eq!(world.ask(1, b"HERE a"), ["HERE a"], "what is sent to one is plain text");
}

#[test]
fn what_the_hub_sent_to_everybody_comes_back_as_nothing_at_all() {
    let own = SocketAddr::new(peer(250).ip(), 40_001);
    let mut world = World::new();
    world.hub.network_changed(vec![own], Vec::new());
    for bytes in [&b"hello"[..], b"DISCOVER", b"PING"] {
        world.handle(Input::Datagram { from: own, via: VIA, to_many: true, bytes });
        assert!(world.out.list.is_empty());
    }
    let summary = world.hub.summary().counters;
    assert_eq!((summary.datagrams, summary.strangers, summary.texts), (0, 0, 0), "nor is it counted");
    world.hub.network_changed(Vec::new(), Vec::new());
    world.handle(Input::Datagram { from: own, via: VIA, to_many: true, bytes: b"PING" });
    assert_eq!(world.out.list.len(), 1, "another machine may have that address next");
}

/// What a hub says to everybody leaves from a socket that hears nothing: if others answer to there alone, and say nothing
/// to everybody because of it, nothing can go round.
#[test]
fn what_one_hub_says_to_everybody_makes_no_other_speak_to_everybody() {
    let (mut speaker, mut hearer) = (joined(1), joined(1));
    let deaf = peer(77);
    for text in ["PING", "hello", "DISCOVER", "#s.1 DISCOVER", "SHOUT hi", "#s.1 SHOUT hi", "ALL hi"] {
        speaker.hub.announce(speaker.now);
        speaker.pass(Duration::from_secs(2));
        let mut aired = speaker.aired();
        assert_eq!(speaker.ask(1, format!("SHOUT {text}").as_bytes()), ["shouted"]);
        aired.extend(speaker.aired());
        assert_eq!((aired.len(), aired[1].as_str()), (2, text));
        for said in aired {
            hearer.handle(Input::Datagram { from: deaf, via: VIA, to_many: true, bytes: said.as_bytes() });
            assert!(hearer.aired().is_empty());
            let all = hearer.sent(|_| true);
            let answered = ["PING", "hello", "DISCOVER", "#s.1 DISCOVER"].contains(&said.as_str());
            assert_eq!((all.len(), hearer.to(77)), (usize::from(answered), all), "{said}");
        }
    }
}
