//! When the operator is told that the kernel has dropped datagrams: not more than once a minute.

use std::time::Duration;

use tokio::time::Instant;

const TOLD_EVERY: Duration = Duration::from_mins(1);

/// What the operator was told last.
#[derive(Debug)]
pub(super) struct Drops {
    told: u64,
    /// When there may be news for the operator again.
    next: Instant,
}

impl Drops {
    /// Nothing was dropped yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { told: 0, next: now }
    }

    /// How many have been dropped since the operator was told last, if that is to be told now.
    pub(super) fn news(&mut self, now: Instant, dropped: u64) -> Option<u64> {
        let more = dropped.saturating_sub(self.told);
        if more == 0 || now < self.next {
            return None;
        }
        (self.told, self.next) = (dropped, now + TOLD_EVERY);
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time is as good as another")]
    fn drops_are_told_at_once_and_then_once_a_minute() {
        let start = Instant::now();
        let mut drops = Drops::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(drops.news(at(0), 0), None);
        assert_eq!(drops.news(at(1), 5), Some(5));
        assert_eq!(drops.news(at(60), 9), None);
        assert_eq!(drops.news(at(61), 9), Some(4));
        assert_eq!(drops.news(at(200), 9), None);
    }
}
