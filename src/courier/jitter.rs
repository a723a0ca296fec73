//! The pauses before a line is sent again, and what spreads those of many clients.

use core::time::Duration;

/// The first pause before a line is sent again over UDP; each further one is twice as long.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause before a line is sent again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How long an answer is waited for at least over a stream: nothing but the hub's death loses a line there.
pub(super) const STREAM_PAUSE: Duration = Duration::from_secs(2);

/// A small generator (`SplitMix64`) that spreads pauses; nothing secret depends on it.
#[derive(Debug)]
pub(super) struct Jitter(pub(super) u64);

impl Jitter {
    /// A number from 0 up to 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}
