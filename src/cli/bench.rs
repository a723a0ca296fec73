//! `bench`: loads a hub from one thread, as fast as it answers, and prints rates and latencies.
//!
//! Each socket has a window of requests under way and sends as many as were answered. The requests carry no
//! tag, so replies keep their order on each socket and a queue of send times tells the latencies.

mod joined;
mod tcp;
mod udp;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::BenchOptions;
use super::clock::Clock;
use super::exit::{Exit, Failure};
use super::histogram::Histogram;
use super::link::no_hub;
use super::output::Output;
use super::settings::Settings;
use crate::moment::Moment;

/// After so much silence on a socket what is under way there counts as lost, and its window is filled anew.
const SILENCE: Duration = Duration::from_millis(200);

/// Time from one progress line to the next.
const PROGRESS: Duration = Duration::from_secs(1);

pub(super) fn bench(settings: &Settings, out: &mut Output, options: &BenchOptions) -> Result<(), Failure> {
    let request = check(settings, options)?;
    let peer = *settings.hub.resolve()?.first().ok_or_else(|| no_hub(&settings.hub))?;
    let members = joined::join(settings, peer, out, options)?;
    let tally = if options.seconds > 0.0 {
        let mut tally = Tally::new(out, options);
        if settings.tcp {
            tcp::load(settings, peer, options, &request, &mut tally)?;
        } else {
            udp::load(peer, options, &request, &mut tally)?;
        }
        Some(tally)
    } else {
        None
    };
    members.leave();
    let Some(tally) = tally else { return Ok(()) };
    if tally.answered == 0 {
        return Err(if tally.refused || tally.broken {
            no_hub(&settings.hub)
        } else {
            Failure::new(Exit::Timeout, format!("no answer from {}", settings.hub))
        });
    }
    let broken = tally.broken;
    tally.print()?;
    if broken {
        let why = format!("the hub at {} went away while it was measured", settings.hub);
        return Err(Failure::new(Exit::NoHub, why));
    }
    Ok(())
}

/// The request that is sent: one that has exactly one reply, in one line.
fn check(settings: &Settings, options: &BenchOptions) -> Result<Vec<u8>, Failure> {
    let request: &OsStr = &options.request;
    let line = request.as_bytes();
    let why = if line.contains(&b'\n') {
        "the request of a bench is one line"
    } else if line.starts_with(b"ACK") {
        "ACK has no reply that could be measured"
    } else if settings.tcp && options.lines > 1 {
        "--lines is about datagrams; over TCP the window says how many lines go together"
    } else {
        return Ok(line.to_vec());
    };
    Err(Failure::new(Exit::Usage, why))
}

/// What has been counted so far, and who is told.
struct Tally<'a> {
    out: &'a mut Output,
    clock: Clock,
    end: Moment,
    latencies: Histogram,
    answered: u64,
    lost: u64,
    refused: bool,
    /// The connection has broken, or the system said that nobody is there after somebody was.
    broken: bool,
    next_progress: Moment,
    answered_before: u64,
}

impl<'a> Tally<'a> {
    fn new(out: &'a mut Output, options: &BenchOptions) -> Self {
        Self {
            out,
            clock: Clock::start(),
            end: Moment::ZERO + Duration::from_secs_f64(options.seconds),
            latencies: Histogram::new(),
            answered: 0,
            lost: 0,
            refused: false,
            broken: false,
            next_progress: Moment::ZERO + PROGRESS,
            answered_before: 0,
        }
    }

    /// The time, and whether the load is over; tells the person in front each second.
    fn turn(&mut self) -> Result<(Moment, bool), Failure> {
        let now = self.clock.now();
        if now >= self.next_progress {
            let rate = self.answered - self.answered_before;
            let second = now.second();
            self.out.progress(&format!("{second} s: {rate} requests/s, {} lost", self.lost))?;
            self.answered_before = self.answered;
            self.next_progress = now + PROGRESS;
        }
        Ok((now, now >= self.end))
    }

    /// Refuses to measure what is no hub: the first reply to INC is a number. `busy` and the like are no answer.
    fn check_first(&self, request: &[u8], reply: &[u8]) -> Result<(), Failure> {
        if request != b"INC" || self.answered > 0 {
            return Ok(());
        }
        let line = reply.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
        let digits = line.strip_prefix(b"-").unwrap_or(line);
        let not_yet = [&b"ERR busy"[..], b"ERR stopping", b"ERR disk"];
        if digits.first().is_some_and(u8::is_ascii_digit) || not_yet.iter().any(|name| line.starts_with(name))
        {
            return Ok(());
        }
        let line = String::from_utf8_lossy(line.get(..80).unwrap_or(line));
        let why = format!("the answer to INC was `{line}` and no number; is that a pigeond?");
        Err(Failure::new(Exit::NoHub, why))
    }

    fn print(self) -> Result<(), Failure> {
        let Self { out, clock, latencies, answered, lost, .. } = self;
        out.progress("")?;
        let seconds = clock.now().since_start().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
        let rate = (answered as f64 / seconds).round();
        let shares = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];
        let micros = shares.map(|(name, share)| (name, round(latencies.quantile(share).as_secs_f64() * 1e6)));
        if out.json {
            let mut object = json!({
                "requests": answered, "seconds": round(seconds), "per_second": rate, "lost": lost,
            });
            if let Value::Object(object) = &mut object {
                object.extend(micros.map(|(name, micros)| (format!("{name}_us"), json!(micros))));
            }
            return out.object(&object);
        }
        out.line(&format!("{rate} requests/s ({answered} in {seconds:.2} s, {lost} lost)"))?;
        let micros = micros.map(|(name, micros)| format!("{name} {micros}"));
        out.line(&format!("latency in µs: {}", micros.join(", ").replace("p999", "p99.9")))
    }
}

/// To two digits behind the point.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// What is under way on one socket: when each parcel was sent and how many replies it still awaits.
#[derive(Debug, Default)]
struct Ring {
    parcels: VecDeque<(Moment, u64)>,
    last_heard: Moment,
}

impl Ring {
    fn sent(&mut self, now: Moment, replies: u64) {
        self.parcels.push_back((now, replies));
    }

    /// Takes so many replies; says how many parcels are complete. Replies to what counts as lost are dropped.
    fn heard(&mut self, now: Moment, mut replies: u64, tally: &mut Tally<'_>) -> usize {
        self.last_heard = now;
        let mut complete = 0;
        while let Some((at, awaited)) = self.parcels.front_mut()
            && replies > 0
        {
            let taken = replies.min(*awaited);
            tally.latencies.add(now.since(*at), taken);
            tally.answered += taken;
            replies -= taken;
            *awaited -= taken;
            if *awaited == 0 {
                self.parcels.pop_front();
                complete += 1;
            }
        }
        complete
    }

    /// After long silence: counts what is under way as lost and says how many parcels are missing in a window.
    fn missing(&mut self, now: Moment, window: usize, tally: &mut Tally<'_>) -> usize {
        if now.since(self.last_heard) < SILENCE {
            return 0;
        }
        tally.lost += self.parcels.iter().map(|(_, awaited)| awaited).sum::<u64>();
        self.parcels.clear();
        self.last_heard = now;
        window
    }
}

/// Every address that a bench of one socket kind speaks to is the same; the kinds differ in how they read.
type Peer = SocketAddr;
