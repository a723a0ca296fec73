//! Things with a name: found by it in one step, and listed in its order.
//!
//! A slab holds the entries, a hash index of 4-byte numbers finds them, and a vector of the same numbers keeps
//! them sorted, so that a name is stored once and no hash map is ever iterated.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Where an entry lies, as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u32);

impl Slot {
    /// The slot as an index into a vector kept beside the directory.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
struct Entry<T> {
    name: Box<str>,
    value: T,
}

/// A map from name to `T`, sorted by the bytes of the name.
#[derive(Debug)]
pub(super) struct Directory<T> {
    entries: Vec<Option<Entry<T>>>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
    sorted: Vec<Slot>,
    hasher: FixedState,
}

impl<T> Directory<T> {
    /// An empty directory; the seed keeps strangers from choosing names that collide.
    pub(super) fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { entries: Vec::new(), free: Vec::new(), index: HashTable::new(), sorted: Vec::new(), hasher }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Finds an entry.
    pub(super) fn find(&self, name: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |&slot| self.name(slot) == Some(name)).copied()
    }

    /// The name of an entry.
    pub(super) fn name(&self, slot: Slot) -> Option<&str> {
        self.entry(slot).map(|entry| &*entry.name)
    }

    /// The value of an entry.
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.entry(slot).map(|entry| &entry.value)
    }

    /// The value of an entry, to change.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entries.get_mut(slot.index())?.as_mut().map(|entry| &mut entry.value)
    }

    /// Adds an entry, or replaces its value and returns the old one.
    pub(super) fn insert(&mut self, name: &str, value: T) -> (Slot, Option<T>) {
        if let Some(slot) = self.find(name)
            && let Some(old) = self.get_mut(slot)
        {
            return (slot, Some(core::mem::replace(old, value)));
        }
        let place = self.position(name);
        let entry = Some(Entry { name: name.into(), value });
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(free) = self.entries.get_mut(slot.index()) {
                *free = entry;
            }
            slot
        } else {
            // Callers bound what they store far below 2^32.
            let slot = Slot(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
            self.entries.push(entry);
            slot
        };
        self.sorted.insert(place, slot);
        let (entries, hasher) = (&self.entries, &self.hasher);
        let rehash = |slot: &Slot| {
            let name = entries.get(slot.index()).and_then(Option::as_ref).map_or("", |entry| &*entry.name);
            hasher.hash_one(name)
        };
        self.index.insert_unique(hasher.hash_one(name), slot, rehash);
        (slot, None)
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<(Box<str>, T)> {
        let name = self.name(slot)?;
        let hash = self.hasher.hash_one(name);
        let place = self.position(name);
        self.sorted.remove(place);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        let entry = self.entries.get_mut(slot.index())?.take()?;
        self.free.push(slot);
        Some((entry.name, entry.value))
    }

    /// All entries in the order of their names, from the first that sorts behind `after`.
    pub(super) fn after<'a>(&'a self, after: Option<&str>) -> impl Iterator<Item = (Slot, &'a str, &'a T)> {
        let from = after.map_or(0, |after| {
            self.sorted.partition_point(|&slot| self.name(slot).is_some_and(|name| name <= after))
        });
        let slots = self.sorted.get(from..).unwrap_or_default();
        slots.iter().filter_map(|&slot| self.entry(slot).map(|entry| (slot, &*entry.name, &entry.value)))
    }

    /// All entries in the order they lie in memory: the same in every run, and the fastest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..)
            .zip(&self.entries)
            .filter_map(|(at, entry)| entry.as_ref().map(|entry| (Slot(at), &entry.value)))
    }

    /// Where all entries lie, in that order.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.iter().map(|(slot, _)| slot).collect()
    }

    fn entry(&self, slot: Slot) -> Option<&Entry<T>> {
        self.entries.get(slot.index())?.as_ref()
    }

    /// Where in the sorted order a name stands or would stand.
    fn position(&self, name: &str) -> usize {
        self.sorted.partition_point(|&slot| self.name(slot).is_some_and(|other| other < name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn equals_a_sorted_map(steps in prop::collection::vec((any::<bool>(), "[a-c]{1,3}", any::<u8>()), 0..200)) {
            let mut model = BTreeMap::new();
            let mut directory = Directory::new(7);
            for (insert, name, value) in steps {
                if insert {
                    prop_assert_eq!(directory.insert(&name, value).1, model.insert(name.clone(), value));
                } else {
                    let removed = directory.find(&name).and_then(|slot| directory.remove(slot));
                    prop_assert_eq!(removed.map(|(_, value)| value), model.remove(&name));
                }
                prop_assert_eq!(directory.len(), model.len());
                let listed: Vec<_> = directory.after(None).map(|(_, name, value)| (name.to_owned(), *value)).collect();
                prop_assert_eq!(listed, model.clone().into_iter().collect::<Vec<_>>());
                let after: Vec<_> = directory.after(Some(&name)).map(|(_, name, _)| name.to_owned()).collect();
                let expected: Vec<_> = model.keys().filter(|key| **key > name).cloned().collect();
                prop_assert_eq!(after, expected);
                prop_assert_eq!(directory.iter().count(), model.len());
            }
        }
    }
}
