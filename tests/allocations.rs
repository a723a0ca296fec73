//! No hot path allocates: what the hub does for a request takes only memory that it has already.
//!
//! The whole daemon is held to the same by `benches/instructions.py`, which counts what its sockets cost as well.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod world;

use std::time::Duration;

use pigeond::hub::{Action, Actions, Conn, Hub, Input, Settings};
use pigeond::moment::Moment;
use world::{VIA, peer};

/// Rounds before anything is counted, in which tables and buffers grow to what they need; and rounds that are counted.
const FIRST: u64 = 3000;
const COUNTED: u64 = 1000;

/// A hub that keeps what it is told, as the daemon's does.
struct Kept {
    hub: Hub,
    now: Moment,
    out: Actions,
}

impl Kept {
    fn new() -> Self {
        let hub = Hub::restore(Settings::default(), 1, &[]).unwrap();
        let now = hub.started();
        Self { hub, now, out: Actions::default() }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.now = self.now + Duration::from_millis(1);
        self.out.clear();
        self.hub.tick(self.now, &mut self.out);
        self.hub.handle(self.now, input, &mut self.out);
        self.commit();
    }

    /// Saves what is to be saved, if anything is.
    fn commit(&mut self) {
        while self.hub.poll_commit(self.now).is_some() {
            self.hub.handle(self.now, Input::Committed, &mut self.out);
        }
    }

    fn datagram(&mut self, n: u8, bytes: &[u8]) {
        self.handle(Input::Datagram { from: peer(n), via: VIA, to_many: false, bytes });
    }

    fn open(&mut self, conn: u32) {
        self.handle(Input::Opened { conn: Conn(conn), id: conn.into(), from: peer(9) });
    }

    fn stream(&mut self, conn: u32, bytes: &[u8]) {
        self.handle(Input::Stream { conn: Conn(conn), bytes });
    }
}

/// Does this in many rounds, and sees that it never allocates, and that each round sends so many messages.
fn takes_no_memory(kept: &mut Kept, sends: usize, mut round: impl FnMut(&mut Kept, u64)) {
    for n in 0..FIRST {
        round(kept, n);
    }
    let mut sent = 0;
    let counted = allocation_counter::measure(|| {
        for n in FIRST..FIRST + COUNTED {
            round(kept, n);
            sent += kept.out.list.iter().filter(|action| matches!(action, Action::Send { .. })).count();
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(sent, sends * usize::try_from(COUNTED).unwrap());
}

#[test]
fn a_counter_over_udp() {
    takes_no_memory(&mut Kept::new(), 1, |kept, _| kept.datagram(1, b"INC\n"));
}

#[test]
fn many_lines_in_one_datagram() {
    let lines = b"INC a\n".repeat(40);
    takes_no_memory(&mut Kept::new(), 1, |kept, _| kept.datagram(1, &lines));
}

#[test]
fn plain_text_and_a_value_that_is_read() {
    let mut kept = Kept::new();
    kept.datagram(1, b"SET name some text");
    takes_no_memory(&mut kept, 1, |kept, n| {
        kept.datagram(1, if n % 8 == 0 { b"hello there" } else { b"GET name" });
    });
}

#[test]
fn a_tagged_counter_that_is_kept() {
    use std::io::Write;

    let mut line = [0; 64];
    takes_no_memory(&mut Kept::new(), 1, |kept, n| {
        let mut rest = &mut line[..];
        write!(rest, "#session.{} INC", n + 1).unwrap();
        let length = 64 - rest.len();
        kept.datagram(1, &line[..length]);
    });
}

#[test]
fn many_lines_at_once_on_a_stream() {
    let mut kept = Kept::new();
    kept.open(1);
    takes_no_memory(&mut kept, 1, |kept, _| {
        kept.stream(1, b"INC\nGET counter\nSET a 5\nhello\n");
    });
}

#[test]
fn messages_and_changes_to_others() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.stream(1, b"JOIN ann\n");
    for n in 2..5 {
        kept.datagram(n, format!("JOIN client{n}\nWATCH k").as_bytes());
    }
    takes_no_memory(&mut kept, 4, |kept, n| match n % 2 {
        0 => kept.stream(1, b"ALL good morning\n"),
        _ => kept.stream(1, b"INC k\n"),
    });
    takes_no_memory(&mut kept, 2, |kept, _| kept.stream(1, b"SEND client2 hi\n"));
}
