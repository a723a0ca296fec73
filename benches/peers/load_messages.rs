//! Load over TCP: messages from some clients to others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::dialect::{Dialect, Hello};
use crate::load::{Deliveries, Done, Load, readable};
use crate::load_tcp::{Client, READ_BYTES, connected};
use crate::server::Kind;

/// How long a server may take for one thing in front of the measurement.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who talks to whom.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients that publish, each to subscribers of its own.
    pub publishers: usize,
    /// Subscribers of each.
    pub subscribers: usize,
    /// Messages of each publisher that are under way.
    pub window: u64,
    /// Bytes of a text.
    pub text_bytes: usize,
}

/// Groups of one publisher and its subscribers. What counts are messages that a subscriber has read.
pub struct Messages {
    groups: Vec<Group>,
    members: Vec<Member>,
    buffer: Vec<u8>,
}

/// What one publisher has under way. Its first member is the publisher.
struct Group {
    publisher: usize,
    message_bytes: usize,
    deliveries: Deliveries,
}

/// A client, and what it must be told.
struct Member {
    client: Client,
    group: usize,
    publishes: bool,
    stream: Repeated,
    answer: &'static [u8],
}

impl Messages {
    /// Connects all of them, and waits until the server knows each.
    pub fn new(server: SocketAddr, kind: Kind, size: Size) -> Self {
        let mut load = Self { groups: Vec::new(), members: Vec::new(), buffer: vec![0; READ_BYTES] };
        for group in 0..size.publishers {
            let dialect = Dialect::new(kind, group, size.subscribers, size.text_bytes);
            load.groups.push(Group {
                publisher: load.members.len(),
                message_bytes: dialect.publish.len(),
                deliveries: Deliveries::new(size.subscribers, size.window),
            });
            let hellos = std::iter::once(dialect.publisher.clone());
            let hellos = hellos.chain((0..size.subscribers).map(|index| dialect.subscriber(index)));
            for (index, hello) in hellos.enumerate() {
                let publishes = index == 0;
                let most = if publishes { usize::try_from(size.window).expect("a few") } else { 0 };
                let (aside, answer) = dialect.aside.unwrap_or_default();
                let told = if publishes { &dialect.receipt } else { &dialect.delivery };
                load.members.push(Member {
                    client: Client::new(introduced(server, &hello), &dialect.publish, most),
                    group,
                    publishes,
                    stream: Repeated::new(told, aside),
                    answer,
                });
            }
        }
        load
    }

    /// Publishes what is missing from the windows.
    fn ask(&mut self) {
        for group in &mut self.groups {
            let bytes = usize::try_from(group.deliveries.ask()).expect("a few") * group.message_bytes;
            // Also where it is none: what the stream did not take may be left.
            self.members[group.publisher].client.ask(bytes);
        }
    }
}

impl Load for Messages {
    fn step(&mut self) -> bool {
        self.ask();
        let ready = readable(self.members.iter().map(|member| member.client.as_fd()));
        for &index in &ready {
            let member = &mut self.members[index];
            let (told, asides) = member.stream.take(member.client.read(&mut self.buffer));
            for _ in 0..asides {
                member.client.say(member.answer);
            }
            if !member.publishes {
                self.groups[member.group].deliveries.deliver(told);
            }
        }
        !ready.is_empty()
    }

    fn done(&self) -> Done {
        // A stream loses nothing: a server that drops what it should deliver comes to a stop, which is noticed.
        let delivered = self.groups.iter().map(|group| group.deliveries.done().requests);
        Done { requests: delivered.sum(), lost: 0 }
    }
}

/// A stream that says one thing again and again, and something else only in between.
struct Repeated {
    /// Often enough for any read from any position.
    expected: Vec<u8>,
    /// Bytes of the one thing, and how many of them have come.
    length: usize,
    position: usize,
    aside: &'static [u8],
    aside_position: usize,
}

impl Repeated {
    fn new(told: &[u8], aside: &'static [u8]) -> Self {
        let times = READ_BYTES.checked_div(told.len()).map_or(0, |times| times + 2);
        Self { expected: told.repeat(times), length: told.len(), position: 0, aside, aside_position: 0 }
    }

    /// Checks what has come, and counts how often the one thing and the other are complete.
    fn take(&mut self, mut bytes: &[u8]) -> (u64, u64) {
        let (mut told, mut asides) = (0, 0);
        while let Some((first, rest)) = bytes.split_first() {
            if self.position == 0 && self.aside.get(self.aside_position) == Some(first) {
                bytes = rest;
                self.aside_position += 1;
                if self.aside_position == self.aside.len() {
                    self.aside_position = 0;
                    asides += 1;
                }
                continue;
            }
            let expected = self.expected.get(self.position..).unwrap_or_default();
            let same = if expected.starts_with(bytes) {
                bytes.len()
            } else {
                expected.iter().zip(bytes).take_while(|(one, other)| one == other).count()
            };
            assert!(same > 0 && self.aside_position == 0, "unasked: {:?}", String::from_utf8_lossy(bytes));
            bytes = &bytes[same..];
            told += ((self.position + same) / self.length) as u64;
            self.position = (self.position + same) % self.length;
        }
        (told, asides)
    }
}

/// A connection whose first words the server has answered as it should.
fn introduced(server: SocketAddr, hello: &Hello) -> TcpStream {
    let mut stream = connected(server);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(&hello.says).expect("a few bytes fit the socket");
    let mut answer = Vec::new();
    while !answer.ends_with(hello.ends) {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).expect("an answer");
        assert!(length > 0, "refused: {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..length]);
    }
    assert!(answer.starts_with(hello.begins), "{:?}", String::from_utf8_lossy(&answer));
    stream
}
