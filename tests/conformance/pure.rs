//! The pure hub, with a clock that moves only when told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use pigeond::hub::{Action, Actions, Conn, Hub, Input, Settings, Target, Via};
use pigeond::moment::Moment;

use super::World;
use super::page::Expected;

/// How long "nothing" lasts.
const NOTHING: Duration = Duration::from_millis(50);

/// Longer than any reply takes.
const SOON: Duration = Duration::from_secs(1);

pub struct Pure {
    hub: Hub,
    now: Moment,
    /// What U and V have received and not yet looked at.
    datagrams: BTreeMap<char, VecDeque<Vec<u8>>>,
    /// The same for T and S, and whether their connection is still open.
    streams: BTreeMap<char, (Vec<u8>, bool)>,
}

impl Pure {
    pub fn new() -> Self {
        let settings = Settings { clients_limit: 100, ..Settings::default() };
        let hub = Hub::new(settings, Moment::ZERO, 1);
        Self { hub, now: Moment::ZERO, datagrams: BTreeMap::new(), streams: BTreeMap::new() }
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut out = Actions::default();
        self.hub.handle(self.now, input, &mut out);
        self.perform(&out);
    }

    fn perform(&mut self, out: &Actions) {
        for action in &out.list {
            match action {
                Action::Send { target: Target::Udp { to, .. }, range, .. } => {
                    let who = ['U', 'V'].into_iter().find(|&who| address(who) == *to).expect("U or V");
                    self.datagrams.entry(who).or_default().push_back(out.slice(range).to_vec());
                }
                Action::Send { target: Target::Tcp(conn), range, .. } => {
                    let stream = self.streams.get_mut(&whose(*conn)).expect("T or S");
                    stream.0.extend_from_slice(out.slice(range));
                }
                Action::Close(conn) => self.streams.get_mut(&whose(*conn)).expect("T or S").1 = false,
                Action::Hold { .. }
                | Action::Await { .. }
                | Action::Answer { .. }
                | Action::Broadcast { .. }
                | Action::Nothing => {}
            }
        }
    }

    /// Lets time pass until something is there or so much has passed.
    fn wait(&mut self, at_most: Duration, is_there: impl Fn(&Self) -> bool) {
        let end = self.now + at_most;
        while !is_there(self) && self.now < end {
            self.now = self.hub.next_deadline().filter(|&at| at < end).unwrap_or(end).max(self.now);
            let mut out = Actions::default();
            self.hub.tick(self.now, &mut out);
            self.perform(&out);
        }
    }

    fn has_received(&self, who: char) -> bool {
        self.datagrams.get(&who).is_some_and(|queue| !queue.is_empty())
            || self.streams.get(&who).is_some_and(|(bytes, _)| !bytes.is_empty())
    }
}

fn address(who: char) -> SocketAddr {
    SocketAddr::new([127, 0, 0, 1].into(), who as u16)
}

fn conn(who: char) -> Conn {
    Conn(u32::from(who == 'S'))
}

fn whose(conn: Conn) -> char {
    if conn == Conn(0) { 'T' } else { 'S' }
}

impl World for Pure {
    fn send(&mut self, who: char, bytes: &[u8], half_close: bool) {
        if "UV".contains(who) {
            let via = Via { socket: 0, port: 10125, local: None, interface: 0 };
            return self.handle(Input::Datagram { from: address(who), via, to_many: false, bytes });
        }
        let conn = conn(who);
        if let std::collections::btree_map::Entry::Vacant(e) = self.streams.entry(who) {
            e.insert((Vec::new(), true));
            self.handle(Input::Opened { conn, id: 0, from: address(who) });
        }
        self.handle(Input::Stream { conn, bytes });
        if half_close {
            self.handle(Input::HalfClosed { conn });
        }
    }

    fn expect(&mut self, who: char, expected: &Expected) -> Result<(), String> {
        let limit = if matches!(expected, Expected::Nothing) { NOTHING } else { SOON };
        if "UV".contains(who) {
            self.wait(limit, |world| world.has_received(who));
            let received = self.datagrams.get_mut(&who).and_then(VecDeque::pop_front);
            return match (received, expected) {
                (None, Expected::Nothing) => Ok(()),
                (Some(bytes), Expected::Bytes { .. }) if expected.matches(&bytes) => Ok(()),
                (received, _) => Err(format!("{who}: {received:?} instead of {expected:?}")),
            };
        }
        // What arrives without pause is read as one.
        let is_there =
            |world: &Self| world.streams.get(&who).is_some_and(|(bytes, _)| expected.matches(bytes));
        self.wait(limit, |world| !matches!(expected, Expected::Nothing) && is_there(world));
        let (bytes, open) = self.streams.get_mut(&who).expect("T or S");
        let bytes = std::mem::take(bytes);
        let closes = matches!(expected, Expected::Bytes { closed: true, .. });
        if expected.matches(&bytes) && *open != closes {
            return Ok(());
        }
        Err(format!("{who}: {:?} (open: {open}) instead of {expected:?}", bytes.escape_ascii().to_string()))
    }

    fn pause(&mut self, milliseconds: u64) {
        self.wait(Duration::from_millis(milliseconds), |_| false);
    }

    fn nothing_is_left(&mut self) -> Result<(), String> {
        self.wait(SOON, |_| false);
        let left = "UVTS".chars().find(|&who| self.has_received(who));
        left.map_or(Ok(()), |who| Err(format!("{who} received something more")))
    }
}
