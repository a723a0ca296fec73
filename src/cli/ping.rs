//! `ping`: how long the hub takes to answer, and how much is lost.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::json;

use super::arguments::PingOptions;
use super::clock::Clock;
use super::exit::{Exit, Failure};
use super::histogram::Histogram;
use super::link::{Link, no_hub};
use super::output::Output;
use super::settings::Settings;
use super::signals::Interrupt;
use crate::moment::Moment;

/// Pings whose answers are still waited for; older ones are lost.
const UNDER_WAY: usize = 1024;

/// Sends PING without a tag, each once, since one that is sent again would hide the loss.
pub(super) fn ping(settings: &Settings, out: &mut Output, options: &PingOptions) -> Result<(), Failure> {
    let mut link = Link::open(settings)?;
    let interrupt = Interrupt::register()?;
    let clock = Clock::start();
    let mut pings = Pings::new();
    let peer = link.peer();
    if !out.json {
        out.line(&format!("PING {peer} over {}", if link.is_tcp() { "TCP" } else { "UDP" }))?;
    }
    let mut next = Moment::ZERO;
    let mut last_answer_by = None;
    loop {
        while let Some(reply) = link.receive() {
            if let Some((number, latency)) = pings.answered(&reply, clock.now()) {
                print_answer(out, &link, number, latency)?;
            }
        }
        let now = clock.now();
        let all_sent = options.count == Some(pings.sent);
        if all_sent && (pings.under_way.is_empty() || last_answer_by.is_some_and(|by| by <= now)) {
            break;
        }
        if !link.is_up() {
            link.reconnect();
        }
        if !all_sent && now >= next {
            link.send(&pings.send(now))?;
            next = next.max(now) + options.interval;
            last_answer_by = Some(now + settings.timeout);
            continue;
        }
        let wake = if all_sent { last_answer_by.unwrap_or(now) } else { next };
        // A broken connection is tried again with the next ping.
        if link.wait(&[interrupt.as_fd()], Some(wake.since(now)))? == [true] {
            break;
        }
    }
    print_summary(out, &link, &pings, clock.now().since_start())?;
    match pings.latencies.count() {
        0 if link.refused => Err(no_hub(&settings.hub)),
        0 => Err(Failure::new(Exit::Timeout, format!("no answer from {}", settings.hub))),
        _ => Ok(()),
    }
}

/// What was sent and what came back.
#[derive(Debug)]
pub(super) struct Pings {
    pub(super) sent: u64,
    under_way: BTreeMap<u64, Moment>,
    pub(super) latencies: Histogram,
}

impl Pings {
    pub(super) fn new() -> Self {
        Self { sent: 0, under_way: BTreeMap::new(), latencies: Histogram::new() }
    }

    pub(super) fn send(&mut self, now: Moment) -> Vec<u8> {
        self.sent += 1;
        self.under_way.insert(self.sent, now);
        if self.under_way.len() > UNDER_WAY {
            self.under_way.pop_first();
        }
        format!("PING {}\n", self.sent).into_bytes()
    }

    /// Which ping the line answers for the first time, and how long that took.
    pub(super) fn answered(&mut self, reply: &[u8], now: Moment) -> Option<(u64, Duration)> {
        let number = str::from_utf8(reply).ok()?.trim_end().strip_prefix("pong ")?.parse().ok()?;
        let latency = now.since(self.under_way.remove(&number)?);
        self.latencies.add(latency, 1);
        Some((number, latency))
    }

    /// The share that was not answered, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    fn loss(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { 1.0 - self.latencies.count() as f64 / self.sent as f64 }
    }
}

fn print_answer(out: &mut Output, link: &Link, number: u64, latency: Duration) -> Result<(), Failure> {
    if out.json {
        return out.object(&json!({"seq": number, "ms": millis(latency)}));
    }
    out.line(&format!("answer from {}: seq={number} time={:.3} ms", link.peer(), millis(latency)))
}

fn print_summary(out: &mut Output, link: &Link, pings: &Pings, time: Duration) -> Result<(), Failure> {
    let Pings { sent, latencies, .. } = pings;
    let answered = latencies.count();
    let [min, median, p99, max] =
        [latencies.min(), latencies.quantile(0.5), latencies.quantile(0.99), latencies.max()].map(millis);
    if out.json {
        return out.object(&json!({
            "sent": sent, "answered": answered, "loss": pings.loss(),
            "min_ms": min, "median_ms": median, "p99_ms": p99, "max_ms": max,
        }));
    }
    out.line(&format!("--- {} ---", link.peer()))?;
    let loss = pings.loss() * 100.0;
    out.line(&format!("{sent} sent, {answered} answered, {loss:.0}% lost, time {:.0} ms", millis(time)))?;
    if answered > 0 {
        out.line(&format!("rtt min/median/p99/max = {min:.3}/{median:.3}/{p99:.3}/{max:.3} ms"))?;
    }
    Ok(())
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ping_is_answered_once_and_the_rest_is_lost() {
        let mut pings = Pings::new();
        let at = |millis| Moment::ZERO + Duration::from_millis(millis);
        for millis in [0, 1000, 2000, 3000] {
            pings.send(at(millis));
        }
        assert_eq!(pings.answered(b"pong 2\r\n", at(3005)), Some((2, Duration::from_millis(2005))));
        assert_eq!(pings.answered(b"pong 2", at(3006)), None, "a copy");
        assert_eq!(pings.answered(b"pong 9", at(3006)), None, "never sent");
        assert_eq!(pings.answered(b"ERR busy later", at(3006)), None);
        assert_eq!(pings.answered(b"pong 4", at(3010)), Some((4, Duration::from_millis(10))));
        assert!((pings.loss() - 0.5).abs() < 1e-9);
        assert_eq!(pings.latencies.min(), Duration::from_millis(10));
        assert_eq!(pings.latencies.max(), Duration::from_millis(2005));
    }
}
