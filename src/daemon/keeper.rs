//! Connections that outlive the daemon: which systemd keeps, and what was half said on them.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::rc::Rc;

use socket2::SockRef;
use tokio::sync::Notify;

use super::core::{Core, without_flow};
use super::descriptors::{self, Name};
use super::streams::{Kept, State, Stream};
use super::tails::{Tail, Tails};
use crate::hub::{Conn, Resumed};

/// Has systemd keep connections.
pub(super) struct Keeper {
    tails: Tails,
    /// Whether one connection is marked as being read from.
    is_marked: bool,
    /// A tail that could not be written was told of.
    told: bool,
}

impl Keeper {
    /// Begins to keep, in place of the last run.
    pub(super) fn start() -> io::Result<Self> {
        let tails = Tails::new()?;
        descriptors::forget(Name::Tails);
        descriptors::keep(Name::Tails, tails.descriptor());
        Ok(Self { tails, is_marked: false, told: false })
    }

    fn write(&mut self, conn: Conn, tail: Option<&Tail>) {
        let written = match tail {
            Some(tail) => self.tails.write(conn, tail),
            None => self.tails.clear(conn),
        };
        self.tell(written);
    }

    fn tell(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && !std::mem::replace(&mut self.told, true)
        {
            tracing::warn!("what is half said on a connection cannot be kept for a restart: {error}");
        }
    }
}

/// Names for connections that none ever had.
#[derive(Default)]
pub(super) struct Names {
    keys: RandomState,
    last: u64,
}

impl Names {
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.keys.hash_one(self.last)
    }
}

/// What is kept of what is still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    /// The rest of the line that the peer has begun to read.
    Line,
    /// All, up to [`MAX_OUT_BYTES`].
    All,
}

/// What is kept of what a slow peer has still to read, in bytes: it fits together with what was read of it.
const MAX_OUT_BYTES: usize = 512 * 1024;

/// A connection of the last run that is served from now on.
pub(super) struct Reopened {
    pub(super) conn: Conn,
    pub(super) io: Rc<tokio::net::TcpStream>,
    pub(super) wake: Rc<Notify>,
}

impl Core {
    /// Goes on with the connections that the last run left, and keeps those of this one.
    pub(super) fn reopen(
        &mut self,
        keeper: Keeper,
        streams: Vec<(u64, TcpStream)>,
        tails: Option<&File>,
    ) -> Vec<Reopened> {
        let (mut tails, torn) = tails.map_or_else(Default::default, |left| {
            Tails::read(left).unwrap_or_else(|error| {
                tracing::warn!("what was half said when the last run ended cannot be read: {error}");
                (BTreeMap::new(), None)
            })
        });
        let (mut reopened, mut left) = (Vec::new(), Vec::new());
        for (id, stream) in streams {
            if torn == Some(id) {
                // A line was just being put together: nobody knows how much of it was done. Its client finds out by the end.
                let _ = stream.shutdown(Shutdown::Both);
            }
            let Some((from, io)) = take_over(stream).filter(|_| torn != Some(id)) else {
                // It has broken meanwhile.
                descriptors::forget(Name::Stream(id));
                continue;
            };
            let (io, wake) = (Rc::new(io), Rc::<Notify>::default());
            let conn = self.streams.insert(id, Rc::clone(&io), Rc::clone(&wake));
            let tail = tails.remove(&id).unwrap_or_default();
            if let Some(stream) = self.streams.get_mut(conn) {
                stream.kept = Kept::Yes;
                stream.held = tail.held;
                stream.is_cut = !tail.out.is_empty();
                stream.out = tail.out;
                self.streams.mark(conn);
            }
            left.push((conn, id, without_flow(from), tail.stream));
            reopened.push(Reopened { conn, io, wake });
        }
        let resumed: Vec<_> = left
            .iter()
            .map(|(conn, id, from, stream)| Resumed { conn: *conn, id: *id, from: *from, stream })
            .collect();
        self.keeper = Some(keeper);
        self.hub.watch_streams();
        self.resume_all(&resumed);
        for served in &reopened {
            self.note_tail(served.conn, Out::Line);
        }
        reopened
    }

    /// Has systemd keep a connection from now on.
    pub(super) fn keep(&mut self, conn: Conn) {
        let is_new = |stream: &&mut Stream| stream.state == State::Open && stream.kept == Kept::No;
        if self.keeper.is_some()
            && let Some(stream) = self.streams.get_mut(conn).filter(is_new)
        {
            stream.kept = Kept::Yes;
            descriptors::keep(Name::Stream(stream.id), stream.io.as_fd());
            self.note_tail(conn, Out::Line);
        }
    }

    /// Takes a connection out of the table, and out of what systemd keeps: else its peer would never see its end.
    pub(super) fn forget(&mut self, conn: Conn) {
        let Some(stream) = self.streams.remove(conn) else { return };
        if stream.kept == Kept::No {
            return;
        }
        descriptors::forget(Name::Stream(stream.id));
        if stream.state == State::Broken {
            let _ = SockRef::from(&*stream.io).shutdown(Shutdown::Both);
        }
        if let Some(keeper) = self.keeper.as_mut().filter(|_| stream.kept == Kept::WithTail) {
            keeper.write(conn, None);
        }
    }

    /// Something was read of a connection, or is about to be: unless it is all whole lines, as before, nobody could go on
    /// with it until that is noted.
    pub(super) fn mark(&mut self, conn: Conn, bytes: Option<&[u8]>) {
        let Some(keeper) = &mut self.keeper else { return };
        let Some(stream) = self.streams.get_mut(conn).filter(|stream| stream.kept != Kept::No) else {
            return;
        };
        let is_torn = self.hub.is_torn(conn);
        let is_whole = bytes.is_none_or(|bytes| bytes.last() == Some(&b'\n'));
        if is_torn || !is_whole {
            keeper.is_marked = true;
            let marked = keeper.tails.mark(stream.id);
            keeper.tell(marked);
        }
    }

    /// Keeps what has changed of what is half said.
    pub(super) fn note_tails(&mut self) {
        if self.keeper.is_none() {
            self.streams.changed.clear();
            return;
        }
        let mut changed = std::mem::take(&mut self.streams.changed);
        changed.extend(self.hub.take_changed_streams());
        changed.sort_unstable();
        changed.dedup();
        for &conn in &changed {
            self.note_tail(conn, Out::Line);
        }
        changed.clear();
        self.streams.changed = changed;
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_marked) {
            keeper.is_marked = false;
            let unmarked = keeper.tails.unmark();
            keeper.tell(unmarked);
        }
    }

    fn note_tail(&mut self, conn: Conn, out: Out) {
        let Some(keeper) = &mut self.keeper else { return };
        let Some(stream) = self.streams.get_mut(conn).filter(|stream| stream.kept != Kept::No) else {
            return;
        };
        let unfinished = self.hub.unfinished(conn).unwrap_or_default();
        let tail = stream.tail(unfinished, out);
        let now = if tail.is_some() { Kept::WithTail } else { Kept::Yes };
        let before = std::mem::replace(&mut stream.kept, now);
        if [before, now].contains(&Kept::WithTail) {
            keeper.write(conn, tail.as_ref());
        }
    }

    /// Leaves every connection to the next run, with all that is still to be written and all that was read.
    pub(super) fn hand_over(&mut self) {
        let open: Vec<Conn> = self.streams.iter().map(|(conn, _)| conn).collect();
        for conn in open {
            let is_open = self.streams.get_mut(conn).is_some_and(|stream| stream.state == State::Open);
            if is_open {
                self.keep(conn);
                self.note_tail(conn, Out::All);
            } else {
                self.forget(conn);
            }
        }
        descriptors::wait_until_kept();
    }
}

/// A connection's peer, if it still has one.
fn take_over(stream: TcpStream) -> Option<(std::net::SocketAddr, tokio::net::TcpStream)> {
    let from = stream.peer_addr().ok()?;
    stream.set_nonblocking(true).ok()?;
    Some((from, tokio::net::TcpStream::from_std(stream).ok()?))
}

impl Stream {
    /// What is half said, if anything.
    fn tail(&self, stream: Vec<u8>, out: Out) -> Option<Tail> {
        let end = match out {
            Out::All if self.out.len() <= MAX_OUT_BYTES => self.out.len(),
            Out::All => {
                let fits = self.out.get(..MAX_OUT_BYTES).unwrap_or_default();
                memchr::memrchr(b'\n', fits).map_or(0, |at| at + 1)
            }
            Out::Line if self.is_cut => memchr::memchr(b'\n', &self.out).map_or(self.out.len(), |at| at + 1),
            Out::Line => 0,
        };
        let out = self.out.get(..end).unwrap_or_default();
        let tail = Tail { id: self.id, stream, held: self.held.clone(), out: out.to_vec() };
        let is_something = !(tail.stream.is_empty() && tail.held.is_empty() && tail.out.is_empty());
        is_something.then_some(tail)
    }
}
