//! What /proc tells of this machine, for both programs: who holds a port is the one thing that a user wants to
//! know when it is taken.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use procfs::net;
use procfs::process::{FDTarget, Process, all_processes};

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
    let inodes: Vec<u64> = match kind {
        Kind::Udp => {
            let entries = [net::udp(), net::udp6()].into_iter().flatten().flatten();
            entries.filter(|entry| holds(entry.local_address, port)).map(|entry| entry.inode).collect()
        }
        Kind::Tcp => {
            let entries = [net::tcp(), net::tcp6()].into_iter().flatten().flatten();
            let listening = entries.filter(|entry| entry.state == net::TcpState::Listen);
            listening.filter(|entry| holds(entry.local_address, port)).map(|entry| entry.inode).collect()
        }
    };
    if inodes.is_empty() {
        return Held::ByNobody;
    }
    let all = all_processes().into_iter().flatten().flatten();
    let holders: Vec<Holder> = all.filter_map(|process| holder(&process, &inodes)).collect();
    if holders.is_empty() { Held::BySomebody } else { Held::By(holders) }
}

/// The addresses of this machine where somebody hears datagrams to a port.
pub(crate) fn bound(port: u16) -> Vec<IpAddr> {
    let entries = [net::udp(), net::udp6()].into_iter().flatten().flatten();
    entries
        .map(|entry| entry.local_address)
        .filter(|&local| holds(local, port))
        .map(|local| local.ip())
        .collect()
}

/// The ports on which a process accepts connections, or, if there are none, hears datagrams that it need not have
/// asked for. Empty where only root may look.
pub(crate) fn ports(pid: i32) -> Vec<u16> {
    let targets = Process::new(pid).and_then(|process| process.fd());
    let inode = |target| if let FDTarget::Socket(inode) = target { Some(inode) } else { None };
    let inodes: Vec<u64> =
        targets.into_iter().flatten().flatten().filter_map(|fd| inode(fd.target)).collect();
    let tcp = [net::tcp(), net::tcp6()].into_iter().flatten().flatten();
    let tcp = tcp.filter(|entry| entry.state == net::TcpState::Listen && inodes.contains(&entry.inode));
    let mut ports: Vec<u16> = tcp.map(|entry| entry.local_address.port()).collect();
    if ports.is_empty() {
        let udp = [net::udp(), net::udp6()].into_iter().flatten().flatten();
        let udp = udp.filter(|entry| inodes.contains(&entry.inode));
        // The others are those that the system picks for who only sends.
        ports.extend(udp.map(|entry| entry.local_address.port()).filter(|&port| port < PICKED_PORTS));
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn holder(process: &Process, inodes: &[u64]) -> Option<Holder> {
    let holds = |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(inode));
    let held = process.fd().ok()?.flatten().any(|fd| holds(&fd.target));
    let name = process.stat().ok()?.comm;
    held.then_some(Holder { name, pid: process.pid() })
}

fn holds(local: SocketAddr, port: u16) -> bool {
    local.port() == port
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
