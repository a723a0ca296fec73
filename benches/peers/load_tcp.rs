//! Load over TCP: pipelined increments.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use crate::load::{Done, Load, await_first, readable};

/// Bytes read at a time.
pub const READ_BYTES: usize = 64 * 1024;

/// One connection, and what is still to be written to it.
pub struct Client {
    stream: TcpStream,
    /// The same request many times over.
    requests: Vec<u8>,
    /// The session of the tags, and the last number, where there are any.
    tagged: Option<(String, u64)>,
    /// Where in `requests` the next byte to be written is, and how many are to be written.
    position: usize,
    unwritten: usize,
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Client {
    /// Over this stream, with at most so many requests still to be written.
    pub fn new(stream: TcpStream, request: &[u8], most: usize) -> Self {
        stream.set_nonblocking(true).expect("a stream that does not wait");
        // Twice over: a window that begins within the first half ends within the second.
        let requests = request.repeat(2 * most);
        Self { stream, requests, tagged: None, position: 0, unwritten: 0 }
    }

    /// Asks so many more, under their numbers.
    fn ask_tagged(&mut self, count: usize) {
        let Some((session, number)) = &mut self.tagged else { return };
        self.requests.clear();
        for _ in 0..count {
            *number += 1;
            writeln!(self.requests, "#{session}.{number} INC c").expect("memory takes it");
        }
        self.stream.write_all(&self.requests).expect("the little that is under way fits the socket");
    }

    /// Writes so many more bytes of requests, now or as soon as the stream takes them.
    pub fn ask(&mut self, bytes: usize) {
        self.unwritten += bytes;
        while self.unwritten > 0 {
            match self.stream.write(&self.requests[self.position..self.position + self.unwritten]) {
                Ok(written) => {
                    self.unwritten -= written;
                    self.position = (self.position + written) % (self.requests.len() / 2);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("requests cannot be sent: {error}"),
            }
        }
    }

    /// Writes a few bytes that are no request.
    pub fn say(&mut self, bytes: &[u8]) {
        assert_eq!(self.unwritten, 0, "no request is cut in two");
        self.stream.write_all(bytes).expect("a few bytes fit the socket");
    }

    /// Reads what has come; nothing if nothing has.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> &'a [u8] {
        match self.stream.read(buffer) {
            Ok(0) => panic!("the server has closed a connection"),
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == ErrorKind::WouldBlock => &[],
            Err(error) => panic!("replies cannot be received: {error}"),
        }
    }

    /// Reads what has come, and counts its lines.
    fn lines(&mut self, buffer: &mut [u8]) -> usize {
        let reply = self.read(buffer);
        let text = || String::from_utf8_lossy(reply);
        assert!(reply.iter().all(|byte| says_yes(*byte)), "no number: {}", text());
        memchr::memchr_iter(b'\n', reply).count()
    }
}

/// Several connections, each with a window of increments under way.
pub struct Tcp {
    clients: Vec<Client>,
    request_bytes: usize,
    buffer: Vec<u8>,
    done: Done,
}

impl Tcp {
    /// So many connections with so many requests under way each.
    pub fn new(server: SocketAddr, (sockets, window): (usize, usize), request: &[u8]) -> Self {
        let client = |_| Client::new(connected(server), request, window);
        let mut clients: Vec<_> = (0..sockets).map(client).collect();
        for client in &mut clients {
            client.ask(window * request.len());
        }
        Self { clients, request_bytes: request.len(), buffer: vec![0; READ_BYTES], done: Done::default() }
    }

    /// The same under tags. The first request of each is answered before the second leaves: it opens a session.
    pub fn tagged(server: SocketAddr, (sockets, window): (usize, usize)) -> Self {
        let mut load = Self::new(server, (sockets, 0), b"");
        for (index, client) in load.clients.iter_mut().enumerate() {
            client.tagged = Some((format!("bench-{index:03}"), 0));
            client.ask_tagged(1);
            await_first(client.as_fd());
            assert_eq!(client.lines(&mut load.buffer), 1, "one reply opens the session");
            client.ask_tagged(window);
        }
        load
    }
}

impl Load for Tcp {
    fn step(&mut self) -> bool {
        let ready = readable(self.clients.iter().map(AsFd::as_fd));
        for &index in &ready {
            let client = &mut self.clients[index];
            let count = client.lines(&mut self.buffer);
            if client.tagged.is_some() {
                client.ask_tagged(count);
            } else {
                client.ask(count * self.request_bytes);
            }
            self.done.requests += count as u64;
        }
        !ready.is_empty()
    }

    fn done(&self) -> Done {
        self.done
    }
}

/// Whether a byte may stand in a number, or behind our tag. Each server's errors have some that may not.
fn says_yes(byte: u8) -> bool {
    let is_number = matches!(byte, b'0'..=b'9' | b':' | b'\r' | b'\n');
    is_number || matches!(byte, b'#' | b'b' | b'e' | b'n' | b'c' | b'h' | b'-' | b'.' | b' ' | b'O' | b'K')
}

/// A connection that sends what it has at once.
pub fn connected(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("it connects");
    stream.set_nodelay(true).expect("no delay");
    stream
}
