//! What the hub aims at, and whether it is there.

use crate::once::Once;
use crate::server::Kind;
use crate::table::{Figure, Figures, Place};

/// Something measured, and how much or how little it should be.
struct Goal {
    name: &'static str,
    measured: Measured,
    bound: Bound,
}

enum Measured {
    /// A figure divided by another.
    Ratio(Figure, Place, Place),
    /// Memory of the hub that has just been started, in KiB.
    Idle,
    /// A figure by itself, measured once in a run.
    Once(Once),
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};

const GOALS: &[Goal] = &[
    cost("UDP increment, 4 x 32", Kind::FloorMany, 0.80),
    cost("UDP increment, 32 x 1", Kind::FloorMany, 1.10),
    cost("UDP 16 lines a datagram, 4 x 32", Kind::FloorMany, 0.10),
    beside(Figure::Median, "UDP round trip, 1 x 1", Kind::FloorMany, AtMost(1.05)),
    beside(Figure::Late, "UDP round trip, 1 x 1", Kind::FloorMany, AtMost(1.05)),
    cost("UDP fan-out to 1,000", Kind::FloorFanOut, 1.05),
    Goal {
        name: "UDP increment, 10,000 joined",
        measured: Measured::Ratio(
            Figure::Cost,
            ("UDP increment, 10,000 joined", Kind::Pigeond),
            ("UDP increment, 10 joined", Kind::Pigeond),
        ),
        bound: AtMost(1.10),
    },
    cost("TCP increment, 4 x 32", Kind::Redis, 0.40),
    cost("TCP increment, 4 x 32", Kind::Memcached, 0.45),
    cost("TCP increment, 32 x 4", Kind::Redis, 0.65),
    cost("TCP message, 4 x 32", Kind::Nats, 0.80),
    beside(Figure::Rate, "TCP message, 4 x 32", Kind::Nats, AtLeast(1.0)),
    cost("TCP fan-out to 10", Kind::Nats, 0.75),
    cost("TCP fan-out to 1,000", Kind::Nats, 0.25),
    kept("TCP kept increment, 4 x 32", Kind::Pigeond, Kind::RedisEverySecond, 1.0),
    kept("TCP kept increment, 128 x 1", Kind::Pigeond, Kind::RedisEverySecond, 1.0),
    kept("UDP kept increment, 4 x 32", Kind::Pigeond, Kind::RedisEverySecond, 1.0),
    kept("UDP kept increment, 128 x 1", Kind::Pigeond, Kind::RedisEverySecond, 1.0),
    kept("TCP kept increment, 4 x 32", Kind::PigeondFull, Kind::RedisAlways, 1.6),
    kept("TCP kept increment, 128 x 1", Kind::PigeondFull, Kind::RedisAlways, 1.3),
    kept("UDP kept increment, 4 x 32", Kind::PigeondFull, Kind::RedisAlways, 1.6),
    kept("UDP kept increment, 128 x 1", Kind::PigeondFull, Kind::RedisAlways, 1.3),
    once("bytes written a kept request, 10 a second", Once::SlowWear, 1300.0),
    once("bytes written a kept request, 4 x 32", Once::FastWear, 64.0),
    Goal { name: "idle memory, KiB", measured: Measured::Idle, bound: AtMost(4096.0) },
    once("bytes of memory a client, 10,000 joined", Once::ClientBytes, 160.0),
    once("us from start to READY", Once::ReadyMicros, 5000.0),
    once("bytes of both programs", Once::ProgramBytes, 3_500_000.0),
];

const fn cost(name: &'static str, peer: Kind, most: f64) -> Goal {
    beside(Figure::Cost, name, peer, AtMost(most))
}

const fn kept(name: &'static str, kind: Kind, peer: Kind, least: f64) -> Goal {
    Goal { name, measured: Measured::Ratio(Figure::Rate, (name, kind), (name, peer)), bound: AtLeast(least) }
}

const fn beside(figure: Figure, name: &'static str, peer: Kind, bound: Bound) -> Goal {
    Goal { name, measured: Measured::Ratio(figure, (name, Kind::Pigeond), (name, peer)), bound }
}

const fn once(name: &'static str, once: Once, most: f64) -> Goal {
    Goal { name, measured: Measured::Once(once), bound: AtMost(most) }
}

/// Prints each goal of which something was measured, and how many are met.
pub fn print(figures: &Figures) {
    let (mut met, mut all) = (0, 0);
    let width = GOALS.iter().map(|goal| goal.text().len()).max().unwrap_or_default();
    println!("\n{:<width$} | measured | verdict", "goal");
    for goal in GOALS {
        let Some(measured) = goal.measure(figures) else { continue };
        let is_met = goal.is_met(measured);
        let verdict = if is_met { "met" } else { "not met" };
        println!("{:<width$} | {:>8} | {verdict}", goal.text(), goal.number(measured));
        all += 1;
        met += usize::from(is_met);
    }
    println!("{met} of {all} met; {} not measured", GOALS.len() - all);
}

impl Goal {
    fn measure(&self, figures: &Figures) -> Option<f64> {
        match self.measured {
            Measured::Ratio(figure, place, beside) => figures.ratio(figure, place, beside),
            Measured::Idle => figures.idle_kib(Kind::Pigeond),
            Measured::Once(once) => figures.once(once),
        }
    }

    fn is_met(&self, measured: f64) -> bool {
        match self.bound {
            AtMost(bound) => measured <= bound,
            AtLeast(bound) => measured >= bound,
        }
    }

    fn text(&self) -> String {
        let (sign, bound) = match self.bound {
            AtMost(bound) => ("<=", bound),
            AtLeast(bound) => (">=", bound),
        };
        let bound = self.number(bound);
        match self.measured {
            Measured::Ratio(figure, (_, kind), (work, peer)) => {
                let figure = match figure {
                    Figure::Cost => "CPU",
                    Figure::Rate => "rate",
                    Figure::Median => "p50",
                    Figure::Late => "p99",
                };
                // A work beside another one, or a server beside another one.
                let (who, than) =
                    if work == self.name { (kind.name(), peer.name()) } else { (kind.name(), work) };
                format!("{}: {figure} of {who} {sign} {bound} x {than}", self.name)
            }
            Measured::Idle | Measured::Once(_) => format!("{} {sign} {bound}", self.name),
        }
    }

    fn number(&self, number: f64) -> String {
        match self.measured {
            Measured::Ratio(..) => format!("{number:.2}"),
            Measured::Idle | Measured::Once(_) => format!("{number:.0}"),
        }
    }
}
