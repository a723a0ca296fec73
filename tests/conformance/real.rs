//! The real daemon, over real sockets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

use super::World;
use super::common::{Daemon, PATIENCE, receive};
use super::page::Expected;

/// How long "nothing" lasts.
const NOTHING: Duration = Duration::from_millis(50);

pub struct Real {
    daemon: Daemon,
    sockets: BTreeMap<char, UdpSocket>,
    streams: BTreeMap<char, TcpStream>,
}

impl Real {
    pub fn new() -> Self {
        let daemon = Daemon::with("[clients]\nlimit = 100\n");
        Self { daemon, sockets: BTreeMap::new(), streams: BTreeMap::new() }
    }

    fn socket(&mut self, who: char) -> &UdpSocket {
        self.sockets.entry(who).or_insert_with(|| self.daemon.udp())
    }

    fn stream(&mut self, who: char) -> &mut TcpStream {
        self.streams.entry(who).or_insert_with(|| self.daemon.tcp())
    }

    fn expect_datagram(&mut self, who: char, expected: &Expected) -> Result<(), String> {
        let socket = self.socket(who);
        if matches!(expected, Expected::Nothing) {
            return is_silent(who, || {
                socket.set_read_timeout(Some(NOTHING))?;
                let result = socket.recv(&mut [0; 100]);
                socket.set_read_timeout(Some(PATIENCE))?;
                result
            });
        }
        let bytes = receive(socket);
        if expected.matches(&bytes) {
            Ok(())
        } else {
            Err(format!("{who}: {bytes:?} instead of {expected:?}"))
        }
    }

    fn expect_bytes(&mut self, who: char, expected: &Expected) -> Result<(), String> {
        let stream = self.stream(who);
        let Expected::Bytes { start, any_explanation, closed } = expected else {
            return is_silent(who, || {
                stream.set_read_timeout(Some(NOTHING))?;
                let result = stream.read(&mut [0; 100]);
                stream.set_read_timeout(Some(PATIENCE))?;
                result
            });
        };
        let mut bytes = Vec::new();
        if *closed {
            stream.read_to_end(&mut bytes).map_err(|error| format!("{who}: {error} after {bytes:?}"))?;
        } else {
            assert!(!any_explanation, "only at the end of a connection is an explanation's length known");
            bytes.resize(start.len(), 0);
            stream.read_exact(&mut bytes).map_err(|error| format!("{who}: {error}, not {expected:?}"))?;
        }
        if expected.matches(&bytes) {
            Ok(())
        } else {
            Err(format!("{who}: {bytes:?} instead of {expected:?}"))
        }
    }
}

fn is_silent(who: char, read: impl FnOnce() -> std::io::Result<usize>) -> Result<(), String> {
    match read() {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        other => Err(format!("{who}: {other:?} instead of nothing")),
    }
}

impl World for Real {
    fn send(&mut self, who: char, bytes: &[u8], half_close: bool) {
        if "UV".contains(who) {
            self.socket(who).send(bytes).expect("it is sent");
            return;
        }
        let stream = self.stream(who);
        stream.write_all(bytes).expect("it is sent");
        if half_close {
            stream.shutdown(Shutdown::Write).expect("it is shut down");
        }
    }

    fn expect(&mut self, who: char, expected: &Expected) -> Result<(), String> {
        if "UV".contains(who) {
            self.expect_datagram(who, expected)
        } else {
            self.expect_bytes(who, expected)
        }
    }

    fn pause(&mut self, _: u64) {
        unreachable!("examples that name a time are for the pure hub");
    }

    fn nothing_is_left(&mut self) -> Result<(), String> {
        // A PING comes back alone: whatever was sent before it would have come before it.
        for (who, socket) in &self.sockets {
            socket.send(b"PING end").expect("it is sent");
            let bytes = receive(socket);
            if bytes != b"pong end" {
                return Err(format!("{who} received something more: {bytes:?}"));
            }
        }
        Ok(())
    }
}
