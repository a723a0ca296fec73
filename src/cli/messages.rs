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
        print_reply(out, &reply)
    })
}

/// As [`say`]; of a line that has no reply none is awaited.
pub(super) fn raw(settings: &Settings, out: &mut Output, text: &Text) -> Result<(), Failure> {
    let mut link = Link::open(settings)?;
    input::each(text, |text| {
        if text.starts_with(b"ACK ") || text == b"ACK" {
            return link.send(&ended(&link, text));
        }
        let reply = exchange(settings, &mut link, text)?;
        print_reply(out, &reply)
    })
}

pub(super) fn send(settings: &Settings, out: &mut Output, code: &str, text: &Text) -> Result<(), Failure> {
    let mut client = Client::join(settings, own_code(settings)?, None)?;
    input::each(text, |text| {
        let reply = client.ask_as_member(&[b"SEND ", code.as_bytes(), b" ", text].concat())?;
        out.text("reply", &reply)
    })?;
    client.farewell();
    Ok(())
}

pub(super) fn all(settings: &Settings, out: &mut Output, text: &Text) -> Result<(), Failure> {
    let mut client = Client::join(settings, own_code(settings)?, None)?;
    input::each(text, |text| {
        let reached = client.ask_as_member(&[b"ALL ", text].concat())?;
        print_reached(out, &reached)
    })?;
    client.farewell();
    Ok(())
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

fn exchange(settings: &Settings, link: &mut Link, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let clock = Clock::start();
    link.send(&ended(link, text))?;
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
