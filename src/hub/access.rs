//! Whom the hub answers, and how much (protocol, section 2).

use core::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::actions::Via;
use super::settings::Settings;
use crate::limits::{AMPLIFICATION_BYTES, AMPLIFICATION_FACTOR, SOURCES};
use crate::moment::Moment;

/// What one address has done in this second.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    texts: u32,
    bytes_in: u64,
    bytes_out: u64,
    told: bool,
}

/// Whether more may be sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// Yes.
    Within,
    /// No, and it has not been told yet.
    Exceeded,
    /// No, and it knows.
    Silence,
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

    /// Whether this address is answered at all: it lies in the networks, and is not one of the hub's own
    /// sockets, whose datagrams would go round for ever.
    pub(super) fn admits(settings: &Settings, from: SocketAddr, via: &Via) -> bool {
        let own_port = settings.own.iter().any(|own| own.port() == from.port());
        let own_address = || {
            from.ip().is_loopback()
                || via.local == Some(from.ip())
                || settings.own.iter().any(|own| own.ip() == from.ip())
        };
        settings.networks.contains(from.ip()) && !(own_port && own_address())
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

    /// Whether more may be sent to a UDP address in this second. Loopback is exempt: nobody elsewhere can
    /// forge it, and whoever is on this machine needs no hub to load it.
    pub(super) fn budget(&mut self, now: Moment, to: IpAddr) -> Budget {
        if to.is_loopback() {
            return Budget::Within;
        }
        let Some(source) = self.source(now, to) else { return Budget::Silence };
        if source.bytes_out < AMPLIFICATION_FACTOR * source.bytes_in + AMPLIFICATION_BYTES {
            return Budget::Within;
        }
        if core::mem::replace(&mut source.told, true) { Budget::Silence } else { Budget::Exceeded }
    }

    /// Counts what is sent to a UDP address.
    pub(super) fn sent(&mut self, now: Moment, to: IpAddr, bytes: usize) {
        if to.is_loopback() {
            return;
        }
        if let Some(source) = self.source(now, to) {
            source.bytes_out += bytes as u64;
        }
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
        access.sent(Moment::ZERO, FAR, 3 * 100 + 256 * 1024 - 1);
        assert_eq!(access.budget(Moment::ZERO, FAR), Budget::Within);
        access.sent(Moment::ZERO, FAR, 1);
        assert_eq!(access.budget(Moment::ZERO, FAR), Budget::Exceeded);
        assert_eq!(access.budget(Moment::ZERO, FAR), Budget::Silence);
        assert_eq!(access.budget(Moment::ZERO + Duration::from_secs(1), FAR), Budget::Within);
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
        let via = Via { socket: 0, local: Some("10.0.0.7".parse().unwrap()), interface: 0 };
        for (from, admitted) in [
            ("10.0.0.2:10125", true),
            ("10.0.0.1:5000", true),
            ("10.0.0.1:10125", false),
            ("10.0.0.7:10125", false),
            ("127.0.0.1:10125", false),
            ("127.0.0.1:5000", true),
            ("8.8.8.8:5000", false),
            ("[fe80::1]:5000", true),
            ("[2001:db8::1]:5000", false),
        ] {
            assert_eq!(Access::admits(&settings, socket(from), &via), admitted, "{from}");
        }
    }
}
