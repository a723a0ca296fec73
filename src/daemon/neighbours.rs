//! Hosts that do not answer when the kernel asks for their hardware address. What is sent to them waits in the kernel for
//! seconds and takes the room that a socket has for what it sends: a few of them, or somebody who forges their addresses,
//! would keep everybody else waiting. While that is so nothing is sent to them.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::moment::Moment;

/// How often the kernel is asked at most: a host that has come back is then sent to again.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the kernel knows of the hosts around. Of IPv6 it tells nothing in a file.
const FILE: &str = "/proc/self/net/arp";

/// The flags of those whose hardware address is known: it was told, or somebody has set it.
const ANSWERED: u32 = 0x2 | 0x4;

/// Those who do not answer, while that matters.
#[derive(Default)]
pub(super) struct Neighbours {
    silent: BTreeSet<Ipv4Addr>,
    /// The kernel had no room for a datagram.
    is_stuck: bool,
    next_look: Option<Moment>,
}

impl Neighbours {
    /// Whether nothing is to be sent to this address.
    pub(super) fn is_silent(&self, to: IpAddr) -> bool {
        match to {
            IpAddr::V4(v4) => !self.silent.is_empty() && self.silent.contains(&v4),
            IpAddr::V6(_) => false,
        }
    }

    /// The kernel had no room for a datagram.
    pub(super) fn note_stuck(&mut self) {
        self.is_stuck = true;
    }

    /// Whether [`Self::look`] has something to do.
    pub(super) fn wants_look(&self) -> bool {
        self.is_stuck || !self.silent.is_empty()
    }

    /// Finds out who does not answer, if it is time to.
    pub(super) fn look(&mut self, now: Moment) {
        if self.next_look.is_some_and(|next| now < next) {
            return;
        }
        (self.next_look, self.is_stuck) = (Some(now + LOOK_EVERY), false);
        let before = self.silent.len();
        self.silent = silent(&fs::read_to_string(FILE).unwrap_or_default());
        if self.silent.len() != before {
            tracing::debug!("{} hosts do not say where they are: nothing is sent to them", self.silent.len());
        }
    }
}

/// Those that have been asked and have not answered. (An address may be there once for each interface.)
fn silent(table: &str) -> BTreeSet<Ipv4Addr> {
    let entries = || table.lines().filter_map(entry);
    let mut silent: BTreeSet<Ipv4Addr> = entries().map(|(address, _)| address).collect();
    for (address, _) in entries().filter(|(_, flags)| flags & ANSWERED != 0) {
        silent.remove(&address);
    }
    silent
}

/// The address and the flags of one line; `None` for the one above all others.
fn entry(line: &str) -> Option<(Ipv4Addr, u32)> {
    let mut words = line.split_whitespace();
    let address = words.next()?.parse().ok()?;
    let flags = u32::from_str_radix(words.nth(1)?.strip_prefix("0x")?, 16).ok()?;
    Some((address, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_are_those_whose_hardware_address_nobody_knows() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.99.0.4        0x1         0x2         9e:0c:aa:b3:5a:51     *        eth0\n\
                     10.99.0.77       0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     10.99.0.4        0x1         0x0         00:00:00:00:00:00     *        eth1\n";
        assert_eq!(silent(table), BTreeSet::from(["10.99.0.77".parse().unwrap()]));
    }

    #[test]
    fn the_kernel_is_asked_once_it_had_no_room_and_not_all_the_time() {
        let mut neighbours = Neighbours::default();
        assert!(!neighbours.wants_look());
        neighbours.note_stuck();
        assert!(neighbours.wants_look());
        neighbours.look(Moment::ZERO);
        assert!(!neighbours.is_stuck);
        neighbours.note_stuck();
        neighbours.look(Moment::ZERO + LOOK_EVERY / 2);
        assert!(neighbours.is_stuck, "it is too early");
        neighbours.look(Moment::ZERO + LOOK_EVERY);
        assert!(!neighbours.is_stuck);
    }
}
