//! TCP: one small task a connection waits for the kernel; what is to be written gathers until a turn ends.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::core::{Core, Shared};
use crate::hub::{Conn, Input};

/// The buffer that all connections read into, one at a time.
const READ_BYTES: usize = 64 * 1024;

/// A connection whose peer has not read this much is not read from until it has.
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// Memory that an idle connection keeps for what it writes.
const KEPT_BYTES: usize = 4 * 1024;

/// How long a connection that is closed still listens, so that its peer gets what was last sent.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that such a connection reads away at most.
const LINGER_BYTES: usize = 1 << 20;

/// How long to wait when the kernel has no descriptor left for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Reads from one connection before others have their turn.
const READS_A_TURN: usize = 8;

/// One connection's socket and what is still to be written to it.
struct Stream {
    io: Rc<TcpStream>,
    wake: Rc<Notify>,
    out: Vec<u8>,
    /// Bytes that were read but wait until `out` has been written.
    held: Vec<u8>,
    /// Whether `out` has something new since it was last flushed.
    dirty: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The hub is done with it: it is closed once `out` has been written.
    Closing,
    /// It does not read, or failed: closed at once.
    Broken,
}

/// All connections.
pub(super) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<Conn>,
    dirty: Vec<Conn>,
    read_buffer: Vec<u8>,
    /// What the hub has just told to hold: of which connection, and how many bytes from the end.
    pub(super) held: Option<(Conn, usize)>,
    /// Unread pushes past this close a connection.
    pub(super) unread_bytes: usize,
}

impl Streams {
    pub(super) fn new(unread_bytes: usize) -> Self {
        let read_buffer = vec![0; READ_BYTES];
        Self { slots: Vec::new(), free: Vec::new(), dirty: Vec::new(), read_buffer, held: None, unread_bytes }
    }

    fn get_mut(&mut self, conn: Conn) -> Option<&mut Stream> {
        self.slots.get_mut(conn.0 as usize)?.as_mut()
    }

    fn insert(&mut self, io: Rc<TcpStream>, wake: Rc<Notify>) -> Conn {
        let conn = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Conn(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(slot) = self.slots.get_mut(conn.0 as usize) {
            *slot = Some(Stream {
                io,
                wake,
                out: Vec::new(),
                held: Vec::new(),
                dirty: false,
                state: State::Open,
            });
        }
        conn
    }

    fn remove(&mut self, conn: Conn) {
        if self.slots.get_mut(conn.0 as usize).and_then(Option::take).is_some() {
            self.free.push(conn);
        }
    }

    /// Adds bytes to be written when the turn ends.
    pub(super) fn append(&mut self, conn: Conn, bytes: &[u8], push: bool) {
        let unread_bytes = self.unread_bytes;
        let Some(stream) = self.get_mut(conn).filter(|stream| stream.state == State::Open) else { return };
        if push && stream.out.len() + bytes.len() > unread_bytes {
            stream.state = State::Broken;
        } else {
            stream.out.extend_from_slice(bytes);
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

    fn mark(&mut self, conn: Conn) {
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
        for conn in dirty.drain(..) {
            let Some(stream) = self.get_mut(conn) else { continue };
            stream.dirty = false;
            stream.write();
            // The task waits for what is left to be written, or sees that all is over.
            if !stream.out.is_empty() || stream.state != State::Open {
                stream.wake.notify_one();
            }
            if stream.state == State::Broken {
                broken.push(conn);
            }
        }
        self.dirty = dirty;
        broken
    }
}

impl Stream {
    /// Whether more is read: not before what is there has been answered, and most of that written.
    fn is_read_from(&mut self) -> bool {
        self.state == State::Open && self.held.is_empty() && self.out.len() < HIGH_WATER_BYTES
    }

    fn write(&mut self) {
        while !self.out.is_empty() && self.state != State::Broken {
            match self.io.try_write(&self.out) {
                Ok(written) if written == self.out.len() => self.out.clear(),
                Ok(written) => {
                    self.out.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.state = State::Broken,
            }
        }
        if self.out.capacity() > KEPT_BYTES {
            self.out.shrink_to(KEPT_BYTES);
        }
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(shared: Shared, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((io, from)) => {
                tokio::task::spawn_local(serve(Rc::clone(&shared), io, from));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What a connection's task does next.
enum Next {
    Read,
    Write,
    ReadAndWrite,
    /// Write the rest, but not for ever.
    Finish,
    /// Give the hub what it held back.
    Resume,
    End(Ending),
}

enum Ending {
    /// All is written: let the peer read it, then close.
    Linger,
    /// Close at once.
    Drop,
}

/// Serves one connection until it ends.
async fn serve(shared: Shared, io: TcpStream, from: SocketAddr) {
    // Both are best effort: without them replies are slower, and dead peers stay longer.
    let _ = io.set_nodelay(true);
    let _ = socket2::SockRef::from(&io).set_keepalive(true);
    let (io, wake) = (Rc::new(io), Rc::new(Notify::new()));
    let conn = {
        let mut core = shared.borrow_mut();
        let conn = core.streams.insert(Rc::clone(&io), Rc::clone(&wake));
        let now = core.now();
        core.handle(now, Input::Opened { conn, from: plain(from) });
        core.perform();
        conn
    };
    loop {
        let next = shared.borrow_mut().next(conn);
        let interest = match next {
            Next::Read => Interest::READABLE,
            Next::Write => Interest::WRITABLE,
            Next::ReadAndWrite => Interest::READABLE | Interest::WRITABLE,
            Next::Finish => {
                let written = tokio::time::timeout(LINGER, io.writable()).await;
                match written {
                    Ok(Ok(())) => shared.borrow_mut().streams.write_more(conn),
                    Ok(Err(_)) | Err(_) => shared.borrow_mut().end(conn, "does not read"),
                }
                continue;
            }
            Next::Resume => {
                shared.borrow_mut().resume(conn);
                tokio::task::yield_now().await;
                continue;
            }
            Next::End(ending) => {
                shared.borrow_mut().streams.remove(conn);
                if let Ending::Linger = ending {
                    linger(&io).await;
                }
                return;
            }
        };
        let ready = tokio::select! {
            ready = io.ready(interest) => ready,
            () = wake.notified() => continue,
        };
        let Ok(ready) = ready else {
            shared.borrow_mut().end(conn, "failed");
            continue;
        };
        if ready.is_writable() {
            shared.borrow_mut().streams.write_more(conn);
        }
        if ready.is_readable() || ready.is_read_closed() {
            let more = shared.borrow_mut().read(conn, &io);
            if more {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Lets the peer read what was last sent: closing with unread bytes would tear it from its hands.
async fn linger(io: &TcpStream) {
    use std::os::fd::AsFd;
    let _ = nix::sys::socket::shutdown(
        std::os::fd::AsRawFd::as_raw_fd(&io.as_fd()),
        nix::sys::socket::Shutdown::Write,
    );
    let drain = async {
        let mut buffer = [0; 4096];
        let mut drained = 0;
        while drained < LINGER_BYTES && io.readable().await.is_ok() {
            match io.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => drained += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

impl Streams {
    /// Writes what was left when the kernel had no room.
    fn write_more(&mut self, conn: Conn) {
        if let Some(stream) = self.get_mut(conn) {
            stream.write();
        }
    }

    /// Whether all connections have written all they had.
    pub(super) fn all_written(&self) -> bool {
        self.slots.iter().flatten().all(|stream| stream.out.is_empty() || stream.state == State::Broken)
    }
}

impl Core {
    fn next(&mut self, conn: Conn) -> Next {
        let Some(stream) = self.streams.get_mut(conn) else { return Next::End(Ending::Drop) };
        if stream.state == State::Open && !stream.held.is_empty() && stream.out.is_empty() {
            return Next::Resume;
        }
        match (stream.state, stream.out.len()) {
            (State::Broken, _) => {
                self.end(conn, "failed");
                Next::End(Ending::Drop)
            }
            (State::Closing, 0) => Next::End(Ending::Linger),
            (State::Open, 0) => Next::Read,
            (State::Open, _) if stream.is_read_from() => Next::ReadAndWrite,
            (State::Open, _) => Next::Write,
            (State::Closing, _) => Next::Finish,
        }
    }

    /// Tells the hub that a connection is gone.
    fn end(&mut self, conn: Conn, why: &'static str) {
        if let Some(stream) = self.streams.get_mut(conn) {
            stream.state = State::Broken;
        }
        let now = self.now();
        self.handle(now, Input::Closed { conn, why });
        self.perform();
    }

    /// Reads what has come on a connection and answers it; whether there may be more.
    fn read(&mut self, conn: Conn, io: &TcpStream) -> bool {
        let mut buffer = std::mem::take(&mut self.streams.read_buffer);
        let mut more = true;
        for _ in 0..READS_A_TURN {
            more = self.read_once(conn, io, &mut buffer);
            if !more {
                break;
            }
        }
        self.streams.read_buffer = buffer;
        more
    }

    fn read_once(&mut self, conn: Conn, io: &TcpStream, buffer: &mut [u8]) -> bool {
        let mut length = None;
        // A short read has emptied the socket: saying so spares the call that would find out.
        let result = io.try_io(Interest::READABLE, || {
            let read = nix::unistd::read(io, buffer)?;
            length = Some(read);
            if read > 0 && read < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        let now = self.now();
        match (length, result) {
            (Some(0), _) => {
                self.handle(now, Input::HalfClosed { conn });
                self.perform();
                false
            }
            (Some(length), result) => {
                self.give(conn, buffer.get(..length).unwrap_or_default());
                let open = self.streams.get_mut(conn).is_some_and(Stream::is_read_from);
                result.is_ok() && open
            }
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => false,
            (None, _) => {
                self.end(conn, "failed");
                false
            }
        }
    }

    /// Gives the hub what came on a connection, and holds what it does not take yet.
    fn give(&mut self, conn: Conn, bytes: &[u8]) {
        let now = self.now();
        self.handle(now, Input::Stream { conn, bytes });
        self.perform();
        let Some((conn, held)) = self.streams.held.take() else { return };
        let rest = bytes.get(bytes.len().saturating_sub(held)..).unwrap_or_default();
        if let Some(stream) = self.streams.get_mut(conn) {
            stream.held = rest.to_vec();
        }
    }

    /// Gives the hub what it held back before.
    fn resume(&mut self, conn: Conn) {
        let held = self.streams.get_mut(conn).map(|stream| std::mem::take(&mut stream.held));
        self.give(conn, &held.unwrap_or_default());
    }

    /// Answers what has come on all connections, what is unfinished too, and closes them.
    pub(super) fn drain_streams(&mut self) {
        let open: Vec<(Conn, Rc<TcpStream>)> = (0..)
            .zip(&self.streams.slots)
            .filter_map(|(at, stream)| stream.as_ref().map(|stream| (Conn(at), Rc::clone(&stream.io))))
            .collect();
        for (conn, io) in open {
            let is_open =
                |core: &mut Self| core.streams.get_mut(conn).is_some_and(|s| s.state == State::Open);
            while is_open(self) && self.read(conn, &io) {}
            if is_open(self) {
                let now = self.now();
                self.handle(now, Input::HalfClosed { conn });
                self.perform();
            }
        }
    }
}

/// The peer's address; its IPv6 flow is no part of who it is.
fn plain(from: SocketAddr) -> SocketAddr {
    match from {
        SocketAddr::V4(_) => from,
        SocketAddr::V6(v6) => std::net::SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into(),
    }
}
