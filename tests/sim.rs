//! The real hub and the real courier on a simulated network, clock and disk: everything from one seed.
//!
//! `PIGEON_SIM_SEEDS` says how many seeds are tried, `PIGEON_SIM_SEED` that only this one is, and
//! `PIGEON_SIM_TRACE=1` that a failure tells what had happened last.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::struct_excessive_bools,
    clippy::wildcard_enum_match_arm,
    clippy::maybe_infinite_iter,
    clippy::unnecessary_wraps,
    clippy::match_same_arms,
    clippy::redundant_closure_for_method_calls,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod sim {
    pub mod bugs;
    pub mod client;
    pub mod disk;
    pub mod fold;
    pub mod inbox;
    pub mod ledger;
    pub mod network;
    pub mod observer;
    pub mod people;
    pub mod plan;
    pub mod server;
    pub mod trace;
    pub mod untagged;
    pub mod work;
    pub mod world;
}

use std::panic::{AssertUnwindSafe, catch_unwind};

use sim::bugs::Bug;
use sim::world::{Summary, World};

/// Seeds that are tried if nobody says how many.
const SEEDS: u64 = 100;
/// Seeds after which a deliberate bug must have been found.
const BUG_SEEDS: u64 = 100;

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed; an error is told with all that helps to find it.
fn run(seed: u64, bug: Option<Bug>) -> Result<Summary, String> {
    let keeps_words = variable("PIGEON_SIM_TRACE").is_some();
    let mut world = World::new(seed, bug, keeps_words);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let fault = match outcome {
        Ok(Ok(summary)) => return Ok(summary),
        Ok(Err(fault)) => fault,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("panicked: {}", words.unwrap_or_default())
        }
    };
    let (words, plan) = (world.trace.words(), &world.plan);
    let at = world.now;
    Err(format!(
        "{words}{plan:?}\nseed {seed}, after {at} µs: {fault}\n\
         again: PIGEON_SIM_SEED={seed} PIGEON_SIM_TRACE=1 cargo test --test sim every_promise"
    ))
}

/// Runs the seeds from `first` on, on two threads; the first failure is the lowest.
fn run_all(first: u64, count: u64) -> Result<Vec<Summary>, String> {
    let half = |parity: u64| {
        (first..first + count).filter(|seed| seed % 2 == parity).map(|seed| run(seed, None)).collect()
    };
    let halves: [Result<Vec<Summary>, String>; 2] = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        [half(0), other.join().unwrap()]
    });
    let [mut all, other] = halves;
    if let Ok(all) = &mut all {
        all.extend(other?);
    }
    all
}

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
    let summaries = match variable("PIGEON_SIM_SEED") {
        Some(seed) => run(seed, None).map(|summary| vec![summary]),
        None => run_all(0, variable("PIGEON_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let summaries = summaries.unwrap_or_else(|fault| panic!("{fault}"));
    let sum = |figure: fn(&Summary) -> u64| summaries.iter().map(figure).sum::<u64>();
    println!(
        "{} seeds: {} steps, {} hubs, {} answers, {} copies answered again, {} deliveries",
        summaries.len(),
        sum(|it| it.steps),
        sum(|it| it.boots),
        sum(|it| it.answers),
        sum(|it| it.repeats),
        sum(|it| it.deliveries),
    );
    assert!(sum(|it| it.answers) > 0);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, None), run(seed, None), "{seed}");
    }
}

#[test]
fn every_deliberate_bug_is_found() {
    for bug in Bug::ALL {
        let found = (0..BUG_SEEDS).find_map(|seed| Some((seed, run(seed, Some(bug)).err()?)));
        let Some((seed, fault)) = found else { panic!("{bug:?} was not found by {BUG_SEEDS} seeds") };
        let fault = fault.lines().rev().nth(1).unwrap_or_default().to_owned();
        println!("{bug:?}: found after {} seeds: {fault}", seed + 1);
    }
}
