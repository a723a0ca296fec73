//! The network: datagrams that are lost, repeated and late, and streams that are cut up and break.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pigeond::hub::{Conn, Input};

use super::ledger::Fault;
use super::plan::{MILLI, Micros, SECOND, wait};
use super::server::VIA;
use super::world::{Event, World};
use pigeond::courier::Carrier;

/// One connection.
pub struct Link {
    pub client: usize,
    from: SocketAddr,
    /// The hub's number for it, while the hub knows of it.
    conn: Option<Conn>,
    /// When the last bytes arrive, each way: later ones arrive later.
    up_until: Micros,
    down_until: Micros,
    /// From when on nothing arrives any more, each way.
    up_ends: Micros,
    down_ends: Micros,
    /// Whether the client has sent a whole line.
    has_spoken: bool,
    /// What came without a line's end.
    unfinished: Vec<u8>,
    /// What the hub did not take yet, and whether it wants to send something first.
    pub held: Vec<u8>,
    pub awaits_reply: bool,
}

/// All connections.
#[derive(Default)]
pub struct Links {
    links: BTreeMap<u64, Link>,
    next: u64,
}

impl Links {
    pub fn get_mut(&mut self, link: u64) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    /// The connection that the hub knows by this number.
    pub fn at(&self, conn: Conn) -> Option<u64> {
        self.links.iter().find(|(_, link)| link.conn == Some(conn)).map(|(&number, _)| number)
    }

    fn free_conn(&self) -> Conn {
        (0..).map(Conn).find(|&conn| self.at(conn).is_none()).unwrap_or(Conn(0))
    }
}

impl World {
    fn delay(&mut self) -> Micros {
        let delay = self.rng.u64(200..=5 * MILLI);
        if self.rng.f64() < self.plan.slow { delay + self.rng.u64(..=self.plan.detour) } else { delay }
    }

    /// When the copies of a datagram arrive, if they do.
    fn copies(&mut self, client: Option<usize>) -> Vec<Micros> {
        let is_cut_off = client.is_some_and(|client| self.clients[client].is_cut_off);
        if is_cut_off || self.rng.f64() < self.plan.loss {
            return Vec::new();
        }
        let count = if self.rng.f64() < self.plan.twice { 2 } else { 1 };
        (0..count).map(|_| self.delay()).collect()
    }

    /// A client sends a datagram; `None` is a stranger.
    pub fn datagram_up(&mut self, client: Option<usize>, from: SocketAddr, bytes: &[u8]) {
        for delay in self.copies(client) {
            self.after(delay, Event::ToHub { from, bytes: bytes.to_vec() });
        }
    }

    pub fn datagram_to_hub(&mut self, from: SocketAddr, bytes: &[u8]) -> Result<(), Fault> {
        if self.hub.is_none() {
            return Ok(());
        }
        self.trace.note(self.now, "hub <- port", u64::from(from.port()), bytes);
        if let Some(client) = self.owner(from) {
            bytes.split(|&b| b == b'\n').for_each(|line| self.observer.heard(client, line));
        }
        let input = Input::Datagram { from, via: VIA, to_many: false, bytes };
        self.with_hub(None, |hub, now, out| hub.handle(now, input, out))
    }

    /// Whose address this is, or was.
    fn owner(&self, address: SocketAddr) -> Option<usize> {
        let std::net::IpAddr::V4(ip) = address.ip() else { return None };
        usize::from(ip.octets()[3]).checked_sub(1).filter(|&client| client < self.clients.len())
    }

    /// The hub sends a datagram.
    pub fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]) -> Result<(), Fault> {
        self.trace.note(self.now, "hub -> port", u64::from(to.port()), bytes);
        let client = self.owner(to);
        if let Some(client) = client {
            for line in bytes.split_inclusive(|&b| b == b'\n') {
                self.observer.said(client, line, &mut self.ledger)?;
            }
        } else {
            self.untagged.replied(self.now, bytes)?;
        }
        for delay in self.copies(client) {
            self.after(delay, Event::ToClient { to, bytes: bytes.to_vec() });
        }
        Ok(())
    }

    pub fn datagram_to_client(&mut self, to: SocketAddr, bytes: &[u8]) -> Result<(), Fault> {
        let Some(client) = self.owner(to) else { return Ok(()) };
        if !self.clients[client].up || self.clients[client].address != to {
            return Ok(());
        }
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            self.hears(client, line)?;
        }
        self.pump(client)
    }

    /// A client opens a connection, if it has none.
    pub fn connect(&mut self, client: usize) -> Result<(), Fault> {
        let it = &self.clients[client];
        if it.carrier != Carrier::Stream || it.link.is_some() || !it.up {
            return Ok(());
        }
        let from = it.address;
        self.links.next += 1;
        let number = self.links.next;
        let opens = self.now + self.delay();
        let link = Link {
            client,
            from,
            conn: None,
            up_until: opens,
            down_until: opens,
            up_ends: Micros::MAX,
            down_ends: Micros::MAX,
            has_spoken: false,
            unfinished: Vec::new(),
            held: Vec::new(),
            awaits_reply: false,
        };
        self.links.links.insert(number, link);
        self.at(opens, Event::Opened { link: number });
        self.clients[client].link = Some(number);
        self.arrives(client)
    }

    pub fn opened(&mut self, number: u64) -> Result<(), Fault> {
        let conn = self.links.free_conn();
        let Some(link) = self.links.get_mut(number) else { return Ok(()) };
        let from = link.from;
        if self.hub.is_none() || self.clients[link.client].is_cut_off {
            (link.up_ends, link.down_ends) = (0, 0);
            self.after(10 * MILLI, Event::EndedAtClient { link: number });
            return Ok(());
        }
        link.conn = Some(conn);
        self.trace.note(self.now, "opened", u64::from(conn.0), b"");
        self.with_hub(None, |hub, now, out| hub.handle(now, Input::Opened { conn, id: number, from }, out))
    }

    /// A client sends bytes on its connection.
    pub fn stream_up(&mut self, number: u64, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(number) else { return };
        let (mut at, ends) = (link.up_until, link.up_ends);
        // Before a connection's first line end a pause would end the line.
        let is_first = !core::mem::replace(&mut link.has_spoken, true);
        for piece in self.pieces(bytes, is_first) {
            at = (self.now + self.delay()).max(at);
            if at < ends {
                self.at(at, Event::UpLink { link: number, bytes: piece });
            }
        }
        if let Some(link) = self.links.get_mut(number) {
            link.up_until = at;
        }
    }

    fn pieces(&mut self, bytes: &[u8], whole: bool) -> Vec<Vec<u8>> {
        let mut rest = bytes;
        let mut pieces = Vec::new();
        while !whole && rest.len() > 1 && self.rng.u8(..4) == 0 {
            let (piece, behind) = rest.split_at(self.rng.usize(1..rest.len()));
            pieces.push(piece.to_vec());
            rest = behind;
        }
        pieces.push(rest.to_vec());
        pieces
    }

    pub fn up_link(&mut self, number: u64, bytes: Vec<u8>) -> Result<(), Fault> {
        let now = self.now;
        let Some(link) = self.links.get_mut(number).filter(|link| now < link.up_ends) else { return Ok(()) };
        if link.conn.is_none() {
            return Ok(());
        }
        link.unfinished.extend_from_slice(&bytes);
        while let Some(end) = link.unfinished.iter().position(|&b| b == b'\n') {
            let whole: Vec<u8> = link.unfinished.drain(..=end).collect();
            self.observer.heard(link.client, &whole);
        }
        if link.held.is_empty() {
            self.feed(number, &bytes)
        } else {
            link.held.extend(bytes);
            Ok(())
        }
    }

    /// Gives bytes again that the hub had not taken.
    pub fn again(&mut self, number: u64) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(number) else { return Ok(()) };
        let bytes = core::mem::take(&mut link.held);
        if bytes.is_empty() { Ok(()) } else { self.feed(number, &bytes) }
    }

    fn feed(&mut self, number: u64, bytes: &[u8]) -> Result<(), Fault> {
        let conn = self.links.get_mut(number).and_then(|link| link.conn);
        let Some(conn) = conn else { return Ok(()) };
        self.trace.note(self.now, "hub <- conn", u64::from(conn.0), bytes);
        let input = Input::Stream { conn, bytes };
        self.with_hub(Some((number, bytes)), |hub, now, out| hub.handle(now, input, out))
    }

    /// The hub sends bytes on a connection.
    pub fn send_stream(&mut self, conn: Conn, bytes: &[u8], is_reply: bool) -> Result<(), Fault> {
        self.trace.note(self.now, "hub -> conn", u64::from(conn.0), bytes);
        let Some(number) = self.links.at(conn) else {
            return Err(format!("the hub sends on connection {}, which is closed", conn.0));
        };
        let Some(link) = self.links.get_mut(number) else { return Ok(()) };
        let (client, mut at, ends) = (link.client, link.down_until, link.down_ends);
        let resumes = is_reply && core::mem::take(&mut link.awaits_reply);
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            self.observer.said(client, line, &mut self.ledger)?;
        }
        for piece in self.pieces(bytes, false) {
            at = (self.now + self.delay()).max(at);
            if at < ends {
                self.at(at, Event::DownLink { link: number, bytes: piece });
            }
        }
        if let Some(link) = self.links.get_mut(number) {
            link.down_until = at;
        }
        if resumes {
            self.after(MILLI, Event::Again { link: number });
        }
        Ok(())
    }

    pub fn down_link(&mut self, number: u64, bytes: &[u8]) -> Result<(), Fault> {
        let now = self.now;
        let Some(link) = self.links.get_mut(number).filter(|link| now < link.down_ends) else {
            return Ok(());
        };
        let client = link.client;
        if self.clients[client].link != Some(number) {
            return Ok(());
        }
        self.clients[client].unfinished.extend_from_slice(bytes);
        while let Some(end) = self.clients[client].unfinished.iter().position(|&b| b == b'\n') {
            let whole: Vec<u8> = self.clients[client].unfinished.drain(..=end).collect();
            self.hears(client, &whole)?;
        }
        self.pump(client)
    }

    /// A connection breaks: what is on its way is lost from some moment on, and each end learns of it later.
    pub fn end_link(&mut self, number: u64, within: Micros) {
        let lost = self.now + self.rng.u64(..=within);
        let (hub, client) = (lost + self.rng.u64(..=within), lost + self.rng.u64(..=within / 4));
        let Some(link) = self.links.get_mut(number) else { return };
        if within > 0 {
            (link.up_ends, link.down_ends) = (lost.min(link.up_ends), lost.min(link.down_ends));
        }
        // An end that is not known of is an end all the same: what comes behind it is not read.
        let client = if within == 0 { client.max(link.down_until) } else { client };
        self.at(hub, Event::EndedAtHub { link: number });
        self.at(client, Event::EndedAtClient { link: number });
    }

    pub fn link_breaks(&mut self, client: usize) -> Result<(), Fault> {
        if self.healed {
            return Ok(());
        }
        if let Some(link) = self.clients[client].link {
            self.trace.note(self.now, "breaks", link, b"");
            self.end_link(link, 8 * SECOND);
        }
        self.misfortune(self.plan.link_life, |client| Event::LinkBreaks { client }, client);
        Ok(())
    }

    /// The hub is gone, and with it every connection.
    pub fn break_all_links(&mut self) {
        for number in self.links.links.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.get_mut(number) {
                link.conn = None;
                link.up_ends = 0;
            }
            let later = self.rng.u64(..=SECOND);
            self.after(later, Event::EndedAtClient { link: number });
        }
    }

    pub fn ended_at_hub(&mut self, number: u64) -> Result<(), Fault> {
        let conn = self.links.get_mut(number).and_then(|link| link.conn.take());
        let Some(conn) = conn else { return Ok(()) };
        self.trace.note(self.now, "closed", u64::from(conn.0), b"");
        let input = Input::Closed { conn, why: "broken" };
        self.with_hub(None, |hub, now, out| hub.handle(now, input, out))
    }

    pub fn ended_at_client(&mut self, number: u64) -> Result<(), Fault> {
        let Some(client) = self.links.get_mut(number).map(|link| link.client) else { return Ok(()) };
        if self.clients[client].link == Some(number) {
            self.clients[client].link = None;
            self.clients[client].unfinished.clear();
            let pause = wait(&mut self.rng, 200 * MILLI);
            self.after(pause, Event::Connect { client });
        }
        Ok(())
    }
}
