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

#[path = "peers/dialect.rs"]
mod dialect;
#[path = "peers/floor.rs"]
mod floor;
#[path = "peers/goals.rs"]
mod goals;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/load_messages.rs"]
mod load_messages;
#[path = "peers/load_places.rs"]
mod load_places;
#[path = "peers/load_tcp.rs"]
mod load_tcp;
#[path = "peers/load_udp.rs"]
mod load_udp;
#[path = "peers/once.rs"]
mod once;
#[path = "peers/plot.rs"]
mod plot;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/server.rs"]
mod server;
#[path = "peers/table.rs"]
mod table;
#[path = "peers/work.rs"]
mod work;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use once::Once;
use process::Processors;
use server::Kind;
use table::Figures;
use work::Work;

fn main() {
    // Cargo says --bench.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench").peekable();
    match words.peek().map(String::as_str) {
        Some("--floor-mm") => floor::serve_many(),
        Some("--floor") => floor::serve_one_by_one(),
        Some("--floor-fan") => floor::serve_fan_out(),
        Some(process::RUN) => process::become_program(words.skip(1)),
        Some(_) | None => run(&Choice::new(words)),
    }
}

/// What is to be measured, and where the plot goes.
#[derive(Default)]
struct Choice {
    /// Parts of names; none of them means everything.
    names: Vec<String>,
    plot: Option<PathBuf>,
}

impl Choice {
    fn new(mut words: impl Iterator<Item = String>) -> Self {
        let mut choice = Self::default();
        while let Some(word) = words.next() {
            if word == "--plot" {
                choice.plot = Some(words.next().expect("--plot is followed by a path").into());
            } else {
                assert!(!word.starts_with('-'), "{word} is unknown: say --plot PATH, or parts of names");
                choice.names.push(word);
            }
        }
        choice
    }

    fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str()))
    }
}

fn run(choice: &Choice) {
    let rounds: usize = setting("PIGEON_BENCH_ROUNDS", 5);
    let seconds: f64 = setting("PIGEON_BENCH_SECONDS", 0.5);
    let length = Duration::try_from_secs_f64(seconds).expect("PIGEON_BENCH_SECONDS is a positive number");
    process::open_many_files();
    let processors = Processors::claim();
    if processors.shared() {
        println!("only one processor: server and load share it, and times mean little");
    }
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_installed()) {
        println!("{}: not installed, left out", kind.name());
    }
    let works: Vec<&Work> = work::ALL.iter().filter(|work| choice.has(work.name)).collect();
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
        println!();
    }
    for once in Once::ALL.into_iter().filter(|once| choice.has(once.name())) {
        figures.add_once(once, once.measure(processors));
    }
    goals::print(&figures);
    if let Some(path) = &choice.plot {
        plot::write(path, &figures, &works);
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
