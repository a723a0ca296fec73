//! UDP: datagrams come in batches and leave in batches, from the address that they were sent to.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::core::{Core, Shared, without_flow};
use super::udp_send::Sender;
use crate::hub::{Action, Actions, Input, Target, Via};
use crate::limits::{CROWDED_TURNS, UDP_DATAGRAM_BYTES};
use crate::moment::Moment;

/// Most datagrams taken from the kernel at a time, and given to it.
pub(super) const BATCH: usize = 64;

/// The same while few come: to prepare for more costs time that a lone datagram would wait for.
const SMALL_BATCH: usize = 8;

/// So many in a batch mean that more are coming while these are answered: to ask at once costs less than to be woken.
const SEVERAL: usize = 2;

/// Datagrams taken from one socket before others have their turn.
const TURN: usize = 2 * BATCH;

/// The same of a socket that hears what everybody is sent.
const EAR_TURN: usize = BATCH;

/// How long such a socket is left alone when there was more than that: what it takes is bounded, whoever floods everybody,
/// and a question to everybody may be lost.
const EAR_REST: Duration = Duration::from_millis(10);

/// One bound socket.
pub(super) struct Socket {
    io: AsyncFd<UdpSocket>,
    index: u16,
    port: u16,
    /// Whether it listens on all addresses, so that each datagram must tell which it was sent to.
    wildcard: bool,
    is_v4: bool,
    /// Of one that hears what everybody is sent: only what comes in by this interface counts.
    ear: Option<u32>,
    /// How many datagrams the kernel had no room for, as it last said; it counts in 32 bits and begins anew.
    dropped: Cell<u32>,
}

impl Socket {
    fn new(io: UdpSocket, index: u16) -> io::Result<Self> {
        // Best effort: without it nobody is told what the kernel has dropped.
        let _ = setsockopt(&io, sockopt::RxqOvfl, &1);
        Self::open(io, index)
    }

    /// One bound to an address of everybody's, which hears for another socket and never speaks. What the kernel drops there
    /// is not asked: it would count as if the hub could not keep up with those who ask it alone.
    pub(super) fn ear(io: UdpSocket, index: u16, interface: u32) -> io::Result<Self> {
        if io.local_addr()?.is_ipv4() {
            setsockopt(&io, sockopt::Ipv4PacketInfo, &true)?;
        }
        let socket = Self::open(io, index)?;
        Ok(Self { wildcard: true, ear: Some(interface), ..socket })
    }

    fn open(io: UdpSocket, index: u16) -> io::Result<Self> {
        let local = io.local_addr()?;
        let (wildcard, is_v4) = (local.ip().is_unspecified(), local.is_ipv4());
        if wildcard && is_v4 {
            setsockopt(&io, sockopt::Ipv4PacketInfo, &true)?;
        } else if !is_v4 {
            // Specific sockets need it too: for the interface of link-local peers, and to know multicast.
            setsockopt(&io, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        // Writability is not asked for: its edge would wake the hub once more for each reply that is read.
        #[expect(
            deprecated,
            reason = "std's socket keeps its descriptor, and that is all the successor asks; safe code cannot call it"
        )]
        let io = AsyncFd::with_interest(io, Interest::READABLE)?;
        let port = local.port();
        Ok(Self { io, index, port, wildcard, is_v4, ear: None, dropped: Cell::new(0) })
    }

    /// Whether each datagram tells which address it was sent to.
    fn tells_where(&self) -> bool {
        self.wildcard || !self.is_v4
    }
}

/// All UDP sockets, and what they share.
pub(super) struct Sockets {
    slots: Vec<Option<Rc<Socket>>>,
    /// Room for one batch of the largest datagrams, end to end.
    buffer: Vec<u8>,
    sender: Sender,
}

impl Sockets {
    pub(super) fn new() -> Self {
        // The largest datagram fits, so that even one that is too long is seen to its end; memory that none
        // has filled takes no room.
        Self { slots: Vec::new(), buffer: vec![0; BATCH * UDP_DATAGRAM_BYTES], sender: Sender::default() }
    }

    /// Adds a bound socket.
    pub(super) fn add(&mut self, io: UdpSocket) -> io::Result<Rc<Socket>> {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let index = u16::try_from(free).map_err(io::Error::other)?;
        let socket = Rc::new(Socket::new(io, index)?);
        if free == self.slots.len() {
            self.slots.push(None);
        }
        if let Some(slot) = self.slots.get_mut(free) {
            *slot = Some(Rc::clone(&socket));
        }
        Ok(socket)
    }

    /// The sockets that listen on one address each, by their numbers.
    pub(super) fn single(&self) -> Vec<(u16, SocketAddr)> {
        let single = self.slots.iter().flatten().filter(|socket| !socket.wildcard);
        single.filter_map(|socket| Some((socket.index, socket.io.get_ref().local_addr().ok()?))).collect()
    }

    /// Forgets a socket. Who came by it is answered by another of its family.
    pub(super) fn remove(&mut self, socket: &Rc<Socket>) {
        if let Some(slot) = self.slots.get_mut(usize::from(socket.index)) {
            *slot = None;
        }
    }

    /// Whether [`Self::look_for_silent`] is called for.
    pub(super) fn wants_look(&self) -> bool {
        self.sender.neighbours.wants_look()
    }

    /// Looks for hosts that nothing can be sent to, if that is called for.
    pub(super) fn look_for_silent(&mut self, now: Moment) {
        if self.wants_look() {
            self.sender.neighbours.look(now);
        }
    }

    /// Sends every datagram of these actions. What the kernel will not take is lost, as datagrams are.
    pub(super) fn send_all(&mut self, actions: &Actions) {
        for action in &actions.list {
            if let Action::Send { target: Target::Udp { to, via }, range, .. } = action {
                self.sender.add(*to, *via, range.clone());
            }
        }
        let slots = &self.slots;
        self.sender.send(&actions.bytes, |to, via| {
            let came_by = slots.get(usize::from(via.socket)).and_then(Option::as_ref);
            let same_family = |socket: &&Rc<Socket>| socket.is_v4 == to.is_ipv4();
            let same_port = |socket: &&Rc<Socket>| same_family(socket) && socket.port == via.port;
            // Who came by a socket of the last run, or one that is gone, came by its port.
            let others = || slots.iter().flatten();
            let socket = came_by.filter(same_port).or_else(|| others().find(same_port));
            let socket = socket.or_else(|| others().find(same_family))?;
            Some((socket.io.as_raw_fd(), via.local.filter(|_| socket.wildcard)))
        });
    }
}

/// Serves one socket for ever.
pub(super) async fn serve(shared: Shared, socket: Rc<Socket>) {
    let mut headers = Headers::new();
    let mut full_turns = 0_u32;
    loop {
        match socket.io.readable().await {
            Ok(mut guard) => guard.retain_ready(),
            Err(error) => {
                tracing::error!("a UDP socket failed: {error}");
                return;
            }
        }
        let turn = shared.borrow_mut().take_turn(&socket, &mut headers);
        if turn == Turn::Full && socket.ear.is_some() {
            tokio::time::sleep(EAR_REST).await;
            continue;
        }
        full_turns = if turn == Turn::Full { full_turns.saturating_add(1) } else { 0 };
        if full_turns >= CROWDED_TURNS {
            shared.borrow_mut().note_crowd();
        }
        if turn != Turn::Emptied {
            tokio::task::yield_now().await;
        }
    }
}

/// How a turn of a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing is left.
    Emptied,
    /// There may be more.
    Cut,
    /// There may be more, and there always was: each time as much waited as is taken at a time.
    Full,
}

impl Core {
    /// Datagrams come faster than they are answered.
    fn note_crowd(&mut self) {
        let now = self.now();
        self.hub.crowded(now);
    }

    /// Answers what has come on all sockets, as far as there is time.
    pub(super) fn drain_datagrams(&mut self, deadline: Moment) {
        let sockets: Vec<_> = self.udp.slots.iter().flatten().cloned().collect();
        for socket in sockets {
            let mut headers = Headers::new();
            while self.now() < deadline && self.receive(&socket, &mut headers).is_some() {}
        }
    }

    /// Answers what has come on a socket, as much of it as one turn takes.
    fn take_turn(&mut self, socket: &Socket, headers: &mut Headers) -> Turn {
        let most = if socket.ear.is_some() { EAR_TURN } else { TURN };
        let (mut taken, mut turn) = (0, Turn::Full);
        while taken < most {
            let Some(received) = self.receive(socket, headers) else { return Turn::Emptied };
            if received < BATCH {
                turn = Turn::Cut;
            }
            taken += received;
        }
        turn
    }

    /// Takes one batch from a socket and answers it: how many datagrams that were, or `None` if no more are there.
    fn receive(&mut self, socket: &Socket, headers: &mut Headers) -> Option<usize> {
        let mut buffer = std::mem::take(&mut self.udp.buffer);
        let now = self.now();
        let mut received = 0;
        // A short batch has emptied the socket. To say so spares the call that would find out.
        let result = socket.io.try_io(Interest::READABLE, |_| {
            received = if headers.are_many_wanted {
                self.receive_batch::<BATCH>(now, socket, headers, &mut buffer)?
            } else {
                self.receive_batch::<SMALL_BATCH>(now, socket, headers, &mut buffer)?
            };
            if received < SEVERAL { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        self.udp.buffer = buffer;
        headers.are_many_wanted = received >= SMALL_BATCH;
        if received > 0 {
            self.perform();
        }
        match result {
            Ok(()) => Some(received),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Errors of one datagram, such as an ICMP that answers an earlier one, concern nobody else.
            Err(error) => {
                tracing::debug!("a UDP socket reported an error: {error}");
                Some(1)
            }
        }
    }

    fn receive_batch<const MOST: usize>(
        &mut self,
        now: Moment,
        socket: &Socket,
        headers: &mut Headers,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let (mut last_dropped, mut received, mut is_short) = (None, 0, false);
        headers.arrived.clear();
        {
            let mut slices = buffer.chunks_mut(UDP_DATAGRAM_BYTES).map(|room| [IoSliceMut::new(room)]);
            let mut slices: [[IoSliceMut<'_>; 1]; MOST] =
                std::array::from_fn(|_| slices.next().unwrap_or_else(|| [IoSliceMut::new(&mut [])]));
            let flags = MsgFlags::MSG_DONTWAIT;
            let results = recvmmsg(socket.io.as_raw_fd(), &mut headers.room, slices.iter_mut(), flags, None)?;
            for message in results {
                let at = received;
                received += 1;
                let mut info = None;
                if let Ok(cmsgs) = message.cmsgs() {
                    for cmsg in cmsgs {
                        if let ControlMessageOwned::RxqOvfl(dropped) = cmsg {
                            last_dropped = Some(dropped);
                        } else {
                            info = Some(cmsg);
                        }
                    }
                } else {
                    is_short = true;
                    // Nobody knows where it was sent to, nor where to answer from: it counts as lost.
                    if socket.tells_where() {
                        continue;
                    }
                }
                if socket.ear.is_some_and(|only| interface(info.as_ref()) != Some(only)) {
                    continue;
                }
                let Some(from) = message.address.as_ref().and_then(socket_address) else { continue };
                let (via, to_many) = via(socket, info.as_ref());
                headers.arrived.push(Arrived { at, bytes: message.bytes, from, via, to_many });
            }
        }
        if let Some(dropped) = last_dropped {
            let more = dropped.wrapping_sub(socket.dropped.replace(dropped));
            if more > 0 {
                self.hub.note_dropped(now, more.into());
            }
        }
        for &Arrived { at, bytes, from, via, to_many } in &headers.arrived {
            let Some(bytes) = buffer.get(at * UDP_DATAGRAM_BYTES..).and_then(|room| room.get(..bytes)) else {
                continue;
            };
            self.handle(now, Input::Datagram { from, via, to_many, bytes });
            self.perform_if_much();
        }
        if is_short {
            headers.room = Headers::new().room;
        }
        Ok(received)
    }
}

/// A datagram that was received.
struct Arrived {
    /// Its number in its batch.
    at: usize,
    bytes: usize,
    from: SocketAddr,
    via: Via,
    to_many: bool,
}

/// Room for one batch of received headers, and what they said.
struct Headers {
    /// What each leaves to control messages shrinks to what was last received there, and never grows: a kernel that begins
    /// to tell of datagrams it has dropped finds too little, and the room is made anew.
    room: MultiHeaders<SockaddrStorage>,
    arrived: Vec<Arrived>,
    /// Whether the last batch was not small.
    are_many_wanted: bool,
}

impl Headers {
    fn new() -> Self {
        let room = MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(in6_pktinfo, u32)));
        Self { room, arrived: Vec::with_capacity(BATCH), are_many_wanted: false }
    }
}

/// Where a datagram came in, and whether it was sent to many.
fn via(socket: &Socket, info: Option<&ControlMessageOwned>) -> (Via, bool) {
    let mut via = Via { socket: socket.index, port: socket.port, local: None, interface: 0 };
    match info {
        Some(ControlMessageOwned::Ipv4PacketInfo(in_pktinfo { ipi_spec_dst, ipi_addr, .. })) => {
            via.local = Some(IpAddr::V4(u32::from_be(ipi_spec_dst.s_addr).into()));
            (via, ipi_spec_dst.s_addr != ipi_addr.s_addr)
        }
        Some(ControlMessageOwned::Ipv6PacketInfo(in6_pktinfo { ipi6_addr, ipi6_ifindex })) => {
            let address = std::net::Ipv6Addr::from(ipi6_addr.s6_addr);
            if address.is_unicast_link_local() || address.is_multicast() {
                via.interface = *ipi6_ifindex;
            }
            via.local = (!address.is_multicast()).then_some(IpAddr::V6(address));
            (via, address.is_multicast())
        }
        _ => (via, false),
    }
}

/// By which interface a datagram came in.
fn interface(info: Option<&ControlMessageOwned>) -> Option<u32> {
    match info {
        Some(ControlMessageOwned::Ipv4PacketInfo(info)) => info.ipi_ifindex.try_into().ok(),
        Some(ControlMessageOwned::Ipv6PacketInfo(info)) => Some(info.ipi6_ifindex),
        _ => None,
    }
}

/// The peer's address.
fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(&v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(v4).into());
    }
    let v6 = SocketAddrV6::from(*address.as_sockaddr_in6()?);
    Some(without_flow(v6.into()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Instant;

    use super::*;
    use crate::hub::{Hub, Settings};

    /// A hub with one socket, of the main ones or an ear by the loopback interface, where so many datagrams wait.
    async fn waiting(is_ear: bool, datagrams: usize) -> (Core, Rc<Socket>) {
        let io = UdpSocket::bind("127.0.0.1:0").unwrap();
        io.set_nonblocking(true).unwrap();
        let mut core = Core::new(Hub::new(Settings::default(), Moment::ZERO, 0), 0, None);
        let lo = nix::net::if_::if_nametoindex("lo").unwrap();
        let socket =
            if is_ear { Rc::new(Socket::ear(io, 0, lo).unwrap()) } else { core.udp.add(io).unwrap() };
        send(&socket, datagrams).await;
        (core, socket)
    }

    async fn send(socket: &Socket, datagrams: usize) {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..datagrams {
            peer.send_to(b"PING", socket.io.get_ref().local_addr().unwrap()).unwrap();
        }
        socket.io.readable().await.unwrap().retain_ready();
    }

    fn in_a_runtime(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let test = async { tokio::time::timeout(Duration::from_secs(30), test).await.unwrap() };
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_turn_takes_so_much_and_an_ear_less() {
        in_a_runtime(async {
            for (is_ear, most) in [(false, TURN), (true, EAR_TURN)] {
                // The first batch is small, and the last of a turn may pass its bound.
                let taken = SMALL_BATCH + most;
                let cases = [
                    (most - 1, Turn::Emptied),
                    (most, Turn::Cut),
                    (taken, Turn::Cut),
                    (taken + 1, Turn::Cut),
                ];
                for (sent, turn) in cases {
                    let (mut core, socket) = waiting(is_ear, sent).await;
                    assert_eq!(core.take_turn(&socket, &mut Headers::new()), turn, "{sent}");
                    assert_eq!(core.hub.summary().counters.datagrams, sent.min(taken) as u64);
                }
            }
        });
    }

    #[test]
    fn a_turn_is_full_if_each_time_a_batch_waited() {
        in_a_runtime(async {
            for (left, turn) in [(EAR_TURN, Turn::Full), (EAR_TURN - 1, Turn::Emptied)] {
                let (mut core, socket) = waiting(true, SMALL_BATCH + EAR_TURN + left).await;
                let mut headers = Headers::new();
                assert_eq!(core.take_turn(&socket, &mut headers), Turn::Cut);
                assert_eq!(core.take_turn(&socket, &mut headers), turn, "{left}");
            }
        });
    }

    #[test]
    fn what_an_ear_has_no_room_for_is_not_said() {
        in_a_runtime(async {
            // More than the kernel keeps for a socket that asks for no room.
            for is_ear in [false, true] {
                let (mut core, socket) = waiting(is_ear, 10_000).await;
                let mut headers = Headers::new();
                while core.take_turn(&socket, &mut headers) != Turn::Emptied {}
                let read = core.hub.summary().counters.datagrams;
                // The kernel says with each that comes later what it has dropped before; for the first there is no room.
                for _ in 0..2 {
                    send(&socket, 1).await;
                    core.take_turn(&socket, &mut headers);
                }
                assert_eq!(core.hub.summary().counters.datagrams, read + 2);
                assert_eq!(core.hub.summary().counters.dropped, if is_ear { 0 } else { 10_000 - read });
            }
        });
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "how long it takes at least")]
    fn an_ear_rests_after_each_full_turn() {
        const TURNS: usize = 2;
        // The first turn begins with a small batch, so that it is not full.
        const SENT: usize = SMALL_BATCH + (1 + TURNS) * EAR_TURN + 1;
        in_a_runtime(async {
            let (core, socket) = waiting(true, SENT).await;
            let shared = Rc::new(RefCell::new(core));
            let start = Instant::now();
            let task = tokio::task::spawn_local(serve(Rc::clone(&shared), socket));
            while shared.borrow().hub.summary().counters.datagrams < SENT as u64 {
                tokio::task::yield_now().await;
            }
            task.abort();
            assert!(start.elapsed() >= EAR_REST * u32::try_from(TURNS).unwrap());
        });
    }
}
