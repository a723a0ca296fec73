//! Latencies in fixed memory, exact to about one part in 64.

use std::time::Duration;

/// Steps between one power of two and the next.
const STEPS: u64 = 64;
/// Enough for every number of nanoseconds in 64 bits.
const BUCKETS: usize = 64 * 60;

/// How often each latency was seen, on a scale that is finer for short ones (as `HdrHistogram` has it).
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    min: Duration,
    max: Duration,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, min: Duration::MAX, max: Duration::ZERO }
    }

    pub(super) fn add(&mut self, latency: Duration, times: u64) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos)) {
            *bucket += times;
        }
        self.count += times;
        self.min = self.min.min(latency);
        self.max = self.max.max(latency);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The least that was seen; zero if nothing was.
    pub(super) fn min(&self) -> Duration {
        if self.count == 0 { Duration::ZERO } else { self.min }
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// What this share of all (0 to 1) did not exceed; zero if nothing was seen.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a rank in a count of latencies needs no more digits")]
        let wanted = share * self.count as f64;
        let mut seen = 0_u64;
        for (bucket, times) in self.buckets.iter().enumerate() {
            seen += times;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let enough = *times > 0 && seen as f64 >= wanted;
            if enough {
                return Duration::from_nanos(highest_of(bucket)).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// Numbers below 64 have a bucket each; above, each power of two has 64.
fn bucket_of(nanos: u64) -> usize {
    let power = nanos.max(1).ilog2().saturating_sub(STEPS.ilog2());
    usize::try_from(u64::from(power) * STEPS + (nanos >> power)).unwrap_or(usize::MAX)
}

/// The largest number in a bucket.
fn highest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let power = (bucket / STEPS).saturating_sub(1);
    let step = bucket - power * STEPS;
    ((step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let mut histogram = Histogram::new();
        for millis in 1..=100 {
            histogram.add(Duration::from_millis(millis), 1);
        }
        for (share, millis) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1000.0;
            assert!((found / millis - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!(
            (histogram.min(), histogram.max()),
            (Duration::from_millis(1), Duration::from_millis(100))
        );
    }

    #[test]
    fn nothing_seen_is_zero() {
        let histogram = Histogram::new();
        assert_eq!((histogram.min(), histogram.quantile(0.5), histogram.max()), Default::default());
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_number_to_one_part_in_64(nanos in 0..u64::MAX / 2) {
            let bucket = bucket_of(nanos);
            prop_assert!(bucket < BUCKETS);
            let highest = highest_of(bucket);
            prop_assert!(highest >= nanos && highest - nanos <= nanos / 64, "{nanos} in {bucket}: {highest}");
            prop_assert!(bucket_of(highest) == bucket);
        }
    }
}
