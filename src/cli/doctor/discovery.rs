//! Whether hubs answer, and in which of the ways to ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use if_addrs::{IfAddr, Interface};

use super::finding::{Finding, Report};
use super::senders::is_heard_at;
use crate::cli::address::HubAddress;
use crate::cli::exit::Failure;
use crate::cli::find::asker::{Answer, Asker};
use crate::cli::find::hubs::{Hub, Hubs};
use crate::cli::find::same::is_same;
use crate::cli::find::stream;
use crate::cli::find::ways::{self, Way, is_up};
use crate::machine::bound;

const CHECK: &str = "discovery";

/// How long answers are awaited.
const WAIT: Duration = Duration::from_secs(1);

/// Own addresses that are asked.
const OWN: usize = 8;

/// Asks a hub at a given address; yields it if it answers.
pub(super) fn check_one(hub: SocketAddr, report: &mut Report<'_>) -> Result<Vec<SocketAddr>, Failure> {
    let mut asker = Asker::open([Way::Direct(hub)], hub.port(), WAIT)?;
    let answer = asker.next(None)?;
    let trouble = asker.trouble(0).map(ToString::to_string);
    if answer.is_none() && !stream::ask(&[hub], WAIT).is_empty() {
        let what = format!(
            "{} answers over TCP, but not over UDP{}",
            HubAddress::from(hub),
            because(trouble.as_deref())
        );
        let fix = "if it is told so (`udp = false` in [listen]), clients need --tcp; else its firewall keeps UDP out: \
                   pigeon doctor on its machine";
        report.add(&Finding::warn(CHECK, what, fix))?;
        return Ok(Vec::new());
    }
    report.add(&judge_direct(hub, answer.as_ref(), trouble.as_deref(), false))?;
    Ok(answer.into_iter().map(|answer| answer.address).collect())
}

/// Asks a hub of this machine that listens on TCP alone; yields where it answers.
pub(super) fn check_tcp_only(
    port: u16,
    interfaces: &[Interface],
    report: &mut Report<'_>,
) -> Result<Vec<SocketAddr>, Failure> {
    let addresses: Vec<SocketAddr> = direct_ways(port, interfaces).collect();
    let answers = stream::ask(&addresses, WAIT);
    report.add(&judge_tcp_only(port, answers.first()))?;
    Ok(answers.into_iter().map(|answer| answer.address).take(1).collect())
}

fn judge_tcp_only(port: u16, answer: Option<&Answer>) -> Finding {
    let Some(answer) = answer else {
        let what = format!("no address of this machine answers on TCP port {port}");
        return Finding::fail(CHECK, what, "journalctl -u pigeond -n 20");
    };
    let at = HubAddress::from(answer.address);
    let name = answer.here.as_ref().map(|here| format!(": hub \"{}\"", here.name)).unwrap_or_default();
    Finding::ok(
        CHECK,
        format!(
            "{at} answers{name}, over TCP alone, so that nobody finds it by broadcast: others need --tcp --hub ADDRESS"
        ),
    )
}

/// Asks in every way; yields where the hubs are.
pub(super) fn check(
    port: u16,
    runs: bool,
    interfaces: &[Interface],
    report: &mut Report<'_>,
) -> Result<Vec<SocketAddr>, Failure> {
    let ways = every_way(port, interfaces);
    let mut asker = Asker::open(ways.clone(), port, WAIT)?;
    let mut answers: Vec<Option<Answer>> = vec![None; ways.len()];
    let mut hubs = Hubs::default();
    while let Some(answer) = asker.next(None)? {
        hubs.add(&answer, is_same);
        if let Some(first) = answers.get_mut(answer.way) {
            first.get_or_insert(answer);
        }
    }
    // The first of the ways lead to this machine.
    let is_direct = |answer: &&Answer| matches!(ways.get(answer.way), Some(Way::Direct(_)));
    let local = answers.iter().flatten().find(is_direct).map(|answer| answer.address);
    let is_here = runs || local.is_some();
    let mut bound = bound(port);
    // One socket may be for both families.
    if bound.contains(&Ipv6Addr::UNSPECIFIED.into()) && local.is_some_and(|local| local.is_ipv4()) {
        bound.push(Ipv4Addr::UNSPECIFIED.into());
    }
    for (index, (way, answer)) in ways.iter().zip(&answers).enumerate() {
        let trouble = asker.trouble(index).map(ToString::to_string);
        let is_told = !is_here || bound.is_empty() || hears(&bound, way, interfaces);
        match way {
            Way::Direct(address) if answer.is_none() && !is_told => {
                if address.is_ipv4() {
                    report.add(&not_told(way))?;
                }
            }
            Way::Directed { .. } | Way::Everyone { .. } | Way::Multicast { .. }
                if answer.is_none() && !is_told =>
            {
                report.add(&not_told(way))?;
            }
            Way::Direct(address) if is_here && (answer.is_some() || address.is_ipv4()) => {
                report.add(&judge_direct(*address, answer.as_ref(), trouble.as_deref(), local.is_some()))?;
            }
            Way::Direct(_) => {}
            Way::Directed { .. } | Way::Everyone { .. } | Way::Multicast { .. } => {
                report.add(&judge_way(way, answer.as_ref(), trouble.as_deref(), is_here))?;
            }
        }
    }
    let mut found: Vec<SocketAddr> = hubs.list().iter().map(Hub::address).collect();
    // One that does not want to be discovered is measured all the same.
    if let Some(local) = local.filter(|local| !found.contains(local)) {
        found.insert(0, local);
    }
    report.add(&sum_up(&hubs, !found.is_empty()))?;
    Ok(found)
}

/// Whether a hub of this machine that listens at these addresses hears who asks in this way.
fn hears(bound: &[IpAddr], way: &Way, interfaces: &[Interface]) -> bool {
    let at = |ip: IpAddr| is_heard_at(bound, ip);
    match way {
        Way::Direct(address) => at(address.ip()),
        Way::Directed { from, .. } | Way::Everyone { from, .. } => at(IpAddr::V4(*from)),
        Way::Multicast { index, .. } => interfaces.iter().any(|interface| {
            interface.index == Some(*index) && interface.ip().is_ipv6() && at(interface.ip())
        }),
    }
}

/// That it does not listen somewhere is as it is told to.
fn not_told(way: &Way) -> Finding {
    let what =
        format!("{way}: no answer; the hub on this machine does not listen there (`bind` in [listen])");
    Finding::skip(CHECK, what)
}

/// The machine itself, its own addresses, then its networks.
fn every_way(port: u16, interfaces: &[Interface]) -> Vec<Way> {
    let loopback = |way: &Way| matches!(way, Way::Directed { from, .. } if from.is_loopback());
    let networks = ways::of_interfaces(interfaces).into_iter().filter(|way| !loopback(way));
    direct_ways(port, interfaces).map(Way::Direct).chain(networks).collect()
}

/// The machine itself, by its own addresses.
fn direct_ways(port: u16, interfaces: &[Interface]) -> impl Iterator<Item = SocketAddr> {
    let loopback =
        [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    let up = interfaces.iter().filter(|interface| is_up(interface));
    let own = up.filter_map(move |interface| match &interface.addr {
        IfAddr::V4(address) if !address.is_loopback() => Some(SocketAddr::from((address.ip, port))),
        IfAddr::V4(_) | IfAddr::V6(_) => None,
    });
    loopback.into_iter().chain(own.take(OWN))
}

/// Where the hub answers at another address of the same machine, that it does not at this one may be meant so.
fn judge_direct(
    address: SocketAddr,
    answer: Option<&Answer>,
    trouble: Option<&str>,
    is_elsewhere: bool,
) -> Finding {
    let at = HubAddress::from(address);
    match answer {
        Some(Answer { here: Some(here), .. }) => {
            Finding::ok(CHECK, format!("{at} answers: hub \"{}\", version {}", here.name, here.version))
        }
        Some(Answer { refusal, .. }) => {
            let said = refusal.as_deref().unwrap_or_default();
            Finding::warn(
                CHECK,
                format!("{at} answers, but does not want to be discovered: {said}"),
                "if it is to be: `discovery = true` in [broadcast] of its configuration, and this machine in `networks` \
                 of [access]",
            )
        }
        None if is_elsewhere => Finding::warn(
            CHECK,
            format!("{at} does not answer{}, but another address of this machine does", because(trouble)),
            "if it is to listen there, too: `bind` in [listen] of its configuration",
        ),
        None if address.ip().is_loopback() => Finding::fail(
            CHECK,
            format!("{at} does not answer{}", because(trouble)),
            "does `bind` in [listen] hold that address or 0.0.0.0, and what do the checks service, port and firewall \
             say? journalctl -u pigeond -n 20 tells more",
        ),
        None => Finding::fail(
            CHECK,
            format!("{at} does not answer{}", because(trouble)),
            "is pigeond running there, does `bind` in [listen] hold that address or 0.0.0.0, do its firewall and \
             `networks` in [access] let this machine in? Run pigeon doctor there",
        ),
    }
}

fn judge_way(way: &Way, answer: Option<&Answer>, trouble: Option<&str>, is_here: bool) -> Finding {
    if let Some((answer, here)) = answer.and_then(|answer| Some((answer, answer.here.as_ref()?))) {
        let at = HubAddress::from(answer.address);
        let millis = answer.time.as_secs_f64() * 1e3;
        return Finding::ok(CHECK, format!("{way}: hub \"{}\" at {at} answers, {millis:.1} ms", here.name));
    }
    let which = if is_here { "another hub" } else { "a hub" };
    let fix = format!(
        "if {which} is there: pigeon doctor on its machine; access points may pass no broadcast, then use --hub"
    );
    Finding::warn(CHECK, format!("{way}: no answer{}", because(trouble)), fix)
}

fn because(trouble: Option<&str>) -> String {
    trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default()
}

fn sum_up(hubs: &Hubs, any: bool) -> Finding {
    let name = |hub: &Hub| format!("\"{}\" at {}", hub.here.name, HubAddress::from(hub.address()));
    match hubs.list() {
        [] if any => Finding::ok(CHECK, "the hub on this machine answers"),
        [] => Finding::fail(
            CHECK,
            "no hub answers in any way",
            "start one: sudo systemctl start pigeond; or say where it is: pigeon doctor --hub HOST",
        ),
        [hub] => Finding::ok(CHECK, format!("one hub: {}", name(hub))),
        several => {
            let names: Vec<String> = several.iter().map(name).collect();
            let what = format!("{} hubs: {}", several.len(), names.join(", "));
            Finding::warn(CHECK, what, "say which one with --hub ADDRESS or PIGEON_HUB")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use crate::cli::find::here::Here;
    use crate::cli::find::ways::tests::{v4, v6};

    #[test]
    fn each_way_is_asked_and_loopback_is_no_network() {
        let interfaces =
            [v4("lo", "127.0.0.1", 8, None), v4("eth0", "10.0.0.7", 24, None), v6("eth0", "fe80::7")];
        let ways: Vec<String> = every_way(99, &interfaces).iter().map(Way::to_string).collect();
        let network = ["10.0.0.255 on eth0", "255.255.255.255 on eth0", "ff02::1 on eth0"];
        assert_eq!(ways, [&["127.0.0.1:99", "[::1]:99", "10.0.0.7:99"][..], &network].concat());
    }

    #[test]
    fn each_way_has_its_verdict() {
        let address: SocketAddr = "10.0.0.1:99".parse().unwrap();
        let here = Here::parse(b"HERE pi 0.1.0 99 3/10");
        let answer =
            |here| Answer { address, here, refusal: None, time: Duration::from_micros(1234), way: 0 };
        let open = judge_direct(address, Some(&answer(here.clone())), None, false);
        let refusal = Some("ERR denied not for you".to_owned());
        let shy = judge_direct(address, Some(&Answer { refusal, ..answer(None) }), None, false);
        assert!(shy.what.ends_with(": ERR denied not for you"), "{shy:?}");
        let gone = judge_direct(address, None, Some("Connection refused"), false);
        for address in [address, "127.0.0.1:99".parse().unwrap()] {
            let states = [true, false].map(|elsewhere| judge_direct(address, None, None, elsewhere).state);
            assert_eq!(states, [State::Warn, State::Fail]);
        }
        assert_eq!([open.state, shy.state, gone.state], [State::Ok, State::Warn, State::Fail]);
        assert_eq!(gone.what, "10.0.0.1:99 does not answer: Connection refused");
        let alone = [Some(&answer(here.clone())), None].map(|answer| judge_tcp_only(99, answer).state);
        assert_eq!(alone, [State::Ok, State::Fail]);
        let way = Way::Everyone { interface: "eth0".to_owned(), from: Ipv4Addr::LOCALHOST };
        let heard = judge_way(&way, Some(&answer(here)), None, false);
        assert_eq!(heard.what, "255.255.255.255 on eth0: hub \"pi\" at 10.0.0.1:99 answers, 1.2 ms");
        assert_eq!(judge_way(&way, None, None, false).state, State::Warn);
    }

    #[test]
    fn a_hub_hears_who_asks_where_it_is_told_to_listen() {
        let interfaces = [v4("eth0", "10.0.0.7", 24, None), v6("eth0", "fd00::7"), v6("eth0", "fe80::7")];
        let interface = || "eth0".to_owned();
        let from = Ipv4Addr::new(10, 0, 0, 7);
        let ways = [
            Way::Direct("127.0.0.1:99".parse().unwrap()),
            Way::Directed { interface: interface(), from, to: Ipv4Addr::new(10, 0, 0, 255) },
            Way::Everyone { interface: interface(), from },
            Way::Multicast { interface: interface(), index: interfaces[0].index.unwrap() },
            Way::Multicast { interface: interface(), index: 99 },
        ];
        for (bound, heard) in [
            ("0.0.0.0", [true, true, true, false, false]),
            ("::", [false, false, false, true, false]),
            ("10.0.0.7", [false, true, true, false, false]),
            ("127.0.0.1", [true, false, false, false, false]),
            ("fd00::7", [false, false, false, true, false]),
        ] {
            let found = ways.each_ref().map(|way| hears(&[bound.parse().unwrap()], way, &interfaces));
            assert_eq!(found, heard, "{bound}");
        }
        assert_eq!(not_told(&ways[0]).state, State::Skip);
    }

    #[test]
    fn without_any_hub_it_fails_and_with_two_it_warns() {
        let mut hubs = Hubs::default();
        assert_eq!([sum_up(&hubs, false).state, sum_up(&hubs, true).state], [State::Fail, State::Ok]);
        for (name, state) in [("pi", State::Ok), ("den", State::Warn)] {
            let here = Here::parse(format!("HERE {name} 0.1.0 99 3/10").as_bytes());
            let address = "10.0.0.1:99".parse().unwrap();
            hubs.add(&Answer { address, here, refusal: None, time: Duration::ZERO, way: 0 }, |_, _| None);
            assert_eq!(sum_up(&hubs, true).state, state);
        }
    }
}
