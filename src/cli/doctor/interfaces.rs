//! Whether the interfaces can carry a broadcast.

use std::net::Ipv4Addr;

use if_addrs::{IfAddr, Interface};

use super::finding::{Finding, Report};
use crate::cli::exit::Failure;
use crate::cli::find::ways::is_up;

const CHECK: &str = "interface";

/// Interfaces that are shown: a machine full of containers has many alike.
const SHOWN: usize = 16;

pub(super) fn check(interfaces: &[Interface], report: &mut Report<'_>) -> Result<(), Failure> {
    judge(interfaces).iter().take(SHOWN).try_for_each(|finding| report.add(finding))
}

fn judge(interfaces: &[Interface]) -> Vec<Finding> {
    let findings: Vec<Finding> = interfaces.iter().filter_map(judge_one).collect();
    if findings.is_empty() {
        let none = "no interface but loopback has an IPv4 address";
        vec![Finding::warn(CHECK, none, "ip -brief address shows them; connect this machine to a network")]
    } else {
        findings
    }
}

fn judge_one(interface: &Interface) -> Option<Finding> {
    let IfAddr::V4(address) = &interface.addr else { return None };
    if address.is_loopback() {
        return None;
    }
    let name = &interface.name;
    let network = format!("{}/{}", address.ip, address.prefixlen);
    if !is_up(interface) {
        let fix = format!("sudo ip link set {name} up, or plug in its cable");
        return Some(Finding::warn(CHECK, format!("{name} ({network}) is down"), fix));
    }
    if interface.is_p2p || address.prefixlen > 30 {
        return Some(Finding::ok(CHECK, format!("{name} ({network}) joins two points: it has no broadcast")));
    }
    let right = address.ip | !address.netmask;
    // The system tells the address itself where there is no broadcast address, and answers what follows from the prefix.
    let given = address.broadcast.filter(|&given| given != address.ip && given != Ipv4Addr::UNSPECIFIED);
    Some(match given {
        None => Finding::ok(CHECK, format!("{name} ({network}) is up")),
        Some(given) if given == right => {
            Finding::ok(CHECK, format!("{name} ({network}) is up, its broadcast address is {given}"))
        }
        // No command: to give an address anew takes its routes away, too.
        Some(given) => Finding::warn(
            CHECK,
            format!("{name} ({network}) has the broadcast address {given}; that of its network is {right}"),
            format!(
                "where {name} is given its address: that its prefix is right, and its broadcast address {right}"
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use crate::cli::find::ways::tests::{v4, v6};

    #[test]
    fn each_interface_has_a_line() {
        let mut down = v4("eth1", "10.0.1.7", 24, Some("10.0.1.255"));
        down.oper_status = if_addrs::IfOperStatus::Down;
        let mut tunnel = v4("wg0", "10.0.2.7", 24, None);
        tunnel.is_p2p = true;
        let all = [
            v4("lo", "127.0.0.1", 8, None),
            v6("eth0", "fe80::7"),
            v4("eth0", "10.0.0.7", 24, Some("10.0.0.255")),
            down,
            tunnel,
            v4("eth2", "10.0.3.7", 24, None),
            v4("eth3", "10.0.4.7", 24, Some("10.0.4.7")),
            v4("eth4", "10.0.5.7", 22, Some("10.0.5.255")),
        ];
        let findings = judge(&all);
        let states: Vec<State> = findings.iter().map(|finding| finding.state).collect();
        let wanted = [State::Ok, State::Warn, State::Ok, State::Ok, State::Ok, State::Warn];
        assert_eq!(states, wanted, "{findings:#?}");
        assert_eq!(findings[3].what, "eth2 (10.0.3.7/24) is up");
        assert!(findings[5].what.contains("that of its network is 10.0.7.255"), "{findings:#?}");
        assert!(!findings[5].fix.as_ref().unwrap().contains("ip address"), "{findings:#?}");
    }

    #[test]
    fn a_machine_without_a_network_is_told_so() {
        let findings = judge(&[v4("lo", "127.0.0.1", 8, None)]);
        assert_eq!((findings.len(), findings[0].state), (1, State::Warn));
    }
}
