//! Whom the hub answers, and how much (protocol, section 2).

use core::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::actions::Via;
use super::settings::{Networks, Settings};
use crate::limits::{AMPLIFICATION_BYTES, AMPLIFICATION_FACTOR, SOURCES};
use crate::moment::Moment;

/// What one address has done in this second.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    texts: u32,
    bytes_in: u64,
    bytes_out: u64,
    told: bool,
    /// Whether it was proved that somebody who knows a secret is there.
    proved: bool,
}

/// The counters of one second. When the next begins they are all forgotten, so nothing grows.
#[derive(Debug)]
pub(super) struct Access {
    second: u64,
    sources: HashMap<IpAddr, Source, FixedState>,
}

/// Room for so many sources is kept from second to second; what a flood needed is given back.
const KEPT_SOURCES: usize = 1024;

impl Access {
    pub(super) fn new(seed: u64) -> Self {
        Self { second: 0, sources: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    /// Whether this is one of the hub's own sockets, whose datagrams would go round for ever.
    pub(super) fn is_own(settings: &Settings, from: SocketAddr, via: &Via) -> bool {
        let is_own = |own: &SocketAddr| {
            let everywhere = own.ip().is_unspecified() && own.is_ipv4() == from.is_ipv4();
            own.port() == from.port()
                && (own.ip() == from.ip()
                    || (everywhere && (from.ip().is_loopback() || via.local == Some(from.ip()))))
        };
        settings.own.iter().any(is_own)
    }

    /// Whether this address is answered at all: it lies in the networks, and is not one of the hub's own sockets.
    pub(super) fn admits(settings: &Settings, from: SocketAddr, via: &Via) -> bool {
        settings.networks.contains(from.ip()) && !Self::is_own(settings, from, via)
    }

    /// Counts what came from a UDP address.
    pub(super) fn received(&mut self, now: Moment, from: IpAddr, bytes: usize) {
        if from.is_loopback() {
            return;
        }
        if let Some(source) = self.source(now, from) {
            source.bytes_in += bytes as u64;
        }
    }

    /// Counts one plain text over UDP; `false` if the address has had its share of this second.
    pub(super) fn text(&mut self, now: Moment, from: IpAddr, limit: u32) -> bool {
        let Some(source) = self.source(now, from) else { return false };
        let within = source.texts < limit;
        source.texts = source.texts.saturating_add(1);
        within
    }

    /// Whether a UDP address has been sent all that it may be sent in this second. Loopback is exempt: nobody
    /// elsewhere can forge it, and whoever is on this machine needs no hub to load it.
    pub(super) fn is_over_budget(&mut self, now: Moment, to: IpAddr) -> bool {
        if to.is_loopback() {
            return false;
        }
        let Some(source) = self.source(now, to) else { return true };
        source.bytes_out >= AMPLIFICATION_FACTOR * source.bytes_in + AMPLIFICATION_BYTES
    }

    /// Whether an address that is over its budget is still to be told: once a second.
    pub(super) fn tell(&mut self, now: Moment, to: IpAddr) -> bool {
        self.source(now, to).is_some_and(|source| !core::mem::replace(&mut source.told, true))
    }

    /// Notes that who is at this address has proved it: it is nobody's forged one.
    pub(super) fn prove(&mut self, now: Moment, address: IpAddr) {
        if let Some(source) = self.source(now, address) {
            source.proved = true;
        }
    }

    /// Counts what is to be sent to a UDP address; `false` if it must not leave. An address outside the local
    /// networks could be forged by anybody: it never gets more bytes than came from it.
    pub(super) fn send(&mut self, now: Moment, to: IpAddr, bytes: usize) -> bool {
        if to.is_loopback() {
            return true;
        }
        let Some(source) = self.source(now, to) else { return false };
        let total = source.bytes_out + bytes as u64;
        let leaves = source.proved || Networks::Local.contains(to) || total <= source.bytes_in;
        if leaves {
            source.bytes_out = total;
        }
        leaves
    }

    /// The counters of an address; `None` if too many others came in the same second.
    fn source(&mut self, now: Moment, address: IpAddr) -> Option<&mut Source> {
        if now.second() != self.second {
            self.second = now.second();
            self.sources.clear();
            if self.sources.capacity() > KEPT_SOURCES * 2 {
                self.sources.shrink_to(KEPT_SOURCES);
            }
        }
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&address) {
            return None;
        }
        Some(self.sources.entry(address).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::net::Ipv4Addr;

    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 9));

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_answered_up_to_the_limit_in_each_second() {
        let mut access = Access::new(1);
        assert_eq!((0..300).filter(|_| access.text(Moment::ZERO, FAR, 200)).count(), 200);
        assert!(access.text(Moment::ZERO, "192.168.0.8".parse().unwrap(), 200));
        assert!(access.text(Moment::ZERO + Duration::from_secs(1), FAR, 200));
    }

    #[test]
    fn a_budget_is_three_times_what_came_and_256_kib() {
        let mut access = Access::new(1);
        access.received(Moment::ZERO, FAR, 100);
        assert!(access.send(Moment::ZERO, FAR, 3 * 100 + 256 * 1024 - 1));
        assert!(!access.is_over_budget(Moment::ZERO, FAR));
        assert!(access.send(Moment::ZERO, FAR, 1));
        assert!(access.is_over_budget(Moment::ZERO, FAR));
        assert!(access.tell(Moment::ZERO, FAR) && !access.tell(Moment::ZERO, FAR));
        assert!(!access.is_over_budget(Moment::ZERO + Duration::from_secs(1), FAR));
    }

    #[test]
    fn an_address_outside_the_local_networks_gets_no_more_than_came_from_it() {
        let outside = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let mut access = Access::new(1);
        access.received(Moment::ZERO, outside, 10);
        assert!(access.send(Moment::ZERO, outside, 6));
        assert!(!access.send(Moment::ZERO, outside, 5));
        assert!(access.send(Moment::ZERO, outside, 4));
        assert!(!access.send(Moment::ZERO, outside, 1));
    }

    #[test]
    fn a_flood_of_sources_is_bounded_and_given_back() {
        let mut access = Access::new(1);
        let addresses = (0..100_000_u32).map(|n| IpAddr::V4(Ipv4Addr::from_bits(n)));
        assert_eq!(addresses.filter(|&from| access.text(Moment::ZERO, from, 1)).count(), SOURCES);
        access.text(Moment::ZERO + Duration::from_secs(1), FAR, 1);
        assert!(access.sources.capacity() < 4 * KEPT_SOURCES);
    }

    #[test]
    fn strangers_and_the_hubs_own_sockets_are_not_admitted() {
        let settings =
            Settings { own: vec![socket("0.0.0.0:10125"), socket("10.0.0.1:10125")], ..Settings::default() };
        let via = Via { socket: 0, port: 10125, local: Some("10.0.0.7".parse().unwrap()), interface: 0 };
        for (from, admitted) in [
            ("10.0.0.2:10125", true),
            ("10.0.0.1:5000", true),
            ("10.0.0.1:10125", false),
            ("10.0.0.7:10125", false),
            ("127.0.0.1:10125", false),
            ("[::1]:10125", true),
            ("127.0.0.1:5000", true),
            ("8.8.8.8:5000", false),
            ("[fe80::1]:5000", true),
            ("[2001:db8::1]:5000", false),
        ] {
            assert_eq!(Access::admits(&settings, socket(from), &via), admitted, "{from}");
        }
    }
}
