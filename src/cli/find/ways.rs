//! The ways to ask for a hub, as the interfaces of this machine allow them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use if_addrs::{IfAddr, IfOperStatus, Ifv4Addr, Interface};

/// All nodes on a link.
pub(in crate::cli) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The most ways that are asked: a machine full of containers has more interfaces than hubs to find.
pub(in crate::cli) const WAYS: usize = 128;

/// The most addresses of this machine itself that are asked.
const OWN: usize = 32;

/// One way to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Way {
    /// One address.
    Direct(SocketAddr),
    /// The broadcast address of a network, from this machine's address in it.
    Directed { interface: String, from: Ipv4Addr, to: Ipv4Addr },
    /// 255.255.255.255, from an address of an interface.
    Everyone { interface: String, from: Ipv4Addr },
    /// All nodes on the link of an interface.
    Multicast { interface: String, index: u32 },
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(address) => write!(f, "{address}"),
            Self::Directed { interface, to, .. } => write!(f, "{to} on {interface}"),
            Self::Everyone { interface, .. } => write!(f, "255.255.255.255 on {interface}"),
            Self::Multicast { interface, .. } => write!(f, "{ALL_NODES} on {interface}"),
        }
    }
}

/// Every way that these interfaces allow, each once.
pub(in crate::cli) fn of_interfaces(interfaces: &[Interface]) -> Vec<Way> {
    let mut ways = Vec::new();
    for interface in interfaces.iter().filter(|interface| is_up(interface)) {
        for way in of_interface(interface) {
            if !ways.contains(&way) && ways.len() < WAYS {
                ways.push(way);
            }
        }
    }
    ways
}

/// Whether the interface is not known to be down; what has no state of its own, as loopback, counts as up.
pub(in crate::cli) fn is_up(interface: &Interface) -> bool {
    match interface.oper_status {
        IfOperStatus::Up | IfOperStatus::Unknown | IfOperStatus::Dormant | IfOperStatus::Testing => true,
        IfOperStatus::Down | IfOperStatus::NotPresent | IfOperStatus::LowerLayerDown => false,
    }
}

/// Where a datagram to everyone in the network goes; `None` where a network has no such address.
pub(in crate::cli) fn broadcast(address: &Ifv4Addr) -> Option<Ipv4Addr> {
    if address.prefixlen > 30 {
        return None;
    }
    // Loopback, and interfaces that were set up without one, still have what follows from their prefix.
    let of_prefix = address.ip | !address.netmask;
    let given = address.broadcast.filter(|&given| given != address.ip && !given.is_unspecified());
    given.or(Some(of_prefix))
}

fn of_interface(interface: &Interface) -> Vec<Way> {
    let name = || interface.name.clone();
    match &interface.addr {
        IfAddr::V4(_) if interface.is_p2p => Vec::new(),
        IfAddr::V4(address) => {
            let from = address.ip;
            let directed = broadcast(address).map(|to| Way::Directed { interface: name(), from, to });
            let everyone = (!address.is_loopback()).then(|| Way::Everyone { interface: name(), from });
            directed.into_iter().chain(everyone).collect()
        }
        // Each link has one such address at least, and a link is asked once.
        IfAddr::V6(address) => {
            let index = interface.index.filter(|_| address.is_link_local());
            index.map(|index| Way::Multicast { interface: name(), index }).into_iter().collect()
        }
    }
}

/// Where a hub on this machine may listen: on loopback, or at any address of its own.
pub(in crate::cli) fn of_this_machine(port: u16, interfaces: &[Interface]) -> Vec<SocketAddr> {
    let mut all =
        vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    for interface in interfaces.iter().filter(|interface| is_up(interface)) {
        let address = match &interface.addr {
            IfAddr::V4(address) => SocketAddr::from((address.ip, port)),
            IfAddr::V6(address) => {
                let scope = interface.index.filter(|_| address.is_link_local()).unwrap_or_default();
                SocketAddrV6::new(address.ip, port, 0, scope).into()
            }
        };
        if !all.contains(&address) && all.len() < OWN {
            all.push(address);
        }
    }
    all
}

/// Whether an address is one of this machine's own.
pub(in crate::cli) fn is_own(ip: IpAddr, interfaces: &[Interface]) -> bool {
    ip.is_loopback() || interfaces.iter().any(|interface| interface.ip() == ip)
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use if_addrs::Ifv6Addr;

    pub(in crate::cli) fn v4(name: &str, ip: &str, prefixlen: u8, brd: Option<&str>) -> Interface {
        let netmask = Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(prefixlen)).unwrap_or(0));
        let broadcast = brd.map(|brd| brd.parse().unwrap());
        let addr = IfAddr::V4(Ifv4Addr { ip: ip.parse().unwrap(), netmask, prefixlen, broadcast });
        interface(name, addr)
    }

    pub(in crate::cli) fn v6(name: &str, ip: &str) -> Interface {
        let ip = ip.parse().unwrap();
        let addr = IfAddr::V6(Ifv6Addr { ip, netmask: ip, prefixlen: 64, broadcast: None });
        interface(name, addr)
    }

    fn interface(name: &str, addr: IfAddr) -> Interface {
        let oper_status = IfOperStatus::Up;
        Interface { name: name.to_owned(), addr, index: Some(7), oper_status, is_p2p: false }
    }

    fn shown(interfaces: &[Interface]) -> Vec<String> {
        of_interfaces(interfaces).iter().map(Way::to_string).collect()
    }

    #[test]
    fn each_network_and_link_is_asked_once() {
        let interfaces = [
            v4("lo", "127.0.0.1", 8, None),
            v6("lo", "::1"),
            v4("eth0", "10.0.0.7", 24, Some("10.0.0.255")),
            v6("eth0", "fd99::7"),
            v6("eth0", "fe80::7"),
            v6("eth0", "fe80::8"),
        ];
        assert_eq!(
            shown(&interfaces),
            ["127.255.255.255 on lo", "10.0.0.255 on eth0", "255.255.255.255 on eth0", "ff02::1 on eth0"]
        );
    }

    #[test]
    fn an_interface_without_a_broadcast_address_has_that_of_its_prefix() {
        assert_eq!(shown(&[v4("eth0", "10.0.5.7", 22, None)])[0], "10.0.7.255 on eth0");
        assert_eq!(shown(&[v4("eth0", "10.0.5.7", 22, Some("0.0.0.0"))])[0], "10.0.7.255 on eth0");
        assert_eq!(shown(&[v4("eth0", "10.0.5.6", 30, None)])[0], "10.0.5.7 on eth0");
        assert_eq!(shown(&[v4("eth0", "10.0.5.7", 31, None)]), ["255.255.255.255 on eth0"]);
    }

    #[test]
    fn what_is_down_or_joins_two_points_is_not_asked() {
        let mut down = v4("eth0", "10.0.0.7", 24, None);
        down.oper_status = IfOperStatus::Down;
        let mut tunnel = v4("wg0", "10.0.1.7", 24, None);
        tunnel.is_p2p = true;
        assert_eq!(shown(&[down, tunnel]), Vec::<String>::new());
    }

    #[test]
    fn a_hub_on_this_machine_may_be_at_any_address_that_is_up() {
        let mut down = v4("eth1", "10.0.1.7", 24, None);
        down.oper_status = IfOperStatus::Down;
        let mut all = vec![v4("lo", "127.0.0.1", 8, None), v6("lo", "::1"), v4("eth0", "10.0.0.7", 24, None)];
        all.extend([down, v6("eth0", "fd00::7"), v6("eth0", "fe80::7")]);
        let shown: Vec<String> = of_this_machine(99, &all).iter().map(SocketAddr::to_string).collect();
        let scope = all[5].index.unwrap();
        let scoped = format!("[fe80::7%{scope}]:99");
        assert_eq!(shown, ["127.0.0.1:99", "[::1]:99", "10.0.0.7:99", "[fd00::7]:99", &scoped]);
        let many: Vec<_> = (0..200).map(|n| v4("eth0", &format!("10.0.0.{n}"), 24, None)).collect();
        assert_eq!(of_this_machine(99, &many).len(), OWN);
    }

    #[test]
    fn the_ways_are_bounded() {
        let many: Vec<_> = (0..200).map(|n| v6(&format!("veth{n}"), "fe80::7")).collect();
        assert_eq!(shown(&many[..WAYS]).len(), WAYS);
        assert_eq!(shown(&many).len(), WAYS);
    }
}
