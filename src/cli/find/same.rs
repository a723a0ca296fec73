//! Whether two addresses lead to one hub: only the hub where a session was opened knows its second number.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use crate::cli::clock::Clock;
use crate::cli::link::connected_udp;
use crate::cli::session_name::SessionName;
use crate::wire::ErrorName;

/// How often a line is sent until it is answered.
const COPIES: u32 = 3;

/// How long each copy may take.
const PATIENCE: Duration = Duration::from_millis(100);

/// Longer than any reply to PING.
const REPLY_BYTES: usize = 1024;

/// Whether one hub answers at both addresses; `None` if that cannot be told.
pub(in crate::cli) fn is_same(one: SocketAddr, other: SocketAddr) -> Option<bool> {
    let name = SessionName::random().ok()?;
    let name = name.session().ok()?;
    let tag = |number: u8| format!("#{}.{number}", name.as_str());
    let (one, other) = (connected_udp(one).ok()?, connected_udp(other).ok()?);
    ask(&one, &tag(1))?;
    let reply = ask(&other, &tag(2))?;
    // The session is not needed any more; if this is lost, it is forgotten later.
    let _ = one.send(format!("{} BYE\n", tag(3)).as_bytes());
    verdict(&reply)
}

/// What the reply to the second number tells.
fn verdict(reply: &str) -> Option<bool> {
    let word = reply.strip_prefix("ERR ").and_then(|error| error.split_whitespace().next());
    match word.map(|word| ErrorName::parse(word.as_bytes())) {
        Some(Some(ErrorName::Unopened)) => Some(false),
        Some(_) => None,
        None => (reply.trim_end() == "OK pong").then_some(true),
    }
}

/// Asks for PING under a tag: the reply without the tag.
fn ask(socket: &UdpSocket, tag: &str) -> Option<String> {
    let clock = Clock::start();
    for copy in 1..=COPIES {
        socket.send(format!("{tag} PING\n").as_bytes()).ok()?;
        while let Some(left) = (PATIENCE * copy).checked_sub(clock.now().since_start()) {
            if let Some(reply) = receive(socket, tag) {
                return Some(reply);
            }
            let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).saturating_add(1);
            let _ = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], millis);
        }
    }
    None
}

fn receive(socket: &UdpSocket, tag: &str) -> Option<String> {
    let mut buffer = [0; REPLY_BYTES];
    let count = socket.recv(&mut buffer).ok()?;
    let reply = str::from_utf8(buffer.get(..count)?).ok()?;
    Some(reply.strip_prefix(tag)?.strip_prefix(' ')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_reply_is_a_verdict() {
        for (reply, told) in [
            ("OK pong\n", Some(true)),
            ("ERR unopened begin with number 1", Some(false)),
            ("ERR busy too many sessions", None),
            ("ERR denied not for guests", None),
            ("OK something", None),
            ("", None),
        ] {
            assert_eq!(verdict(reply), told, "{reply}");
        }
    }
}
