//! Load over TCP, pipelined: as many lines to a write as were answered by a read.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::arguments::BenchOptions;
use super::super::exit::{Exit, Failure};
use super::super::link::{cannot_open, connected_tcp};
use super::super::settings::Settings;
use super::{Peer, Ring, Tally};

/// One read takes so many bytes at most.
const READ_BYTES: usize = 64 * 1024;

struct Flow {
    socket: TcpStream,
    ring: Ring,
    /// Of the lines that should be sent, the bytes that the socket did not take yet.
    unsent: usize,
}

pub(super) fn load(
    settings: &Settings,
    peer: Peer,
    options: &BenchOptions,
    request: &[u8],
    tally: &mut Tally<'_>,
) -> Result<(), Failure> {
    let line = [request, b"\n"].concat();
    let window = usize::from(options.window);
    // Any tail of this that is a whole number of lines long, or less by what was sent, continues the stream.
    let lines = line.repeat(window);
    let mut buffer = vec![0; READ_BYTES];
    let mut flows = Vec::new();
    for _ in 0..options.clients {
        let socket =
            connected_tcp(peer, settings.timeout).map_err(|error| cannot_open(&settings.hub, &error))?;
        let mut flow = Flow { socket, ring: Ring::default(), unsent: lines.len() };
        flow.ring.sent(tally.clock.now(), window as u64);
        flow.write(&lines)?;
        flows.push(flow);
    }
    loop {
        let (now, over) = tally.turn()?;
        if over {
            return Ok(());
        }
        let mut idle = true;
        for flow in &mut flows {
            let Ok(replies) = flow.read(&mut buffer).and_then(|replies| flow.write(&lines).map(|()| replies))
            else {
                tally.broken = true;
                return Ok(());
            };
            if replies > 0 {
                tally.check_first(request, &buffer)?;
                idle = false;
                flow.ring.heard(now, replies as u64, tally);
                flow.ring.sent(now, replies as u64);
                flow.unsent += replies * line.len();
            }
            flow.write(&lines)?;
        }
        if idle {
            wait(&flows)?;
        }
    }
}

fn wait(flows: &[Flow]) -> Result<(), Failure> {
    let file = |flow: &Flow| {
        if flow.unsent == 0 { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT }
    };
    let mut files: Vec<PollFd<'_>> =
        flows.iter().map(|flow| PollFd::new(flow.socket.as_fd(), file(flow))).collect();
    match poll(&mut files, PollTimeout::from(50_u8)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

impl Flow {
    /// How many line ends have come.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self.socket.read(buffer) {
            Ok(0) => Err(Failure::new(Exit::NoHub, "the hub closed the connection")),
            Ok(count) => Ok(memchr::memchr_iter(b'\n', buffer.get(..count).unwrap_or_default()).count()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(Failure::new(Exit::NoHub, format!("the connection broke: {error}"))),
        }
    }

    /// Writes what is unsent, as far as the socket takes it; never more than a window.
    fn write(&mut self, lines: &[u8]) -> Result<(), Failure> {
        if self.unsent == 0 {
            return Ok(());
        }
        let bytes = lines.get(lines.len().saturating_sub(self.unsent)..).unwrap_or_default();
        match self.socket.write(bytes) {
            Ok(count) => {
                self.unsent = self.unsent.saturating_sub(count);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(Failure::new(Exit::NoHub, format!("the connection broke: {error}"))),
        }
    }
}
