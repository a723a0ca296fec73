//! The hub side by side with the floor and with its peers: `cargo bench --bench peers`.
//!
//! Each server runs alone, on one processor; the load runs on another. Rounds are interleaved, so that a
//! noisy moment meets everybody. What to trust are ratios of processor time within one run.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, prints its figures, and ends where it cannot go on"
)]

#[path = "peers/floor.rs"]
mod floor;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/load_tcp.rs"]
mod load_tcp;
#[path = "peers/load_udp.rs"]
mod load_udp;
#[path = "peers/once.rs"]
mod once;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/server.rs"]
mod server;
#[path = "peers/table.rs"]
mod table;
#[path = "peers/work.rs"]
mod work;

use std::str::FromStr;
use std::time::Duration;

use once::Places;
use process::Processors;
use server::Kind;
use table::Figures;
use work::Work;

fn main() {
    // Cargo says --bench; all else are words that choose works by name.
    let names: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match names.first().map(String::as_str) {
        Some("--floor-mm") => floor::serve_many(),
        Some("--floor") => floor::serve_one_by_one(),
        Some(_) | None => run(&names),
    }
}

fn run(names: &[String]) {
    let rounds: usize = setting("PIGEON_BENCH_ROUNDS", 5);
    let seconds: f64 = setting("PIGEON_BENCH_SECONDS", 0.5);
    let length = Duration::try_from_secs_f64(seconds).expect("PIGEON_BENCH_SECONDS is a positive number");
    let processors = Processors::claim();
    if processors.shared() {
        println!("only one processor: server and load share it, and times mean little");
    }
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_installed()) {
        println!("{}: not installed, left out", kind.name());
    }
    let chosen = |name: &str| names.is_empty() || names.iter().any(|word| name.contains(word.as_str()));
    let works: Vec<&Work> = work::ALL.iter().filter(|work| chosen(work.name)).collect();
    println!("{rounds} rounds of {seconds} s, load average {}\n", load_average());
    let mut figures = Figures::default();
    for _ in 0..rounds {
        for work in &works {
            for kind in work.servers.iter().filter(|kind| kind.is_installed()) {
                figures.add(work, *kind, work.sample(*kind, processors, length));
            }
        }
    }
    if !works.is_empty() {
        figures.print_works(&works);
        figures.print_memory();
    }
    if chosen("memory a client") {
        let places = Places::measure(processors);
        let Places { before_kib, after_kib } = places;
        println!(
            "\nmemory a client: {:.0} bytes (pigeond: 10,000 JOINs over UDP, {before_kib} to {after_kib} KiB)",
            places.bytes_a_client(),
        );
    }
    if chosen("kept: bytes written") {
        let (slow, fast) = once::wear(processors);
        println!(
            "bytes written a kept request: {slow:.0} at 10 a second, {fast:.0} at 4 x 32 (pigeond, STATS)"
        );
    }
    if chosen("start to READY") {
        println!("start to READY: {:.0} us (pigeond, median of 20)", once::time_to_ready(processors));
    }
    println!("load average {}", load_average());
}

/// A setting from the environment.
fn setting<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}"))
}

/// How busy the machine is besides: figures of a busy one are worth little.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
