//! Binds the sockets that the configuration asks for, and keeps those that it still asks for after a reload.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listen;
use crate::machine::{Held, Holder, held};

pub(super) use crate::machine::Kind;

/// What the configuration asks for: a kind, an address and a port, which may be 0.
pub(super) type Wanted = (Kind, SocketAddr);

/// A socket that is bound but not yet served.
pub(super) enum Bound {
    /// Datagrams.
    Udp(UdpSocket),
    /// Connections.
    Tcp(TcpListener),
}

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Somebody else has it.
    #[error("{kind} port {} at {} is taken{}; end that program, or set another port in [listen]",
        address.port(), address.ip(), holder.as_ref().map(|name| format!(" by {name}")).unwrap_or_default())]
    Taken {
        /// Which kind of port.
        kind: Kind,
        /// Which address and port.
        address: SocketAddr,
        /// Who, if that could be found out.
        holder: Option<String>,
    },
    /// A port below 1024 without the right to it.
    #[error("{kind} port {} at {} may not be used; choose one above 1023, or grant CAP_NET_BIND_SERVICE",
        address.port(), address.ip())]
    Forbidden {
        /// Which kind of port.
        kind: Kind,
        /// Which address and port.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("{kind} port {} at {} cannot be bound: {error}", address.port(), address.ip())]
    Other {
        /// Which kind of port.
        kind: Kind,
        /// Which address and port.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The kernel has no IPv6, or no IPv4, and nothing else was asked for.
    #[error("no address in listen.bind can be used on this machine")]
    Nothing,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Receive buffer asked for: a burst of some thousand small datagrams. The kernel may grant less.
pub(super) const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Send buffer asked for: more than what waits in the kernel for one host that does not say where it is.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// How often another free port is tried when the one that the system picked is taken for another address.
const TRIES_FOR_A_FREE_PORT: usize = 16;

/// Everything that is asked for, without repetition.
pub(super) fn wanted(listen: &Listen) -> Vec<Wanted> {
    let kinds = [(Kind::Udp, listen.udp), (Kind::Tcp, listen.tcp)];
    let mut all = Vec::new();
    for &port in [listen.port].iter().chain(&listen.extra_ports) {
        for &address in &listen.bind {
            let kinds = kinds.iter().filter(|(_, wanted)| *wanted);
            all.extend(kinds.map(|&(kind, _)| (kind, SocketAddr::new(address, port))));
        }
    }
    all
}

/// Binds all that is wanted. Where the port is 0 the system picks one, the same for every kind and address.
pub(super) fn bind(wanted: &[Wanted]) -> Result<BTreeMap<Wanted, Bound>, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let picks = wanted.iter().any(|(_, address)| address.port() == 0);
        match bind_once(wanted) {
            Err(Error::Taken { .. }) if picks && tries < TRIES_FOR_A_FREE_PORT => {}
            result => return result,
        }
    }
}

fn bind_once(wanted: &[Wanted]) -> Result<BTreeMap<Wanted, Bound>, Error> {
    let mut bound = BTreeMap::new();
    let mut picked = 0;
    for &(kind, address) in wanted {
        let mut actual = address;
        if actual.port() == 0 {
            actual.set_port(picked);
        }
        match bind_one(kind, actual) {
            Ok(socket) => {
                if address.port() == 0 {
                    picked = socket.port();
                }
                bound.insert((kind, address), socket);
            }
            // A machine without IPv6 serves IPv4, and the other way round.
            Err(Error::Other { error, .. })
                if address.ip().is_unspecified() && error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) =>
            {
                tracing::warn!("this machine has no addresses of the kind of {}", address.ip());
            }
            Err(error) => return Err(error),
        }
    }
    if bound.is_empty() { Err(Error::Nothing) } else { Ok(bound) }
}

impl Bound {
    fn port(&self) -> u16 {
        self.address().map_or(0, |address| address.port())
    }

    /// The address and port it has.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(listener) => listener.local_addr(),
        }
    }
}

fn holder(kind: Kind, port: u16) -> Option<String> {
    match held(kind, port) {
        Held::By(holders) => holders.first().map(Holder::to_string),
        Held::ByNobody | Held::BySomebody => None,
    }
}

fn bind_one(kind: Kind, address: SocketAddr) -> Result<Bound, Error> {
    open(kind, address).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            Error::Taken { kind, address, holder: holder(kind, address.port()) }
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            Error::Forbidden { kind, address }
        } else {
            Error::Other { kind, address, error }
        }
    })
}

fn open(kind: Kind, address: SocketAddr) -> io::Result<Bound> {
    let (type_, protocol) = match kind {
        Kind::Udp => (Type::DGRAM, Protocol::UDP),
        Kind::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), type_, Some(protocol))?;
    socket.set_nonblocking(true)?;
    match address.ip() {
        // An address that this machine will only have later can be bound now.
        IpAddr::V4(_) => socket.set_freebind_v4(true)?,
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    if kind == Kind::Tcp {
        // Connections of an earlier run that still linger do not hold the port.
        socket.set_reuse_address(true)?;
    } else {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    }
    socket.bind(&address.into())?;
    match kind {
        Kind::Udp => Ok(Bound::Udp(socket.into())),
        Kind::Tcp => {
            socket.listen(BACKLOG)?;
            Ok(Bound::Tcp(socket.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(bind: &[&str], port: u16) -> Listen {
        let bind = bind.iter().map(|address| address.parse().unwrap()).collect();
        Listen { bind, port, extra_ports: Vec::new(), udp: true, tcp: true }
    }

    #[test]
    fn port_0_is_one_port_for_every_kind_and_address() {
        let wanted = wanted(&listen(&["127.0.0.1", "127.0.0.2"], 0));
        let bound = bind(&wanted).unwrap();
        let ports: Vec<u16> = bound.values().map(Bound::port).collect();
        assert_eq!(ports.len(), 4);
        assert!(ports[0] != 0 && ports.iter().all(|&port| port == ports[0]));
    }

    #[test]
    fn a_taken_port_is_named_with_its_holder() {
        for kind in [Kind::Udp, Kind::Tcp] {
            let first = bind_one(kind, "127.0.0.1:0".parse().unwrap()).unwrap();
            let port = first.port();
            let Err(error) = bind(&[(kind, SocketAddr::new("127.0.0.1".parse().unwrap(), port))]) else {
                panic!("bound twice");
            };
            let message = error.to_string();
            assert!(message.contains(&format!("{kind} port {port}")), "{message}");
            assert!(message.contains(&format!("(pid {})", std::process::id())), "{message}");
        }
    }

    #[test]
    fn an_address_that_is_not_there_yet_is_bound_all_the_same() {
        for address in ["192.0.2.77:0", "[2001:db8::77]:0"] {
            let Ok(_) = bind_one(Kind::Udp, address.parse().unwrap()) else { panic!("{address}") };
        }
    }
}
