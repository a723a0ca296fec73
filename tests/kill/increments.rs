//! Clients that count: every increment is tagged, and none may be lost or done twice.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use pigeond::courier::{Carrier, Courier, Event, Outcome};
use pigeond::moment::Moment;
use pigeond::names::Session;

use crate::victim::Work;

/// Sessions that a client has at the same time over UDP: in each, one lost datagram soon holds up the others.
const SESSIONS: usize = 8;

/// Requests that a session has asked for and not heard of.
const AHEAD: usize = 64;

/// What no request takes, however long the test does.
const NEVER: Duration = Duration::from_hours(2);

/// The longest that a client sleeps.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// One client.
pub struct Counter<'a> {
    couriers: Vec<(Courier, usize)>,
    to_ask: usize,
    to_hear: usize,
    values: BTreeSet<u64>,
    started: Instant,
    work: &'a Work,
}

impl<'a> Counter<'a> {
    pub fn new(name: &str, requests: usize, carrier: Carrier, work: &'a Work) -> Self {
        let sessions = match carrier {
            Carrier::Datagrams => SESSIONS,
            Carrier::Stream => 1,
        };
        let courier = |index| {
            let session = format!("{name}-{index}");
            (Courier::new(Session::parse(session.as_bytes()).unwrap(), carrier, index as u64), 0)
        };
        Self {
            couriers: (0..sessions).map(courier).collect(),
            to_ask: requests,
            to_hear: requests,
            values: BTreeSet::new(),
            started: Instant::now(),
            work,
        }
    }

    /// Works over datagrams until all is answered; the values that the hub told.
    pub fn over_udp(mut self, hub: SocketAddr) -> BTreeSet<u64> {
        let _worker = self.work.worker();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = [0; 16_384];
        while self.to_hear > 0 {
            let sleep = self.send(|line| {
                socket.send_to(line, hub).unwrap();
                true
            });
            socket.set_read_timeout(Some(sleep)).unwrap();
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    buffer[..length].split_inclusive(|&b| b == b'\n').for_each(|line| self.hear(line));
                }
                Err(error) => assert!(is_timeout(error.kind()), "{error}"),
            }
        }
        self.values
    }

    /// Works over connections until all is answered; the values that the hub told.
    pub fn over_tcp(mut self, hub: SocketAddr) -> BTreeSet<u64> {
        let _worker = self.work.worker();
        while self.to_hear > 0 {
            let Ok(stream) = TcpStream::connect(hub) else {
                // Nothing tells when the next daemon listens.
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            let now = self.now();
            self.couriers.iter_mut().for_each(|(courier, _)| courier.reconnected(now));
            self.over_connection(stream);
        }
        self.values
    }

    /// Works until the connection breaks, or all is answered. A reply that was cut off by the end is none.
    fn over_connection(&mut self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let (mut buffer, mut rest) = ([0; 16_384], Vec::new());
        while self.to_hear > 0 {
            let mut stands = true;
            let sleep = self.send(|line| {
                stands &= stream.write_all(line).is_ok();
                stands
            });
            stream.set_read_timeout(Some(sleep)).unwrap();
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => rest.extend_from_slice(&buffer[..length]),
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => return,
            }
            let whole = rest.iter().rposition(|&b| b == b'\n').map_or(0, |last| last + 1);
            rest.drain(..whole).as_slice().split_inclusive(|&b| b == b'\n').for_each(|line| self.hear(line));
            if !stands {
                return;
            }
        }
    }

    /// Sends what is due, as long as it can be sent; how long to sleep then.
    fn send(&mut self, mut out: impl FnMut(&[u8]) -> bool) -> Duration {
        let now = self.now();
        let mut sleep = LONGEST_SLEEP;
        for (courier, open) in &mut self.couriers {
            while *open < AHEAD && self.to_ask > 0 {
                courier.request(b"INC kills", now + NEVER).unwrap();
                (*open, self.to_ask) = (*open + 1, self.to_ask - 1);
            }
            while let Some(line) = courier.poll_transmit(now) {
                if !out(line) {
                    return Duration::from_millis(1);
                }
            }
            assert_eq!(courier.tick(now), None, "given up");
            sleep = courier.next_deadline().map_or(sleep, |next| sleep.min(next.since(now)));
        }
        sleep.max(Duration::from_millis(1))
    }

    fn hear(&mut self, line: &[u8]) {
        let now = self.now();
        for (courier, open) in &mut self.couriers {
            let Some(Event::Finished(_, outcome)) = courier.handle_line(now, line) else { continue };
            let Outcome::Done(value) = outcome else { panic!("{outcome:?}") };
            let value = std::str::from_utf8(&value).unwrap().parse().unwrap();
            assert!(self.values.insert(value), "{value} was told twice");
            (*open, self.to_hear) = (*open - 1, self.to_hear - 1);
            self.work.step_done();
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
