//! How badly things go in one run: drawn from its seed.

use fastrand::Rng;

/// A length of simulated time, in microseconds; also a point in it, counted from the start.
pub type Micros = u64;

/// One second.
pub const SECOND: Micros = 1_000_000;
/// One millisecond.
pub const MILLI: Micros = 1000;

/// Probabilities, and mean times between misfortunes.
#[derive(Clone, Debug)]
pub struct Plan {
    pub clients: usize,
    /// How long the clients work, and things go wrong.
    pub length: Micros,
    /// The mean pause between two requests of one client.
    pub pace: Micros,
    pub loss: f64,
    pub twice: f64,
    /// How many datagrams take a detour, and how long that is at most.
    pub slow: f64,
    pub detour: Micros,
    /// The longest commit, and how many of them fail.
    pub commit: Micros,
    pub commit_fails: f64,
    pub hub_life: Micros,
    pub client_life: Micros,
    pub link_life: Micros,
    pub move_every: Micros,
    pub partition_every: Micros,
    /// How many commits happen although the store says that they failed.
    pub ambiguous: f64,
    /// How many requests are given up soon.
    pub impatient: f64,
    /// How many texts wait in a mailbox at most.
    pub mailbox: usize,
    pub clients_idle: Micros,
    /// Whether the store keeps rows rather than batches.
    pub folds: bool,
}

impl Plan {
    pub fn new(rng: &mut Rng) -> Self {
        let often = |rng: &mut Rng, choices: &[f64]| choices[rng.usize(..choices.len())];
        let seconds = |rng: &mut Rng, choices: &[u64]| choices[rng.usize(..choices.len())] * SECOND;
        Self {
            clients: rng.usize(2..=4),
            length: rng.u64(8..=30) * SECOND,
            pace: rng.u64(150..=600) * MILLI,
            loss: often(rng, &[0.0, 0.02, 0.1, 0.2, 0.4]),
            twice: often(rng, &[0.0, 0.02, 0.1, 0.3]),
            slow: often(rng, &[0.0, 0.02, 0.1, 0.3]),
            detour: often_micros(rng),
            commit: rng.u64(1..=200) * MILLI,
            commit_fails: often(rng, &[0.0, 0.0, 0.02, 0.1, 0.3]),
            hub_life: seconds(rng, &[2, 4, 8, 20, 1000]),
            client_life: seconds(rng, &[8, 20, 1000]),
            link_life: seconds(rng, &[2, 5, 20, 1000]),
            move_every: seconds(rng, &[8, 20, 1000]),
            partition_every: seconds(rng, &[10, 30, 1000]),
            ambiguous: 0.3,
            impatient: often(rng, &[0.0, 0.02, 0.1]),
            mailbox: rng.usize(4..=24),
            clients_idle: seconds(rng, &[15, 300]),
            folds: rng.bool(),
        }
    }
}

fn often_micros(rng: &mut Rng) -> Micros {
    [100 * MILLI, SECOND, 15 * SECOND][rng.usize(..3)]
}

/// A time until something that happens once in `mean`, on average: from a tenth of it to almost twice.
pub fn wait(rng: &mut Rng, mean: Micros) -> Micros {
    rng.u64(mean / 10..=mean * 19 / 10)
}
