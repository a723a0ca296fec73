//! What all loads have in common, and how one is measured.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::process::Process;

/// After so long without a reply, in milliseconds, what is under way counts as lost.
pub const SILENCE_MS: u16 = 200;

/// Silences after which a server counts as dead.
const SILENCES: u64 = 25;

/// How long a server is loaded before the measurement begins.
const WARM_UP: Duration = Duration::from_millis(100);

/// A closed loop: so many requests are under way, and each reply is followed by the next request.
pub trait Load {
    /// Waits for replies, takes them, and asks anew; `false` after a silence.
    fn step(&mut self) -> bool;
    /// Work done so far, and work that was lost.
    fn done(&self) -> Done;
    /// How long each round trip took, where that was measured; asking forgets them.
    fn trips(&mut self) -> Vec<Duration> {
        Vec::new()
    }
}

/// What a load has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Requests that were answered, or messages that were delivered.
    pub requests: u64,
    /// Requests that were not answered in time.
    pub lost: u64,
}

/// Messages of one client to so many others: what was sent, what came, and what was given up.
#[derive(Clone, Copy, Debug)]
pub struct Deliveries {
    subscribers: u64,
    window: u64,
    /// Deliveries that are due in all.
    due: u64,
    delivered: u64,
    lost: u64,
}

impl Deliveries {
    /// To so many subscribers, with so many messages under way.
    pub fn new(subscribers: usize, window: u64) -> Self {
        Self { subscribers: subscribers as u64, window, due: 0, delivered: 0, lost: 0 }
    }

    /// How many messages are to be sent now, so that the window is full: they count as sent.
    pub fn ask(&mut self) -> u64 {
        let under_way = (self.due - self.delivered - self.lost).div_ceil(self.subscribers);
        let count = self.window.saturating_sub(under_way);
        self.due += count * self.subscribers;
        count
    }

    /// So many more have been delivered.
    pub fn deliver(&mut self, count: u64) {
        self.delivered += count;
        assert!(self.delivered <= self.due, "more was delivered than was sent");
        // What comes late was not lost.
        self.lost = self.lost.min(self.due - self.delivered);
    }

    /// All that is under way is lost.
    pub fn give_up(&mut self) {
        self.lost = self.due - self.delivered;
    }

    /// What was delivered, and what was lost.
    pub fn done(&self) -> Done {
        Done { requests: self.delivered, lost: self.lost }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Requests a second.
    pub rate: f64,
    /// The server's processor time a request, in microseconds.
    pub cost: f64,
    /// Requests lost.
    pub lost: u64,
    /// Median and 99th percentile of a round trip, in microseconds.
    pub trip: Option<(f64, f64)>,
    /// The server's memory afterwards, in KiB.
    pub resident_kib: u64,
}

/// Keeps a load going for so long, and says what it cost the server.
pub fn measure(process: &Process, load: &mut dyn Load, length: Duration) -> Sample {
    keep_going(load, WARM_UP);
    load.trips();
    let (before, used) = (load.done(), process.processor_time());
    let elapsed = keep_going(load, length);
    let (after, used) = (load.done(), process.processor_time().saturating_sub(used));
    let requests = float(after.requests - before.requests);
    Sample {
        rate: requests / elapsed.as_secs_f64(),
        cost: micros(used) / requests,
        // What was given up before can still have come.
        lost: after.lost.saturating_sub(before.lost),
        trip: percentiles(load.trips()),
        resident_kib: process.resident_kib(),
    }
}

fn keep_going(load: &mut dyn Load, length: Duration) -> Duration {
    let start = Instant::now();
    let mut silences = 0;
    loop {
        silences = if load.step() { 0 } else { silences + 1 };
        assert!(silences < SILENCES, "the server has stopped answering");
        let elapsed = start.elapsed();
        if elapsed >= length {
            return elapsed;
        }
    }
}

fn percentiles(mut trips: Vec<Duration>) -> Option<(f64, f64)> {
    trips.sort_unstable();
    let at = |percent: usize| trips.get(trips.len() * percent / 100).copied().map(micros);
    Some((at(50)?, at(99)?))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// The middle one; of an even number the upper of the two in the middle. Zero if there is none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Waits until some of these can be read, and says which; none after a silence.
pub fn readable<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<usize> {
    let mut waiting: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    match poll(&mut waiting, SILENCE_MS) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => panic!("waiting for replies failed: {error}"),
    }
    let ready = |socket: &PollFd<'_>| socket.any().unwrap_or(false);
    waiting.iter().enumerate().filter(|(_, socket)| ready(socket)).map(|(index, _)| index).collect()
}

/// Waits until this can be read: a first reply may take longer than a silence where the machine is busy.
pub fn await_first(socket: BorrowedFd<'_>) {
    let answered = (0..SILENCES).any(|_| !readable(std::iter::once(socket)).is_empty());
    assert!(answered, "the server does not answer");
}
