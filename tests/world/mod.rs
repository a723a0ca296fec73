//! A pure hub with a clock of its own, and what it last did.

#![allow(dead_code, reason = "not every test crate uses all of this")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pigeond::hub::{Action, Actions, Conn, Hub, Input, Settings, Target, Via};
use pigeond::moment::Moment;

/// A hub, its clock, and what it last did.
pub struct World {
    pub hub: Hub,
    pub now: Moment,
    pub out: Actions,
}

/// A UDP peer on the LAN by its last digit.
pub fn peer(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([192, 168, 0, n]), 5000)
}

pub const VIA: Via = Via { socket: 0, port: 10125, local: None, interface: 0 };

impl World {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self { hub: Hub::new(settings, Moment::ZERO, 1), now: Moment::ZERO, out: Actions::default() }
    }

    pub fn handle(&mut self, input: Input<'_>) {
        self.out.clear();
        self.hub.handle(self.now, input, &mut self.out);
    }

    /// Sends a datagram; returns what its sender gets back.
    pub fn ask(&mut self, n: u8, bytes: &[u8]) -> Vec<String> {
        self.handle(Input::Datagram { from: peer(n), via: VIA, to_many: false, bytes });
        self.to(n)
    }

    pub fn broadcast(&mut self, n: u8, bytes: &[u8]) -> Vec<String> {
        self.handle(Input::Datagram { from: peer(n), via: VIA, to_many: true, bytes });
        self.to(n)
    }

    pub fn open(&mut self, conn: u32) -> String {
        self.handle(Input::Opened { conn: Conn(conn), id: conn.into(), from: peer(200) });
        self.on(conn)
    }

    /// Sends bytes on a stream; returns what came back on it.
    pub fn stream(&mut self, conn: u32, bytes: &[u8]) -> String {
        self.handle(Input::Stream { conn: Conn(conn), bytes });
        self.on(conn)
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.out.clear();
        while let Some(at) = self.hub.next_deadline().filter(|&at| at <= end) {
            assert!(at >= self.now, "a deadline in the past is never left behind");
            self.now = at;
            self.hub.tick(at, &mut self.out);
        }
        self.now = end;
        self.hub.tick(end, &mut self.out);
    }

    /// Lets time pass but keeps what was last done.
    pub fn pass_quietly(&mut self, time: Duration) {
        let out = std::mem::take(&mut self.out);
        self.pass(time);
        self.out = out;
    }

    /// What the last input sent to a peer.
    pub fn to(&self, n: u8) -> Vec<String> {
        self.sent(|target| matches!(target, Target::Udp { to, .. } if *to == peer(n)))
    }

    /// What the last input sent on a stream.
    pub fn on(&self, conn: u32) -> String {
        self.sent(|target| *target == Target::Tcp(Conn(conn))).concat()
    }

    pub fn sent(&self, is: impl Fn(&Target) -> bool) -> Vec<String> {
        let sends = self.out.list.iter().filter_map(|action| match action {
            Action::Send { target, range, .. } if is(target) => Some(self.out.slice(range)),
            Action::Send { .. }
            | Action::Close(_)
            | Action::Hold { .. }
            | Action::Await { .. }
            | Action::Answer { .. }
            | Action::Broadcast { .. }
            | Action::Nothing => None,
        });
        sends.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// What the last input sent to everybody.
    pub fn aired(&self) -> Vec<String> {
        let broadcasts = self.out.list.iter().filter_map(|action| match action {
            Action::Broadcast { range, .. } => Some(self.out.slice(range)),
            Action::Send { .. }
            | Action::Close(_)
            | Action::Hold { .. }
            | Action::Await { .. }
            | Action::Answer { .. }
            | Action::Nothing => None,
        });
        broadcasts.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    pub fn closed(&self) -> Vec<Conn> {
        let closes = self.out.list.iter().filter_map(|action| match action {
            Action::Close(conn) => Some(*conn),
            Action::Send { .. }
            | Action::Hold { .. }
            | Action::Await { .. }
            | Action::Answer { .. }
            | Action::Broadcast { .. }
            | Action::Nothing => None,
        });
        closes.collect()
    }
}
