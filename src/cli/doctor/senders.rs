//! Who may come to the hub: from which network, over which interface, and to which address of this machine.

use std::net::IpAddr;

use if_addrs::{IfAddr, Interface};

use crate::cli::find::ways::is_up;

/// Networks that are looked at: a machine full of containers has many alike.
const MOST: usize = 64;

/// Which protocol of the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Those of one network, as their datagrams to one address of this machine look to its packet filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) interface: String,
    pub(super) family: Family,
    /// Where they come from.
    pub(super) sources: Range,
    /// This machine's address.
    pub(super) own: Range,
    network: String,
}

impl Sender {
    /// From a network at the other end of the interface.
    fn new(interface: &str, own: IpAddr, network: Option<u8>) -> Self {
        let sources = Range::of(own, network.unwrap_or(0));
        let network = network.map_or_else(|| "anywhere".to_owned(), |prefix| format!("{own}/{prefix}"));
        let (interface, family) = (interface.to_owned(), Family::of(own));
        Self { interface, family, sources, own: Range::single(own), network }
    }

    /// Their network in words.
    pub(super) fn network(&self) -> String {
        format!("{} ({})", self.interface, self.network)
    }
}

/// Everybody on the networks that this machine is on; where it is on none, anybody at all.
///
/// Where it is known at which addresses the hub listens, others need not be let through to the rest.
pub(super) fn senders(interfaces: &[Interface], bound: &[IpAddr]) -> Vec<Sender> {
    let up = interfaces.iter().filter(|interface| is_up(interface) && !interface.is_loopback());
    // One socket may be for both families.
    let is_known = bound.iter().any(IpAddr::is_ipv4) || !bound.iter().any(IpAddr::is_unspecified);
    let heard = up.clone().filter(|interface| is_known && is_heard_at(bound, interface.ip()));
    let mut all: Vec<Sender> = heard.map(from).take(MOST).collect();
    if all.is_empty() {
        all = up.map(from).take(MOST).collect();
    }
    if all.is_empty() {
        let any = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
        return any.map(|own| Sender::new("", own, None)).into();
    }
    all
}

/// Whether a hub that listens at these addresses hears what comes to this one.
pub(super) fn is_heard_at(bound: &[IpAddr], ip: IpAddr) -> bool {
    bound.iter().any(|&own| own == ip || (own.is_unspecified() && own.is_ipv4() == ip.is_ipv4()))
}

fn from(interface: &Interface) -> Sender {
    let (ip, prefix, bits) = match &interface.addr {
        IfAddr::V4(address) => (IpAddr::V4(address.ip), address.prefixlen, 32),
        IfAddr::V6(address) => (IpAddr::V6(address.ip), address.prefixlen, 128),
    };
    // Who is at the other end of a tunnel, no prefix tells.
    let is_network = !interface.is_p2p && prefix < bits - 1;
    Sender::new(&interface.name, ip, is_network.then_some(prefix))
}

/// Addresses from one to another; those of IPv4 stand where IPv6 maps them, so that the two never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: u128,
    last: u128,
}

impl Range {
    fn of(ip: IpAddr, prefix: u8) -> Self {
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let rest = u32::from(width - prefix.min(width));
        let hosts = 1_u128.checked_shl(rest).map_or(u128::MAX, |count| count - 1);
        let first = bits(ip) & !hosts;
        Self { first, last: first | hosts }
    }

    fn single(ip: IpAddr) -> Self {
        Self { first: bits(ip), last: bits(ip) }
    }

    /// Reads an address, a network or a range, as packet filters list them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some((ip, prefix)) = text.split_once('/') {
            return Some(Self::of(ip.parse().ok()?, prefix.parse().ok()?));
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
        Some(Self { first: bits(first), last: bits(last) })
    }

    pub(super) fn holds(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::find::ways::tests::{v4, v6};

    /// A machine on one network.
    pub(in crate::cli::doctor) fn at_home() -> Vec<Sender> {
        senders(&[v4("lo", "127.0.0.1", 8, None), v4("eth0", "192.168.1.7", 24, None)], &[])
    }

    #[test]
    fn addresses_networks_and_ranges_are_read() {
        let range = |text: &str| Range::parse(text).unwrap();
        for (outer, inner, holds, meets) in [
            ("10.0.0.0/8", "10.99.0.0/24", true, true),
            ("10.99.0.0/24", "10.0.0.0/8", false, true),
            ("10.0.0.1-10.0.0.9", "10.0.0.9", true, true),
            ("10.0.0.1-10.0.0.9", "10.0.0.10", false, false),
            ("0.0.0.0/0", "255.255.255.255", true, true),
            ("fe80::/10", "fe80::7/64", true, true),
            ("0.0.0.0/0", "fd00::1", false, false),
            ("::/0", "fd00::/8", true, true),
        ] {
            let (outer, inner) = (range(outer), range(inner));
            assert_eq!((outer.holds(&inner), outer.meets(&inner)), (holds, meets), "{outer:?} {inner:?}");
        }
        for text in ["", "@friends", "10.0.0.1/x", "10.0.0", "1-2"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_network_that_is_up_has_its_senders() {
        let mut down = v4("eth1", "10.0.1.7", 24, None);
        down.oper_status = if_addrs::IfOperStatus::Down;
        let mut tunnel = v4("wg0", "10.0.2.7", 24, None);
        tunnel.is_p2p = true;
        let all = [v4("lo", "127.0.0.1", 8, None), v4("eth0", "10.0.0.7", 24, None), v6("eth0", "fe80::7")];
        let all: Vec<Interface> = all.into_iter().chain([down, tunnel]).collect();
        let networks: Vec<String> = senders(&all, &[]).iter().map(Sender::network).collect();
        assert_eq!(networks, ["eth0 (10.0.0.7/24)", "eth0 (fe80::7/64)", "wg0 (anywhere)"]);
        let families: Vec<Family> = senders(&[], &[]).iter().map(|sender| sender.family).collect();
        assert_eq!(families, [Family::V4, Family::V6], "anybody");
    }

    #[test]
    fn only_who_comes_where_the_hub_listens_matters() {
        let all = [v4("eth0", "10.0.0.7", 24, None), v4("eth1", "10.0.1.7", 24, None), v6("eth0", "fe80::7")];
        for (bound, count) in [
            (vec![], 3),
            (vec!["0.0.0.0"], 2),
            (vec!["0.0.0.0", "::"], 3),
            (vec!["::"], 3),
            (vec!["10.0.1.7", "10.0.1.255"], 1),
            (vec!["fe80::7", "127.0.0.1"], 1),
            // Nobody comes; what would be in the way is told all the same.
            (vec!["127.0.0.1"], 3),
        ] {
            let addresses: Vec<IpAddr> = bound.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(senders(&all, &addresses).len(), count, "{bound:?}");
        }
    }

    #[test]
    fn no_more_networks_than_the_bound_are_looked_at() {
        let many: Vec<_> = (0..200).map(|n| v4("eth0", &format!("10.0.0.{n}"), 24, None)).collect();
        assert_eq!(senders(&many[..MOST], &[]).len(), MOST);
        assert_eq!(senders(&many, &[]).len(), MOST);
    }
}
