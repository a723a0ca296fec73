//! `say`, `raw`, `send`, `all`.

use std::time::Duration;

use serde_json::json;

use super::arguments::Text;
use super::clock::Clock;
use super::exit::{Exit, Failure};
use super::link::{Link, no_hub};
use super::output::Output;
use super::settings::Settings;
use super::{Client, duration, input};
use crate::courier::Push;
use crate::wire::{ErrorName, Tag};

/// Time from one plain text to the next over UDP: a hub answers 200 a second from one address and drops the rest,
/// and what is dropped is not sent again.
const PACE: Duration = Duration::from_millis(8);

/// Sends plain text the way a tutorial's client does: no tag, once, and waits for one reply.
pub(super) fn say(settings: &Settings, out: &mut Output, text: &Text) -> Result<(), Failure> {
    let mut link = Link::open(settings)?;
    let mut first = true;
    input::each(text, |text| {
        if !core::mem::take(&mut first) && !link.is_tcp() {
            std::thread::sleep(PACE);
        }
        let reply = exchange(settings, &mut link, text)?;
        refused_text(text, &reply).map_or_else(|| print_reply(out, &reply), Err)
    })
}

/// The refusal that the hub wrote in place of what was said, which may also be what was said.
fn refused_text(text: &[u8], reply: &[u8]) -> Option<Failure> {
    let reply = reply.strip_suffix(b"\n").unwrap_or(reply);
    let mut words = reply.strip_prefix(b"ERR ")?.splitn(2, |&b| b == b' ');
    let name = words.next()?;
    if reply == text || !matches!(ErrorName::parse(name)?, ErrorName::TooLong | ErrorName::Busy) {
        return None;
    }
    let why = words.next().unwrap_or_default();
    Some(Failure::refused(&String::from_utf8_lossy(name), &String::from_utf8_lossy(why)))
}

/// As [`say`]; of a line that has no reply none is awaited, and once a JOIN was sent a push is no reply.
pub(super) fn raw(settings: &Settings, out: &mut Output, text: &Text) -> Result<(), Failure> {
    let mut link = Link::open(settings)?;
    let mut has_joined = false;
    input::each(text, |text| {
        if text.starts_with(b"ACK ") || text == b"ACK" {
            return link.send(&ended(&link, text));
        }
        has_joined |= is_join(text);
        link.send(&ended(&link, text))?;
        loop {
            let reply = await_reply(settings, &mut link)?;
            print_reply(out, &reply)?;
            if !has_joined || Push::read_numbered(reply.strip_suffix(b"\n").unwrap_or(&reply)).is_none() {
                return Ok(());
            }
        }
    })
}

pub(super) fn send(settings: &Settings, out: &mut Output, code: &str, text: &Text) -> Result<(), Failure> {
    let mut client = Client::join(settings, own_code(settings)?)?;
    let ended = input::each(text, |text| {
        let reply = client.ask_as_member(&[b"SEND ", code.as_bytes(), b" ", text].concat())?;
        out.text("reply", &reply)
    });
    client.farewell();
    ended
}

pub(super) fn all(settings: &Settings, out: &mut Output, text: &Text) -> Result<(), Failure> {
    let mut client = Client::join(settings, own_code(settings)?)?;
    let ended = input::each(text, |text| {
        let reached = client.ask_as_member(&[b"ALL ", text].concat())?;
        print_reached(out, &reached)
    });
    client.farewell();
    ended
}

/// Prints how many clients took a text.
pub(super) fn print_reached(out: &mut Output, reached: &[u8]) -> Result<(), Failure> {
    let number = str::from_utf8(reached).ok().and_then(|reached| reached.parse::<u64>().ok());
    match number {
        Some(number) if out.json => out.object(&json!({"reached": number})),
        Some(number) => out.line(&format!("reached {number}")),
        None => out.text("reply", reached),
    }
}

fn print_reply(out: &mut Output, reply: &[u8]) -> Result<(), Failure> {
    let reply = reply.strip_suffix(b"\n").unwrap_or(reply);
    if out.json {
        return out.text("reply", reply);
    }
    reply.split(|&b| b == b'\n').try_for_each(|line| out.text("reply", line))
}

fn own_code(settings: &Settings) -> Result<&str, Failure> {
    settings.code.as_deref().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "sending needs a client code of one's own: --as CODE, or `as` in the configuration",
        )
    })
}

/// Whether the line, which may carry a tag, asks for a place.
fn is_join(line: &[u8]) -> bool {
    let line = Tag::split(line).map_or(line, |(_, request)| request);
    line.starts_with(b"JOIN ")
}

fn exchange(settings: &Settings, link: &mut Link, text: &[u8]) -> Result<Vec<u8>, Failure> {
    link.send(&ended(link, text))?;
    await_reply(settings, link)
}

fn await_reply(settings: &Settings, link: &mut Link) -> Result<Vec<u8>, Failure> {
    let clock = Clock::start();
    loop {
        if let Some(reply) = link.receive() {
            return Ok(reply);
        }
        let passed = clock.now().since_start();
        let hub = &settings.hub;
        if !link.is_up() {
            let why = format!("{hub} closed the connection without an answer");
            return Err(Failure::new(Exit::Timeout, why));
        }
        if passed >= settings.timeout {
            let time = duration::show(settings.timeout);
            let lost =
                format!("no answer from {hub} within {time}; what is sent without a tag is sent only once");
            return Err(if link.refused && !link.heard {
                no_hub(hub)
            } else {
                Failure::new(Exit::Timeout, lost)
            });
        }
        link.wait(&[], Some(settings.timeout.saturating_sub(passed)))?;
    }
}

/// The line as it is sent: a datagram ends it; over TCP only LF does so at once.
fn ended(link: &Link, text: &[u8]) -> Vec<u8> {
    let end: &[u8] = if link.is_tcp() { b"\n" } else { b"" };
    [text, end].concat()
}
