//! Asks over TCP, for hubs that listen on that alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::asker::{Answer, is_refusal};
use super::here::Here;
use crate::cli::clock::Clock;

/// PING is answered by every hub; what it is called only by one that may be discovered.
const QUESTIONS: &[u8] = b"DISCOVER\nPING\n";

/// Longer than the answers to both.
const ANSWER_BYTES: usize = 2048;

/// What answers at these addresses, for so long in all.
pub(in crate::cli) fn ask(addresses: &[SocketAddr], wait: Duration) -> Vec<Answer> {
    let clock = Clock::start();
    let left = || wait.checked_sub(clock.now().since_start()).filter(|left| !left.is_zero());
    let mut answers = Vec::new();
    for (way, &address) in addresses.iter().enumerate() {
        let start = clock.now();
        if let Some((here, refusal)) = ask_one(address, left) {
            answers.push(Answer { address, here, refusal, time: clock.now().since(start), way });
        }
    }
    answers
}

fn ask_one(
    address: SocketAddr,
    left: impl Fn() -> Option<Duration>,
) -> Option<(Option<Here>, Option<String>)> {
    let mut stream = TcpStream::connect_timeout(&address, left()?).ok()?;
    stream.set_write_timeout(left()).ok()?;
    stream.write_all(QUESTIONS).ok()?;
    let mut received = Vec::new();
    loop {
        stream.set_read_timeout(Some(left()?)).ok()?;
        let mut part = [0; 256];
        let count = stream.read(&mut part).ok().filter(|&count| count > 0)?;
        received.extend_from_slice(part.get(..count)?);
        if let Some(told) = read(&received) {
            return told;
        }
        if received.len() > ANSWER_BYTES {
            return None;
        }
    }
}

/// What the two answers tell, `Some(None)` if they are none of a hub's; `None` until both have come.
#[expect(clippy::option_option, reason = "that more is to come is another thing than that nothing is told")]
fn read(received: &[u8]) -> Option<Option<(Option<Here>, Option<String>)>> {
    let mut lines = received.split_inclusive(|&b| b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let (who, pong) = (lines.next()?.trim_ascii_end(), lines.next()?.trim_ascii_end());
    let here = Here::parse(who);
    let is_hub = (here.is_some() || is_refusal(who)) && (pong == b"pong" || is_refusal(pong));
    let refusal = here.is_none().then(|| String::from_utf8_lossy(who).into_owned());
    Some(is_hub.then_some((here, refusal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hub_answers_both_questions() {
        let name =
            |text: &str| read(text.as_bytes()).map(|told| told.map(|(here, _)| here.map(|here| here.name)));
        for early in ["", "HERE pi 0.1.0 9 3/10\n", "HERE pi 0.1.0 9 3/10\npon"] {
            assert_eq!(name(early), None, "{early}");
        }
        assert_eq!(name("HERE pi 0.1.0 9 3/10\r\npong\r\n"), Some(Some(Some("pi".to_owned()))));
        assert_eq!(name("ERR denied not found\npong\n"), Some(Some(None)));
        assert_eq!(name("ERR denied\nERR denied\n"), Some(Some(None)));
        for other in ["HTTP/1.1 400 Bad Request\n\n", "DISCOVER\nPING\n", "ERR what\npong\n"] {
            assert_eq!(name(other), Some(None), "{other}");
        }
    }
}
