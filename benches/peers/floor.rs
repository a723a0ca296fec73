//! The floor: what the kernel alone costs. Two bare UDP servers that read nothing of what they get.

use std::io::{IoSlice, IoSliceMut, Write};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

/// Datagrams a call takes and gives, as the hub does.
const BATCH: usize = 16;

/// Room for one datagram.
const DATAGRAM_BYTES: usize = 1024;

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
        let replies = digits.each_mut().map(|digits| {
            counter += 1;
            [IoSlice::new(digits.format(counter).as_bytes())]
        });
        let flags = MsgFlags::MSG_DONTWAIT;
        let replies = replies.iter().take(count);
        let _ = sendmmsg(socket.as_raw_fd(), &mut sent, replies, addresses, [], flags);
        counter -= (BATCH - count) as u64;
    }
}

/// A socket on a port that the system picks and that is told on standard output. Its process ends with the
/// benchmark, however that ends.
fn bind() -> UdpSocket {
    set_pdeathsig(Signal::SIGKILL).expect("a process may ask for its end");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket on loopback");
    let port = socket.local_addr().expect("a bound socket has an address").port();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{port}").and_then(|()| stdout.flush()).expect("the benchmark reads the port");
    socket
}
