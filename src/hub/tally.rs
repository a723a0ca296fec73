//! How many of something each source address, or code, has, so that no one of them takes all of it.

use core::borrow::Borrow;
use core::hash::Hash;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Who owns something that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A source address.
    Source(IpAddr),
    /// A code that has a secret.
    Code(Box<str>),
}

/// Counts for those who have a secret, and for all others, who cannot take their room.
#[derive(Debug)]
pub(super) struct Owners {
    sources: Tally,
    codes: Tally<Box<str>>,
}

impl Owners {
    pub(super) fn new(seed: u64) -> Self {
        Self { sources: Tally::new(seed), codes: Tally::new(seed) }
    }

    /// Whether the owner has fewer than `each`, and all of its kind have fewer than `all`.
    pub(super) fn has_room(&self, owner: &Owner, all: usize, each: usize) -> bool {
        let (total, own) = match owner {
            Owner::Source(address) => (self.sources.total(), self.sources.get(address)),
            Owner::Code(code) => (self.codes.total(), self.codes.get(code)),
        };
        total < all && own < each
    }

    /// Counts one more.
    pub(super) fn add(&mut self, owner: &Owner) {
        match owner {
            Owner::Source(address) => self.sources.add(*address, usize::MAX),
            Owner::Code(code) => self.codes.add(code.clone(), usize::MAX),
        };
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, owner: &Owner) {
        match owner {
            Owner::Source(address) => self.sources.remove(address),
            Owner::Code(code) => self.codes.remove(code),
        }
    }
}

#[cfg(test)]
impl Owners {
    /// How many all source addresses have together.
    pub(super) fn sources(&self) -> usize {
        self.sources.total()
    }
}

/// A count for each owner that has any.
#[derive(Debug)]
pub(super) struct Tally<K = IpAddr> {
    counts: HashMap<K, usize, FixedState>,
    total: usize,
}

impl<K: Eq + Hash> Tally<K> {
    pub(super) fn new(seed: u64) -> Self {
        Self { counts: HashMap::with_hasher(FixedState::with_seed(seed)), total: 0 }
    }

    /// Counts one more, unless the owner has `limit` already; says whether it did.
    pub(super) fn add(&mut self, owner: K, limit: usize) -> bool {
        let count = self.counts.entry(owner).or_insert(0);
        if *count >= limit {
            return false;
        }
        *count += 1;
        self.total += 1;
        true
    }

    /// How many an owner has.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, owner: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.counts.get(owner).copied().unwrap_or_default()
    }

    /// Counts one less.
    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, owner: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(count) = self.counts.get_mut(owner) {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.counts.remove(owner);
            }
        }
    }

    /// All counts together.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}
