//! What leaves for everybody on the LAN. The socket it leaves by hears nothing: whoever answers it talks to nobody, so that
//! nothing that the hub says to everybody can come back as a question.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use ipnet::IpNet;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};

use super::core::Core;
use super::interfaces::{Outlet, View};
use crate::config::Broadcast;
use crate::hub::Settings;

/// Receive buffer asked for: nothing is read, so the kernel is to keep as little as it may.
const RECEIVE_BUFFER_BYTES: usize = 1;

/// The way to everybody, and what this machine is in the networks around it.
#[derive(Default)]
pub(super) struct Air {
    /// The socket to send by, once it was needed.
    socket: Option<UdpSocket>,
    view: View,
    /// Where the hub listens.
    bound: Vec<SocketAddr>,
    /// Whether questions to everybody are to be heard.
    pub(super) hears: bool,
    /// Where to send, if not wherever there is somebody.
    address: Option<Ipv4Addr>,
    port: u16,
    /// The ways that follow from all that.
    ways: Vec<Way>,
}

/// One datagram's way.
type Way = (SocketAddrV4, in_pktinfo);

impl Air {
    fn configure(&mut self, settings: &Broadcast, bound: Vec<SocketAddr>) {
        (self.address, self.port, self.bound) = (settings.address, settings.port, bound);
        self.hears = settings.discovery;
        if self.socket.is_none() && (settings.shout || settings.announce_every.is_some()) {
            self.socket =
                open().inspect_err(|error| tracing::warn!("nothing can be broadcast: {error}")).ok();
        }
    }

    /// The networks around.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Where the hub itself could be heard from: its sockets' addresses, and for those that listen everywhere all
    /// addresses of this machine.
    fn own(&self) -> Vec<SocketAddr> {
        let sender = self.socket.as_ref().and_then(|socket| socket.local_addr().ok());
        let mut own: Vec<SocketAddr> = self.bound.iter().copied().chain(sender).collect();
        let everywhere: Vec<SocketAddr> =
            own.iter().filter(|own| own.ip().is_unspecified()).copied().collect();
        for socket in everywhere {
            let same_family =
                self.view.addresses.iter().filter(|address| address.is_ipv4() == socket.is_ipv4());
            own.extend(same_family.map(|&address| SocketAddr::new(address, socket.port())));
        }
        own.sort_unstable();
        own.dedup();
        own
    }

    /// Sends bytes to everybody. What the kernel will not take is lost, as datagrams are.
    pub(super) fn send(&self, bytes: &[u8]) {
        let Some(socket) = &self.socket else { return };
        for &(to, info) in &self.ways {
            let (slices, cmsgs) = ([IoSlice::new(bytes)], [ControlMessage::Ipv4PacketInfo(&info)]);
            let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            if let Err(error) = sendmsg(fd, &slices, &cmsgs, flags, Some(&SockaddrIn::from(to))) {
                tracing::debug!("a broadcast to {to} could not be sent: {error}");
            }
        }
    }

    /// Finds out anew where broadcasts go; whether there is a new way.
    fn aim(&mut self) -> bool {
        let ways = self.find_ways();
        let before = std::mem::replace(&mut self.ways, ways);
        self.ways.iter().any(|way| !before.contains(way))
    }

    /// Where a broadcast goes: each from an address where the hub is to be found.
    fn find_ways(&self) -> Vec<Way> {
        let way = |everybody, outlet: &Outlet| {
            (SocketAddrV4::new(everybody, self.port), info(outlet.interface, outlet.local))
        };
        match self.address {
            None => self.outlets().map(|outlet| way(outlet.everybody, outlet)).collect(),
            // The address of everybody on every network needs to be told by which interface.
            Some(Ipv4Addr::BROADCAST) => {
                let mut outlets: Vec<&Outlet> = self.outlets().collect();
                outlets.dedup_by_key(|outlet| outlet.interface);
                outlets.into_iter().map(|outlet| way(Ipv4Addr::BROADCAST, outlet)).collect()
            }
            Some(address) => vec![(SocketAddrV4::new(address, self.port), info(0, self.source_to(address)))],
        }
    }

    /// The ways to those who can reach the hub back.
    fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        let listens_at = |address: Ipv4Addr| {
            let at = |bound: &SocketAddr| bound.ip() == address || bound.ip() == Ipv4Addr::UNSPECIFIED;
            self.bound.iter().any(at)
        };
        self.view.outlets.iter().filter(move |outlet| listens_at(outlet.local))
    }

    /// The address to send from to this one: where the hub listens on single addresses it is found at those only.
    fn source_to(&self, address: Ipv4Addr) -> Ipv4Addr {
        let is_near = |own: Ipv4Addr| {
            let holds_both = |network: &IpNet| {
                network.contains(&IpAddr::V4(own)) && network.contains(&IpAddr::V4(address))
            };
            self.view.attached.iter().any(holds_both)
        };
        let mut bound = self.bound.iter().filter_map(|bound| match bound.ip() {
            IpAddr::V4(own) => Some(own),
            IpAddr::V6(_) => None,
        });
        bound.find(|&own| own.is_unspecified() || is_near(own)).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }
}

impl Core {
    /// New settings, from now on, and where the hub listens. It is announced where it was not to be heard before.
    pub(super) fn reconfigure(
        &mut self,
        mut settings: Settings,
        broadcast: &Broadcast,
        bound: Vec<SocketAddr>,
    ) {
        self.streams.unread_bytes = settings.unread_bytes;
        self.air.configure(broadcast, bound);
        (settings.own, settings.attached) = (self.air.own(), self.air.view.attached.clone());
        self.hub.reconfigure(settings);
        self.announce_where_new();
    }

    /// Takes a new look at the networks around. The hub is announced where it was not to be heard before.
    pub(super) fn look_around(&mut self, view: View) {
        if view == self.air.view {
            return;
        }
        tracing::debug!("this machine's addresses are now {:?}", view.addresses);
        self.air.view = view;
        self.hub.network_changed(self.air.own(), self.air.view.attached.clone());
        self.announce_where_new();
    }

    fn announce_where_new(&mut self) {
        if self.air.aim() {
            let now = self.now();
            self.hub.announce(now);
        }
        self.perform();
    }
}

fn open() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    Ok(socket.into())
}

/// The interface to leave by and the address to leave from, as the kernel wants them.
fn info(interface: u32, local: Ipv4Addr) -> in_pktinfo {
    in_pktinfo {
        ipi_ifindex: interface.try_into().unwrap_or_default(),
        ipi_spec_dst: in_addr { s_addr: u32::from(local).to_be() },
        ipi_addr: in_addr { s_addr: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet(interface: u32, local: [u8; 4], everybody: [u8; 4]) -> Outlet {
        Outlet { interface, local: local.into(), everybody: everybody.into() }
    }

    /// A machine on two networks, one of them with two addresses, and a hub that listens there.
    fn air(address: Option<&str>, bound: &[&str]) -> Air {
        let view = View {
            addresses: vec![
                "10.0.1.1".parse().unwrap(),
                "10.0.2.1".parse().unwrap(),
                "fe80::1".parse().unwrap(),
            ],
            attached: vec!["10.0.1.0/24".parse().unwrap(), "10.0.2.0/24".parse().unwrap()],
            outlets: vec![
                outlet(1, [10, 0, 1, 1], [10, 0, 1, 255]),
                outlet(1, [10, 0, 2, 1], [10, 0, 2, 255]),
                outlet(2, [10, 0, 3, 1], [10, 0, 3, 255]),
            ],
            links: Vec::new(),
        };
        let bound = bound.iter().map(|bound| bound.parse().unwrap()).collect();
        Air {
            socket: None,
            view,
            bound,
            hears: false,
            address: address.map(|text| text.parse().unwrap()),
            port: 9,
            ways: Vec::new(),
        }
    }

    /// To where, from where and by which interface it sends.
    fn ways(air: &Air) -> Vec<(String, String, i32)> {
        let address = |bits: u32| Ipv4Addr::from(u32::from_be(bits)).to_string();
        air.find_ways()
            .iter()
            .map(|(to, info)| (to.to_string(), address(info.ipi_spec_dst.s_addr), info.ipi_ifindex))
            .collect()
    }

    fn way(to: &str, from: &str, interface: i32) -> (String, String, i32) {
        (to.to_owned(), from.to_owned(), interface)
    }

    #[test]
    fn every_network_is_reached_from_the_address_that_it_knows() {
        let all = [
            way("10.0.1.255:9", "10.0.1.1", 1),
            way("10.0.2.255:9", "10.0.2.1", 1),
            way("10.0.3.255:9", "10.0.3.1", 2),
        ];
        assert_eq!(ways(&air(None, &["0.0.0.0:7", "[::]:7"])), all);
        assert_eq!(ways(&air(None, &["10.0.2.1:7"])), all[1..2], "nobody hears of a hub out of reach");
        assert_eq!(ways(&air(None, &["127.0.0.1:7", "[::]:7"])), []);
    }

    #[test]
    fn one_address_is_reached_from_where_the_hub_is_found() {
        let one = |address, bound: &[&str]| ways(&air(Some(address), bound));
        assert_eq!(one("10.0.2.255", &["0.0.0.0:7"]), [way("10.0.2.255:9", "0.0.0.0", 0)]);
        assert_eq!(one("10.0.2.255", &["10.0.1.1:7", "10.0.2.1:7"]), [way("10.0.2.255:9", "10.0.2.1", 0)]);
        assert_eq!(one("192.0.2.255", &["10.0.1.1:7"]), [way("192.0.2.255:9", "0.0.0.0", 0)]);
        let everywhere = [way("255.255.255.255:9", "10.0.1.1", 1), way("255.255.255.255:9", "10.0.3.1", 2)];
        assert_eq!(one("255.255.255.255", &["0.0.0.0:7"]), everywhere);
    }

    #[test]
    fn the_hubs_own_sockets_are_known_by_every_address_they_have() {
        let mut air = air(None, &["0.0.0.0:7", "[::]:7", "192.0.2.1:8"]);
        let own: Vec<String> = air.own().iter().map(ToString::to_string).collect();
        assert_eq!(own, ["0.0.0.0:7", "10.0.1.1:7", "10.0.2.1:7", "192.0.2.1:8", "[::]:7", "[fe80::1]:7"]);
        air.configure(&Broadcast::default(), Vec::new());
        let port = air.socket.as_ref().unwrap().local_addr().unwrap().port();
        let own: Vec<String> = air.own().iter().map(ToString::to_string).collect();
        assert_eq!(own, ["0.0.0.0", "10.0.1.1", "10.0.2.1"].map(|address| format!("{address}:{port}")));
    }
}
