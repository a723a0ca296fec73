//! Time as data. The core never reads a clock: a shell says what time it is.

use core::time::Duration;

/// A point in time, in nanoseconds since a start that the shell chose. Monotonic; 584 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start of time.
    pub const ZERO: Self = Self(0);

    /// The moment that lies `since_start` after the start; what does not fit becomes the end of time.
    #[must_use]
    pub fn after_start(since_start: Duration) -> Self {
        Self(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after the start this is.
    #[must_use]
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the start.
    #[must_use]
    pub fn second(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

impl core::ops::Add<Duration> for Moment {
    type Output = Self;

    /// Saturates at the end of time, so that "never" can be said as a very long duration.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_and_differences_stop_at_zero() {
        let late = Moment::ZERO + Duration::MAX;
        assert_eq!(late + Duration::from_secs(1), late);
        assert_eq!(Moment::ZERO.since(late), Duration::ZERO);
        assert_eq!((Moment::ZERO + Duration::from_millis(1500)).second(), 1);
    }
}
