//! What each source address has done lately, in a table of fixed size.
//!
//! It is laid out like a processor's cache: an address has its few places in one row, and a newcomer to a full row takes
//! the place of whoever was silent longest, of those who were seen in one second only before all others. So a flood from
//! forged addresses cannot lock anybody out, and pushes out its own before those who come again and again.

use core::hash::BuildHasher;
use core::net::IpAddr;

use foldhash::fast::FixedState;

use super::SOURCE_IDLE;
use crate::limits::{SOURCE_ROW, SOURCES};
use crate::moment::Moment;

/// One address.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Source {
    address: IpAddr,
    /// When it was last looked for.
    seen: Moment,
    /// Whether that was in more than one second.
    is_known: bool,
    /// The second of the counters that follow.
    second: u64,
    pub(super) texts: u32,
    /// JOINs that were looked at though it had asked too often.
    pub(super) joins: u32,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Whether it was proved that somebody who knows a secret is there.
    pub(super) proved: bool,
    /// Whether it was told that too much was sent to it.
    pub(super) told_budget: bool,
    /// Whether it was told that it asks too often.
    pub(super) told_rate: bool,
    /// Up to when what it has asked by datagrams fills its rate.
    pub(super) datagrams: Moment,
    /// The same of streams.
    pub(super) streams: Moment,
}

impl Source {
    fn new(now: Moment, address: IpAddr) -> Self {
        Self {
            address,
            seen: now,
            is_known: false,
            second: now.second(),
            texts: 0,
            joins: 0,
            bytes_in: 0,
            bytes_out: 0,
            proved: false,
            told_budget: false,
            told_rate: false,
            datagrams: Moment::ZERO,
            streams: Moment::ZERO,
        }
    }

    /// Begins a new second, if one has begun.
    fn see(&mut self, now: Moment) {
        self.seen = now;
        if self.second != now.second() {
            let (datagrams, streams) = (self.datagrams, self.streams);
            *self = Self { is_known: true, datagrams, streams, ..Self::new(now, self.address) };
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sources {
    rows: Vec<Vec<Source>>,
    hasher: FixedState,
    /// The last second in which some rows were looked through for those who are silent.
    swept: u64,
    /// The row to begin with next time.
    next: usize,
    /// Stands in where there is none; never used.
    nobody: Source,
}

const ROWS: usize = SOURCES / SOURCE_ROW;

/// Rows that are looked through in each second: all of them within half a minute.
const ROWS_A_SECOND: usize = ROWS / 32;

impl Sources {
    pub(super) fn new(seed: u64) -> Self {
        let nobody = Source::new(Moment::ZERO, IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED));
        Self { rows: vec![Vec::new(); ROWS], hasher: FixedState::with_seed(seed), swept: 0, next: 0, nobody }
    }

    /// An address that is in the table.
    pub(super) fn find(&mut self, now: Moment, address: IpAddr) -> Option<&mut Source> {
        let row = Self::row(&mut self.rows, &self.hasher, address)?;
        let source = row.iter_mut().find(|source| source.address == address)?;
        source.see(now);
        Some(source)
    }

    /// An address, put into the table if it is not there.
    pub(super) fn find_or_add(&mut self, now: Moment, address: IpAddr) -> &mut Source {
        if self.swept != now.second() {
            self.sweep(now);
        }
        let Some(row) = Self::row(&mut self.rows, &self.hasher, address) else { return &mut self.nobody };
        let at = row.iter().position(|source| source.address == address).unwrap_or_else(|| {
            if row.len() < SOURCE_ROW {
                row.push(Source::new(now, address));
                return row.len() - 1;
            }
            let oldest = row.iter().enumerate().min_by_key(|(_, source)| (source.is_known, source.seen));
            let at = oldest.map_or(0, |(at, _)| at);
            if let Some(place) = row.get_mut(at) {
                *place = Source::new(now, address);
            }
            at
        });
        let Some(source) = row.get_mut(at) else { return &mut self.nobody };
        source.see(now);
        source
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    fn row<'a>(
        rows: &'a mut [Vec<Source>],
        hasher: &FixedState,
        address: IpAddr,
    ) -> Option<&'a mut Vec<Source>> {
        let hash = usize::try_from(hasher.hash_one(address) % ROWS as u64).ok()?;
        rows.get_mut(hash)
    }

    /// Forgets those who are silent, in some of the rows.
    fn sweep(&mut self, now: Moment) {
        self.swept = now.second();
        let rows = self.rows.iter_mut().skip(self.next).take(ROWS_A_SECOND);
        for row in rows.filter(|row| !row.is_empty()) {
            row.retain(|source| now.since(source.seen) < SOURCE_IDLE);
            row.shrink_to_fit();
        }
        self.next = (self.next + ROWS_A_SECOND) % ROWS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use core::time::Duration;

    #[test]
    fn newcomers_push_out_each_other_and_not_those_who_come_again() {
        let mut sources = Sources::new(1);
        let second = |n| Moment::ZERO + Duration::from_secs(n);
        let (regular, once) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
        sources.find_or_add(second(0), regular);
        sources.find_or_add(second(1), regular);
        sources.find_or_add(second(1), once);
        for n in 0..20 * u32::try_from(SOURCES).unwrap() {
            sources.find_or_add(second(2), Ipv4Addr::from_bits(0x5000_0000 + n).into());
        }
        assert_eq!(sources.len(), SOURCES);
        assert!(sources.find(second(2), regular).is_some());
        assert!(sources.find(second(2), once).is_none());
    }
}
