//! Ends loops with another server that answers whatever comes: each sends back what the other sent, for ever.
//!
//! The limit on texts a second ends a fast loop; this ends one that a slow network keeps below it. A loop sends the same
//! text again and again, each as soon as the last was answered, and one text that is not answered ends it.

use core::hash::BuildHasher;
use core::net::SocketAddr;

use foldhash::fast::FixedState;

use crate::limits::{LOOP_PAUSE, LOOP_TEXTS, LOOPS};
use crate::moment::Moment;

/// What one peer has sent again and again.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// The hash of peer and text.
    which: u64,
    last: Moment,
    times: u32,
    /// How many more of these than of others came here; at 0 another takes the place (the majority vote of Boyer and
    /// Moore), so that passers-by do not make it forget.
    votes: u32,
}

/// The texts that are watched, each at the one place that its hash names.
#[derive(Debug)]
pub(super) struct Loops {
    rows: Vec<Row>,
    hasher: FixedState,
}

impl Loops {
    pub(super) fn new(seed: u64) -> Self {
        Self { rows: Vec::new(), hasher: FixedState::with_seed(seed) }
    }

    /// Notes a text; `true` for every [`LOOP_TEXTS`]th of the same texts from one peer without a pause between them.
    pub(super) fn goes_round(&mut self, now: Moment, from: SocketAddr, text: &[u8]) -> bool {
        let which = self.hasher.hash_one((from, text));
        if self.rows.is_empty() {
            self.rows = vec![Row::default(); LOOPS];
        }
        let at = usize::try_from(which % LOOPS as u64).unwrap_or_default();
        let Some(row) = self.rows.get_mut(at) else { return false };
        if row.which != which {
            row.votes = row.votes.saturating_sub(1);
            if row.votes == 0 {
                *row = Row { which, last: now, times: 1, votes: 1 };
            }
            return false;
        }
        let goes_on = now.since(row.last) <= LOOP_PAUSE;
        let times = if goes_on { row.times + 1 } else { 1 };
        let is_enough = times >= LOOP_TEXTS;
        let votes = (row.votes + 1).min(LOOP_TEXTS);
        *row = Row { which, last: now, times: if is_enough { 0 } else { times }, votes };
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::new([192, 168, 0, 9].into(), port)
    }

    #[test]
    fn the_same_text_in_a_row_is_noticed_each_so_many_times() {
        let mut loops = Loops::new(1);
        let mut round = |times, ms| {
            let now = |n| Moment::ZERO + Duration::from_millis(n * ms);
            (1..=times).filter(|&n| loops.goes_round(now(n), peer(7), b"hello")).collect::<Vec<_>>()
        };
        let bound = u64::from(LOOP_TEXTS);
        assert_eq!(round(2 * bound, 20), [bound, 2 * bound]);
        assert_eq!(
            round(10 * bound, 1001),
            [0_u64; 0],
            "a program that sends it now and then is always answered"
        );
    }

    #[test]
    fn other_texts_and_other_peers_do_not_count_and_passers_by_do_not_help() {
        let mut loops = Loops::new(1);
        let mut noticed = 0;
        for n in 0..10 * LOOP_TEXTS {
            assert!(!loops.goes_round(Moment::ZERO, peer(8), &n.to_be_bytes()));
            // Each of these comes to some place, and to that of the loop now and then.
            let stranger = peer(u16::try_from(n % 60_000).unwrap() + 1000);
            assert!(!loops.goes_round(Moment::ZERO, stranger, b"hello"));
            noticed += u32::from(loops.goes_round(Moment::ZERO, peer(7), b"hello"));
        }
        assert!(noticed >= 9, "{noticed}");
    }
}
