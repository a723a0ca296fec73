//! Who holds a port, where /proc tells: the one thing that a user wants to know when it is taken.

use std::net::SocketAddr;

use procfs::net;
use procfs::process::{FDTarget, all_processes};

use super::bind::Kind;

/// The process that holds a port, as `name (pid 123)`.
pub(super) fn of(kind: Kind, port: u16) -> Option<String> {
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
    all_processes().ok()?.flatten().find_map(|process| {
        let holds = |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(inode));
        let held = process.fd().ok()?.flatten().any(|fd| holds(&fd.target));
        let name = process.stat().ok()?.comm;
        held.then(|| format!("{name} (pid {})", process.pid()))
    })
}

fn holds(local: SocketAddr, port: u16) -> bool {
    local.port() == port
}
