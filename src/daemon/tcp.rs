//! TCP: one small task a connection waits for the kernel; what is to be written gathers until a turn ends.

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::core::{Core, Shared, without_flow};
use super::keeper::Reopened;
use super::streams::{State, Stream};
use crate::hub::{Conn, Input};
use crate::limits::{LINGERING, UNREAD_TIME};
use crate::moment::Moment;

/// How long a connection that is closed still listens, so that its peer gets what was last sent.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that such a connection reads away at most.
const LINGER_BYTES: usize = 1 << 20;

/// How long to wait when the kernel has no descriptor left for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// After so long a connection is kept for the next run, should this one be killed; all are if it ends in good order.
const KEEP_AFTER: Duration = Duration::from_millis(500);

/// Reads from one connection before others have their turn.
const READS_A_TURN: usize = 8;

/// Accepts connections for ever.
pub(super) async fn accept(shared: Shared, listener: Rc<TcpListener>) {
    loop {
        match listener.accept().await {
            Ok((io, from)) => open(&shared, io, from),
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts what waits to be accepted, as far as there is time.
pub(super) fn drain(shared: &Shared, listener: &TcpListener, deadline: Moment) {
    while shared.borrow().now() < deadline {
        let Ok((io, from)) = socket2::SockRef::from(listener).accept() else { return };
        let stream = std::net::TcpStream::from(io);
        let io = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let (Ok(io), Some(from)) = (io, from.as_socket()) {
            open(shared, io, from);
        }
    }
}

/// Begins to serve a new connection.
fn open(shared: &Shared, io: TcpStream, from: SocketAddr) {
    // Both are best effort: without them replies are slower, and dead peers stay longer.
    let _ = io.set_nodelay(true);
    let _ = socket2::SockRef::from(&io).set_keepalive(true);
    let (io, wake) = (Rc::new(io), Rc::new(Notify::new()));
    let conn = {
        let mut core = shared.borrow_mut();
        let id = core.names.next();
        let conn = core.streams.insert(id, Rc::clone(&io), Rc::clone(&wake));
        let now = core.now();
        core.handle(now, Input::Opened { conn, id, from: without_flow(from) });
        core.perform();
        conn
    };
    go_on(shared, Reopened { conn, io, wake });
}

/// Serves a connection that is in the table.
pub(super) fn go_on(shared: &Shared, connection: Reopened) {
    tokio::task::spawn_local(serve(Rc::clone(shared), connection));
}

/// What a connection's task does next.
enum Next {
    Read,
    /// Nothing, until somebody has something to write.
    Wait,
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
async fn serve(shared: Shared, Reopened { conn, io, wake }: Reopened) {
    // One that is soon over again is not worth systemd's time.
    let mut grown_up = pin!(tokio::time::sleep(KEEP_AFTER));
    let mut is_young = shared.borrow().keeper.is_some();
    loop {
        let next = shared.borrow_mut().next(conn);
        let interest = match next {
            Next::Wait => {
                wake.notified().await;
                continue;
            }
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
                shared.borrow_mut().forget(conn);
                if let Ending::Linger = ending
                    && let Some(_one_more) = Lingering::begin(&shared)
                {
                    linger(&io).await;
                }
                return;
            }
        };
        let stalled = shared.borrow_mut().streams.get_mut(conn).and_then(|stream| stream.stalled);
        let ready = tokio::select! {
            biased;
            // 1. Once in a connection's life.
            () = &mut grown_up, if is_young => {
                is_young = false;
                shared.borrow_mut().keep(conn);
                continue;
            }
            // 2. What is nearly always waited for. Each time it has come, all is looked at anew.
            ready = io.ready(interest) => ready,
            () = wake.notified() => continue,
            // 3. Nothing of that.
            () = patience(stalled), if stalled.is_some() => {
                tracing::info!("a connection from {} is closed: it does not read", peer(&io));
                shared.borrow_mut().end(conn, "does not read");
                continue;
            }
        };
        let Ok(ready) = ready else {
            shared.borrow_mut().end(conn, "failed");
            continue;
        };
        if ready.is_writable() {
            let mut core = shared.borrow_mut();
            core.streams.write_more(conn);
            core.note_tails();
        }
        if ready.is_readable() || ready.is_read_closed() {
            let more = shared.borrow_mut().read(conn, &io);
            if more {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Waits until a peer has taken nothing for too long.
async fn patience(stalled: Option<Instant>) {
    if let Some(since) = stalled {
        tokio::time::sleep_until(since + UNREAD_TIME).await;
    }
}

fn peer(io: &TcpStream) -> String {
    io.peer_addr().map_or_else(|_| "nowhere".to_owned(), |from| from.to_string())
}

/// One of the connections that linger; they are counted, since each holds a descriptor.
struct Lingering(Rc<Cell<usize>>);

impl Lingering {
    /// Counts one more, if there may be more.
    fn begin(shared: &Shared) -> Option<Self> {
        let count = Rc::clone(&shared.borrow().streams.lingering);
        (count.get() < LINGERING).then(|| {
            count.set(count.get() + 1);
            Self(count)
        })
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Lets the peer read what was last sent: closing with unread bytes would tear it from its hands.
async fn linger(io: &TcpStream) {
    let _ = socket2::SockRef::from(io).shutdown(Shutdown::Write);
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

impl Core {
    fn next(&mut self, conn: Conn) -> Next {
        let frozen = self.streams.frozen;
        let Some(stream) = self.streams.get_mut(conn) else { return Next::End(Ending::Drop) };
        let goes_on = !stream.held.is_empty() && !stream.waits && stream.out.is_empty();
        let reads = stream.is_read_from() && !frozen;
        if stream.state == State::Open && goes_on && !frozen {
            return Next::Resume;
        }
        match (stream.state, stream.out.len()) {
            (State::Broken, _) => {
                self.end(conn, "failed");
                Next::End(Ending::Drop)
            }
            (State::Closing, 0) => Next::End(Ending::Linger),
            (State::Open, 0) if reads => Next::Read,
            (State::Open, 0) => Next::Wait,
            (State::Open, _) if reads => Next::ReadAndWrite,
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
        if self.streams.frozen {
            return false;
        }
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
        self.mark(conn, None);
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
                if let Some(stream) = self.streams.get_mut(conn) {
                    stream.ended = true;
                }
                self.handle(now, Input::HalfClosed { conn });
                self.perform();
                false
            }
            (Some(length), result) => {
                self.mark(conn, buffer.get(..length));
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
        let (now, before) = (self.now(), self.to_do());
        self.handle(now, Input::Stream { conn, bytes });
        if let Some(held) = self.hold(before)
            && let Some(stream) = self.streams.get_mut(held.conn)
        {
            stream.held = bytes.get(bytes.len().saturating_sub(held.bytes)..).unwrap_or_default().to_vec();
            stream.waits = held.until_reply;
            self.streams.changed.push(held.conn);
        }
        self.perform_soon(before);
    }

    /// Gives the hub what it held back before.
    fn resume(&mut self, conn: Conn) {
        let held =
            self.streams.get_mut(conn).map(|stream| std::mem::take(&mut stream.held)).unwrap_or_default();
        // Before anything of it is done: after a kill it may be lost, but is never done twice.
        self.streams.changed.push(conn);
        self.note_tails();
        self.mark(conn, Some(&held));
        self.give(conn, &held);
    }

    /// Answers what has come on all connections. If nobody keeps them, what is unfinished too, and closes them; those
    /// whose peers must first read what they asked for stay open.
    pub(super) fn drain_streams(&mut self, deadline: Moment) {
        let open: Vec<(Conn, Rc<TcpStream>)> =
            self.streams.iter().map(|(conn, stream)| (conn, Rc::clone(&stream.io))).collect();
        for (conn, io) in open {
            let mut more = true;
            while more && self.now() < deadline {
                more = self.drain_some(conn, &io);
                self.perform();
            }
            let is_done = self.streams.get_mut(conn).is_some_and(Stream::is_read_from);
            if is_done && self.keeper.is_none() {
                let now = self.now();
                self.handle(now, Input::HalfClosed { conn });
                self.perform();
            }
        }
    }

    /// Answers the next part of what has come on a connection; `false` if there is none, or not yet.
    fn drain_some(&mut self, conn: Conn, io: &TcpStream) -> bool {
        let Some(stream) = self.streams.get_mut(conn).filter(|stream| stream.state == State::Open) else {
            return false;
        };
        if stream.held.is_empty() {
            return stream.is_read_from() && self.read(conn, io);
        }
        let goes_on = stream.out.is_empty() && !stream.waits;
        if goes_on {
            self.resume(conn);
        }
        goes_on
    }
}
