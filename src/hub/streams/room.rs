//! Room for connections: how many there are in all and from one address, and who must go where there is none left.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::super::Hub;
use super::super::actions::{Actions, Conn};
use crate::limits::SILENT_TIME;
use crate::moment::Moment;

/// Some of the connections, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    all: BTreeSet<(Moment, Conn)>,
    by_source: BTreeSet<(IpAddr, Moment, Conn)>,
}

impl Queue {
    pub(super) fn insert(&mut self, conn: Conn, source: IpAddr, opened: Moment) {
        self.all.insert((opened, conn));
        self.by_source.insert((source, opened, conn));
    }

    pub(super) fn remove(&mut self, conn: Conn, source: IpAddr, opened: Moment) {
        self.all.remove(&(opened, conn));
        self.by_source.remove(&(source, opened, conn));
    }

    /// The oldest, in all or of one source.
    fn oldest(&self, source: Option<IpAddr>) -> Option<(Moment, Conn)> {
        let Some(source) = source else { return self.all.first().copied() };
        let first = self.by_source.range((source, Moment::ZERO, Conn(0))..).next();
        first.filter(|&&(other, ..)| other == source).map(|&(_, opened, conn)| (opened, conn))
    }
}

impl Hub {
    /// Whether there is room for one more connection from a source. If there is none, another must make some, so that
    /// connections that are only held open keep nobody out: the oldest that has never completed a line, or, where every
    /// client needs a secret, the oldest on which none was proved.
    pub(super) fn has_room(&mut self, now: Moment, source: IpAddr, out: &mut Actions) -> bool {
        let is_full = self.streams.addresses.get(&source) >= self.settings.tcp_connections_per_address;
        if is_full && !self.displace(now, Some(source), out) {
            return false;
        }
        self.streams.len() < self.settings.tcp_connections || self.displace(now, None, out)
    }

    fn displace(&mut self, now: Moment, source: Option<IpAddr>, out: &mut Actions) -> bool {
        let oldest = if self.settings.keys_required {
            self.streams.unproved.oldest(source)
        } else {
            let silent = self.streams.silent.oldest(source);
            silent.filter(|&(opened, _)| now.since(opened) >= SILENT_TIME)
        };
        if let Some((_, conn)) = oldest {
            self.hang_up(now, conn, "made room for another", out);
        }
        oldest.is_some()
    }
}
