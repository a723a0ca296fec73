//! Who watches which values. A change finds its watchers through the patterns' literal beginnings, so that
//! ten thousand watchers of other keys cost nothing.

use super::directory::{Directory, Slot};
use crate::limits::NAME_BYTES;
use crate::names::{Key, Pattern};

/// All patterns of all clients.
#[derive(Debug)]
pub(super) struct Watches {
    /// By what stands in front of the first `*`: who watches, and the whole pattern.
    by_prefix: Directory<Vec<(Slot, Box<str>)>>,
    /// How many prefixes of each length there are, so that only such lengths are looked up.
    lengths: [usize; NAME_BYTES + 1],
    /// The patterns of each client, in the order they came.
    by_client: Vec<Vec<Box<str>>>,
}

impl Watches {
    pub(super) fn new(seed: u64) -> Self {
        Self { by_prefix: Directory::new(seed), lengths: [0; NAME_BYTES + 1], by_client: Vec::new() }
    }

    /// Adds a pattern; `false` if the client has `limit` already. Watching twice is watching once.
    pub(super) fn watch(&mut self, client: Slot, pattern: &str, limit: usize) -> bool {
        let Some(pattern) = Pattern::parse(pattern.as_bytes()) else { return false };
        if self.by_client.len() <= client.index() {
            self.by_client.resize_with(client.index() + 1, Vec::new);
        }
        let Some(own) = self.by_client.get_mut(client.index()) else { return false };
        if own.iter().any(|other| **other == *pattern.as_str()) {
            return true;
        }
        if own.len() >= limit {
            return false;
        }
        own.push(pattern.as_str().into());
        let prefix = pattern.literal_prefix();
        let watcher = (client, pattern.as_str().into());
        if let Some(watchers) = self.by_prefix.find(prefix).and_then(|slot| self.by_prefix.get_mut(slot)) {
            watchers.push(watcher);
        } else {
            self.by_prefix.insert(prefix, vec![watcher]);
            self.count(prefix, |count| *count += 1);
        }
        true
    }

    /// Whether a client watches a pattern.
    pub(super) fn has(&self, client: Slot, pattern: Pattern<'_>) -> bool {
        let own = self.by_client.get(client.index());
        own.is_some_and(|own| own.iter().any(|other| **other == *pattern.as_str()))
    }

    /// The patterns of a client.
    pub(super) fn of(&self, client: Slot) -> impl Iterator<Item = &str> {
        self.by_client.get(client.index()).into_iter().flatten().map(|pattern| &**pattern)
    }

    /// Removes a pattern; whether it was watched.
    pub(super) fn unwatch(&mut self, client: Slot, pattern: Pattern<'_>) -> bool {
        if let Some(own) = self.by_client.get_mut(client.index()) {
            own.retain(|other| **other != *pattern.as_str());
        }
        let prefix = pattern.literal_prefix();
        let Some(slot) = self.by_prefix.find(prefix) else { return false };
        let Some(watchers) = self.by_prefix.get_mut(slot) else { return false };
        let before = watchers.len();
        watchers.retain(|(other, text)| *other != client || **text != *pattern.as_str());
        let was_watched = watchers.len() < before;
        if watchers.is_empty() {
            self.by_prefix.remove(slot);
            self.count(prefix, |count| *count -= 1);
        }
        was_watched
    }

    /// Removes all patterns of a client, and returns them.
    pub(super) fn leave(&mut self, client: Slot) -> Vec<Box<str>> {
        let own = self.by_client.get_mut(client.index()).map(core::mem::take).unwrap_or_default();
        for pattern in own.iter().filter_map(|pattern| Pattern::parse(pattern.as_bytes())) {
            self.unwatch(client, pattern);
        }
        own
    }

    /// Whether nobody watches anything.
    pub(super) fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// Collects who watches a key, each client once, in the same order in every run.
    #[inline]
    pub(super) fn watchers(&self, key: Key<'_>, out: &mut Vec<Slot>) {
        out.clear();
        let key = key.as_str();
        for (length, _) in (0..=key.len()).zip(&self.lengths).filter(|&(_, &count)| count > 0) {
            let found = key.get(..length).and_then(|prefix| self.by_prefix.find(prefix));
            let Some(watchers) = found.and_then(|slot| self.by_prefix.get(slot)) else { continue };
            let matching =
                |text: &str| Pattern::parse(text.as_bytes()).is_some_and(|pattern| pattern.matches(key));
            out.extend(watchers.iter().filter(|(_, text)| matching(text)).map(|&(client, _)| client));
        }
        out.sort_unstable();
        out.dedup();
    }

    fn count(&mut self, prefix: &str, change: impl FnOnce(&mut usize)) {
        if let Some(count) = self.lengths.get_mut(prefix.len()) {
            change(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn equals_matching_every_pattern(steps in prop::collection::vec((0..8_u8, 0..4_usize, "[ab*]{1,4}", "[ab]{1,5}"), 0..60)) {
            let mut names = Directory::new(1);
            let clients: Vec<Slot> = ["a", "b", "c", "d"].iter().map(|name| names.insert(name, ()).0).collect();
            let mut watches = Watches::new(1);
            let mut model: BTreeSet<(usize, String)> = BTreeSet::new();
            for (step, client, text, key) in steps {
                let pattern = Pattern::parse(text.as_bytes()).unwrap();
                match step {
                    0 => {
                        watches.leave(clients[client]);
                        model.retain(|(other, _)| *other != client);
                    }
                    1 | 2 => {
                        watches.unwatch(clients[client], pattern);
                        model.remove(&(client, text.clone()));
                    }
                    _ => {
                        let fits = model.contains(&(client, text.clone())) || model.iter().filter(|(c, _)| *c == client).count() < 3;
                        prop_assert_eq!(watches.watch(clients[client], pattern.as_str(), 3), fits);
                        if fits {
                            model.insert((client, text.clone()));
                        }
                    }
                }
                let mut found = Vec::new();
                watches.watchers(Key::parse(key.as_bytes()).unwrap(), &mut found);
                let expected: BTreeSet<Slot> = model
                    .iter()
                    .filter(|(_, text)| Pattern::parse(text.as_bytes()).unwrap().matches(&key))
                    .map(|&(client, _)| clients[client])
                    .collect();
                prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(watches.by_prefix.is_empty(), model.is_empty());
            }
        }
    }
}
