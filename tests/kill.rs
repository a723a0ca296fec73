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
use letters::{LANES, Listener};
use pigeond::courier::Carrier;
use relay::Relay;
use table::Row;
use victim::{Victim, Work};

/// Clients that work at the same time.
const CLIENTS: usize = 4;

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
    let mut victim = Victim::start("");
    let relay = Relay::start(victim.address, 2);
    let letters = requests();
    let work = Work::new(2, letters as u64);
    let start = Instant::now();
    let listener = Listener::start(relay.address, &work);
    let (full, (texts, joins)) = std::thread::scope(|scope| {
        let listener = scope.spawn(|| listener.listen(letters));
        let sender = scope.spawn(|| letters::send(relay.address, letters, &work));
        victim.kill_until_done(&work);
        (sender.join().unwrap(), listener.join().unwrap())
    });
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(texts.len(), letters);
    for lane in 0..LANES {
        let prefix = format!("{lane} ");
        let numbers = texts.iter().filter_map(|text| text.strip_prefix(&prefix));
        let expected = letters / LANES + usize::from(lane < letters % LANES);
        let expected: Vec<String> = (1..=expected).map(|number| number.to_string()).collect();
        assert!(numbers.eq(&expected), "lane {lane} of {texts:?}");
    }
    let row = Row { way: "letters over UDP", requests: letters, relay: Some(relay.counts()) };
    row.print(
        victim.kills,
        seconds,
        &format!("each once, in order; {joins} joins, mailbox full {full} times"),
    );
}
