//! Load over UDP: batches of requests on several sockets, or one round trip after the other.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, sendmsg};

use crate::load::{Done, Load, SILENCE_MS, await_first, readable};
use crate::server::Kind;

/// Most requests that one socket has under way.
const WINDOW: usize = 32;

/// Room for one reply.
const REPLY_BYTES: usize = 2048;

/// Lines of a datagram that holds several.
const LINES: usize = 16;

/// A request's number, which of how many datagrams it is, a reserved word; and the request.
const MEMCACHED: &[u8] = b"\x00\x01\x00\x00\x00\x01\x00\x00incr c 1\r\n";

/// What stands in front of memcached's request and reply.
const MEMCACHED_HEADER: usize = 8;

/// What a datagram asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `INC`, as the tutorials send it.
    Plain,
    /// Several lines of `INC`.
    Lines,
    /// `INC` under a tag, numbered for each socket.
    Tagged,
    /// Several of those.
    TaggedLines,
    /// `incr`, as memcached takes it.
    Memcached,
}

impl Request {
    /// Requests that one datagram holds, as the hub counts them.
    pub fn weight(self) -> u64 {
        match self {
            Self::Plain | Self::Tagged | Self::Memcached => 1,
            Self::Lines | Self::TaggedLines => LINES as u64,
        }
    }

    /// The same, as this server takes it.
    pub fn to(self, kind: Kind) -> Self {
        if kind == Kind::Memcached { Self::Memcached } else { self }
    }

    fn write(self, client: &mut Client, datagram: &mut Vec<u8>) {
        datagram.clear();
        match self {
            Self::Plain => datagram.extend_from_slice(b"INC"),
            Self::Lines => (0..LINES).for_each(|_| datagram.extend_from_slice(b"INC\n")),
            Self::Tagged => client.write_tagged(datagram),
            Self::TaggedLines => (0..LINES).for_each(|_| client.write_tagged(datagram)),
            Self::Memcached => datagram.extend_from_slice(MEMCACHED),
        }
    }
}

/// One socket and what it has under way.
struct Client {
    socket: UdpSocket,
    session: String,
    number: u64,
    under_way: usize,
}

impl Client {
    fn write_tagged(&mut self, datagram: &mut Vec<u8>) {
        self.number += 1;
        writeln!(datagram, "#{}.{} INC", self.session, self.number).expect("memory takes it");
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Several sockets, each with a window of requests under way.
pub struct Udp {
    request: Request,
    weight: u64,
    window: usize,
    clients: Vec<Client>,
    replies: Vec<[u8; REPLY_BYTES]>,
    datagrams: [Vec<u8>; WINDOW],
    received: MultiHeaders<SockaddrIn>,
    sent: MultiHeaders<SockaddrIn>,
    done: Done,
}

impl Udp {
    /// So many sockets with so many requests under way each, at most [`WINDOW`]. A datagram counts as
    /// `weight` requests.
    pub fn new(server: SocketAddr, (sockets, window): (usize, usize), request: Request, weight: u64) -> Self {
        assert!((1..=WINDOW).contains(&window), "1 to {WINDOW} requests can be under way");
        let clients = (0..sockets).map(|index| Client {
            socket: connected(server),
            session: format!("bench-{index:03}"),
            number: 0,
            under_way: 0,
        });
        let mut load = Self {
            request,
            weight,
            window,
            clients: clients.collect(),
            replies: vec![[0; REPLY_BYTES]; WINDOW],
            datagrams: [const { Vec::new() }; WINDOW],
            received: MultiHeaders::preallocate(WINDOW, None),
            sent: MultiHeaders::preallocate(WINDOW, None),
            done: Done::default(),
        };
        load.open();
        load
    }

    /// The first datagram of each socket is answered before the second leaves: it opens a session.
    fn open(&mut self) {
        for index in 0..self.clients.len() {
            self.ask(index, 1);
            await_first(self.clients[index].as_fd());
            self.take(index);
            assert_eq!(self.clients[index].under_way, 0, "one reply opens the session");
        }
        (0..self.clients.len()).for_each(|index| self.ask(index, self.window));
    }

    /// Takes the replies that have come to a socket.
    fn take(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let mut lengths = [0; WINDOW];
        let mut count = 0;
        {
            let mut slices = self.replies.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let mut slices: [[IoSliceMut<'_>; 1]; WINDOW] =
                std::array::from_fn(|_| slices.next().expect("a buffer for each reply"));
            let flags = MsgFlags::MSG_DONTWAIT;
            let fd = client.socket.as_raw_fd();
            match recvmmsg(fd, &mut self.received, slices.iter_mut(), flags, None) {
                Ok(replies) => {
                    for (length, reply) in lengths.iter_mut().zip(replies) {
                        *length = reply.bytes;
                        count += 1;
                    }
                }
                Err(Errno::EAGAIN) => {}
                Err(error) => panic!("replies cannot be received: {error}"),
            }
        }
        for (reply, length) in self.replies.iter().zip(&lengths[..count]) {
            check(&reply[..*length], self.weight);
        }
        client.under_way = client.under_way.saturating_sub(count);
        self.done.requests += self.weight * count as u64;
    }

    /// Sends until a socket has so many requests under way. Those of one length leave together and are cut into datagrams
    /// by the kernel: what is measured should be the server, not this.
    fn ask(&mut self, index: usize, window: usize) {
        let client = &mut self.clients[index];
        let count = window - client.under_way;
        let datagrams = &mut self.datagrams[..count];
        for datagram in datagrams.iter_mut() {
            self.request.write(client, datagram);
        }
        let mut slices = [IoSlice::new(&[]); WINDOW];
        for (slice, datagram) in slices.iter_mut().zip(&*datagrams) {
            *slice = IoSlice::new(datagram);
        }
        let (slices, fd, flags) = (&slices[..count], client.socket.as_raw_fd(), MsgFlags::empty());
        let length = datagrams.first().map_or(0, Vec::len);
        client.under_way += if count > 1 && datagrams.iter().all(|datagram| datagram.len() == length) {
            let length = u16::try_from(length).expect("a request is short");
            let segments = ControlMessage::UdpGsoSegments(&length);
            sendmsg::<SockaddrIn>(fd, slices, &[segments], flags, None).expect("requests can be sent");
            count
        } else {
            let each: Vec<_> = slices.iter().map(|slice| [*slice]).collect();
            let addresses = [None::<SockaddrIn>; WINDOW];
            let sent = sendmmsg(fd, &mut self.sent, &each, addresses, [], flags);
            sent.expect("requests can be sent").count()
        };
    }
}

impl Load for Udp {
    fn step(&mut self) -> bool {
        let ready = readable(self.clients.iter().map(AsFd::as_fd));
        for &index in &ready {
            self.take(index);
            self.ask(index, self.window);
        }
        if ready.is_empty() {
            for index in 0..self.clients.len() {
                let under_way = std::mem::take(&mut self.clients[index].under_way);
                self.done.lost += self.weight * under_way as u64;
                self.ask(index, self.window);
            }
        }
        !ready.is_empty()
    }

    fn done(&self) -> Done {
        self.done
    }
}

/// One socket, one request under way.
pub struct RoundTrip {
    socket: UdpSocket,
    request: &'static [u8],
    trips: Vec<Duration>,
    done: Done,
}

impl RoundTrip {
    /// Asks this server for this, again and again.
    pub fn new(server: SocketAddr, request: Request) -> Self {
        let request = if request == Request::Memcached { MEMCACHED } else { b"INC" };
        let socket = connected(server);
        let silence = Duration::from_millis(SILENCE_MS.into());
        socket.set_read_timeout(Some(silence)).expect("a timeout");
        Self { socket, request, trips: Vec::new(), done: Done::default() }
    }
}

impl Load for RoundTrip {
    fn step(&mut self) -> bool {
        let mut reply = [0; REPLY_BYTES];
        let start = Instant::now();
        self.socket.send(self.request).expect("a request can be sent");
        match self.socket.recv(&mut reply) {
            Ok(length) => {
                self.trips.push(start.elapsed());
                check(&reply[..length], 1);
                self.done.requests += 1;
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.done.lost += 1;
                false
            }
            Err(error) => panic!("a reply cannot be received: {error}"),
        }
    }

    fn done(&self) -> Done {
        self.done
    }

    fn trips(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.trips)
    }
}

fn connected(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket on loopback");
    socket.connect(server).expect("it connects");
    socket
}

/// A reply is as many lines as were asked for, and each is a number, or a tag, OK and a number; memcached's has a
/// header. A server that refuses work is no faster.
pub fn check(reply: &[u8], lines: u64) {
    let text =
        if reply.starts_with(b"\0") { reply.get(MEMCACHED_HEADER..).unwrap_or_default() } else { reply };
    let mut numbers = 0;
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        let body = match line {
            [b'#', ..] => {
                line.splitn(2, |byte| *byte == b' ').nth(1).and_then(|rest| rest.strip_prefix(b"OK "))
            }
            _ => Some(line),
        };
        let is_number = body.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit);
        assert!(is_number, "no number: {:?}", String::from_utf8_lossy(reply));
        numbers += 1;
    }
    assert_eq!(numbers, lines, "numbers: {:?}", String::from_utf8_lossy(reply));
}
