//! Room for connections: how many there are in all and from one address, and who must go where there is none left.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::super::Hub;
use super::super::actions::{Actions, Conn};
use crate::limits::SILENT_TIME;
use crate::moment::Moment;

/// The connections that have never completed a line, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Silent {
    all: BTreeSet<(Moment, Conn)>,
    by_address: BTreeSet<(IpAddr, Moment, Conn)>,
}

impl Silent {
    pub(super) fn insert(&mut self, conn: Conn, from: IpAddr, opened: Moment) {
        self.all.insert((opened, conn));
        self.by_address.insert((from, opened, conn));
    }

    pub(super) fn remove(&mut self, conn: Conn, from: IpAddr, opened: Moment) {
        self.all.remove(&(opened, conn));
        self.by_address.remove(&(from, opened, conn));
    }

    /// The oldest, in all or of one address.
    fn oldest(&self, from: Option<IpAddr>) -> Option<(Moment, Conn)> {
        let Some(from) = from else { return self.all.first().copied() };
        let first = self.by_address.range((from, Moment::ZERO, Conn(0))..).next();
        first.filter(|&&(address, ..)| address == from).map(|&(_, opened, conn)| (opened, conn))
    }
}

impl Hub {
    /// Whether there is room for one more connection from an address. If there is none, the oldest that has never
    /// completed a line makes some, so that connections that are only held open keep nobody out.
    pub(super) fn has_room(&mut self, now: Moment, from: IpAddr, out: &mut Actions) -> bool {
        let is_full = self.streams.addresses.get(from) >= self.settings.tcp_connections_per_address;
        if is_full && !self.displace(now, Some(from), out) {
            return false;
        }
        self.streams.len() < self.settings.tcp_connections || self.displace(now, None, out)
    }

    fn displace(&mut self, now: Moment, from: Option<IpAddr>, out: &mut Actions) -> bool {
        let oldest = self.streams.silent.oldest(from).filter(|&(opened, _)| now.since(opened) >= SILENT_TIME);
        if let Some((_, conn)) = oldest {
            self.hang_up(now, conn, "made room for another", out);
        }
        oldest.is_some()
    }
}
