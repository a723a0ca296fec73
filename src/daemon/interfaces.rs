//! The addresses of this machine and the networks that it is on, also as they change.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use if_addrs::{IfAddr, Ifv4Addr, Interface};
use ipnet::{IpNet, Ipv4Net};
use nix::errno::Errno;
use nix::libc::{RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::core::Shared;
use super::ears;

/// Where the kernel does not tell of changes, they are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// After a change the next is looked at no earlier: they come in bursts, and each look costs a list of everything.
const GATHER: Duration = Duration::from_millis(200);

/// Room for one message of the kernel, whose text is not read.
const MESSAGE_BYTES: usize = 8192;

/// Messages taken in a row before others have their turn.
const MESSAGES_A_TURN: usize = 1024;

/// What this machine is in the networks around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Its addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// The networks that these are in.
    pub(super) attached: Vec<IpNet>,
    /// Where everybody on a network can be reached.
    pub(super) outlets: Vec<Outlet>,
    /// Its IPv6 addresses that others can reach, each with its interface.
    pub(super) links: Vec<(u32, Ipv6Addr)>,
}

/// One way to reach everybody on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outlet {
    /// The interface, by the kernel's number; 0 if it has none.
    pub(super) interface: u32,
    /// This machine's address there.
    pub(super) local: Ipv4Addr,
    /// The address of everybody.
    pub(super) everybody: Ipv4Addr,
}

impl View {
    /// How it is now.
    pub(super) fn now() -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!("this machine's addresses cannot be listed: {error}");
            Vec::new()
        });
        Self::of(&interfaces)
    }

    fn of(interfaces: &[Interface]) -> Self {
        Self {
            addresses: sorted(interfaces.iter().map(Interface::ip)),
            attached: sorted(interfaces.iter().filter_map(|interface| network(&interface.addr))),
            outlets: sorted(interfaces.iter().filter_map(outlet)),
            links: sorted(interfaces.iter().filter_map(link)),
        }
    }
}

/// Tells the hub of every change, for ever.
pub(super) async fn watch(shared: Shared) {
    let mut news = News::listen().inspect_err(|error| {
        let seconds = LOOK_EVERY.as_secs();
        tracing::warn!(
            "the kernel does not tell of changed addresses ({error}), so they are looked at every {seconds} s"
        );
    });
    loop {
        // What has changed since the last look, be it before this began, is seen now.
        shared.borrow_mut().look_around(View::now());
        ears::fit(&shared);
        match &mut news {
            Ok(listening) => {
                if let Err(error) = listening.wait().await {
                    news = Err(error);
                }
                tokio::time::sleep(GATHER).await;
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The kernel's word that something has changed.
struct News(AsyncFd<OwnedFd>);

impl News {
    fn listen() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        let groups = [RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR];
        let groups = groups.iter().fold(0, |all, group| all | group.unsigned_abs());
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        #[expect(
            deprecated,
            reason = "an owned descriptor stays what it is, and that is all the successor asks; safe code cannot call it"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self(fd))
    }

    /// Waits until something has changed. What is told of it is thrown away: a look says it better.
    async fn wait(&mut self) -> io::Result<()> {
        let mut ready = self.0.readable_mut().await?;
        let mut message = [0; MESSAGE_BYTES];
        for _ in 0..MESSAGES_A_TURN {
            match recv(ready.get_inner().as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                // What did not fit is lost, and that something was is all that matters.
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The network that an address is in. One that would hold every address is none.
fn network(address: &IfAddr) -> Option<IpNet> {
    let prefix = match address {
        IfAddr::V4(v4) => v4.prefixlen,
        IfAddr::V6(v6) => v6.prefixlen,
    };
    IpNet::new(address.ip(), prefix)
        .ok()
        .filter(|network| network.prefix_len() > 0)
        .map(|network| network.trunc())
}

/// How everybody is reached by an interface, if that is possible.
fn outlet(interface: &Interface) -> Option<Outlet> {
    let IfAddr::V4(address) = &interface.addr else { return None };
    let reaches_many = interface.is_oper_up() && !interface.is_p2p() && !address.is_loopback();
    let everybody = everybody(address).filter(|_| reaches_many)?;
    Some(Outlet { interface: interface.index.unwrap_or_default(), local: address.ip, everybody })
}

/// An IPv6 address that others can reach, and its interface.
fn link(interface: &Interface) -> Option<(u32, Ipv6Addr)> {
    let IfAddr::V6(address) = &interface.addr else { return None };
    let is_reached = interface.is_oper_up() && !address.is_loopback();
    interface.index.filter(|_| is_reached).map(|index| (index, address.ip))
}

/// The broadcast address, as it was set or as it follows from the network: the kernel knows that too.
fn everybody(address: &Ifv4Addr) -> Option<Ipv4Addr> {
    let set = address.broadcast.filter(|&set| set != address.ip && !set.is_unspecified());
    let network =
        || Ipv4Net::new(address.ip, address.prefixlen).ok().filter(|network| network.prefix_len() < 31);
    set.or_else(|| network().map(|network| network.broadcast()))
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use if_addrs::{IfOperStatus, Ifv6Addr};

    fn v4(index: u32, network: &str, broadcast: Option<&str>) -> Interface {
        let network: Ipv4Net = network.parse().unwrap();
        let (ip, netmask, prefixlen) = (network.addr(), network.netmask(), network.prefix_len());
        let broadcast = broadcast.map(|address| address.parse().unwrap());
        let addr = IfAddr::V4(Ifv4Addr { ip, netmask, prefixlen, broadcast });
        Interface {
            name: format!("if{index}"),
            addr,
            index: Some(index),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
        }
    }

    fn v6(index: u32, network: &str) -> Interface {
        let network: ipnet::Ipv6Net = network.parse().unwrap();
        let (ip, netmask, prefixlen) = (network.addr(), network.netmask(), network.prefix_len());
        let addr = IfAddr::V6(Ifv6Addr { ip, netmask, prefixlen, broadcast: None });
        Interface { addr, ..v4(index, "10.0.0.1/24", None) }
    }

    fn everybodies(interfaces: &[Interface]) -> Vec<(u32, String)> {
        View::of(interfaces)
            .outlets
            .iter()
            .map(|outlet| (outlet.interface, outlet.everybody.to_string()))
            .collect()
    }

    #[test]
    fn networks_are_those_of_every_address_and_never_the_whole_internet() {
        let interfaces = [
            v4(1, "127.0.0.1/8", None),
            v4(2, "192.0.2.7/24", None),
            v4(3, "192.0.2.9/24", None),
            v4(4, "10.1.2.3/32", None),
            v4(5, "10.1.2.4/0", None),
            v6(2, "2001:db8::7/64"),
            v6(6, "2001:db8::8/0"),
        ];
        let view = View::of(&interfaces);
        let networks: Vec<String> = view.attached.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.1.2.3/32", "127.0.0.0/8", "192.0.2.0/24", "2001:db8::/64"]);
        assert_eq!(view.addresses.len(), interfaces.len());
    }

    #[test]
    fn everybody_is_reached_where_there_can_be_more_than_one() {
        let down =
            Interface { oper_status: IfOperStatus::Unknown, ..v4(5, "10.5.0.1/24", Some("10.5.0.255")) };
        let tunnel = Interface { is_p2p: true, ..v4(6, "10.6.0.1/24", None) };
        let interfaces = [
            v4(1, "127.0.0.1/8", Some("127.255.255.255")),
            v4(2, "192.0.2.7/24", Some("192.0.2.255")),
            v4(3, "192.0.2.7/25", None),
            // The C library names the address itself where no broadcast address was set.
            v4(4, "10.4.0.1/16", Some("10.4.0.1")),
            down,
            tunnel,
            v4(7, "10.7.0.1/31", None),
            v4(8, "10.8.0.1/32", None),
            v6(2, "2001:db8::7/64"),
        ];
        let expected = [(2, "192.0.2.255"), (3, "192.0.2.127"), (4, "10.4.255.255")];
        assert_eq!(everybodies(&interfaces), expected.map(|(index, text)| (index, text.to_owned())));
    }

    #[test]
    fn this_machine_has_its_loopback_address() {
        let view = View::now();
        assert!(view.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{view:?}");
    }
}
