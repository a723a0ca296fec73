//! How many of something each source address has, so that no one address takes all of it.

use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A count for each address that has any.
#[derive(Debug)]
pub(super) struct Tally {
    counts: HashMap<IpAddr, usize, FixedState>,
    total: usize,
}

impl Tally {
    pub(super) fn new(seed: u64) -> Self {
        Self { counts: HashMap::with_hasher(FixedState::with_seed(seed)), total: 0 }
    }

    /// Counts one more, unless the address has `limit` already; says whether it did.
    pub(super) fn add(&mut self, address: IpAddr, limit: usize) -> bool {
        let count = self.counts.entry(address).or_insert(0);
        if *count >= limit {
            return false;
        }
        *count += 1;
        self.total += 1;
        true
    }

    /// How many an address has.
    pub(super) fn get(&self, address: IpAddr) -> usize {
        self.counts.get(&address).copied().unwrap_or_default()
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }

    /// All counts together.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}
