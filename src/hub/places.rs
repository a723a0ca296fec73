//! Places that outlive the hub: what is kept of each, and how the next run finds who stood there.
//!
//! A place over UDP is found again by its address, one over TCP by its connection, if that was kept open meanwhile.

use core::net::{IpAddr, SocketAddr};

use super::Hub;
use super::actions::{Action, Actions, Conn, Event, Target, Via};
use super::change::{Change, Spot};
use super::clients::{Client, Joined};
use super::directory::Slot;
use super::keyed::SECRET_GONE;
use crate::moment::Moment;
use crate::names::{Code, Pattern};
use crate::wire::End;

/// A connection that outlived the hub that served it.
#[derive(Clone, Copy, Debug)]
pub struct Resumed<'a> {
    /// Its number in this run, which is free.
    pub conn: Conn,
    /// What it is called in what is kept.
    pub id: u64,
    /// Its peer.
    pub from: SocketAddr,
    /// What had been said on it and not been understood yet: the bytes of [`Hub::unfinished`].
    pub stream: &'a [u8],
}

/// A place whose client has not been found yet.
#[derive(Debug)]
pub(super) struct Absent {
    id: u64,
    code: Box<str>,
    spot: Spot,
    end: End,
    /// Whether its pushes are acknowledged.
    boxed: bool,
    /// What it watches otherwise.
    watches: Vec<Box<str>>,
}

impl Absent {
    /// Reads a row; what an earlier row of the same place said of its watches stays.
    pub(super) fn read(row: &Change<'_>, before: Option<Self>) -> Option<Self> {
        let &Change::Place { id, code, spot, ending, boxed } = row else { return None };
        Code::parse(code.as_bytes())?;
        let watches = before.map(|before| before.watches).unwrap_or_default();
        Some(Self { id, code: code.into(), spot, end: End::of(ending)?, boxed, watches })
    }

    pub(super) fn watch(&mut self, pattern: &str) -> Option<()> {
        Pattern::parse(pattern.as_bytes())?;
        self.unwatch(pattern);
        self.watches.push(pattern.into());
        Some(())
    }

    pub(super) fn unwatch(&mut self, pattern: &str) {
        self.watches.retain(|other| **other != *pattern);
    }
}

impl Hub {
    /// Goes on with the connections that were kept open, and gives all who stood somewhere their places back. Places
    /// whose connection is not among them are given up.
    ///
    /// To be called once, before any input.
    pub fn resume(&mut self, now: Moment, streams: &[Resumed<'_>], out: &mut Actions) {
        let start = out.position();
        for stream in streams {
            if self.settings.answers(stream.from.ip()) {
                self.reopened(now, stream);
            } else {
                self.counters.strangers += 1;
                out.list.push(Action::Close(stream.conn));
            }
        }
        let unproved = self.drop_unproved(now, out);
        for absent in core::mem::take(&mut self.absent) {
            let is_unproved = unproved.contains(&absent.code);
            if is_unproved || self.seat(now, &absent, streams, out).is_none() {
                self.journal.note(now, &Change::PlaceGone { id: absent.id });
                let why = if is_unproved { SECRET_GONE } else { "not found again" };
                out.events.push(Event::Left { code: absent.code, why });
            }
        }
        self.drop_watches(now);
        self.settle(start, out);
    }

    /// Gives one client its place back, if it can be found.
    fn seat(
        &mut self,
        now: Moment,
        absent: &Absent,
        streams: &[Resumed<'_>],
        out: &mut Actions,
    ) -> Option<()> {
        let code = Code::parse(absent.code.as_bytes())?;
        let (target, from) = match absent.spot {
            Spot::Tcp { id } => {
                let stream = streams.iter().find(|stream| stream.id == id)?;
                self.streams.id(stream.conn)?;
                if self.settings.keys.has(code) {
                    self.streams.prove(stream.conn);
                }
                (Target::Tcp(stream.conn), stream.from)
            }
            Spot::Udp { to, .. } if !self.settings.answers(to.ip()) => return None,
            Spot::Udp { to, local, port, interface } => {
                let to = with_scope(to, interface);
                (Target::Udp { to, via: Via { socket: u16::MAX, port, local, interface } }, to)
            }
        };
        // Where a code has a secret, a place serves the session that joined last, and nobody else.
        let session = if self.settings.keys.has(code) {
            let claimant = self.sessions.claimant(code)?;
            self.sessions.keyed(claimant)?;
            Some(claimant)
        } else {
            None
        };
        let is_taken = self.clients.find(code).is_some() || self.clients.at(target.peer()).is_some();
        if is_taken || (absent.boxed && self.mailboxes.find(code).is_none()) {
            return None;
        }
        let Joined::New(place) = self.clients.join(now, code, target, absent.end) else { return None };
        self.clients.give_to(place, session);
        self.clients.get_mut(place)?.id = absent.id;
        for pattern in &absent.watches {
            self.watches.watch(place, pattern, usize::MAX);
        }
        self.wake_place(place);
        if absent.boxed
            && let Some(mailbox) = self.join_mailbox(now, place, self.settings.source(from.ip()))
        {
            self.advance(now, mailbox, out);
        }
        Some(())
    }

    /// Sets anew when each place is asked whether it is idle.
    pub(super) fn wake_places(&mut self) {
        let places: Vec<Slot> = self.clients.iter().map(|(place, _)| place).collect();
        for place in places {
            self.wake_place(place);
        }
    }

    /// Keeps where a client stands, unless it has stood there already, as it was `before`.
    pub(super) fn note_place(&mut self, now: Moment, place: Slot, before: Option<Client>) {
        let is_new = before.is_none();
        let id = if is_new { self.journal.new_id() } else { 0 };
        let Some(client) = self.clients.get_mut(place) else { return };
        if is_new {
            client.id = id;
        }
        let stands = |client: &Client| (client.target, client.end, client.mailbox);
        if before.is_some_and(|before| stands(&before) == stands(client)) {
            return;
        }
        let (id, ending, boxed) = (client.id, client.end.as_bytes(), client.mailbox.is_some());
        let target = client.target;
        let Some((spot, code)) = self.spot(target).zip(self.clients.code(place)) else { return };
        self.journal.note(now, &Change::Place { id, code: code.as_str(), spot, ending, boxed });
        // Who has been told that it joined waits for pushes, and would not notice that the hub has forgotten it.
        self.journal.hold();
    }

    /// Where somebody is, as it is kept.
    pub(super) fn spot(&self, target: Target) -> Option<Spot> {
        match target {
            Target::Tcp(conn) => self.streams.id(conn).map(|id| Spot::Tcp { id }),
            Target::Udp { to, via } => {
                Some(Spot::Udp { to, local: via.local, port: via.port, interface: via.interface })
            }
        }
    }
}

/// A link-local address is one only together with its interface, which is not part of it where it is kept.
pub(super) fn with_scope(address: SocketAddr, interface: u32) -> SocketAddr {
    match (address, address.ip()) {
        (SocketAddr::V6(mut v6), IpAddr::V6(ip)) if ip.is_unicast_link_local() => {
            v6.set_scope_id(interface);
            v6.into()
        }
        (address, _) => address,
    }
}
