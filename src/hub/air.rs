//! What is for everybody on the LAN: DISCOVER's answer, announcements, and what clients SHOUT (protocol, section 3).

use core::time::Duration;

use ipnet::IpNet;

use super::actions::Actions;
use super::names::mix;
use super::requests::JOIN_FIRST;
use super::timers::Due;
use super::{Asker, Hub};
use crate::limits::{
    ANNOUNCE_PAUSE, SHOUT_BURST, SHOUT_BYTES, SHOUT_EVERY, SHOUT_EVERY_IN_ALL, SHOUTS_AT_ONCE,
};
use crate::moment::Moment;
use crate::wire::{ErrorName, Refusal};

/// What a hub says of itself begins so. Nobody answers it, lest two hubs talk for ever.
const HERE: &[u8] = b"HERE ";

/// When the hub was announced and is to be, and how much has been shouted.
#[derive(Debug, Default)]
pub(super) struct Air {
    /// Announcements since the start.
    announced: u64,
    /// When the last of them left; before that, when the first was asked for.
    last: Option<Moment>,
    /// When the next is to leave.
    due: Option<Moment>,
    /// What all clients together have shouted.
    shouts: Bucket,
}

/// How much of a rate is used up: so many at once, then one each so often.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// When nothing of it is used up any more.
    empty: Moment,
}

impl Bucket {
    fn has_room(self, now: Moment, every: Duration, burst: u32) -> bool {
        self.empty.since(now) <= every * burst.saturating_sub(1)
    }

    fn take(&mut self, now: Moment, every: Duration) {
        self.empty = self.empty.max(now) + every;
    }
}

/// Whether a text that was sent to everybody is another hub's word of itself, or this one's.
pub(super) fn is_here(text: &[u8]) -> bool {
    text.starts_with(HERE)
}

impl Hub {
    /// The addresses of this machine, and with them the hub's own sockets and the networks that it is on, are others from
    /// now on.
    pub fn network_changed(&mut self, own: Vec<core::net::SocketAddr>, attached: Vec<IpNet>) {
        (self.settings.own, self.settings.attached) = (own, attached);
    }

    /// Somebody new may hear the hub: it is announced as soon as may be, and from then on regularly. Before this is
    /// called for the first time it is not announced at all.
    pub fn announce(&mut self, now: Moment) {
        let soon = if self.air.announced == 0 {
            self.air.last = Some(now);
            now
        } else {
            self.air.last.map_or(now, |last| now.max(last + ANNOUNCE_PAUSE))
        };
        if self.settings.announce_every.is_some() {
            self.announce_at(soon);
        }
    }

    /// Sets anew when the next announcement leaves, after other settings have come.
    pub(super) fn wake_announcement(&mut self) {
        match (self.settings.announce_every, self.air.last) {
            (Some(_), Some(last)) if self.air.announced == 0 => self.announce_at(last),
            (Some(every), Some(last)) => self.announce_at(last + self.jittered(every)),
            (Some(_) | None, _) => self.timers.reset(&mut self.air.due, None, Due::Announcement),
        }
    }

    /// An announcement is to leave.
    pub(super) fn announcement_due(&mut self, now: Moment, out: &mut Actions) {
        self.air.due = None;
        let Some(every) = self.settings.announce_every else { return };
        let mut line = Vec::new();
        self.here(&mut line);
        out.broadcast(&line, false);
        self.counters.broadcasts += 1;
        self.air.announced += 1;
        self.air.last = Some(now);
        self.announce_at(now + self.jittered(every));
    }

    /// Lets an announcement leave at that time, if none is to leave earlier.
    fn announce_at(&mut self, at: Moment) {
        let at = self.air.due.map_or(at, |due| due.min(at));
        self.timers.reset(&mut self.air.due, Some(at), Due::Announcement);
    }

    /// A time up to a tenth longer or shorter, another for each announcement: hubs that began together part.
    fn jittered(&self, every: Duration) -> Duration {
        let share = u32::try_from(mix(self.seed, self.air.announced) % 2001).unwrap_or_default();
        every * (9000 + share) / 10_000
    }

    /// What hub this is, for who does not know it yet.
    pub(super) fn here(&self, body: &mut Vec<u8>) {
        let settings = &self.settings;
        let (clients, limit) = (self.clients.len(), settings.places());
        let rest = format!("{} {} {} {clients}/{limit}", settings.name, settings.version, settings.port);
        body.extend_from_slice(HERE);
        body.extend_from_slice(rest.as_bytes());
    }

    /// Answers DISCOVER.
    pub(super) fn discover(&self, body: &mut Vec<u8>) -> Result<(), Refusal> {
        if !self.settings.discovery {
            return Err(NO_DISCOVERY);
        }
        self.here(body);
        Ok(())
    }

    /// Sends a client's text to everybody.
    pub(super) fn shout(
        &mut self,
        asker: &Asker,
        text: &[u8],
        body: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let place = asker.place.ok_or(JOIN_FIRST)?;
        if !self.settings.shout {
            return Err(NO_SHOUT);
        }
        if text.len() > SHOUT_BYTES {
            return Err(TOO_LONG);
        }
        if is_here(text) {
            return Err(NOT_HERE);
        }
        let client = self.clients.get_mut(place).ok_or(JOIN_FIRST)?;
        let (own, all) = (&mut client.shouts, &mut self.air.shouts);
        if !own.has_room(asker.now, SHOUT_EVERY, SHOUT_BURST)
            || !all.has_room(asker.now, SHOUT_EVERY_IN_ALL, SHOUTS_AT_ONCE)
        {
            return Err(TOO_OFTEN);
        }
        own.take(asker.now, SHOUT_EVERY);
        all.take(asker.now, SHOUT_EVERY_IN_ALL);
        out.broadcast(text, true);
        self.counters.broadcasts += 1;
        body.extend_from_slice(b"shouted");
        Ok(())
    }
}

const NO_DISCOVERY: Refusal =
    Refusal::new(ErrorName::Denied, "this hub does not let itself be found (broadcast.discovery)");
const NO_SHOUT: Refusal =
    Refusal::new(ErrorName::Denied, "not here, unless broadcast.shout = true; or use ALL");
const TOO_LONG: Refusal = Refusal::new(ErrorName::TooLong, "a SHOUT carries 1400 bytes at most");
const NOT_HERE: Refusal = Refusal::new(ErrorName::Denied, "a HERE line is the hub's own, say it otherwise");
const TOO_OFTEN: Refusal = Refusal::new(ErrorName::Busy, "too much is shouted, try again in a second");

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_gives_a_burst_and_then_one_each_time() {
        let mut bucket = Bucket::default();
        let mut taken = |millis| {
            let now = Moment::ZERO + Duration::from_millis(millis);
            let has_room = bucket.has_room(now, SECOND, 3);
            if has_room {
                bucket.take(now, SECOND);
            }
            has_room
        };
        assert_eq!([0, 0, 0, 0].map(&mut taken), [true, true, true, false]);
        assert_eq!([999, 1000, 1000].map(&mut taken), [false, true, false]);
        assert_eq!([9000, 9000, 9000, 9000].map(&mut taken), [true, true, true, false]);
    }
}
