//! `bench --joined`: many clients that hold a place while the load runs, and what each costs the hub.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use serde_json::{Value, json};

use super::super::arguments::BenchOptions;
use super::super::clock::Clock;
use super::super::exit::{Exit, Failure};
use super::super::link::connected_udp;
use super::super::output::{Output, sanitised};
use super::super::settings::Settings;
use super::Peer;
use crate::machine::proc;
use crate::moment::Moment;

/// Clients that join at the same time: few enough for any socket buffer.
const WAVE: usize = 128;

/// Pause before JOIN is sent again; a JOIN from the same place changes nothing.
const AGAIN: Duration = Duration::from_millis(250);

/// Open files beside the clients' sockets.
const OTHER_FILES: rlim_t = 1200;

/// The clients that hold a place.
pub(super) struct Members(Vec<UdpSocket>);

impl Members {
    /// Gives all places up, without waiting.
    pub(super) fn leave(self) {
        for socket in &self.0 {
            let _ = socket.send(b"BYE");
        }
    }
}

/// One client on its way to a place.
struct Joining {
    socket: UdpSocket,
    line: String,
    /// `None` until the hub has answered.
    joined: Option<bool>,
}

/// Joins as many as the options ask for, and prints how many the hub took and what they cost it.
pub(super) fn join(
    settings: &Settings,
    peer: Peer,
    out: &mut Output,
    options: &BenchOptions,
) -> Result<Members, Failure> {
    if options.joined == 0 {
        return Ok(Members(Vec::new()));
    }
    raise_file_limit(options.joined)?;
    let before = options.pid.map(resident_bytes).transpose()?;
    let mut members = Members(Vec::new());
    let (mut refused, mut refusal) = (0_u64, None);
    let mut codes = (0..options.joined).map(|number| format!("JOIN bench-{number}"));
    loop {
        let mut wave = Vec::new();
        for line in codes.by_ref().take(WAVE) {
            wave.push(Joining { socket: connected_udp(peer)?, line, joined: None });
        }
        if wave.is_empty() {
            break;
        }
        let why = join_wave(settings, &mut wave)?;
        refused += wave.iter().filter(|joining| joining.joined == Some(false)).count() as u64;
        refusal = refusal.or(why);
        members.0.extend(
            wave.into_iter().filter(|joining| joining.joined == Some(true)).map(|joining| joining.socket),
        );
        out.progress(&format!("{} joined, {refused} refused", members.0.len()))?;
    }
    out.progress("")?;
    let after = options.pid.map(resident_bytes).transpose()?;
    let cost = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before) / (members.0.len() as u64).max(1));
    print(out, members.0.len(), refused, refusal, cost)?;
    Ok(members)
}

fn print(
    out: &mut Output,
    joined: usize,
    refused: u64,
    refusal: Option<String>,
    cost: Option<u64>,
) -> Result<(), Failure> {
    if out.json {
        let mut object = json!({"joined": joined, "refused": refused});
        if let Value::Object(object) = &mut object {
            object.extend(refusal.map(|why| ("refusal".to_owned(), Value::from(why))));
            object.extend(cost.map(|cost| ("bytes_per_client".to_owned(), Value::from(cost))));
        }
        return out.object(&object);
    }
    let why = refusal.map_or(String::new(), |why| format!(" ({why})"));
    out.line(&format!("{joined} joined, {refused} refused{why}"))?;
    cost.map_or(Ok(()), |cost| out.line(&format!("{cost} bytes of the hub's memory for each client")))
}

/// Sends the JOINs of a wave until each is answered; the first refusal's text, if there was one.
fn join_wave(settings: &Settings, wave: &mut [Joining]) -> Result<Option<String>, Failure> {
    let clock = Clock::start();
    let mut refusal = None;
    let mut send_at = Moment::ZERO;
    while wave.iter().any(|joining| joining.joined.is_none()) {
        let now = clock.now();
        if now.since_start() >= settings.timeout {
            let why = format!("{} did not answer every JOIN in time", settings.hub);
            return Err(Failure::new(Exit::Timeout, why));
        }
        if now >= send_at {
            for joining in wave.iter().filter(|joining| joining.joined.is_none()) {
                let _ = joining.socket.send(joining.line.as_bytes());
            }
            send_at = now + AGAIN;
        }
        wait(wave, send_at.since(now))?;
        for joining in wave.iter_mut().filter(|joining| joining.joined.is_none()) {
            refusal = refusal.or(joining.receive());
        }
    }
    Ok(refusal)
}

fn wait(wave: &[Joining], time: Duration) -> Result<(), Failure> {
    let waiting = wave.iter().filter(|joining| joining.joined.is_none());
    let mut files: Vec<PollFd<'_>> =
        waiting.map(|joining| PollFd::new(joining.socket.as_fd(), PollFlags::POLLIN)).collect();
    let millis = u8::try_from(time.as_millis()).unwrap_or(u8::MAX);
    match poll(&mut files, PollTimeout::from(millis)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

impl Joining {
    /// Takes the answer if it has come; the text of a refusal. A hub that is only busy is asked again, and what
    /// was meant for whoever had this port before is dropped.
    fn receive(&mut self) -> Option<String> {
        let mut buffer = [0; 256];
        let count = self.socket.recv(&mut buffer).ok()?;
        let reply = sanitised(buffer.get(..count).unwrap_or_default());
        let again = ["ERR busy", "ERR stopping", "ERR disk"].iter().any(|name| reply.starts_with(name));
        if reply.starts_with("joined ") {
            self.joined = Some(true);
        } else if reply.starts_with("ERR ") && !again {
            self.joined = Some(false);
            return Some(reply);
        }
        None
    }
}

/// Lets this process open a socket for each client.
fn raise_file_limit(clients: u32) -> Result<(), Failure> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(std::io::Error::from)?;
    let wanted = rlim_t::from(clients) + OTHER_FILES;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        let why = format!("{clients} clients need {wanted} open files, the limit is {hard} (ulimit -Hn)");
        return Err(Failure::new(Exit::Usage, why));
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(std::io::Error::from)?;
    Ok(())
}

/// The memory of a process that is in use, in bytes.
fn resident_bytes(pid: i32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| Failure::new(Exit::Usage, format!("--pid {pid}: {error}")))?;
    proc::figure(&status, "VmRSS")
        .and_then(|kibibytes| kibibytes.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("--pid {pid}: that process tells no memory")))
}
