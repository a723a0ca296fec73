//! Hears those who ask everybody for a hub that listens on single addresses: Linux gives no broadcast to a socket that is
//! bound to one address. What is heard here is answered by that socket.
//!
//! Whoever floods everybody is heard here alone, so an ear takes little of the hub's time, and what it has no room for says
//! nothing of how the hub keeps up with those who ask it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::rc::Rc;

use nix::net::if_::if_indextoname;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::task::JoinHandle;

use super::bind::RECEIVE_BUFFER_BYTES;
use super::core::Shared;
use super::interfaces::View;
use super::udp;
use crate::limits::EARS;

/// Everybody on an IPv6 link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Where to listen, for which of the hub's sockets, and by which interface alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ear {
    at: SocketAddr,
    socket: u16,
    interface: u32,
}

/// Those that are open.
#[derive(Default)]
pub(super) struct Ears(BTreeMap<Ear, JoinHandle<()>>);

/// Opens what is missing and closes what is no longer needed, as the networks and settings now are.
pub(super) fn fit(shared: &Shared) {
    let mut core = shared.borrow_mut();
    let wanted = if core.air.hears { wanted(core.air.view(), &core.udp.single()) } else { Vec::new() };
    core.ears.0.retain(|ear, task| {
        let is_wanted = wanted.contains(ear);
        if !is_wanted {
            task.abort();
        }
        is_wanted
    });
    for ear in wanted {
        if core.ears.0.contains_key(&ear) {
            continue;
        }
        match open(&ear).and_then(|socket| udp::Socket::ear(socket, ear.socket, ear.interface)) {
            Ok(socket) => {
                let task = tokio::task::spawn_local(udp::serve(Rc::clone(shared), Rc::new(socket)));
                core.ears.0.insert(ear, task);
            }
            Err(error) => tracing::warn!("questions to everybody at {} cannot be heard: {error}", ear.at),
        }
    }
}

/// What the hub's sockets on single addresses cannot hear themselves, [`EARS`] at most.
fn wanted(view: &View, single: &[(u16, SocketAddr)]) -> Vec<Ear> {
    let mut wanted = Vec::new();
    for &(socket, address) in single {
        match address.ip() {
            IpAddr::V4(own) => {
                for outlet in view.outlets.iter().filter(|outlet| outlet.local == own) {
                    for everybody in [outlet.everybody, Ipv4Addr::BROADCAST] {
                        let at = SocketAddrV4::new(everybody, address.port()).into();
                        wanted.push(Ear { at, socket, interface: outlet.interface });
                    }
                }
            }
            IpAddr::V6(own) => {
                for &(interface, _) in view.links.iter().filter(|(_, local)| *local == own) {
                    let at = SocketAddrV6::new(ALL_NODES, address.port(), 0, interface).into();
                    wanted.push(Ear { at, socket, interface });
                }
            }
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted.truncate(EARS);
    wanted
}

fn open(ear: &Ear) -> io::Result<UdpSocket> {
    let at = ear.at;
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // What comes in elsewhere shall not take its room. A kernel that refuses this (before Linux 5.7 without a privilege) lets
    // it in, and it is thrown away when it is read.
    if let Err(error) = bind_to_interface(&socket, ear.interface) {
        tracing::debug!("what everybody is asked at {at} is heard by every interface: {error}");
    }
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    // Whoever else is on this machine and listens there hears it, too.
    socket.set_reuse_address(true)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    Ok(socket.into())
}

fn bind_to_interface(socket: &Socket, interface: u32) -> io::Result<()> {
    let name = if_indextoname(interface)?;
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::Outlet;
    use super::*;

    #[test]
    fn each_single_address_is_heard_for_on_its_own_network() {
        let outlet = |interface, local: &str, everybody: &str| Outlet {
            interface,
            local: local.parse().unwrap(),
            everybody: everybody.parse().unwrap(),
        };
        let view = View {
            outlets: vec![outlet(2, "10.0.1.1", "10.0.1.255"), outlet(3, "10.0.2.1", "10.0.2.255")],
            links: vec![(2, "2001:db8::1".parse().unwrap()), (3, "2001:db8::2".parse().unwrap())],
            ..View::default()
        };
        let ears = |single: &[(u16, &str)]| {
            let single: Vec<(u16, SocketAddr)> =
                single.iter().map(|(socket, address)| (*socket, address.parse().unwrap())).collect();
            let ears = wanted(&view, &single);
            ears.iter().map(|ear| (ear.at.to_string(), ear.socket, ear.interface)).collect::<Vec<_>>()
        };
        let ear = |at: &str, socket, interface| (at.to_owned(), socket, interface);
        assert_eq!(
            ears(&[(0, "10.0.2.1:7"), (1, "[2001:db8::1]:8")]),
            [ear("10.0.2.255:7", 0, 3), ear("255.255.255.255:7", 0, 3), ear("[ff02::1%2]:8", 1, 2)]
        );
        assert_eq!(ears(&[(0, "127.0.0.1:7"), (1, "192.0.2.1:7"), (2, "[::1]:7")]), [], "not on any network");

        let many =
            |count: u16| (0..count).map(|port| (port, SocketAddr::from(([10, 0, 1, 1], port)))).collect();
        let counts = [EARS / 2 - 1, EARS / 2, EARS / 2 + 1].map(|count| {
            let single: Vec<(u16, SocketAddr)> = many(u16::try_from(count).unwrap());
            wanted(&view, &single).len()
        });
        assert_eq!(counts, [EARS - 2, EARS, EARS]);
    }
}
