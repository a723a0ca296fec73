//! The figures of all rounds, and the tables they make.

use std::collections::BTreeMap;

use crate::load::{Sample, float, median};
use crate::once::Once;
use crate::server::Kind;
use crate::work::Work;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Processor time a request, in microseconds.
    Cost,
    /// Requests a second.
    Rate,
    /// Median of a round trip, in microseconds.
    Median,
    /// 99th percentile of a round trip, in microseconds.
    Late,
}

impl Figure {
    fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Cost => Some(sample.cost),
            Self::Rate => Some(sample.rate),
            Self::Median => sample.trip.map(|(median, _)| median),
            Self::Late => sample.trip.map(|(_, late)| late),
        }
    }
}

/// Who does what.
pub type Place = (&'static str, Kind);

/// Every sample of one run, by work and server.
#[derive(Debug, Default)]
pub struct Figures {
    samples: BTreeMap<Place, Vec<Sample>>,
    idle_kib: BTreeMap<Kind, Vec<f64>>,
    once: BTreeMap<Once, f64>,
}

impl Figures {
    /// Adds a sample, and the server's memory before it, in KiB.
    pub fn add(&mut self, work: &Work, kind: Kind, (sample, idle_kib): (Sample, u64)) {
        self.samples.entry((work.name, kind)).or_default().push(sample);
        // Settings can cost memory before anybody comes.
        if work.has_defaults() || !kind.is_hub() {
            self.idle_kib.entry(kind).or_default().push(float(idle_kib));
        }
    }

    /// Adds and prints what is measured once in a run.
    pub fn add_once(&mut self, once: Once, figure: f64) {
        println!("{}: {figure:.0}", once.name());
        self.once.insert(once, figure);
    }

    /// What was measured once, if it was.
    pub fn once(&self, once: Once) -> Option<f64> {
        self.once.get(&once).copied()
    }

    /// Prints what each work cost each server: medians of all rounds.
    pub fn print_works(&self, works: &[&Work]) {
        println!(
            "{:<32} {:<12} {:>10} {:>9} {:>8} {:>8} {:>6}  CPU (of what is kept, rate) divided by that of",
            "work", "server", "a second", "CPU us", "p50 us", "p99 us", "lost"
        );
        for work in works {
            for kind in work.servers {
                if let Some(samples) = self.samples.get(&(work.name, *kind)) {
                    self.print_row(work, *kind, samples);
                }
            }
        }
    }

    fn print_row(&self, work: &Work, kind: Kind, samples: &[Sample]) {
        let middle = |figure| self.median(figure, (work.name, kind));
        let trip = |figure| middle(figure).map(|time| format!("{time:.1}")).unwrap_or_default();
        let lost: u64 = samples.iter().map(|sample| sample.lost).sum();
        println!(
            "{:<32} {:<12} {:>10.0} {:>9.3} {:>8} {:>8} {:>6}  {}",
            work.name,
            kind.name(),
            middle(Figure::Rate).unwrap_or_default(),
            middle(Figure::Cost).unwrap_or_default(),
            trip(Figure::Median),
            trip(Figure::Late),
            lost,
            self.ratios(work, kind),
        );
    }

    /// A server's figure, measured by each yardstick.
    fn ratios(&self, work: &Work, kind: Kind) -> String {
        let others = work.yardsticks.iter().filter(|yardstick| **yardstick != kind);
        let ratio = |yardstick: &Kind| {
            let ratio = self.ratio(work.figure, (work.name, kind), (work.name, *yardstick))?;
            Some(format!("{} {ratio:.2}", yardstick.name()))
        };
        others.filter_map(ratio).collect::<Vec<_>>().join(", ")
    }

    /// Median of all rounds, if there is any.
    pub fn median(&self, figure: Figure, place: Place) -> Option<f64> {
        let figures: Vec<_> = self.samples.get(&place)?.iter().filter_map(|s| figure.of(s)).collect();
        (!figures.is_empty()).then(|| median(figures))
    }

    /// One median divided by another, if there are both.
    pub fn ratio(&self, figure: Figure, place: Place, beside: Place) -> Option<f64> {
        Some(self.median(figure, place)? / self.median(figure, beside)?)
    }

    /// Memory of a server that has just been started, in KiB: the median of all starts, if there is any.
    pub fn idle_kib(&self, kind: Kind) -> Option<f64> {
        self.idle_kib.get(&kind).cloned().map(median)
    }

    /// Prints the memory of each server: as started, and the most after a load.
    pub fn print_memory(&self) {
        println!("\n{:<12} {:>10} {:>16}", "memory", "idle KiB", "after load KiB");
        for (kind, idle) in &self.idle_kib {
            let samples = self.samples.iter().filter(|((_, of), _)| of == kind).flat_map(|(_, all)| all);
            let most = samples.map(|sample| sample.resident_kib).max().unwrap_or_default();
            println!("{:<12} {:>10.0} {most:>16}", kind.name(), median(idle.clone()));
        }
    }
}
