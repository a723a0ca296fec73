//! What /proc tells of this machine, for both programs: who holds a port is the one thing that a user wants to
//! know when it is taken.

use std::fmt;
use std::net::SocketAddr;

use procfs::net;
use procfs::process::{FDTarget, Process, all_processes};

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
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(!is_own(&held(Kind::Udp, gone)));
    }
}
