//! Exactly once, and nothing lost: real clients, a bad network, a daemon that is killed again and again, a disk
//! that fills, a file that is damaged.
//!
//! The long form prints a table:
//! `PIGEON_KILL_REQUESTS=20000 cargo test --release --test kill -- --nocapture --test-threads=1`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;
#[path = "kill/damage.rs"]
mod damage;
#[path = "kill/ends.rs"]
mod ends;
#[path = "kill/full.rs"]
mod full;
#[path = "kill/increments.rs"]
mod increments;
#[path = "kill/letters.rs"]
mod letters;
#[path = "kill/relay.rs"]
mod relay;
#[path = "kill/table.rs"]
mod table;
#[path = "kill/victim.rs"]
mod victim;

use std::collections::BTreeSet;
use std::time::Instant;

use increments::Counter;
use letters::Listener;
use pigeond::courier::Carrier;
use relay::Relay;
use table::Row;
use victim::{Victim, Work};

/// Clients that work at the same time.
const CLIENTS: usize = 4;

/// Pairs of a sender and a listener that work at the same time, at most.
const PAIRS: usize = 64;

/// How much each client asks for: few unless `PIGEON_KILL_REQUESTS` says otherwise.
fn requests() -> usize {
    std::env::var("PIGEON_KILL_REQUESTS").map_or(60, |requests| requests.parse().expect("a number"))
}

#[test]
fn increments_through_a_bad_network_are_done_exactly_once_however_often_the_daemon_is_killed() {
    let mut victim = Victim::start("");
    let relay = Relay::start(victim.address, 1);
    let seconds = count(&mut victim, Carrier::Datagrams, |counter| counter.over_udp(relay.address));
    let row = Row { way: "INC over UDP", requests: CLIENTS * requests(), relay: Some(relay.counts()) };
    row.print(victim.kills, seconds, &format!("counter = {}", victim.ask("GET kills")));
}

#[test]
fn increments_over_connections_are_done_exactly_once_however_often_the_daemon_is_killed() {
    let mut victim = Victim::start("");
    let hub = victim.address;
    let seconds = count(&mut victim, Carrier::Stream, |counter| counter.over_tcp(hub));
    let row = Row { way: "INC over TCP", requests: CLIENTS * requests(), relay: None };
    row.print(victim.kills, seconds, &format!("counter = {}", victim.ask("GET kills")));
}

/// Lets the clients count while the daemon is killed, and looks whether they did; how long it took, in seconds.
fn count(victim: &mut Victim, carrier: Carrier, run: impl Fn(Counter<'_>) -> BTreeSet<u64> + Sync) -> f64 {
    let total = (CLIENTS * requests()) as u64;
    let work = Work::new(CLIENTS as u64, total);
    let start = Instant::now();
    let values = std::thread::scope(|scope| {
        let (run, work) = (&run, &work);
        let client = |index| {
            scope.spawn(move || run(Counter::new(&format!("client-{index}"), requests(), carrier, work)))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        victim.kill_until_done(work);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let seconds = start.elapsed().as_secs_f64();
    // Each value of the counter was told to exactly one of those who asked.
    assert_eq!(values.len() as u64, total);
    assert_eq!(values.into_iter().collect::<BTreeSet<u64>>(), (1..=total).collect());
    assert_eq!(victim.ask("GET kills"), total.to_string());
    victim.kill();
    assert_eq!(victim.ask("GET kills"), total.to_string());
    seconds
}

#[test]
fn letters_through_a_bad_network_come_once_and_in_order_however_often_the_daemon_is_killed() {
    let mut victim = Victim::start("[clients]\nlimit = 200\n");
    let relay = Relay::start(victim.address, 2);
    // Each life of the daemon is long enough for a few letters to a listener, however fast all are.
    let pairs = (requests() / 30).clamp(1, PAIRS);
    let letters = |pair| requests() / pairs + usize::from(pair < requests() % pairs);
    let work = Work::new(2 * pairs as u64, requests() as u64);
    let start = Instant::now();
    let listeners: Vec<_> = (0..pairs).map(|pair| Listener::start(relay.address, pair, &work)).collect();
    let (mut full, mut joins) = (0, 0);
    std::thread::scope(|scope| {
        let (work, hub) = (&work, relay.address);
        let pairs: Vec<_> = listeners
            .into_iter()
            .enumerate()
            .map(|(pair, listener)| {
                let letters = letters(pair);
                let listens = scope.spawn(move || listener.listen(letters));
                (letters, scope.spawn(move || letters::send(hub, pair, letters, work)), listens)
            })
            .collect();
        victim.kill_until_done(work);
        for (letters, sends, listens) in pairs {
            full += sends.join().unwrap();
            let (texts, joined) = listens.join().unwrap();
            joins += joined;
            letters::check(&texts, letters);
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let row = Row { way: "letters over UDP", requests: requests(), relay: Some(relay.counts()) };
    let result = format!("each once, in order; to {pairs}, {joins} joins, mailbox full {full} times");
    row.print(victim.kills, seconds, &result);
}
