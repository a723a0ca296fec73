//! The files of /proc that the programs read. Whatever cannot be read or is not in the form that Linux gives it counts
//! as not there.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state in which a TCP socket listens, as the kernel numbers them.
const LISTENS: &str = "0A";

/// A socket as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) listens: bool,
    /// What the links of those who hold it name it by.
    pub(super) inode: u64,
}

/// All sockets of a protocol on this network: "tcp" or "udp".
pub(super) fn sockets(protocol: &str) -> Vec<Socket> {
    let read = |family| fs::read_to_string(format!("/proc/net/{protocol}{family}")).unwrap_or_default();
    let lists = ["", "6"].map(read);
    lists.iter().flat_map(|list| list.lines().filter_map(socket)).collect()
}

/// All processes that this one may see.
pub(crate) fn processes() -> impl Iterator<Item = i32> {
    names("/proc").filter_map(|name| name.parse().ok())
}

/// The name of a process.
pub(crate) fn name(pid: i32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// The sockets that a process holds, by their inodes; none where only root may look.
pub(super) fn inodes(pid: i32) -> impl Iterator<Item = u64> {
    let directory = format!("/proc/{pid}/fd");
    names(&directory).filter_map(move |name| {
        let target = fs::read_link(format!("{directory}/{name}")).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// What a file says behind a name, as `VmRSS:     4096 kB` does, without the unit.
pub(crate) fn figure<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let figure = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    figure.split_whitespace().next()
}

fn names(directory: &str) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Reads a line such as `0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 …`.
fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let (address, port) = words.nth(1)?.split_once(':')?;
    let local = SocketAddr::new(self::address(address)?, u16::from_str_radix(port, 16).ok()?);
    let listens = words.nth(1)? == LISTENS;
    Some(Socket { local, listens, inode: words.nth(5)?.parse().ok()? })
}

/// Reads an address, which the kernel prints as numbers of four bytes in the machine's order.
fn address(digits: &str) -> Option<IpAddr> {
    let word = |at| Some(u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (to, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                to.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_each_family_is_read_and_nothing_else() {
        let line = "   7: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 12345 1 0 100";
        let local = "127.0.0.1:53".parse().unwrap();
        assert_eq!(socket(line), Some(Socket { local, listens: true, inode: 12345 }));
        let line = "  512: 000080FE00000000FF00A8C0FEFF0012:278D 00000000000000000000000000000000:0000 07 \
                    00000000:00000000 00:00000000 00000000  1000        0 98765 2 0 0";
        let local = "[fe80::c0a8:ff:1200:fffe]:10125".parse().unwrap();
        assert_eq!(socket(line), Some(Socket { local, listens: false, inode: 98765 }));
        for line in [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "",
            "   7: 0100007F:0035",
            "   7: 0100007:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000 101 0 12345",
            "   7: 0100007\u{e9}:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000 101 0 12345",
        ] {
            assert_eq!(socket(line), None, "{line}");
        }
    }

    #[test]
    fn a_figure_is_found_by_its_whole_name() {
        let text = "VmRSSX:\t9 kB\nVmRSS:\t    4096 kB\nSigIgn:\t0000000000001001\n";
        assert_eq!(figure(text, "VmRSS"), Some("4096"));
        assert_eq!(figure(text, "SigIgn"), Some("0000000000001001"));
        assert_eq!(figure(text, "Vm"), None);
        assert_eq!(figure("Empty:\n", "Empty"), None);
    }

    #[test]
    fn this_process_is_among_all() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(processes().any(|pid| pid == own));
        assert!(name(own).is_some_and(|name| !name.is_empty() && !name.ends_with('\n')));
        assert_eq!(name(-1), None);
        assert_eq!(inodes(-1).next(), None);
    }
}
