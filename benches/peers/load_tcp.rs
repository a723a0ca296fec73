//! Load over TCP: pipelined increments, and messages to everybody.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::load::{Done, Load, readable};

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Messages to everybody that are under way.
const MESSAGES: u64 = 32;

/// How long a server may take for one thing in front of the measurement.
const PATIENCE: Duration = Duration::from_secs(5);

/// One connection, and what is still to be written to it.
struct Client {
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
    fn new(stream: TcpStream, request: &[u8], most: usize) -> Self {
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

    fn ask(&mut self, bytes: usize) {
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

    /// Reads what has come, and counts its lines.
    fn lines(&mut self, buffer: &mut [u8]) -> usize {
        match self.stream.read(buffer) {
            Ok(0) => panic!("the server has closed a connection"),
            Ok(length) => {
                let reply = &buffer[..length];
                let text = String::from_utf8_lossy(reply);
                // No number holds it, nor a message of ours; every server's error does.
                assert!(memchr::memchr(b'E', reply).is_none(), "an error: {text}");
                memchr::memchr_iter(b'\n', reply).count()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("replies cannot be received: {error}"),
        }
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
            readable(std::iter::once(client.as_fd()));
            assert_eq!(client.lines(&mut load.buffer), 1, "the server answers");
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

/// One client that sends to everybody, and others that listen.
pub struct FanOut {
    /// The first one sends.
    clients: Vec<Client>,
    listeners: u64,
    request_bytes: usize,
    asked: u64,
    buffer: Vec<u8>,
    done: Done,
}

impl FanOut {
    /// Joins one sender and so many listeners, and sends texts of so many bytes.
    pub fn new(server: SocketAddr, listeners: usize, text_bytes: usize) -> Self {
        let request = format!("ALL {}\n", "x".repeat(text_bytes));
        let most = usize::try_from(MESSAGES).expect("a few");
        let client = |index| Client::new(joined(server, index), request.as_bytes(), most);
        Self {
            clients: (0..=listeners).map(client).collect(),
            listeners: listeners as u64,
            request_bytes: request.len(),
            asked: 0,
            buffer: vec![0; READ_BYTES],
            done: Done::default(),
        }
    }

    /// Sends as many messages as keep [`MESSAGES`] under way.
    fn ask(&mut self) {
        let count = MESSAGES - (self.asked - self.done.requests / self.listeners);
        self.asked += count;
        self.clients[0].ask(usize::try_from(count).expect("a few") * self.request_bytes);
    }
}

impl Load for FanOut {
    fn step(&mut self) -> bool {
        self.ask();
        let ready = readable(self.clients.iter().map(AsFd::as_fd));
        for &index in &ready {
            let lines = self.clients[index].lines(&mut self.buffer);
            // The sender gets replies, everybody else messages.
            if index > 0 {
                self.done.requests += lines as u64;
            }
        }
        !ready.is_empty()
    }

    fn done(&self) -> Done {
        self.done
    }
}

fn connected(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("it connects");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn joined(server: SocketAddr, index: usize) -> TcpStream {
    let mut stream = connected(server);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(format!("JOIN c{index}\n").as_bytes()).expect("a request can be sent");
    let mut reply = [0; 64];
    let length = stream.read(&mut reply).expect("a reply");
    assert!(reply[..length].starts_with(b"joined "), "{:?}", String::from_utf8_lossy(&reply[..length]));
    stream
}
