//! The values: text under a key, a counter if it is a whole number (protocol, section 5).

use core::net::IpAddr;

use super::change::Change;
use super::directory::{Directory, Slot};
use super::tally::Tally;
use crate::limits::{KEPT_ACTIONS, MESSAGE_BYTES};
use crate::names::Key;
use crate::wire::{ErrorName, Refusal};

/// What a value costs beside its key and text, in bytes, against `limits.value_bytes`.
const OVERHEAD_BYTES: usize = 64;

/// Most bytes that a counter's digits take.
const NUMBER_BYTES: usize = 20;

/// Bounds on what is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Values in all.
    pub(super) values: usize,
    /// Keys, texts and overhead in all, in bytes.
    pub(super) bytes: usize,
    /// Values that one source address may bring into being.
    pub(super) per_address: usize,
}

#[derive(Debug)]
enum Content {
    /// A whole number in its shortest form.
    Number(i64),
    /// Anything else.
    Text(Vec<u8>),
}

impl Content {
    /// Texts that a counter would print just so are kept as counters.
    fn of(text: &[u8]) -> Self {
        let number = str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        match number {
            Some(number) if itoa::Buffer::new().format(number).as_bytes() == text => Self::Number(number),
            Some(_) | None => Self::Text(text.to_vec()),
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) if crate::names::is_whole_number(text) => {
                str::from_utf8(text).ok()?.parse().ok()
            }
            Self::Text(_) => None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Text(text) => out.extend_from_slice(text),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Number(_) => NUMBER_BYTES,
            Self::Text(text) => text.len(),
        }
    }
}

#[derive(Debug)]
struct Value {
    content: Content,
    /// Whom it counts against.
    maker: IpAddr,
    /// Whether it has changed since it was last kept.
    changed: bool,
}

/// All values.
#[derive(Debug)]
pub(super) struct Values {
    directory: Directory<Value>,
    makers: Tally,
    bytes: usize,
    /// Where values have changed since they were last kept; some of these may be gone, or others by now.
    changed: Vec<Slot>,
    /// Room for the text of one of them.
    text: Vec<u8>,
}

impl Values {
    pub(super) fn new(seed: u64) -> Self {
        let (directory, makers) = (Directory::new(seed), Tally::new(seed));
        Self { directory, makers, bytes: 0, changed: Vec::new(), text: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.directory.len()
    }

    /// What counts against `limits.value_bytes`.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the value; `no-such-key` if there is none.
    pub(super) fn get(&self, key: Key<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let slot = self.directory.find(key.as_str()).ok_or(NO_SUCH_KEY)?;
        self.write(slot, out);
        Ok(())
    }

    /// Notes that a value is to be kept as it will be when the next batch leaves.
    pub(super) fn note_changed(&mut self, slot: Slot) {
        let value = self.directory.get_mut(slot);
        if value.is_some_and(|value| !core::mem::replace(&mut value.changed, true)) {
            self.changed.push(slot);
        }
    }

    /// Hands over what has changed, each value once, as it is now.
    pub(super) fn take_changed(&mut self, mut keep: impl FnMut(&Change<'_>)) {
        let Self { directory, changed, text, .. } = self;
        for slot in changed.drain(..) {
            let Some(value) = directory.get_mut(slot).filter(|value| value.changed) else { continue };
            value.changed = false;
            let maker = value.maker;
            text.clear();
            value.content.write(text);
            if let Some(key) = directory.name(slot) {
                keep(&Change::Value { key, text, maker });
            }
        }
        changed.shrink_to(KEPT_ACTIONS);
        text.shrink_to(MESSAGE_BYTES);
    }

    /// Appends the value in a slot.
    pub(super) fn write(&self, slot: Slot, out: &mut Vec<u8>) {
        if let Some(value) = self.directory.get(slot) {
            value.content.write(out);
        }
    }

    /// Sets a value, and says where it lies; `full` at a bound.
    pub(super) fn set(
        &mut self,
        key: Key<'_>,
        text: &[u8],
        by: IpAddr,
        bounds: Bounds,
    ) -> Result<Slot, Refusal> {
        self.put(key, Content::of(text), by, bounds)
    }

    /// Adds to a counter; where it lies, and the sum. A missing one counts as 0.
    pub(super) fn add(
        &mut self,
        key: Key<'_>,
        n: i64,
        by: IpAddr,
        bounds: Bounds,
    ) -> Result<(Slot, i64), Refusal> {
        self.count(key, by, bounds, |old| old.checked_add(n))
    }

    /// Takes from a counter; where it lies, and the rest. A missing one counts as 0.
    pub(super) fn take(
        &mut self,
        key: Key<'_>,
        n: i64,
        by: IpAddr,
        bounds: Bounds,
    ) -> Result<(Slot, i64), Refusal> {
        self.count(key, by, bounds, |old| old.checked_sub(n))
    }

    /// Restores a value, whatever the bounds are now.
    pub(super) fn restore(&mut self, key: Key<'_>, text: &[u8], maker: IpAddr) {
        let bounds = Bounds { values: usize::MAX, bytes: usize::MAX, per_address: usize::MAX };
        // Without bounds nothing is refused.
        let _ = self.set(key, text, maker, bounds);
    }

    /// Deletes a value; `no-such-key` if there is none.
    pub(super) fn delete(&mut self, key: Key<'_>) -> Result<(), Refusal> {
        let slot = self.directory.find(key.as_str()).ok_or(NO_SUCH_KEY)?;
        if let Some((name, value)) = self.directory.remove(slot) {
            self.bytes -= name.len() + value.content.cost() + OVERHEAD_BYTES;
            self.makers.remove(&value.maker);
        }
        Ok(())
    }

    /// How long a value's text is, in bytes; for a counter, at most.
    pub(super) fn length(&self, slot: Slot) -> usize {
        self.directory.get(slot).map_or(0, |value| value.content.cost())
    }

    /// Keys that begin so and sort behind `after`, in their order, each with its slot.
    pub(super) fn beginning_with<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (Slot, &'a str)> {
        let exact = self.directory.find(prefix).filter(|_| after.is_none_or(|after| after < prefix));
        let exact = exact.and_then(|slot| Some((slot, self.directory.name(slot)?)));
        let longer = self.directory.after(after.max(Some(prefix))).map(|(slot, key, _)| (slot, key));
        exact.into_iter().chain(longer.take_while(move |(_, key)| key.starts_with(prefix)))
    }

    fn count(
        &mut self,
        key: Key<'_>,
        by: IpAddr,
        bounds: Bounds,
        change: impl FnOnce(i64) -> Option<i64>,
    ) -> Result<(Slot, i64), Refusal> {
        let found = self.directory.find(key.as_str());
        let value = found.and_then(|slot| Some((slot, self.directory.get_mut(slot)?)));
        let old = value.as_ref().map_or(Some(0), |(_, value)| value.content.number()).ok_or(NOT_A_NUMBER)?;
        let new = change(old).ok_or(OVERFLOW)?;
        if let Some((slot, Value { content: Content::Number(number), .. })) = value {
            *number = new;
            return Ok((slot, new));
        }
        Ok((self.put(key, Content::Number(new), by, bounds)?, new))
    }

    fn put(&mut self, key: Key<'_>, content: Content, by: IpAddr, bounds: Bounds) -> Result<Slot, Refusal> {
        if let Some(slot) = self.directory.find(key.as_str()) {
            let Some(value) = self.directory.get_mut(slot) else { return Err(NO_SUCH_KEY) };
            let (old, new) = (value.content.cost(), content.cost());
            if new > old && self.bytes - old + new > bounds.bytes {
                return Err(BYTES_FULL);
            }
            self.bytes = self.bytes - old + new;
            value.content = content;
            return Ok(slot);
        }
        let cost = key.as_str().len() + content.cost() + OVERHEAD_BYTES;
        if self.directory.len() >= bounds.values {
            return Err(VALUES_FULL);
        }
        if self.bytes + cost > bounds.bytes {
            return Err(BYTES_FULL);
        }
        if !self.makers.add(by, bounds.per_address) {
            return Err(PER_ADDRESS_FULL);
        }
        self.bytes += cost;
        let (slot, _) = self.directory.insert(key.as_str(), Value { content, maker: by, changed: false });
        Ok(slot)
    }
}

const NO_SUCH_KEY: Refusal = Refusal::new(ErrorName::NoSuchKey, "nothing is stored under this key");
const NOT_A_NUMBER: Refusal =
    Refusal::new(ErrorName::NotANumber, "this value is no whole number, SET it first");
const OVERFLOW: Refusal = Refusal::new(ErrorName::Overflow, "the sum would leave the range of 64 bits");
const VALUES_FULL: Refusal = Refusal::new(ErrorName::Full, "no more values fit, DEL some (limits.values)");
const BYTES_FULL: Refusal = Refusal::new(ErrorName::Full, "no more text fits, DEL some (limits.value_bytes)");
const PER_ADDRESS_FULL: Refusal =
    Refusal::new(ErrorName::Full, "your address has made too many values (limits.per_client_values)");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    const ANN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const WIDE: Bounds = Bounds { values: 1000, bytes: 1 << 20, per_address: 1000 };

    fn key(name: &str) -> Key<'_> {
        Key::parse(name.as_bytes()).unwrap()
    }

    fn get(values: &Values, name: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        values.get(key(name), &mut out).ok().map(|()| out)
    }

    #[test]
    fn text_is_kept_to_the_byte_even_if_it_could_be_a_number() {
        let mut values = Values::new(1);
        for text in ["007", "-0", "+5", "5", " 5", "9223372036854775808", ""] {
            values.set(key("a"), text.as_bytes(), ANN, WIDE).unwrap();
            assert_eq!(get(&values, "a").unwrap(), text.as_bytes());
        }
        values.set(key("a"), b"007", ANN, WIDE).unwrap();
        assert_eq!(values.add(key("a"), 1, ANN, WIDE).map(|(_, sum)| sum), Ok(8));
    }

    #[test]
    fn bounds_refuse_at_their_edge_and_free_again() {
        let bounds = Bounds { values: 3, bytes: 400, per_address: 2 };
        let mut values = Values::new(1);
        values.set(key("a"), b"x", ANN, bounds).unwrap();
        values.set(key("b"), b"x", ANN, bounds).unwrap();
        assert_eq!(values.set(key("c"), b"x", ANN, bounds), Err(PER_ADDRESS_FULL));
        values.set(key("c"), b"x", BOB, bounds).unwrap();
        assert_eq!(values.set(key("d"), b"x", BOB, bounds), Err(VALUES_FULL));
        assert_eq!(values.bytes(), 3 * (1 + 1 + OVERHEAD_BYTES));
        let room = 400 - values.bytes();
        assert_eq!(values.set(key("a"), &vec![b'x'; room + 2], BOB, bounds), Err(BYTES_FULL));
        values.set(key("a"), &vec![b'x'; room + 1], BOB, bounds).unwrap();
        assert_eq!(values.bytes(), 400);
        for name in ["a", "b", "c"] {
            values.delete(key(name)).unwrap();
        }
        assert_eq!((values.bytes(), values.len(), values.makers.total()), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn equals_a_map_of_texts(steps in prop::collection::vec((0..4_u8, "[a-c]{1,2}", "[0-9]{1,3}|[a-z]{0,3}", -5..5_i64), 0..100)) {
            let mut model: BTreeMap<String, String> = BTreeMap::new();
            let mut values = Values::new(1);
            for (step, name, text, n) in steps {
                match step {
                    0 => {
                        values.set(key(&name), text.as_bytes(), ANN, WIDE).unwrap();
                        model.insert(name.clone(), text);
                    }
                    1 => prop_assert_eq!(values.delete(key(&name)).is_ok(), model.remove(&name).is_some()),
                    _ => {
                        let old = model.get(&name).map_or(Some(0), |text| text.parse::<i64>().ok());
                        let change = if step == 2 { n } else { -n };
                        let sum = if step == 2 { values.add(key(&name), n, ANN, WIDE) } else { values.take(key(&name), n, ANN, WIDE) };
                        prop_assert_eq!(sum.ok().map(|(_, sum)| sum), old.map(|old| old + change));
                        if let Some(old) = old {
                            model.insert(name.clone(), (old + change).to_string());
                        }
                    }
                }
                prop_assert_eq!(get(&values, &name), model.get(&name).map(|text| text.clone().into_bytes()));
                prop_assert_eq!(values.len(), model.len());
                prop_assert_eq!(values.makers.total(), model.len());
            }
        }
    }
}
