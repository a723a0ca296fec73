//! Bad company: random bytes, lines that look right, and half lines, on UDP and TCP, for a while. The daemon
//! answers all the time, and its memory is back where it was afterwards.
//!
//! `PIGEON_FLOOD_SECONDS` says how long (3 by default). The bytes come from a fixed seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use common::{Daemon, ask};

/// Random numbers, the same in every run.
struct Dice(fastrand::Rng);

impl Dice {
    fn new() -> Self {
        Self(fastrand::Rng::with_seed(1))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn bytes(&mut self) -> Vec<u8> {
        let most = [10, 100, 2000, 10_000][self.below(4)];
        let mut bytes = vec![0; self.below(most)];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A line of the protocol, or nearly one.
    fn line(&mut self) -> Vec<u8> {
        let words: Vec<&str> = pigeond::wire::WORDS.iter().map(|word| word.as_str()).collect();
        let mut line = String::new();
        if self.below(2) == 0 {
            let session = self.pick(&["s", "abc", "0123456789abcdef", "toolongasessionname", ""]);
            let number = [1, 2, 3, 64, 65, 1000, i64::MAX as u64, u64::MAX][self.below(8)];
            line = format!("#{session}.{number} ");
        }
        line += self.pick(&words);
        for _ in 0..self.below(4) {
            line += self.pick(&[" ", " ", "  ", ""]);
            line += self.pick(&[
                "a",
                "k",
                "ann",
                "bob",
                "a*",
                "*",
                "5",
                "-9223372036854775808",
                "text of words",
                "ack",
                "\0",
            ]);
        }
        line += self.pick(&["\n", "\n", "\r\n", "\0", "", "\n\n\n"]);
        line.into_bytes()
    }

    fn anything(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 => self.bytes(),
            1 => (0..self.below(300)).flat_map(|_| self.line()).collect(),
            2 => {
                let mut line = self.line();
                line.truncate(self.below(line.len() + 1));
                line
            }
            _ => self.line(),
        }
    }
}

#[test]
fn rubbish_on_udp_and_tcp_leaves_the_daemon_answering_and_its_memory_where_it_was() {
    let seconds: u64 =
        std::env::var("PIGEON_FLOOD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let daemon = Daemon::with("[clients]\nlimit = 50\n[text]\nquiet_ms = 5\n[limits]\nvalues = 50\n");
    let control = daemon.udp();
    let mut dice = Dice::new();
    // First for what is kept, up to its bounds: buffers, tables, values, mailboxes and open questions.
    flood(&daemon, &mut dice, Duration::from_secs(seconds.div_ceil(3)));
    settle(&daemon);
    let before = daemon.resident_kib();
    flood(&daemon, &mut dice, Duration::from_secs(seconds));
    settle(&daemon);
    let after = daemon.resident_kib();
    // A leak of ten bytes a request would be many times that; what is kept within its bounds may still grow a little.
    assert!(after < before + 6144, "{before} KiB before and {after} KiB after");
    assert_eq!(ask(&control, b"PING still there"), b"pong still there");
}

fn flood(daemon: &Daemon, dice: &mut Dice, time: Duration) {
    let end = Instant::now() + time;
    let control = daemon.udp();
    let sockets: Vec<_> = (0..8).map(|_| daemon.udp()).collect();
    let mut streams = Vec::new();
    let mut sink = vec![0; 1 << 16];
    let mut round = 0_u32;
    while Instant::now() < end {
        round += 1;
        for socket in &sockets {
            let _ = socket.send(&dice.anything());
            socket.set_nonblocking(true).expect("a mode");
            while socket.recv(&mut sink).is_ok() {}
        }
        if streams.len() < 20 {
            let stream = daemon.tcp();
            stream.set_nonblocking(true).expect("a mode");
            streams.push(stream);
        }
        streams.retain_mut(|stream| {
            let _ = stream.write(&dice.anything());
            let reads = dice.below(3) > 0;
            while reads && matches!(stream.read(&mut sink), Ok(read) if read > 0) {}
            match dice.below(40) {
                0 => false,
                1 => stream.shutdown(Shutdown::Write).is_ok() && stream.read(&mut sink).is_ok(),
                _ => true,
            }
        });
        if round.is_multiple_of(50) {
            assert_eq!(ask(&control, b"PING"), b"pong", "it answers all the time");
        }
    }
}

/// Waits until the daemon has noticed that all connections are gone.
fn settle(daemon: &Daemon) {
    let control = daemon.udp();
    let is_gone = |stats: &str| stats.split(' ').any(|figure| figure == "tcp=0");
    let end = Instant::now() + common::PATIENCE;
    while !is_gone(&String::from_utf8_lossy(&ask(&control, b"STATS"))) {
        assert!(Instant::now() < end, "connections are still open");
        std::thread::yield_now();
    }
}
