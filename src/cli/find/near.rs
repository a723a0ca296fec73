//! The hubs that can be asked directly: those on this machine, and the one that was used last.

use std::net::SocketAddr;
use std::time::Duration;

use super::Choice;
use super::asker::{Answer, Asker};
use super::hubs::Hubs;
use super::same::is_same;
use super::stream;
use super::ways::{self, Way};
use crate::cli::address::HubAddress;
use crate::cli::exit::Failure;

/// How long a hub on this machine may take. Where there is none the system says so at once.
const LOCAL_WAIT: Duration = Duration::from_millis(150);

/// How long the hub that was used last may take.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// How long after the first answer the others are awaited. Addresses where nobody listens are known at once, so that
/// this passes only where somebody listens and says nothing.
const GATHERING: Duration = Duration::from_millis(100);

/// What has answered.
#[derive(Debug)]
pub(super) struct Near {
    /// Every hub on this machine, once each.
    pub(super) local: Vec<Choice>,
    /// Whether the hub that was used last answers where it did.
    pub(super) is_last_there: bool,
}

pub(super) fn look(port: u16, tcp: bool, last: Option<&Choice>) -> Result<Near, Failure> {
    let own = ways::of_this_machine(port, &if_addrs::get_if_addrs()?);
    // A host that has no address any more is not there.
    let before: Vec<SocketAddr> = last.and_then(|last| last.address.resolve().ok()).unwrap_or_default();
    let elsewhere = before.iter().copied().filter(|address| !own.contains(address));
    let ways: Vec<SocketAddr> = own.iter().copied().chain(elsewhere).collect();
    let wait = if ways.len() > own.len() { LAST_WAIT } else { LOCAL_WAIT };
    let mut answers = gather(&ways, port, wait)?;
    if tcp && !answers.iter().any(|answer| own.contains(&answer.address)) {
        answers.extend(stream::ask(&own, LOCAL_WAIT));
    }
    let is_it = |answer: &Answer| {
        let is_here = own.contains(&answer.address);
        before.contains(&answer.address) && last.is_some_and(|last| last.says(answer, is_here))
    };
    let is_last_there = answers.iter().any(is_it);
    answers.retain(|answer| own.contains(&answer.address));
    // Where there is nothing to choose nobody is asked which addresses belong together.
    let local = if is_last_there { Vec::new() } else { distinct(&answers, is_same) };
    Ok(Near { local, is_last_there })
}

/// Asks everywhere at once: every answer, in the order of the addresses.
fn gather(addresses: &[SocketAddr], port: u16, wait: Duration) -> Result<Vec<Answer>, Failure> {
    let mut asker = Asker::open(addresses.iter().copied().map(Way::Direct), port, wait)?;
    let mut answers = Vec::new();
    let mut until = None;
    while let Some(answer) = asker.next(until)? {
        asker.close(answer.way);
        until = until.or_else(|| Some(asker.now() + GATHERING));
        answers.push(answer);
    }
    answers.sort_by_key(|answer| answer.way);
    Ok(answers)
}

/// The hubs behind these answers. One that says no name is another than those before if that can be told.
fn distinct(
    answers: &[Answer],
    mut is_same: impl FnMut(SocketAddr, SocketAddr) -> Option<bool>,
) -> Vec<Choice> {
    let mut hubs = Hubs::default();
    for answer in answers {
        hubs.add(answer, &mut is_same);
    }
    let named = hubs.list().iter().map(|hub| (Some(hub.here.name.clone()), hub.address()));
    let mut all: Vec<(Option<String>, SocketAddr)> = named.collect();
    for answer in answers.iter().filter(|answer| answer.here.is_none()) {
        if !all.iter().any(|(_, address)| is_same(*address, answer.address).unwrap_or(true)) {
            all.push((None, answer.address));
        }
    }
    all.into_iter().map(|(name, address)| Choice { name, address: HubAddress::from(address) }).collect()
}

impl Choice {
    /// Whether this hub is what answers at its address. On this machine one that does not say its name any more, or
    /// says it now, is no other for that.
    fn says(&self, answer: &Answer, is_here: bool) -> bool {
        match (&self.name, &answer.here) {
            (Some(name), Some(here)) => *name == here.name,
            (None, _) | (_, None) => is_here,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::here::Here;
    use super::*;

    fn answer(address: &str, line: &str) -> Answer {
        let (here, address) = (Here::parse(line.as_bytes()), address.parse().unwrap());
        Answer { address, here, refusal: None, time: Duration::ZERO, way: 0 }
    }

    fn shown(answers: &[Answer], same: Option<bool>) -> Vec<String> {
        let name = |hub: &Choice| hub.name.clone().unwrap_or_default();
        distinct(answers, |_, _| same).iter().map(|hub| format!("{} {}", name(hub), hub.address)).collect()
    }

    #[test]
    fn each_hub_of_this_machine_is_there_once() {
        let (pi, den) = ("HERE pi 0.1.0 9 3/100", "HERE den 0.1.0 9 3/100");
        let both = [answer("127.0.0.1:9", pi), answer("[::1]:9", pi)];
        assert_eq!(shown(&both, Some(true)), ["pi 127.0.0.1:9"]);
        assert_eq!(shown(&both, Some(false)), ["pi 127.0.0.1:9", "pi [::1]:9"]);
        let two = [answer("127.0.0.1:9", pi), answer("[::1]:9", den)];
        assert_eq!(shown(&two, Some(true)), ["pi 127.0.0.1:9", "den [::1]:9"]);
        let shy = [answer("127.0.0.1:9", "ERR denied"), answer("[::1]:9", "ERR denied")];
        assert_eq!(shown(&shy, Some(true)), [" 127.0.0.1:9"]);
        assert_eq!(shown(&shy, None), [" 127.0.0.1:9"]);
        assert_eq!(shown(&shy, Some(false)), [" 127.0.0.1:9", " [::1]:9"]);
        let mixed = [answer("127.0.0.1:9", "ERR denied"), answer("[::1]:9", pi)];
        assert_eq!(shown(&mixed, Some(false)), ["pi [::1]:9", " 127.0.0.1:9"]);
    }

    #[test]
    fn the_name_tells_whether_it_is_the_hub_that_was_used_last() {
        let hub = |name: Option<&str>| Choice {
            name: name.map(str::to_owned),
            address: HubAddress::parse("10.0.0.1:9").unwrap(),
        };
        let says = |line: &str| answer("10.0.0.1:9", line);
        for is_here in [true, false] {
            assert!(hub(Some("pi")).says(&says("HERE pi 0.1.0 9 3/100"), is_here));
            assert!(!hub(Some("pi")).says(&says("HERE den 0.1.0 9 3/100"), is_here));
            assert_eq!(hub(Some("pi")).says(&says("ERR denied"), is_here), is_here);
            assert_eq!(hub(None).says(&says("ERR denied"), is_here), is_here);
        }
    }
}
