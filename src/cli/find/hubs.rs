//! Which answers come from one hub: it may answer from several addresses, and two may have one name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::asker::Answer;
use super::here::Here;

/// The most hubs, and the most addresses of each, that are kept: whoever makes up more of them gains nothing.
const MOST: usize = 256;

/// A hub and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Hub {
    pub(in crate::cli) here: Here,
    /// The best to use first; never empty.
    pub(in crate::cli) addresses: Vec<SocketAddr>,
    /// The shortest time that an answer took.
    pub(in crate::cli) time: Duration,
}

impl Hub {
    /// The address to use.
    pub(in crate::cli) fn address(&self) -> SocketAddr {
        // There is always one; the unspecified address would be refused by the system.
        self.addresses.first().copied().unwrap_or(SocketAddr::from(([0, 0, 0, 0], self.here.port)))
    }
}

/// The hubs that have answered so far, in the order of their first answers.
#[derive(Debug, Default)]
pub(in crate::cli) struct Hubs(Vec<Hub>);

impl Hubs {
    pub(in crate::cli) fn list(&self) -> &[Hub] {
        &self.0
    }

    /// Adds what has answered. Of addresses that say the same, `is_same` tells whether one hub is behind both;
    /// where it cannot tell, what they say is believed.
    pub(in crate::cli) fn add(
        &mut self,
        answer: &Answer,
        mut is_same: impl FnMut(SocketAddr, SocketAddr) -> Option<bool>,
    ) {
        let Some(here) = &answer.here else { return };
        let key = |here: &Here| (here.name.clone(), here.version.clone(), here.port);
        let known = self.0.iter_mut().filter(|hub| key(&hub.here) == key(here));
        let known = known.collect::<Vec<_>>();
        let mut alike = Vec::new();
        for hub in known {
            if hub.addresses.contains(&answer.address) {
                hub.time = hub.time.min(answer.time);
                return;
            }
            alike.push(hub);
        }
        for hub in alike {
            let believed = hub.here.limit == here.limit;
            if is_same(hub.address(), answer.address).unwrap_or(believed) {
                if hub.addresses.len() < MOST {
                    hub.addresses.push(answer.address);
                    hub.addresses.sort_by_key(|address| (rank(address.ip()), *address));
                }
                hub.time = hub.time.min(answer.time);
                return;
            }
        }
        if self.0.len() < MOST {
            let addresses = vec![answer.address];
            self.0.push(Hub { here: here.clone(), addresses, time: answer.time });
        }
    }
}

/// Which kind of address to use first: what is short to write and leads anywhere, rather than what needs a scope.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        _ if ip.is_loopback() => 0,
        IpAddr::V4(ip) if ip.is_link_local() => 3,
        IpAddr::V4(_) => 1,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 4,
        IpAddr::V6(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(address: &str, line: &str) -> Answer {
        let here = Here::parse(line.as_bytes());
        Answer {
            address: address.parse().unwrap(),
            here,
            refusal: None,
            time: Duration::from_millis(5),
            way: 0,
        }
    }

    const PI: &str = "HERE pi 0.1.0 9 3/100";

    #[test]
    fn one_hub_at_several_addresses_is_one_and_its_best_address_is_first() {
        let mut hubs = Hubs::default();
        for address in
            ["[fe80::1%3]:9", "169.254.1.1:9", "[fd00::1]:9", "10.0.0.1:9", "127.0.0.1:9", "10.0.0.1:9"]
        {
            hubs.add(&answer(address, PI), |_, _| Some(true));
        }
        let [hub] = hubs.list() else { panic!("{hubs:?}") };
        let addresses: Vec<String> = hub.addresses.iter().map(SocketAddr::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1:9", "10.0.0.1:9", "[fd00::1]:9", "169.254.1.1:9", "[fe80::1%3]:9"]);
        assert_eq!(hub.address().to_string(), "127.0.0.1:9");
    }

    #[test]
    fn two_hubs_of_one_name_are_two_where_that_can_be_told() {
        let mut hubs = Hubs::default();
        for address in ["10.0.0.1:9", "10.0.0.2:9", "10.0.0.2:9", "10.0.0.1:9"] {
            hubs.add(&answer(address, PI), |_, _| Some(false));
        }
        assert_eq!(hubs.list().len(), 2, "{hubs:?}");
        // A third address is compared with each of them.
        hubs.add(&answer("[fd00::2]:9", PI), |one, _| Some(one.to_string() == "10.0.0.2:9"));
        assert_eq!(hubs.list()[1].addresses.len(), 2, "{hubs:?}");
    }

    #[test]
    fn other_words_are_another_hub_and_nobody_is_asked() {
        let mut hubs = Hubs::default();
        let different = [PI, "HERE den 0.1.0 9 3/100", "HERE pi 0.2.0 9 3/100", "HERE pi 0.1.0 10 3/100"];
        for (line, number) in different.into_iter().zip(1..) {
            hubs.add(&answer(&format!("10.0.0.{number}:9"), line), |_, _| panic!("asked"));
        }
        assert_eq!(hubs.list().len(), 4);
    }

    #[test]
    fn where_it_cannot_be_told_the_words_are_believed() {
        let mut hubs = Hubs::default();
        hubs.add(&answer("10.0.0.1:9", PI), |_, _| None);
        hubs.add(&answer("10.0.0.2:9", "HERE pi 0.1.0 9 4/100"), |_, _| None);
        assert_eq!(hubs.list().len(), 1, "a client may have come meanwhile");
        hubs.add(&answer("10.0.0.3:9", "HERE pi 0.1.0 9 3/200"), |_, _| None);
        assert_eq!(hubs.list().len(), 2);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut hubs = Hubs::default();
        for number in 0..=MOST {
            hubs.add(&answer("10.0.0.1:9", &format!("HERE pi{number} 0.1.0 9 3/100")), |_, _| None);
        }
        assert_eq!(hubs.list().len(), MOST);
        let mut hubs = Hubs::default();
        for number in 0..=MOST {
            let address = format!("10.0.{}.{}:9", number / 256, number % 256);
            hubs.add(&answer(&address, PI), |_, _| Some(true));
        }
        assert_eq!(hubs.list()[0].addresses.len(), MOST);
    }
}
