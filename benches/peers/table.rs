//! The figures of all rounds, and the tables they make.

use std::collections::BTreeMap;

use crate::load::{Sample, float, median};
use crate::server::Kind;
use crate::work::{Ratio, Work};

/// Every sample of one run, by work and server; a server's samples are in the order of the rounds.
#[derive(Debug, Default)]
pub struct Figures {
    samples: BTreeMap<(&'static str, Kind), Vec<Sample>>,
    idle_kib: BTreeMap<Kind, Vec<f64>>,
}

impl Figures {
    /// Adds a sample, and the server's memory before it, in KiB.
    pub fn add(&mut self, work: &Work, kind: Kind, (sample, idle_kib): (Sample, u64)) {
        self.samples.entry((work.name, kind)).or_default().push(sample);
        self.idle_kib.entry(kind).or_default().push(float(idle_kib));
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
        let middle = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
        let trip = |pick: fn((f64, f64)) -> f64| {
            let trips: Vec<_> = samples.iter().filter_map(|sample| sample.trip).map(pick).collect();
            if trips.is_empty() { String::new() } else { format!("{:.1}", median(trips)) }
        };
        let lost: u64 = samples.iter().map(|sample| sample.lost).sum();
        println!(
            "{:<32} {:<12} {:>10.0} {:>9.3} {:>8} {:>8} {:>6}  {}",
            work.name,
            kind.name(),
            middle(|sample| sample.rate),
            middle(|sample| sample.cost),
            trip(|(p50, _)| p50),
            trip(|(_, p99)| p99),
            lost,
            self.ratios(work, kind),
        );
    }

    /// A server's figure, measured by each yardstick in the same round.
    fn ratios(&self, work: &Work, kind: Kind) -> String {
        let samples = |kind| self.samples.get(&(work.name, kind)).map_or(&[][..], Vec::as_slice);
        let ratio = |yardstick: &Kind| {
            let pairs = samples(kind).iter().zip(samples(*yardstick));
            let ratio = |(own, other): (&Sample, &Sample)| match work.ratio {
                Ratio::Cost => own.cost / other.cost,
                Ratio::Rate => own.rate / other.rate,
            };
            let ratios: Vec<_> = pairs.map(ratio).collect();
            (!ratios.is_empty()).then(|| format!("{} {:.2}", yardstick.name(), median(ratios)))
        };
        let others = work.yardsticks.iter().filter(|yardstick| **yardstick != kind);
        others.filter_map(ratio).collect::<Vec<_>>().join(", ")
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
