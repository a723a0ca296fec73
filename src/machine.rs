//! What /proc tells of this machine, for both programs: who holds a port is the one thing that a user wants to
//! know when it is taken.

pub(crate) mod proc;

use std::fmt;
use std::net::IpAddr;

/// From here on Linux picks ports itself.
const PICKED_PORTS: u16 = 32_768;

/// Which kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl Kind {
    /// All sockets of this kind.
    fn sockets(self) -> Vec<proc::Socket> {
        proc::sockets(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// A process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) pid: i32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Who holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is free.
    ByNobody,
    /// By these; several may share a socket. Never empty.
    By(Vec<Holder>),
    /// By a process that only root may look at.
    BySomebody,
}

/// Finds out who holds a port, at whatever address.
pub(crate) fn held(kind: Kind, port: u16) -> Held {
    let mut sockets = kind.sockets();
    sockets.retain(|socket| socket.local.port() == port && (kind == Kind::Udp || socket.listens));
    if sockets.is_empty() {
        return Held::ByNobody;
    }
    let is_one = |inode| sockets.iter().any(|socket| socket.inode == inode);
    let holders: Vec<Holder> = proc::processes()
        .filter(|&pid| proc::inodes(pid).any(is_one))
        .filter_map(|pid| Some(Holder { name: proc::name(pid)?, pid }))
        .collect();
    if holders.is_empty() { Held::BySomebody } else { Held::By(holders) }
}

/// The addresses of this machine where somebody hears datagrams to a port.
pub(crate) fn bound(port: u16) -> Vec<IpAddr> {
    let sockets = Kind::Udp.sockets().into_iter();
    sockets.map(|socket| socket.local).filter(|local| local.port() == port).map(|local| local.ip()).collect()
}

/// The ports on which a process accepts connections, or, if there are none, hears datagrams that it need not have
/// asked for. Empty where only root may look.
pub(crate) fn ports(pid: i32) -> Vec<u16> {
    let inodes: Vec<u64> = proc::inodes(pid).collect();
    let own = |kind: Kind| kind.sockets().into_iter().filter(|socket| inodes.contains(&socket.inode));
    let mut ports: Vec<u16> =
        own(Kind::Tcp).filter(|socket| socket.listens).map(|socket| socket.local.port()).collect();
    if ports.is_empty() {
        // The others are those that the system picks for who only sends.
        ports.extend(own(Kind::Udp).map(|socket| socket.local.port()).filter(|&port| port < PICKED_PORTS));
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn this_process_is_found_for_the_kind_that_it_holds() {
        let own = i32::try_from(std::process::id()).unwrap();
        let is_own =
            |held: &Held| matches!(held, Held::By(holders) if holders.iter().any(|holder| holder.pid == own));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("[::1]:0").unwrap();
        assert!(is_own(&held(Kind::Udp, socket.local_addr().unwrap().port())));
        assert!(is_own(&held(Kind::Tcp, listener.local_addr().unwrap().port())));
        assert!(ports(own).contains(&listener.local_addr().unwrap().port()));
        assert!(!ports(own).contains(&socket.local_addr().unwrap().port()), "one that only sends");
        assert!(bound(socket.local_addr().unwrap().port()).contains(&IpAddr::from([127, 0, 0, 1])));
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(!is_own(&held(Kind::Udp, gone)));
    }
}
