//! Sends datagrams in as few system calls as they allow, and as few trips through the kernel's stack.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::RawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use super::neighbours::Neighbours;
use super::udp::BATCH;
use crate::hub::{Via, empty};
use crate::limits::KEPT_ACTIONS;

/// Replies of one length to one peer leave as one segmented send, if each fits an IPv6 minimum packet.
const SEGMENT_BYTES: usize = 1232;

/// What one segmented send may hold: as much as a datagram of IPv4. (Its segments are at most [`BATCH`], which all kernels take.)
const SEGMENTED_BYTES: usize = 65_507;

/// A kernel that has refused to segment so often in a row is asked no more.
const MAX_REFUSALS: u8 = 16;

/// One datagram to be sent.
#[derive(Clone, Debug)]
struct Outgoing {
    to: SocketAddr,
    via: Via,
    range: Range<usize>,
    /// How many came before it.
    number: usize,
}

impl Outgoing {
    /// Whether the other may leave in the same segmented send.
    fn joins(&self, other: &Self) -> bool {
        self.to == other.to && self.via == other.via && self.range.len() == other.range.len()
    }
}

/// What is to be sent, and the memory to send it with.
#[derive(Default)]
pub(super) struct Sender {
    pending: Vec<Outgoing>,
    headers: Option<Box<AllHeaders>>,
    /// How often in a row the kernel has refused to segment.
    refusals: u8,
    pub(super) neighbours: Neighbours,
}

type Headers = MultiHeaders<SockaddrStorage>;

/// Headers with room for just what goes along, as the kernel wants them.
struct AllHeaders {
    plain: Headers,
    from_v4: Headers,
    from_v6: Headers,
    segments: Headers,
    segments_from_v4: Headers,
    segments_from_v6: Headers,
}

impl AllHeaders {
    fn new() -> Self {
        Self {
            plain: Headers::preallocate(BATCH, None),
            from_v4: Headers::preallocate(BATCH, Some(cmsg_space!(in_pktinfo))),
            from_v6: Headers::preallocate(BATCH, Some(cmsg_space!(in6_pktinfo))),
            segments: Headers::preallocate(1, Some(cmsg_space!(u16))),
            segments_from_v4: Headers::preallocate(1, Some(cmsg_space!(in_pktinfo, u16))),
            segments_from_v6: Headers::preallocate(1, Some(cmsg_space!(in6_pktinfo, u16))),
        }
    }
}

/// The socket to send by, and the address to send from where the socket has more than one.
type Route = (RawFd, Option<IpAddr>);

impl Sender {
    /// Adds a datagram, whose bytes are given to [`Self::send`].
    pub(super) fn add(&mut self, to: SocketAddr, via: Via, range: Range<usize>) {
        if !self.neighbours.is_silent(to.ip()) {
            let number = self.pending.len();
            self.pending.push(Outgoing { to, via, range, number });
        }
    }

    /// Sends all that was added. To one peer they leave in order; a route of `None` drops the datagram.
    pub(super) fn send(&mut self, bytes: &[u8], route: impl Fn(&SocketAddr, &Via) -> Option<Route>) {
        let mut pending = std::mem::take(&mut self.pending);
        for chunk in pending.chunks_mut(BATCH) {
            chunk.sort_unstable_by_key(|a| (a.via.socket, a.via.local, a.to, a.number));
            let mut rest: &[Outgoing] = chunk;
            while let Some(first) = rest.first() {
                let (group, others) = rest.split_at(self.group_length(rest));
                rest = others;
                if let Some(route) = route(&first.to, &first.via) {
                    self.send_group(bytes, route, group);
                }
            }
        }
        empty(&mut pending, KEPT_ACTIONS);
        self.pending = pending;
    }

    /// How many from the front leave in one call: a run to one peer that is segmented, or else all that share
    /// a route, up to where such a run begins.
    fn group_length(&self, rest: &[Outgoing]) -> usize {
        let Some(first) = rest.first() else { return 0 };
        let run = self.run_length(rest);
        if run > 1 {
            return run;
        }
        let same_route =
            |other: &Outgoing| other.via == first.via && other.to.is_ipv4() == first.to.is_ipv4();
        let mut length = 1;
        while let Some(tail @ [next, ..]) = rest.get(length..) {
            if !same_route(next) || self.run_length(tail) > 1 {
                break;
            }
            length += 1;
        }
        length
    }

    /// How many from the front could be one segmented send.
    #[inline]
    fn run_length(&self, rest: &[Outgoing]) -> usize {
        match rest {
            [first, second, ..] if self.refusals < MAX_REFUSALS && first.joins(second) => {
                let length = first.range.len();
                if !(1..=SEGMENT_BYTES).contains(&length) {
                    return 1;
                }
                let most = SEGMENTED_BYTES / length;
                rest.iter().take(most).take_while(|other| first.joins(other)).count()
            }
            _ => 1,
        }
    }

    fn send_group(&mut self, bytes: &[u8], route: Route, group: &[Outgoing]) {
        let mut slices = [IoSlice::new(&[]); BATCH];
        for (slice, outgoing) in slices.iter_mut().zip(group) {
            *slice = IoSlice::new(bytes.get(outgoing.range.clone()).unwrap_or_default());
        }
        let slices = slices.get(..group.len()).unwrap_or_default();
        if self.run_length(group) > 1 {
            match self.send_segmented(route, group, slices) {
                Ok(()) => {
                    self.refusals = 0;
                    return;
                }
                Err(error @ (Errno::EAGAIN | Errno::ENOBUFS)) => {
                    return self.note_lost(group.len(), error);
                }
                // This way may have too small packets for it, or the kernel may not know it at all.
                Err(_) => self.refusals = self.refusals.saturating_add(1),
            }
        }
        self.send_each(route, group, slices);
    }

    fn send_segmented(
        &mut self,
        route: Route,
        group: &[Outgoing],
        slices: &[IoSlice<'_>],
    ) -> Result<(), Errno> {
        let Some(first) = group.first() else { return Ok(()) };
        let length = u16::try_from(first.range.len()).unwrap_or(u16::MAX);
        let address = [Some(SockaddrStorage::from(first.to))];
        let segment = ControlMessage::UdpGsoSegments(&length);
        let headers = self.headers.get_or_insert_with(|| Box::new(AllHeaders::new()));
        let (fd, flags, messages) = (route.0, MsgFlags::MSG_DONTWAIT, [slices]);
        match source(route.1, &first.via) {
            None => sendmmsg(fd, &mut headers.segments, &messages, address, [segment], flags)?,
            Some(Source::V4(info)) => {
                let cmsgs = [ControlMessage::Ipv4PacketInfo(&info), segment];
                sendmmsg(fd, &mut headers.segments_from_v4, &messages, address, cmsgs, flags)?
            }
            Some(Source::V6(info)) => {
                let cmsgs = [ControlMessage::Ipv6PacketInfo(&info), segment];
                sendmmsg(fd, &mut headers.segments_from_v6, &messages, address, cmsgs, flags)?
            }
        };
        Ok(())
    }

    /// Sends each in a datagram of its own. One that is refused, say because its network is gone, is left
    /// out; if the kernel has no room the rest is lost.
    fn send_each(&mut self, route: Route, group: &[Outgoing], slices: &[IoSlice<'_>]) {
        let mut left = 0;
        while left < group.len() {
            let (Some(group), Some(slices)) = (group.get(left..), slices.get(left..)) else { return };
            match self.send_some(route, group, slices) {
                Ok(sent) => left += sent.max(1),
                Err(Errno::EINTR) => {}
                Err(error @ (Errno::EAGAIN | Errno::ENOBUFS)) => {
                    return self.note_lost(group.len(), error);
                }
                Err(error) => {
                    tracing::debug!("a datagram could not be sent: {error}");
                    left += 1;
                }
            }
        }
    }

    fn note_lost(&mut self, datagrams: usize, error: Errno) {
        tracing::debug!("{datagrams} datagrams were lost: the kernel has no room: {error}");
        self.neighbours.note_stuck();
    }

    fn send_some(
        &mut self,
        route: Route,
        group: &[Outgoing],
        slices: &[IoSlice<'_>],
    ) -> Result<usize, Errno> {
        let Some(first) = group.first() else { return Ok(0) };
        let mut addresses = [None; BATCH];
        let mut messages: [&[IoSlice<'_>]; BATCH] = [&[]; BATCH];
        for (index, (outgoing, slice)) in group.iter().zip(slices.chunks(1)).enumerate() {
            if let (Some(address), Some(message)) = (addresses.get_mut(index), messages.get_mut(index)) {
                (*address, *message) = (Some(SockaddrStorage::from(outgoing.to)), slice);
            }
        }
        let messages = messages.get(..group.len()).unwrap_or_default();
        let addresses = addresses.get(..group.len()).unwrap_or_default();
        let headers = self.headers.get_or_insert_with(|| Box::new(AllHeaders::new()));
        let (fd, flags) = (route.0, MsgFlags::MSG_DONTWAIT);
        let source = source(route.1, &first.via);
        let sent = match &source {
            None => sendmmsg(fd, &mut headers.plain, messages, addresses, [], flags)?,
            Some(Source::V4(info)) => {
                let cmsgs = [ControlMessage::Ipv4PacketInfo(info)];
                sendmmsg(fd, &mut headers.from_v4, messages, addresses, cmsgs, flags)?
            }
            Some(Source::V6(info)) => {
                let cmsgs = [ControlMessage::Ipv6PacketInfo(info)];
                sendmmsg(fd, &mut headers.from_v6, messages, addresses, cmsgs, flags)?
            }
        };
        Ok(sent.count())
    }
}

/// The address that a datagram leaves from, as the kernel wants it.
enum Source {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

fn source(local: Option<IpAddr>, via: &Via) -> Option<Source> {
    match local? {
        IpAddr::V4(v4) => {
            let spec_dst = in_addr { s_addr: u32::from(v4).to_be() };
            Some(Source::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: spec_dst,
                ipi_addr: in_addr { s_addr: 0 },
            }))
        }
        IpAddr::V6(v6) => {
            let ipi6_addr = in6_addr { s6_addr: v6.octets() };
            Some(Source::V6(in6_pktinfo { ipi6_addr, ipi6_ifindex: via.interface }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segmented_send_holds_no_more_than_a_datagram_may() {
        let sender = Sender::default();
        let (to, via) =
            ("127.0.0.1:5000".parse().unwrap(), Via { socket: 0, port: 1, local: None, interface: 0 });
        for (length, most) in
            [(1, BATCH), (1023, BATCH), (1024, 63), (SEGMENT_BYTES, 53), (SEGMENT_BYTES + 1, BATCH)]
        {
            let pending: Vec<_> =
                (0..BATCH).map(|number| Outgoing { to, via, range: 0..length, number }).collect();
            assert_eq!(sender.group_length(&pending), most, "{length}");
            assert_eq!(sender.run_length(&pending) > 1, length <= SEGMENT_BYTES, "{length}");
        }
    }
}
