//! The table of connections: what is still to be written to each, and what waits until then.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hub::Conn;

/// The buffer that all connections read into, one at a time.
const READ_BYTES: usize = 64 * 1024;

/// A connection whose peer has not read this much is not read from until it has.
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// Memory that an idle connection keeps for what it writes.
const KEPT_BYTES: usize = 4 * 1024;

/// Whether a connection outlives the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    No,
    /// systemd has it.
    Yes,
    /// And the file with what is half said holds something of it.
    WithTail,
}

/// One connection's socket and what is still to be written to it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Stream {
    /// What it is called in what is kept.
    pub(super) id: u64,
    pub(super) io: Rc<TcpStream>,
    wake: Rc<Notify>,
    pub(super) out: Vec<u8>,
    /// Bytes that were read but wait until `out` has been written.
    pub(super) held: Vec<u8>,
    /// Whether they wait for a reply that is still to come, too.
    pub(super) waits: bool,
    /// Whether the peer will send no more.
    pub(super) ended: bool,
    /// Whether `out` has something new since it was last flushed.
    dirty: bool,
    pub(super) state: State,
    pub(super) kept: Kept,
    /// Whether the peer has been sent the start of a line whose rest is in `out`.
    pub(super) is_cut: bool,
    /// Since when the peer has taken nothing of `out`.
    pub(super) stalled: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// The hub is done with it: it is closed once `out` has been written.
    Closing,
    /// It does not read, or failed: closed at once.
    Broken,
}

/// What the hub does not take yet of what it was given.
pub(super) struct Held {
    pub(super) conn: Conn,
    /// How many bytes, from the end.
    pub(super) bytes: usize,
    /// Whether a reply is to be sent first.
    pub(super) until_reply: bool,
}

/// All connections.
pub(super) struct Streams {
    pub(super) slots: Vec<Option<Stream>>,
    free: Vec<Conn>,
    dirty: Vec<Conn>,
    pub(super) read_buffer: Vec<u8>,
    /// Unread pushes past this close a connection.
    pub(super) unread_bytes: usize,
    /// Those where what is half said has changed, each maybe more than once.
    pub(super) changed: Vec<Conn>,
    /// Nothing more is read: the next run does.
    pub(super) frozen: bool,
    /// How many linger after their end.
    pub(super) lingering: Rc<Cell<usize>>,
}

impl Streams {
    pub(super) fn new(unread_bytes: usize) -> Self {
        let read_buffer = vec![0; READ_BYTES];
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            read_buffer,
            unread_bytes,
            changed: Vec::new(),
            frozen: false,
            lingering: Rc::default(),
        }
    }

    pub(super) fn get_mut(&mut self, conn: Conn) -> Option<&mut Stream> {
        self.slots.get_mut(conn.0 as usize)?.as_mut()
    }

    /// All connections.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Conn, &Stream)> {
        (0..).zip(&self.slots).filter_map(|(at, stream)| Some((Conn(at), stream.as_ref()?)))
    }

    pub(super) fn insert(&mut self, id: u64, io: Rc<TcpStream>, wake: Rc<Notify>) -> Conn {
        let conn = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Conn(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(slot) = self.slots.get_mut(conn.0 as usize) {
            *slot = Some(Stream {
                id,
                io,
                wake,
                out: Vec::new(),
                held: Vec::new(),
                waits: false,
                ended: false,
                dirty: false,
                state: State::Open,
                kept: Kept::No,
                is_cut: false,
                stalled: None,
            });
        }
        conn
    }

    pub(super) fn remove(&mut self, conn: Conn) -> Option<Stream> {
        let stream = self.slots.get_mut(conn.0 as usize)?.take()?;
        self.free.push(conn);
        Some(stream)
    }

    /// Adds bytes to be written when the turn ends.
    pub(super) fn append(&mut self, conn: Conn, bytes: &[u8], push: bool) {
        let unread_bytes = self.unread_bytes;
        let Some(stream) = self.get_mut(conn).filter(|stream| stream.state == State::Open) else { return };
        if push && stream.out.len() + bytes.len() > unread_bytes {
            // What has gathered in this turn is no sign of a peer that does not read.
            stream.write();
        }
        if push && stream.out.len() + bytes.len() > unread_bytes {
            stream.state = State::Broken;
        } else {
            stream.out.extend_from_slice(bytes);
            if !push && std::mem::take(&mut stream.waits) {
                stream.wake.notify_one();
            }
        }
        self.mark(conn);
    }

    /// Closes a connection once all is written.
    pub(super) fn close(&mut self, conn: Conn) {
        if let Some(stream) = self.get_mut(conn).filter(|stream| stream.state == State::Open) {
            stream.state = State::Closing;
            self.mark(conn);
        }
    }

    pub(super) fn mark(&mut self, conn: Conn) {
        if let Some(stream) = self.get_mut(conn)
            && !std::mem::replace(&mut stream.dirty, true)
        {
            self.dirty.push(conn);
        }
    }

    /// Writes what has gathered, one write a connection; returns those that have broken.
    pub(super) fn flush(&mut self) -> Vec<Conn> {
        let mut broken = Vec::new();
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut changed = std::mem::take(&mut self.changed);
        for conn in dirty.drain(..) {
            let Some(stream) = self.get_mut(conn) else { continue };
            stream.dirty = false;
            let was_cut = stream.is_cut;
            stream.write();
            if was_cut || stream.is_cut {
                changed.push(conn);
            }
            // The task waits for what is left to be written, or sees that all is over.
            if !stream.out.is_empty() || stream.state != State::Open {
                stream.wake.notify_one();
            }
            if stream.state == State::Broken {
                broken.push(conn);
            }
        }
        (self.dirty, self.changed) = (dirty, changed);
        broken
    }

    /// Writes what was left when the kernel had no room.
    pub(super) fn write_more(&mut self, conn: Conn) {
        if let Some(stream) = self.get_mut(conn) {
            stream.write();
            self.changed.push(conn);
        }
    }

    /// Whether all connections are at their end, with all written that was to be.
    pub(super) fn all_ended(&self) -> bool {
        self.slots.iter().flatten().all(|stream| match stream.state {
            State::Open => false,
            State::Closing => stream.out.is_empty(),
            State::Broken => true,
        })
    }
}

impl Stream {
    /// Whether more is read: not before what is there has been answered, and most of that written.
    pub(super) fn is_read_from(&mut self) -> bool {
        self.state == State::Open
            && self.held.is_empty()
            && !self.waits
            && !self.ended
            && self.out.len() < HIGH_WATER_BYTES
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is a shell: how long a peer takes nothing is its own time"
    )]
    pub(super) fn write(&mut self) {
        while !self.out.is_empty() && self.state != State::Broken {
            match self.io.try_write(&self.out) {
                Ok(written) => {
                    let last = written.checked_sub(1).and_then(|at| self.out.get(at));
                    self.is_cut = written < self.out.len() && last != Some(&b'\n');
                    self.out.drain(..written);
                    self.stalled = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return;
                }
                Err(_) => self.state = State::Broken,
            }
        }
        if self.out.capacity() > KEPT_BYTES {
            self.out.shrink_to(KEPT_BYTES);
        }
    }
}
