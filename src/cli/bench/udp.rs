//! Load over UDP, many datagrams to a system call.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use super::super::arguments::BenchOptions;
use super::super::exit::Failure;
use super::super::link::connected_udp;
use super::{Peer, Ring, Tally};
use crate::limits::REPLY_DATAGRAM_BYTES;

/// Datagrams in one system call.
const BATCH: usize = 64;

/// A socket and what is under way on it.
struct Flow {
    socket: UdpSocket,
    ring: Ring,
}

/// Buffers and headers that every socket uses in turn.
struct Batch {
    received: Vec<[u8; REPLY_DATAGRAM_BYTES]>,
    receiving: MultiHeaders<SockaddrStorage>,
    sending: MultiHeaders<SockaddrStorage>,
    addresses: Vec<Option<SockaddrStorage>>,
    /// Of each datagram that came: how many replies it holds.
    replies: Vec<u64>,
}

pub(super) fn load(
    peer: Peer,
    options: &BenchOptions,
    request: &[u8],
    tally: &mut Tally<'_>,
) -> Result<(), Failure> {
    let lines = usize::from(options.lines);
    // One line is sent as a tutorial's client sends it, without an end.
    let parcel = if lines == 1 { request.to_vec() } else { [request, b"\n"].concat().repeat(lines) };
    let window = (usize::from(options.window) / lines).max(1);
    let mut batch = Batch::new();
    let mut flows = Vec::new();
    for _ in 0..options.clients {
        let mut flow = Flow { socket: connected_udp(peer)?, ring: Ring::default() };
        batch.send(&mut flow, &parcel, lines, window, tally);
        flows.push(flow);
    }
    loop {
        let (now, over) = tally.turn()?;
        if over {
            return Ok(());
        }
        let mut idle = true;
        for flow in &mut flows {
            batch.receive(flow, lines, tally);
            if let (Some(_), Some(first)) = (batch.replies.first(), batch.received.first()) {
                tally.check_first(request, first)?;
            }
            let mut complete = 0;
            for &replies in &batch.replies {
                complete += flow.ring.heard(now, replies, tally);
            }
            idle &= batch.replies.is_empty();
            if tally.refused && tally.answered > 0 {
                tally.broken = true;
                return Ok(());
            }
            let missing = flow.ring.missing(now, window, tally);
            batch.send(flow, &parcel, lines, complete + missing, tally);
        }
        if idle {
            wait(&flows)?;
        }
    }
}

/// Waits until something has come, or long enough for the silence to be noticed.
fn wait(flows: &[Flow]) -> Result<(), Failure> {
    let mut files: Vec<PollFd<'_>> =
        flows.iter().map(|flow| PollFd::new(flow.socket.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut files, PollTimeout::from(50_u8)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

impl Batch {
    fn new() -> Self {
        Self {
            received: vec![[0; REPLY_DATAGRAM_BYTES]; BATCH],
            receiving: MultiHeaders::preallocate(BATCH, None),
            sending: MultiHeaders::preallocate(BATCH, None),
            addresses: vec![None; BATCH],
            replies: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what has come on a socket, a batch at most, and notes how many replies each datagram holds.
    fn receive(&mut self, flow: &Flow, lines: usize, tally: &mut Tally<'_>) {
        self.replies.clear();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.received.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let fd = flow.socket.as_raw_fd();
        match recvmmsg(fd, &mut self.receiving, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                for message in messages {
                    let line_ends =
                        || message.iovs().map(|bytes| memchr::memchr_iter(b'\n', bytes).count()).sum();
                    let replies: usize = if lines == 1 { 1 } else { line_ends() };
                    self.replies.push(replies as u64);
                }
            }
            Err(error) => tally.refused |= error == Errno::ECONNREFUSED,
        }
    }

    /// Sends so many parcels; those that the system does not take now are missed after the silence.
    fn send(
        &mut self,
        flow: &mut Flow,
        parcel: &[u8],
        lines: usize,
        mut count: usize,
        tally: &mut Tally<'_>,
    ) {
        let slice = [IoSlice::new(parcel)];
        while count > 0 {
            let now = tally.clock.now();
            let batch = count.min(BATCH);
            let parcels = core::iter::repeat_n(&slice, batch);
            let fd = flow.socket.as_raw_fd();
            let sent = sendmmsg(fd, &mut self.sending, parcels, &self.addresses, [], MsgFlags::MSG_DONTWAIT);
            let sent = match sent {
                Ok(results) => results.count(),
                Err(error) => {
                    tally.refused |= error == Errno::ECONNREFUSED;
                    0
                }
            };
            for _ in 0..sent {
                flow.ring.sent(now, lines as u64);
            }
            if sent == 0 {
                return;
            }
            count = count.saturating_sub(sent);
        }
    }
}
