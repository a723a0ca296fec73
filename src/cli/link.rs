//! The socket to the hub, UDP or TCP, that never blocks but to connect.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::address::HubAddress;
use super::exit::{Exit, Failure};
use super::settings::Settings;
use crate::limits::UDP_PAYLOAD_BYTES;

/// The longest line that may come over TCP: more than any hub sends, so what is longer comes from no hub.
const LINE_BYTES: usize = 2 * UDP_PAYLOAD_BYTES;

/// Bytes that wait until a TCP socket takes them: past that the hub has stopped reading, and all is sent again
/// on a new connection.
const UNSENT_BYTES: usize = 4 * 1024 * 1024;

/// Longest wait for one attempt to connect again.
const RECONNECT: Duration = Duration::from_secs(1);

/// A connected socket.
#[derive(Debug)]
pub(super) struct Link {
    peer: SocketAddr,
    socket: Socket,
    buffer: Vec<u8>,
    /// Whether anything ever came from there.
    pub(super) heard: bool,
    /// Whether the system said that nobody is there.
    pub(super) refused: bool,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    /// `None` while the connection is broken.
    Tcp(Option<Stream>),
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Link {
    /// Opens the socket: over TCP to the first of the hub's addresses that accepts, over UDP to the first.
    pub(super) fn open(settings: &Settings) -> Result<Self, Failure> {
        let addresses = settings.hub.resolve()?;
        let opened = if settings.tcp { open_tcp(&addresses, settings.timeout) } else { open_udp(&addresses) };
        let (peer, socket) = opened.map_err(|error| cannot_open(&settings.hub, &error))?;
        Ok(Self { peer, socket, buffer: vec![0; UDP_PAYLOAD_BYTES], heard: false, refused: false })
    }

    /// Who is spoken to.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }

    /// Whether there is a connection; always over UDP.
    pub(super) fn is_up(&self) -> bool {
        !matches!(self.socket, Socket::Tcp(None))
    }

    /// Tries to connect again, for a second at most.
    pub(super) fn reconnect(&mut self) {
        match open_tcp(&[self.peer], RECONNECT) {
            Ok((_, socket)) => self.socket = socket,
            Err(error) => self.refused |= error.kind() == ErrorKind::ConnectionRefused,
        }
    }

    /// Sends a datagram, or appends bytes to the stream. What is lost on the way is not noticed here.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.socket {
            Socket::Udp(socket) => {
                // An error may be about a datagram before; this one has not been sent then.
                let sent = socket.send(bytes).or_else(|error| {
                    self.refused |= error.kind() == ErrorKind::ConnectionRefused;
                    socket.send(bytes)
                });
                match sent {
                    Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32) => {
                        let why = format!("{} bytes are too long for one datagram", bytes.len());
                        return Err(Failure::new(Exit::Data, why));
                    }
                    Err(_) | Ok(_) => {}
                }
            }
            Socket::Tcp(Some(stream)) => stream.unsent.extend_from_slice(bytes),
            Socket::Tcp(None) => {}
        }
        self.flush();
        Ok(())
    }

    fn flush(&mut self) {
        let Socket::Tcp(Some(stream)) = &mut self.socket else { return };
        while !stream.unsent.is_empty() {
            match stream.socket.write(&stream.unsent) {
                Ok(count) => drop(stream.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && stream.unsent.len() < UNSENT_BYTES => {
                    return;
                }
                Err(_) => {
                    self.socket = Socket::Tcp(None);
                    return;
                }
            }
        }
    }

    /// The next datagram, or the next line of the stream without its LF; `None` if none has come.
    pub(super) fn receive(&mut self) -> Option<Vec<u8>> {
        let parcel = match &mut self.socket {
            Socket::Udp(socket) => loop {
                match socket.recv(&mut self.buffer) {
                    Ok(count) => break self.buffer.get(..count).map(<[u8]>::to_vec),
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.refused = true,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break None,
                }
            },
            Socket::Tcp(stream) => {
                let received = stream.as_mut().map(|stream| stream.receive(&mut self.buffer));
                match received {
                    Some(Ok(line)) => line,
                    Some(Err(_)) => {
                        *stream = None;
                        None
                    }
                    None => None,
                }
            }
        };
        self.heard |= parcel.is_some();
        parcel
    }

    /// Waits until something has come from the hub or one of the others is readable, or the time is over; says
    /// which of the others are.
    pub(super) fn wait(
        &mut self,
        others: &[BorrowedFd<'_>],
        time: Option<Duration>,
    ) -> Result<Vec<bool>, Failure> {
        self.flush();
        let mut all: Vec<PollFd<'_>> = others.iter().map(|&fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match &self.socket {
            Socket::Udp(socket) => all.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN)),
            Socket::Tcp(Some(stream)) => {
                let out = if stream.unsent.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
                all.push(PollFd::new(stream.socket.as_fd(), PollFlags::POLLIN | out));
            }
            Socket::Tcp(None) => {}
        }
        // Rounded up, or the last part of a millisecond would be spent turning in a circle.
        let millis = time.map(|time| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        let longest = |millis: u64| PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX));
        let timeout = millis.map_or(Ok(PollTimeout::NONE), longest).unwrap_or(PollTimeout::MAX);
        match poll(&mut all, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        Ok(all.iter().take(others.len()).map(|fd| fd.any().unwrap_or(false)).collect())
    }
}

impl Stream {
    /// The next whole line; an error if there will be no more.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(lf) = memchr::memchr(b'\n', &self.received) {
                let mut line: Vec<u8> = self.received.drain(..=lf).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.received.len() > LINE_BYTES {
                return Err(ErrorKind::InvalidData.into());
            }
            match self.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What to say where nobody listens.
pub(super) fn no_hub(hub: &HubAddress) -> Failure {
    let why = format!("no pigeond answers at {hub}; is it running? (systemctl status pigeond)");
    Failure::new(Exit::NoHub, why)
}

/// What to say where a connection cannot be made.
pub(super) fn cannot_open(hub: &HubAddress, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::ConnectionRefused {
        no_hub(hub)
    } else if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
        Failure::new(Exit::Timeout, format!("cannot connect to {hub} in time: is that host there?"))
    } else {
        Failure::new(Exit::NoHub, format!("cannot reach {hub}: {error}"))
    }
}

fn open_udp(addresses: &[SocketAddr]) -> io::Result<(SocketAddr, Socket)> {
    let peer = addresses.first().copied().ok_or(ErrorKind::AddrNotAvailable)?;
    let socket = connected_udp(peer)?;
    Ok((peer, Socket::Udp(socket)))
}

/// A UDP socket that hears one peer only and never blocks.
pub(super) fn connected_udp(peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match peer {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.connect(peer)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open_tcp(addresses: &[SocketAddr], time: Duration) -> io::Result<(SocketAddr, Socket)> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for &peer in addresses {
        match connected_tcp(peer, time) {
            Ok(socket) => {
                let stream = Stream { socket, received: Vec::new(), unsent: Vec::new() };
                return Ok((peer, Socket::Tcp(Some(stream))));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A TCP connection that never blocks and sends each line at once.
pub(super) fn connected_tcp(peer: SocketAddr, time: Duration) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&peer, time)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
