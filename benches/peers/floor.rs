//! The floor: what the kernel alone costs. Bare UDP servers: two that read nothing of what they get, and one that
//! sends what it gets to all others.

use std::io::{IoSlice, IoSliceMut, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

/// Datagrams a call takes and gives, as the hub does.
const BATCH: usize = 64;

/// Room for one datagram.
const DATAGRAM_BYTES: usize = 256;

/// Answers each datagram with the next number, one call a datagram.
pub fn serve_one_by_one() -> ! {
    let socket = bind();
    let mut buffer = [0; DATAGRAM_BYTES];
    let mut counter = 0_u64;
    loop {
        let (_, from) = socket.recv_from(&mut buffer).expect("a datagram");
        counter += 1;
        let mut digits = itoa::Buffer::new();
        // What the kernel does not take is lost, as datagrams are.
        let _ = socket.send_to(digits.format(counter).as_bytes(), from);
    }
}

/// Answers each datagram with the next number, up to [`BATCH`] datagrams a call.
pub fn serve_many() -> ! {
    let socket = bind();
    let mut received = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut buffers = [[0; DATAGRAM_BYTES]; BATCH];
    let mut addresses = [None; BATCH];
    let mut counter = 0_u64;
    loop {
        let mut count = 0;
        {
            let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let flags = MsgFlags::MSG_WAITFORONE;
            let datagrams = recvmmsg(socket.as_raw_fd(), &mut received, slices.iter_mut(), flags, None)
                .expect("datagrams");
            for (address, datagram) in addresses.iter_mut().zip(datagrams) {
                *address = datagram.address;
                count += 1;
            }
        }
        let mut digits = [itoa::Buffer::new(); BATCH];
        let mut replies = [[IoSlice::new(&[])]; BATCH];
        for (reply, digits) in replies.iter_mut().zip(&mut digits).take(count) {
            counter += 1;
            *reply = [IoSlice::new(digits.format(counter).as_bytes())];
        }
        let flags = MsgFlags::MSG_DONTWAIT;
        let replies = replies.iter().take(count);
        let _ = sendmmsg(socket.as_raw_fd(), &mut sent, replies, addresses, [], flags);
    }
}

/// Sends what comes behind `ALL` to everybody else who has sent `JOIN`, up to [`BATCH`] datagrams a call.
pub fn serve_fan_out() -> ! {
    let socket = bind();
    let mut sent = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut buffer = [0; DATAGRAM_BYTES];
    let mut members: Vec<SocketAddr> = Vec::new();
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
        let Some(text) = buffer[..length].strip_prefix(b"ALL ") else {
            members.push(from);
            let _ = socket.send_to(b"joined ", from);
            continue;
        };
        let message = [b"MSG p0 ", text].concat();
        let slices = [[IoSlice::new(&message)]; BATCH];
        let others = members.iter().filter(|member| **member != from);
        let others: Vec<_> = others.map(|member| Some(ipv4(*member))).collect();
        for group in others.chunks(BATCH) {
            let flags = MsgFlags::MSG_DONTWAIT;
            let slices = slices.iter().take(group.len());
            let _ = sendmmsg(socket.as_raw_fd(), &mut sent, slices, group, [], flags);
        }
        let mut digits = itoa::Buffer::new();
        let _ = socket.send_to(digits.format(others.len()).as_bytes(), from);
    }
}

fn ipv4(address: SocketAddr) -> SockaddrIn {
    match address {
        SocketAddr::V4(address) => address.into(),
        SocketAddr::V6(address) => panic!("an IPv4 address, not {address}"),
    }
}

/// A socket on a port that the system picks and that is told on standard output.
fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket on loopback");
    let port = socket.local_addr().expect("a bound socket has an address").port();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{port}").and_then(|()| stdout.flush()).expect("the benchmark reads the port");
    socket
}
