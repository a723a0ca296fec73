//! How many of something each source address has, so that no one address takes all of it.

use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A count for each address that has any.
#[derive(Debug)]
pub(super) struct Tally(HashMap<IpAddr, usize, FixedState>);

impl Tally {
    pub(super) fn new(seed: u64) -> Self {
        Self(HashMap::with_hasher(FixedState::with_seed(seed)))
    }

    /// Counts one more, unless the address has `limit` already; says whether it did.
    pub(super) fn add(&mut self, address: IpAddr, limit: usize) -> bool {
        let count = self.0.entry(address).or_insert(0);
        if *count >= limit {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.0.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&address);
            }
        }
    }

    /// All counts together.
    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        self.0.values().sum()
    }
}
