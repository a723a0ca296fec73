//! Streams: connections, their unfinished lines, and those that stay silent (protocol, sections 1 and 8).

mod deadlines;
mod room;

use core::net::{IpAddr, SocketAddr};
use core::ops::ControlFlow;

use super::actions::{Action, Actions, Conn, Event, Target};
use super::brake::Brake;
use super::tally::Tally;
use super::timers::Due;
use super::{Asker, Hub, Resumed};
use crate::limits::STREAM_TURN_BYTES;
use crate::moment::Moment;
use crate::wire::{End, ErrorName, Frame, Message, Patience, Refusal, Reply, Rest, Stream};

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// What it is called in what is kept.
    id: u64,
    from: SocketAddr,
    /// Whom it is counted for.
    source: IpAddr,
    stream: Stream,
    /// What the stream held when it was last put back.
    rest: Rest,
    opened: Moment,
    heard: Moment,
    /// Whether it has completed a line.
    has_spoken: bool,
    /// When it began its first line.
    began: Option<Moment>,
    quiet_due: Option<Moment>,
    silent_due: Option<Moment>,
    first_due: Option<Moment>,
    /// When it may be read from again.
    allowed_due: Option<Moment>,
}

impl Connection {
    fn new(now: Moment, id: u64, from: SocketAddr, source: IpAddr) -> Self {
        let (stream, rest) = (Stream::default(), Rest::Nothing);
        Self {
            id,
            from,
            source,
            stream,
            rest,
            opened: now,
            heard: now,
            has_spoken: false,
            began: None,
            quiet_due: None,
            silent_due: None,
            first_due: None,
            allowed_due: None,
        }
    }
}

/// All connections, each at its number.
#[derive(Debug)]
pub(super) struct Streams {
    connections: Vec<Option<Connection>>,
    addresses: Tally,
    /// Those that have never completed a line.
    silent: room::Queue,
    /// Those on which no secret was proved.
    unproved: room::Queue,
    /// Whether somebody asks for the next.
    watched: bool,
    /// Those whose unfinished lines have changed.
    changed: Vec<Conn>,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            connections: Vec::new(),
            addresses: Tally::new(seed),
            silent: room::Queue::default(),
            unproved: room::Queue::default(),
            watched: false,
            changed: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.total()
    }

    /// What a connection is called in what is kept.
    pub(super) fn id(&self, conn: Conn) -> Option<u64> {
        Some(self.connections.get(conn.0 as usize)?.as_ref()?.id)
    }

    fn get_mut(&mut self, conn: Conn) -> Option<&mut Connection> {
        self.connections.get_mut(conn.0 as usize)?.as_mut()
    }

    fn insert(&mut self, conn: Conn, connection: Connection) {
        let index = conn.0 as usize;
        self.addresses.add(connection.source, usize::MAX);
        if !connection.has_spoken {
            self.silent.insert(conn, connection.source, connection.opened);
        }
        self.unproved.insert(conn, connection.source, connection.opened);
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        if let Some(free) = self.connections.get_mut(index) {
            *free = Some(connection);
        }
    }

    fn remove(&mut self, conn: Conn) -> Option<Connection> {
        let connection = self.connections.get_mut(conn.0 as usize)?.take()?;
        self.addresses.remove(&connection.source);
        self.silent.remove(conn, connection.source, connection.opened);
        self.unproved.remove(conn, connection.source, connection.opened);
        Some(connection)
    }

    /// Notes that somebody on a connection has proved a secret.
    pub(super) fn prove(&mut self, conn: Conn) {
        if let Some(connection) = self.connections.get(conn.0 as usize).and_then(Option::as_ref) {
            self.unproved.remove(conn, connection.source, connection.opened);
        }
    }
}

/// What lets a stream yield its lines.
#[derive(Clone, Copy)]
enum Cause<'a> {
    Bytes(&'a [u8]),
    Pause,
    HalfClose,
}

impl Hub {
    pub(super) fn opened(&mut self, now: Moment, conn: Conn, id: u64, from: SocketAddr, out: &mut Actions) {
        self.counters.connections += 1;
        if !self.settings.answers(from.ip()) {
            self.counters.strangers += 1;
            out.list.push(Action::Close(conn));
            return;
        }
        let source = self.settings.source(from.ip());
        if !self.has_room(now, source, out) {
            self.turn_away(out, conn, Refusal::new(ErrorName::Full, "too many connections, try later"));
            out.list.push(Action::Close(conn));
            return;
        }
        self.streams.insert(conn, Connection::new(now, id, from, source));
        self.wake_stream(conn);
        if !self.settings.text_greeting.is_empty() {
            let greeting = [self.settings.text_greeting.as_bytes(), End::Lf.as_bytes()].concat();
            out.reply(Target::Tcp(conn), &greeting);
        }
    }

    /// A connection that outlived the hub before is here again; nobody is thrown out, even where a limit is now lower.
    pub(super) fn reopened(&mut self, now: Moment, resumed: &Resumed<'_>) {
        let &Resumed { conn, id, from, stream } = resumed;
        let source = self.settings.source(from.ip());
        // What it has said before is not known; it is not held against it.
        self.streams.insert(conn, Connection { has_spoken: true, ..Connection::new(now, id, from, source) });
        self.wake_stream(conn);
        let stream = Stream::read(stream, self.settings.max_message_bytes);
        self.resume_stream(now, conn, stream);
    }

    /// What has been said on this connection and was not understood yet, in bytes that [`Self::resume`] takes; none if
    /// nothing has.
    #[must_use]
    pub fn unfinished(&self, conn: Conn) -> Option<Vec<u8>> {
        let stream = &self.streams.connections.get(conn.0 as usize)?.as_ref()?.stream;
        (stream.rest() != Rest::Nothing).then(|| stream.to_bytes())
    }

    /// Whether that is more than the knowledge that lines end.
    #[must_use]
    pub fn is_torn(&self, conn: Conn) -> bool {
        let connection = self.streams.connections.get(conn.0 as usize).and_then(Option::as_ref);
        connection.is_some_and(|connection| connection.rest == Rest::Something)
    }

    /// The connections where [`Self::unfinished`] has become something else since this was asked last, each maybe more than
    /// once.
    pub fn take_changed_streams(&mut self) -> impl Iterator<Item = Conn> {
        self.streams.changed.drain(..)
    }

    /// Lets [`Self::take_changed_streams`] be asked, and must then be.
    pub fn watch_streams(&mut self) {
        self.streams.watched = true;
    }

    pub(super) fn stream(&mut self, now: Moment, conn: Conn, bytes: &[u8], out: &mut Actions) {
        let Some(connection) = self.streams.get_mut(conn) else { return };
        connection.heard = now;
        let source = connection.source;
        if let Some(until) = self.access.stream_waits(now, &self.settings, source) {
            // Nothing more is read from it before, and so its peer must wait.
            self.timers.reset(&mut connection.allowed_due, Some(until), Due::Allowed(conn));
            out.list.push(Action::Hold { conn, bytes: bytes.len(), until_reply: true });
            return;
        }
        if self.journal.is_behind(conn, STREAM_TURN_BYTES) || self.asks.is_behind(conn, STREAM_TURN_BYTES) {
            out.list.push(Action::Hold { conn, bytes: bytes.len(), until_reply: true });
            return;
        }
        self.run(now, conn, Cause::Bytes(bytes), out);
    }

    pub(super) fn half_closed(&mut self, now: Moment, conn: Conn, out: &mut Actions) {
        self.run(now, conn, Cause::HalfClose, out);
    }

    /// An unfinished line has waited long enough.
    pub(super) fn quiet(&mut self, now: Moment, conn: Conn, out: &mut Actions) {
        if let Some(connection) = self.streams.get_mut(conn) {
            connection.quiet_due = None;
            self.run(now, conn, Cause::Pause, out);
        }
    }

    pub(super) fn closed(&mut self, now: Moment, conn: Conn, why: &'static str, out: &mut Actions) {
        if let Some(place) = self.clients.at(Target::Tcp(conn).peer()) {
            self.leave(now, place, why, out);
        }
        if let Some(mut connection) = self.streams.remove(conn) {
            self.timers.reset(&mut connection.quiet_due, None, Due::Quiet(conn));
            self.timers.reset(&mut connection.silent_due, None, Due::Silent(conn));
            self.timers.reset(&mut connection.first_due, None, Due::FirstLine(conn));
            self.timers.reset(&mut connection.allowed_due, None, Due::Allowed(conn));
        }
    }

    /// Lets a stream yield its lines, answers them, and waits for what is unfinished.
    fn run(&mut self, now: Moment, conn: Conn, cause: Cause<'_>, out: &mut Actions) {
        let Some(connection) = self.streams.get_mut(conn) else { return };
        let (from, source) = (connection.from, connection.source);
        let mut stream = core::mem::take(&mut connection.stream);
        let target = Target::Tcp(conn);
        let place = self.open_place(target.peer());
        let mut asker = Asker::new(now, target, from, place);
        let mut replies = core::mem::take(&mut self.replies);
        let reserved = out.reserve();
        let max_bytes = self.settings.max_message_bytes;
        let brake = Brake::new(out, self.steps, STREAM_TURN_BYTES);
        let mut lines = 0_u32;
        let mut answer = |frame: Frame<'_>| {
            lines += 1;
            if !asker.closes {
                self.frame(&mut asker, frame, &mut replies, out);
                // What it asked may have cost it the connection, and with that the rest is not asked any more.
                asker.closes |= self.streams.id(conn).is_none();
            }
            // What comes behind a question has its replies behind the answer.
            let waits = out.list.last().is_some_and(|action| matches!(action, Action::Await { .. }));
            if waits || brake.holds(out, self.steps, replies.len()) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut held = 0;
        match cause {
            Cause::Bytes(bytes) => held = stream.feed(bytes, max_bytes, &mut answer),
            Cause::Pause => stream.pause(&mut answer),
            Cause::HalfClose => stream.half_close(&mut answer),
        }
        if !replies.is_empty() {
            let range = out.fill(reserved, target, &replies);
            self.journal.replies_left(replies.len(), Some(&range));
        }
        self.spoke(now, conn, source, lines);
        if held > 0 {
            out.list.push(Action::Hold { conn, bytes: held, until_reply: false });
        }
        self.recycle(replies);
        if matches!(cause, Cause::HalfClose) {
            // Who will say no more still hears the answers to what it has asked.
            let awaits = self.asks.tagged_on(conn);
            out.list.extend(awaits.map(|question| Action::Await { conn, question }));
        }
        if asker.closes || matches!(cause, Cause::HalfClose) {
            self.hang_up(now, conn, "closed", out);
        } else {
            self.resume_stream(now, conn, stream);
        }
    }

    /// Counts the lines that a connection has completed.
    fn spoke(&mut self, now: Moment, conn: Conn, source: IpAddr, lines: u32) {
        self.access.stream_owes(now, &self.settings, source, lines);
        let Some(connection) = self.streams.connections.get_mut(conn.0 as usize).and_then(Option::as_mut)
        else {
            return;
        };
        if lines > 0 && !core::mem::replace(&mut connection.has_spoken, true) {
            connection.began = None;
            self.timers.reset(&mut connection.first_due, None, Due::FirstLine(conn));
            self.streams.silent.remove(conn, connection.source, connection.opened);
        }
    }

    /// Puts the stream back and sets the deadline of what is unfinished in it.
    fn resume_stream(&mut self, now: Moment, conn: Conn, stream: Stream) {
        let due = match stream.patience() {
            Some(Patience::Quiets(quiets)) => Some(now + self.settings.text_quiet * quiets),
            Some(Patience::Forever) | None => None,
        };
        let Some(connection) = self.streams.get_mut(conn) else { return };
        let rest = stream.rest();
        let before = core::mem::replace(&mut connection.rest, rest);
        let changed = rest == Rest::Something || rest != before;
        connection.stream = stream;
        self.timers.reset(&mut connection.quiet_due, due, Due::Quiet(conn));
        if rest == Rest::Something && !connection.has_spoken && connection.began.is_none() {
            connection.began = Some(now);
            let due = self.settings.first_line.map(|time| now + time);
            self.timers.reset(&mut connection.first_due, due, Due::FirstLine(conn));
        }
        if changed && self.streams.watched {
            self.streams.changed.push(conn);
        }
    }

    fn frame(&mut self, asker: &mut Asker, frame: Frame<'_>, replies: &mut Vec<u8>, out: &mut Actions) {
        let start = replies.len();
        let mut end = End::None;
        match frame {
            Frame::Line(line) => match Message::read(line) {
                Message::Request(request) => {
                    end = request.end;
                    if !self.request(asker, &request, replies, out) {
                        return;
                    }
                }
                Message::Text(text) => self.text(asker, text, replies),
            },
            Frame::Unfinished(line) => {
                let Message::Request(request) = Message::read(line) else { return };
                if !self.request(asker, &request.unfinished(), replies, out) {
                    return;
                }
            }
            Frame::TooLong(line_end) => {
                let reply = Reply::begin(replies, None);
                let refusal = self.refused(asker.from, super::dispatch::TOO_LONG, out);
                reply.finish(replies, Err(refusal), line_end);
            }
            Frame::Http => {
                let reply = Reply::begin(replies, None);
                let refusal = self.refused(asker.from, HTTP, out);
                reply.finish(replies, Err(refusal), End::CrLf);
                asker.closes = true;
            }
        }
        if replies.len() == start && end == End::None {
            // An empty reply that has no end would be nothing at all.
            replies.extend_from_slice(End::Lf.as_bytes());
        }
    }

    /// Says why before the connection is closed.
    fn turn_away(&mut self, out: &mut Actions, conn: Conn, refusal: Refusal) {
        self.counters.errors += 1;
        let mut bytes = Vec::new();
        Reply::begin(&mut bytes, None).finish(&mut bytes, Err(refusal), End::Lf);
        out.reply(Target::Tcp(conn), &bytes);
    }

    /// Closes a connection after what is to be sent on it.
    pub(super) fn hang_up(&mut self, now: Moment, conn: Conn, why: &'static str, out: &mut Actions) {
        out.list.push(Action::Close(conn));
        self.closed(now, conn, why, out);
    }

    /// Counts a refusal and tells the operator of it.
    pub(super) fn refused(&mut self, from: SocketAddr, refusal: Refusal, out: &mut Actions) -> Refusal {
        self.counters.errors += 1;
        out.events.push(Event::Refused { from, refusal });
        refusal
    }
}

const HTTP: Refusal = Refusal::new(ErrorName::Usage, "this is pigeond, not a web server");
