//! Whom the hub answers, and how much (protocol, section 2).

mod loops;
mod pressure;
mod sources;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Hub;
use super::actions::Via;
use super::settings::Settings;
use crate::limits::{AMPLIFICATION_BYTES, AMPLIFICATION_FACTOR, JOINS_PER_SECOND};
use crate::moment::Moment;
use loops::Loops;
use pressure::{Pressure, Share};
use sources::Sources;

/// What is done with a datagram before anybody has looked into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is read and answered.
    Served,
    /// It comes from an address that has asked too often, and that is to be told so.
    Told,
    /// It is dropped.
    Dropped,
}

/// What each source address has done lately, and what all of them may do.
#[derive(Debug)]
pub(super) struct Access {
    sources: Sources,
    pressure: Pressure,
    loops: Loops,
}

impl Access {
    pub(super) fn new(seed: u64) -> Self {
        Self { sources: Sources::new(seed), pressure: Pressure::default(), loops: Loops::new(seed) }
    }

    /// Whether this is one of the hub's own sockets, whose datagrams would go round for ever.
    pub(super) fn is_own(settings: &Settings, from: SocketAddr, via: &Via) -> bool {
        let is_at = |own: &SocketAddr| {
            let everywhere = own.ip().is_unspecified() && own.is_ipv4() == from.is_ipv4();
            own.ip() == from.ip() || (everywhere && (from.ip().is_loopback() || via.local == Some(from.ip())))
        };
        // Nearly everybody's port is another one.
        settings.own.iter().any(|own| own.port() == from.port() && is_at(own))
    }

    /// The kernel had no room for datagrams: until it has, each source gets less.
    pub(super) fn overflowed(&mut self, now: Moment, settings: &Settings) {
        self.pressure.shrink(now, settings);
    }

    /// More comes than the hub can read: for a while little of that is for those who are not known.
    pub(super) fn crowded(&mut self, now: Moment) {
        self.pressure.crowded(now);
    }

    /// Counts what came from a UDP address, and says whether it may be answered. Loopback always is: nobody elsewhere
    /// can forge it, and whoever is on this machine needs no hub to load it.
    ///
    /// Who is not known while the hub cannot keep up shares what all newcomers get: a flood from forged addresses is
    /// always new, and those who were here before have what they need. Clients that have joined count as known.
    pub(super) fn arrives(
        &mut self,
        now: Moment,
        settings: &Settings,
        from: IpAddr,
        bytes: usize,
        is_client: bool,
    ) -> Arrival {
        if from.is_loopback() {
            return Arrival::Served;
        }
        let counted_for = settings.source(from);
        let share = self.pressure.share(now, settings);
        if self.pressure.limits_newcomers(now, share)
            && !is_client
            && self.sources.find(now, counted_for).is_none()
            && !self.pressure.admits_newcomer(now, share)
        {
            return Arrival::Dropped;
        }
        let mut source = self.sources.find_or_add(now, counted_for);
        let is_within = share.is_none_or(|share| share.take(&mut source.datagrams, now, 1));
        if counted_for != from {
            source = self.sources.find_or_add(now, from);
        }
        if is_within {
            source.bytes_in += bytes as u64;
            return Arrival::Served;
        }
        if core::mem::replace(&mut source.told_rate, true) {
            return Arrival::Dropped;
        }
        source.bytes_in += bytes as u64;
        Arrival::Told
    }

    /// Counts the further lines of a datagram: they are owed.
    pub(super) fn owes(&mut self, now: Moment, settings: &Settings, from: IpAddr, lines: u32) {
        if lines > 0
            && !from.is_loopback()
            && let Some(share) = self.pressure.share(now, settings)
        {
            share.charge(&mut self.sources.find_or_add(now, settings.source(from)).datagrams, now, lines);
        }
    }

    /// Until when streams of this source are not to be read from, if it has asked too often on them. They have an
    /// account of their own: nobody can spend it with forged datagrams.
    pub(super) fn stream_waits(
        &mut self,
        now: Moment,
        settings: &Settings,
        source: IpAddr,
    ) -> Option<Moment> {
        let share = Share::of(settings).filter(|_| !source.is_loopback())?;
        share.waits(self.sources.find_or_add(now, source).streams, now)
    }

    /// Counts the lines of a stream.
    pub(super) fn stream_owes(&mut self, now: Moment, settings: &Settings, source: IpAddr, lines: u32) {
        if let Some(share) = Share::of(settings).filter(|_| lines > 0 && !source.is_loopback()) {
            share.charge(&mut self.sources.find_or_add(now, source).streams, now, lines);
        }
    }

    /// Counts one plain text over UDP; `false` if the address has had its share of this second, or the same text goes
    /// round and round.
    pub(super) fn text(&mut self, now: Moment, from: SocketAddr, text: &[u8], limit: u32) -> bool {
        let source = self.sources.find_or_add(now, from.ip());
        let within = source.texts < limit;
        source.texts = source.texts.saturating_add(1);
        within && !self.loops.goes_round(now, from, text)
    }

    /// Whether one more JOIN of a code with a secret is looked at from an address that has asked too often.
    pub(super) fn may_ask_to_join(&mut self, now: Moment, from: IpAddr) -> bool {
        let source = self.sources.find_or_add(now, from);
        source.joins = source.joins.saturating_add(1);
        source.joins <= JOINS_PER_SECOND
    }

    /// Whether a UDP address has been sent all that it may be sent in this second. Loopback is exempt.
    pub(super) fn is_over_budget(&mut self, now: Moment, to: IpAddr) -> bool {
        if to.is_loopback() {
            return false;
        }
        let source = self.sources.find_or_add(now, to);
        source.bytes_out >= AMPLIFICATION_FACTOR * source.bytes_in + AMPLIFICATION_BYTES
    }

    /// Whether an address that is over its budget is still to be told: once a second.
    pub(super) fn tell(&mut self, now: Moment, to: IpAddr) -> bool {
        !core::mem::replace(&mut self.sources.find_or_add(now, to).told_budget, true)
    }

    /// Notes that who is at this address has proved it: it is nobody's forged one.
    pub(super) fn prove(&mut self, now: Moment, address: IpAddr) {
        self.sources.find_or_add(now, address).proved = true;
    }

    /// Counts what is to be sent to a UDP address; `false` if it must not leave. One that is not trusted, since anybody
    /// could forge it, never gets more bytes than came from it in the same second.
    ///
    /// A source that is forgotten, to make room for others, begins again with nothing: one that is not trusted can still
    /// be sent no more than comes from then on, and to have another forgotten takes more bytes than its budget holds.
    fn send(&mut self, now: Moment, to: IpAddr, bytes: usize, is_trusted: bool) -> bool {
        if to.is_loopback() {
            return true;
        }
        let source = self.sources.find_or_add(now, to);
        let total = source.bytes_out + bytes as u64;
        let leaves = is_trusted || source.proved || total <= source.bytes_in;
        if leaves {
            source.bytes_out = total;
        }
        leaves
    }
}

impl Hub {
    /// Whom what this asker has is counted for.
    #[inline]
    pub(super) fn source(&self, asker: &super::Asker) -> IpAddr {
        self.settings.source(asker.address())
    }

    /// Counts what is to be sent to a UDP address; `false` if it must not leave.
    #[inline]
    pub(super) fn may_send(&mut self, now: Moment, to: SocketAddr, bytes: usize) -> bool {
        Self::may_send_with(&self.settings, &mut self.access, now, to, bytes)
    }

    /// The same, where another part of the hub is at work.
    #[inline]
    pub(super) fn may_send_with(
        settings: &Settings,
        access: &mut Access,
        now: Moment,
        to: SocketAddr,
        bytes: usize,
    ) -> bool {
        access.send(now, to.ip(), bytes, settings.is_local(to.ip()))
    }
}

/// How long a source that is silent is remembered.
const SOURCE_IDLE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use core::num::NonZeroU32;

    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 9));
    const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 8));

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn text(access: &mut Access, now: Moment, from: IpAddr, n: usize) -> bool {
        access.text(now, SocketAddr::new(from, 5000), n.to_string().as_bytes(), 200)
    }

    fn arrive(access: &mut Access, now: Moment, settings: &Settings, from: IpAddr, times: usize) -> usize {
        let served = |_: &usize| access.arrives(now, settings, from, 10, false) == Arrival::Served;
        (0..times).filter(served).count()
    }

    fn limited(rate: u32, burst: u32) -> Settings {
        let (requests_per_second, burst) = (NonZeroU32::new(rate), NonZeroU32::new(burst));
        Settings { requests_per_second, burst, ..Settings::default() }
    }

    fn second(n: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(n)
    }

    #[test]
    fn texts_are_answered_up_to_the_limit_in_each_second() {
        let mut access = Access::new(1);
        assert_eq!((0..300).filter(|&n| text(&mut access, Moment::ZERO, FAR, n)).count(), 200);
        assert!(text(&mut access, Moment::ZERO, NEAR, 1));
        assert!(text(&mut access, second(1), FAR, 1));
    }

    #[test]
    fn a_source_may_ask_its_burst_at_once_and_then_its_rate() {
        let (mut access, settings) = (Access::new(1), limited(100, 30));
        assert_eq!(arrive(&mut access, Moment::ZERO, &settings, FAR, 50), 30);
        assert_eq!(arrive(&mut access, Moment::ZERO, &settings, NEAR, 50), 30, "each has its own");
        let mut later = 0;
        for ms in 1..=1000 {
            let now = second(0) + Duration::from_millis(ms);
            later += arrive(&mut access, now, &settings, FAR, 5);
        }
        assert_eq!(later, 100);
        assert_eq!(
            arrive(&mut access, second(9), &settings, FAR, 50),
            30,
            "what is not used does not add up"
        );
    }

    #[test]
    fn who_asks_too_often_is_told_once_a_second() {
        let (mut access, settings) = (Access::new(1), limited(10, 0));
        let mut arrivals = |now| access.arrives(now, &settings, FAR, 10, false);
        assert!(
            (0..10).all(|_| arrivals(Moment::ZERO) == Arrival::Served),
            "the burst is the rate, if not set"
        );
        assert_eq!(arrivals(Moment::ZERO), Arrival::Told);
        assert!((0..1000).all(|_| arrivals(Moment::ZERO) == Arrival::Dropped));
        assert_eq!((0..12).filter(|_| arrivals(second(1)) == Arrival::Told).count(), 1);
    }

    #[test]
    fn further_lines_are_owed_and_loopback_owes_nothing() {
        let (mut access, settings) = (Access::new(1), limited(10, 0));
        assert_eq!(arrive(&mut access, Moment::ZERO, &settings, FAR, 1), 1);
        access.owes(Moment::ZERO, &settings, FAR, 19);
        assert_eq!(arrive(&mut access, second(1), &settings, FAR, 5), 0);
        assert_eq!(arrive(&mut access, second(2), &settings, FAR, 20), 10);
        let own = Ipv4Addr::LOCALHOST.into();
        access.owes(Moment::ZERO, &settings, own, 1_000_000);
        assert_eq!(arrive(&mut access, Moment::ZERO, &settings, own, 1000), 1000);
        assert_eq!(access.stream_waits(Moment::ZERO, &settings, own), None);
    }

    #[test]
    fn streams_wait_for_their_own_account() {
        let (mut access, settings) = (Access::new(1), limited(10, 0));
        assert_eq!(arrive(&mut access, Moment::ZERO, &settings, FAR, 20), 10);
        assert_eq!(access.stream_waits(Moment::ZERO, &settings, FAR), None, "datagrams spend nothing of it");
        access.stream_owes(Moment::ZERO, &settings, FAR, 9);
        assert_eq!(access.stream_waits(Moment::ZERO, &settings, FAR), None);
        access.stream_owes(Moment::ZERO, &settings, FAR, 6);
        let until = access.stream_waits(Moment::ZERO, &settings, FAR).unwrap();
        assert_eq!(access.stream_waits(until, &settings, FAR), None, "then it may be read again");
        assert!(until > second(0) + Duration::from_millis(499) && until < second(1), "{until:?}");
    }

    #[test]
    fn a_host_that_asks_little_is_served_while_a_flood_is_dropped() {
        let (mut access, settings) = (Access::new(1), limited(50_000, 0));
        let (mut lost, mut flood) = (0, 0);
        for ms in 0..2000 {
            let now = Moment::ZERO + Duration::from_millis(ms);
            flood += arrive(&mut access, now, &settings, FAR, 200);
            if ms % 20 == 0 {
                lost += 1 - arrive(&mut access, now, &settings, NEAR, 1);
            }
            if ms < 500 {
                access.overflowed(now, &settings);
            }
        }
        assert_eq!(lost, 0);
        assert!(flood < 4000, "{flood}");
    }

    #[test]
    fn a_flood_from_forged_addresses_leaves_those_who_were_here_before_served() {
        let (mut access, settings) = (Access::new(1), limited(50_000, 0));
        for at in 0..2 {
            assert_eq!(arrive(&mut access, second(at), &settings, NEAR, 1), 1);
        }
        let (mut forged, mut served) = (0x0a00_0000_u32, 0);
        for ms in 2000..4000 {
            let now = Moment::ZERO + Duration::from_millis(ms);
            access.overflowed(now, &settings);
            for _ in 0..200 {
                forged += 1;
                let from = IpAddr::V4(Ipv4Addr::from_bits(forged));
                served += arrive(&mut access, now, &settings, from, 1);
            }
            if ms % 20 == 0 {
                assert_eq!(arrive(&mut access, now, &settings, NEAR, 1), 1);
            }
        }
        assert!(served < 400_000 / 20, "{served}");
        // A client that has joined and was silent since is no newcomer.
        assert_eq!(access.arrives(second(4), &settings, FAR, 10, true), Arrival::Served);
    }

    #[test]
    fn in_a_crowd_those_who_are_known_are_served_and_newcomers_share_what_is_left() {
        let (mut access, settings) = (Access::new(1), limited(50_000, 0));
        assert_eq!(arrive(&mut access, second(0), &settings, NEAR, 1), 1);
        let newcomer = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        access.crowded(second(1));
        let served: usize =
            (0..10_000).map(|n| arrive(&mut access, second(1), &settings, newcomer(n), 1)).sum();
        assert_eq!(served, crate::limits::NEWCOMERS_BURST as usize);
        assert_eq!(arrive(&mut access, second(1), &settings, NEAR, 1), 1);
        let after = second(1) + crate::limits::CROWD_TIME;
        assert_eq!(arrive(&mut access, after, &settings, newcomer(9_999), 1), 1, "the crowd is over");
    }

    #[test]
    fn a_budget_is_three_times_what_came_and_256_kib() {
        let mut access = Access::new(1);
        access.arrives(Moment::ZERO, &Settings::default(), FAR, 100, false);
        assert!(access.send(Moment::ZERO, FAR, 3 * 100 + 256 * 1024 - 1, true));
        assert!(!access.is_over_budget(Moment::ZERO, FAR));
        assert!(access.send(Moment::ZERO, FAR, 1, true));
        assert!(access.is_over_budget(Moment::ZERO, FAR));
        assert!(access.tell(Moment::ZERO, FAR) && !access.tell(Moment::ZERO, FAR));
        assert!(!access.is_over_budget(second(1), FAR));
    }

    #[test]
    fn an_address_that_is_not_trusted_gets_no_more_than_came_from_it() {
        let outside = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let mut access = Access::new(1);
        access.arrives(Moment::ZERO, &Settings::default(), outside, 10, false);
        assert!(access.send(Moment::ZERO, outside, 6, false));
        assert!(!access.send(Moment::ZERO, outside, 5, false));
        assert!(access.send(Moment::ZERO, outside, 4, false));
        assert!(!access.send(Moment::ZERO, outside, 1, false));
        assert!(!access.send(second(1), outside, 1, false), "what came before does not count");
    }

    #[test]
    fn a_flood_of_sources_neither_locks_others_out_nor_grows() {
        let mut access = Access::new(1);
        for n in 0..100_000_u32 {
            assert!(text(&mut access, Moment::ZERO, IpAddr::V4(Ipv4Addr::from_bits(n)), 1));
        }
        assert!(access.sources.len() <= crate::limits::SOURCES);
        for at in 0..200 {
            assert!(text(&mut access, second(at), FAR, 1));
        }
        assert_eq!(access.sources.len(), 1, "those who are silent are forgotten");
    }

    #[test]
    fn strangers_and_the_hubs_own_sockets_are_not_admitted() {
        let settings = Settings {
            own: vec![socket("0.0.0.0:10125"), socket("10.0.0.1:10125")],
            attached: vec!["203.0.113.0/24".parse().unwrap(), "2001:db8:5::/64".parse().unwrap()],
            ..Settings::default()
        };
        let via = Via { socket: 0, port: 10125, local: Some("10.0.0.7".parse().unwrap()), interface: 0 };
        for (from, admitted) in [
            ("10.0.0.2:10125", true),
            ("10.0.0.1:5000", true),
            ("10.0.0.1:10125", false),
            ("10.0.0.7:10125", false),
            ("127.0.0.1:10125", false),
            ("[::1]:10125", true),
            ("127.0.0.1:5000", true),
            ("8.8.8.8:5000", false),
            ("[::ffff:8.8.8.8]:5000", false),
            ("[::ffff:10.0.0.2]:5000", true),
            ("203.0.113.9:5000", true),
            ("[::ffff:203.0.113.9]:5000", true),
            ("203.0.114.9:5000", false),
            ("[fe80::1]:5000", true),
            ("[fd00::1]:5000", true),
            ("[2001:db8::1]:5000", false),
            ("[2001:db8:5::1]:5000", true),
        ] {
            let from = socket(from);
            let is_admitted = settings.answers(from.ip()) && !Access::is_own(&settings, from, &via);
            assert_eq!(is_admitted, admitted, "{from}");
        }
    }
}
