//! How well datagrams come through to a hub and back, and whether it can be reached over TCP.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use super::finding::{Finding, Report};
use super::port::Serves;
use crate::cli::address::HubAddress;
use crate::cli::clock::Clock;
use crate::cli::exit::Failure;
use crate::cli::link::{connected_tcp, connected_udp};
use crate::cli::ping::Pings;
use crate::machine::Kind;
use crate::moment::Moment;

const CHECK: &str = "roundtrip";

/// How many datagrams are sent.
const PINGS: u64 = 20;

/// The pause from one to the next: short enough to be over soon, long enough to be no flood.
const PAUSE: Duration = Duration::from_millis(25);

/// How long the last answer is awaited, and a TCP connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// From here on it is felt.
const SLOW: Duration = Duration::from_millis(50);

/// What this machine's hub is told to serve over is looked at alone; any other hub may serve over both.
pub(super) fn check(hub: SocketAddr, serves: Option<Serves>, report: &mut Report<'_>) -> Result<(), Failure> {
    let kinds = serves.unwrap_or(Serves::Both).kinds();
    if kinds.contains(&Kind::Udp) {
        check_udp(hub, report)?;
    }
    if !kinds.contains(&Kind::Tcp) {
        return Ok(());
    }
    let tcp = connected_tcp(hub, PATIENCE).map(drop);
    let at = HubAddress::from(hub);
    report.add(&judge_tcp(&at, tcp.err().map(|error| error.to_string()).as_deref()))
}

fn check_udp(hub: SocketAddr, report: &mut Report<'_>) -> Result<(), Failure> {
    let at = HubAddress::from(hub);
    match ping(hub) {
        Ok((_, Some(refusal))) => {
            let what = format!("{at} answers, but to PING with: {refusal}");
            report.add(&Finding::warn(CHECK, what, "see [access] and the keys of its configuration"))
        }
        Ok((pings, None)) => {
            let (median, max) = (pings.latencies.quantile(0.5), pings.latencies.max());
            report.add(&judge(&at, pings.sent, pings.latencies.count(), (median, max)))
        }
        Err(failure) => {
            let fix = format!("ip route get {}", hub.ip());
            report.add(&Finding::warn(CHECK, format!("{at}: {}", failure.message), fix))
        }
    }
}

/// What was answered; with what, if that was an error each time.
fn ping(hub: SocketAddr) -> Result<(Pings, Option<String>), Failure> {
    let socket = connected_udp(hub)?;
    let clock = Clock::start();
    let mut pings = Pings::new();
    let (mut next, mut end) = (Moment::ZERO, Moment::ZERO);
    let mut buffer = [0; 128];
    let mut refusal = None;
    loop {
        while let Ok(count) = socket.recv(&mut buffer) {
            let line = buffer.get(..count).unwrap_or_default();
            if pings.answered(line, clock.now()).is_none() && line.starts_with(b"ERR ") {
                refusal = Some(String::from_utf8_lossy(line).trim_end().to_owned());
            }
        }
        let now = clock.now();
        let all_sent = pings.sent == PINGS;
        if all_sent && (now >= end || pings.latencies.count() == PINGS) {
            let refusal = refusal.filter(|_| pings.latencies.count() == 0);
            return Ok((pings, refusal));
        }
        if !all_sent && now >= next {
            // One that is not sent counts as lost.
            let _ = socket.send(&pings.send(now));
            next = now + PAUSE;
            end = now + PATIENCE;
        }
        let wake = if pings.sent == PINGS { end } else { next };
        let millis = u16::try_from(wake.since(now).as_millis()).unwrap_or(u16::MAX).saturating_add(1);
        let _ = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], millis);
    }
}

fn judge(at: &HubAddress, sent: u64, answered: u64, (median, max): (Duration, Duration)) -> Finding {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let what = format!(
        "{at}: {answered} of {sent} datagrams answered, median {:.1} ms, longest {:.1} ms",
        millis(median),
        millis(max)
    );
    if answered == 0 {
        let fix = format!("pigeon doctor on its machine; pigeon --hub {at} ping");
        Finding::fail(CHECK, format!("{at}: none of {sent} datagrams was answered"), fix)
    } else if answered < sent {
        let fix = "a weak radio link, a busy hub or a full network loses datagrams; pigeon stats shows the hub's load";
        Finding::warn(CHECK, what, fix)
    } else if median >= SLOW {
        let fix = "where it is a wireless link, power saving may be why: iw dev wlan0 get power_save, here and there";
        Finding::warn(CHECK, what, fix)
    } else {
        Finding::ok(CHECK, what)
    }
}

fn judge_tcp(at: &HubAddress, trouble: Option<&str>) -> Finding {
    match trouble {
        None => Finding::ok("tcp", format!("{at} accepts connections")),
        Some(trouble) => Finding::warn(
            "tcp",
            format!("{at} cannot be reached over TCP: {trouble}"),
            "UDP is enough for pigeon without --tcp; else let its firewall pass that port over TCP, too",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn loss_and_slowness_are_worth_a_word() {
        let at = HubAddress::default();
        let state = |answered, millis| {
            let time = Duration::from_millis(millis);
            judge(&at, 20, answered, (time, time)).state
        };
        assert_eq!(state(20, 49), State::Ok);
        assert_eq!(state(20, 50), State::Warn);
        assert_eq!(state(19, 1), State::Warn);
        assert_eq!(state(0, 0), State::Fail);
        assert_eq!([judge_tcp(&at, None).state, judge_tcp(&at, Some("no")).state], [State::Ok, State::Warn]);
    }
}
