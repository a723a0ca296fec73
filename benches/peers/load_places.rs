//! Load over UDP by clients that have joined, each from an address of its own: messages from one of them to all
//! others, and increments by each in turn.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg};

use crate::load::{Deliveries, Done, Load, readable};
use crate::load_udp::check;

/// How long the hub may take to answer in front of the measurement.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Datagrams read at a time, and the room for each.
const BATCH: usize = 32;
const DATAGRAM_BYTES: usize = 256;

/// Messages to everybody that are under way.
const MESSAGES: u64 = 32;

/// Requests of clients that take turns which are under way.
const TURNS: usize = 10;

/// Messages to everybody, over UDP.
pub struct UdpFanOut {
    publisher: UdpSocket,
    subscribers: Vec<UdpSocket>,
    publish: Vec<u8>,
    delivery: Vec<u8>,
    receipt: Vec<u8>,
    batch: Batch,
    deliveries: Deliveries,
}

impl UdpFanOut {
    /// Joins one publisher and so many subscribers, and publishes texts of so many bytes.
    pub fn new(server: SocketAddr, subscribers: u32, text_bytes: usize) -> Self {
        let text = "x".repeat(text_bytes);
        Self {
            publisher: joined(server, 0, "p0"),
            subscribers: (1..=subscribers)
                .map(|index| joined(server, index, &format!("s0.{index}")))
                .collect(),
            publish: format!("ALL {text}").into_bytes(),
            delivery: format!("MSG p0 {text}").into_bytes(),
            receipt: subscribers.to_string().into_bytes(),
            batch: Batch::default(),
            deliveries: Deliveries::new(subscribers as usize, MESSAGES),
        }
    }
}

impl Load for UdpFanOut {
    fn step(&mut self) -> bool {
        for _ in 0..self.deliveries.ask() {
            self.publisher.send(&self.publish).expect("a message can be sent");
        }
        let sockets = std::iter::once(&self.publisher).chain(&self.subscribers);
        let ready = readable(sockets.map(AsFd::as_fd));
        for &index in &ready {
            if index == 0 {
                self.batch.read(&self.publisher, |datagram| expect(datagram, &self.receipt));
            } else {
                let socket = &self.subscribers[index - 1];
                let count = self.batch.read(socket, |datagram| expect(datagram, &self.delivery));
                self.deliveries.deliver(count);
            }
        }
        if ready.is_empty() {
            self.deliveries.give_up();
        }
        !ready.is_empty()
    }

    fn done(&self) -> Done {
        self.deliveries.done()
    }
}

fn expect(datagram: &[u8], expected: &[u8]) {
    assert_eq!(datagram, expected, "unasked: {:?}", String::from_utf8_lossy(datagram));
}

/// Increments by joined clients that take turns, so that each finds the hub's memory of it cold.
pub struct Turns {
    /// One for all of them: it sends from the address that is named each time.
    socket: UdpSocket,
    server: SockaddrIn,
    clients: u32,
    next: u32,
    under_way: usize,
    batch: Batch,
    done: Done,
}

impl Turns {
    /// Joins so many.
    pub fn new(server: SocketAddr, clients: u32) -> Self {
        let SocketAddr::V4(address) = server else { panic!("an IPv4 address, not {server}") };
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a UDP socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut load = Self {
            socket,
            server: SockaddrIn::from(address),
            clients,
            next: 0,
            under_way: 0,
            batch: Batch::default(),
            done: Done::default(),
        };
        for index in 0..clients {
            load.send(index, format!("JOIN client-{index}").as_bytes());
            let mut reply = [0; DATAGRAM_BYTES];
            let length = load.socket.recv(&mut reply).expect("a reply");
            expect_joined(&reply[..length]);
        }
        load.ask();
        load
    }

    fn ask(&mut self) {
        while self.under_way < TURNS {
            self.send(self.next, b"INC c");
            self.next = (self.next + 1) % self.clients;
            self.under_way += 1;
        }
    }

    fn send(&self, client: u32, datagram: &[u8]) {
        let s_addr = client_address(client).to_bits().to_be();
        let source =
            in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr { s_addr }, ipi_addr: in_addr { s_addr: 0 } };
        let source = [ControlMessage::Ipv4PacketInfo(&source)];
        let datagram = [IoSlice::new(datagram)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        sendmsg(fd, &datagram, &source, flags, Some(&self.server)).expect("a request can be sent");
    }
}

impl Load for Turns {
    fn step(&mut self) -> bool {
        let ready = !readable(std::iter::once(self.socket.as_fd())).is_empty();
        if ready {
            let count = self.batch.read(&self.socket, |reply| check(reply, 1));
            self.done.requests += count;
            self.under_way = self.under_way.saturating_sub(usize::try_from(count).expect("a few"));
        } else {
            self.done.lost += std::mem::take(&mut self.under_way) as u64;
        }
        self.ask();
        ready
    }

    fn done(&self) -> Done {
        self.done
    }
}

/// Room for the datagrams that one call reads.
struct Batch {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { headers: MultiHeaders::preallocate(BATCH, None), buffers: vec![[0; DATAGRAM_BYTES]; BATCH] }
    }
}

impl Batch {
    /// Hands over what has come to a socket, and counts it.
    fn read(&mut self, socket: &UdpSocket, mut take: impl FnMut(&[u8])) -> u64 {
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None);
        let lengths: Vec<usize> = match received {
            Ok(datagrams) => datagrams.map(|datagram| datagram.bytes).collect(),
            Err(Errno::EAGAIN) => Vec::new(),
            Err(error) => panic!("datagrams cannot be received: {error}"),
        };
        for (buffer, length) in self.buffers.iter().zip(&lengths) {
            take(&buffer[..*length]);
        }
        lengths.len() as u64
    }
}

/// The address of a client: 127.1.x.y.
fn client_address(index: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + index)
}

/// A socket at a client's address. The hub answers nobody on loopback whose port is its own.
pub fn client_socket(index: u32, hub: SocketAddr) -> UdpSocket {
    let bind = || UdpSocket::bind((client_address(index), 0)).expect("a UDP socket on loopback");
    let mut socket = bind();
    if socket.local_addr().expect("a bound socket has an address").port() == hub.port() {
        // The second is bound while the first still has that port.
        socket = bind();
    }
    socket.connect(hub).expect("it connects");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Such a socket, joined under this code.
pub fn joined(hub: SocketAddr, index: u32, code: &str) -> UdpSocket {
    let socket = client_socket(index, hub);
    socket.send(format!("JOIN {code}").as_bytes()).expect("a request can be sent");
    let mut reply = [0; DATAGRAM_BYTES];
    let length = socket.recv(&mut reply).expect("a reply");
    expect_joined(&reply[..length]);
    socket
}

fn expect_joined(reply: &[u8]) {
    assert!(reply.starts_with(b"joined "), "{:?}", String::from_utf8_lossy(reply));
}
