//! Whether a packet filter on this machine keeps others from the hub.

use if_addrs::Interface;

use super::finding::{Finding, Report, State};
use super::port::Serves;
use super::rules::{Chain, Closed, what_drops};
use super::senders::{Family, Sender, senders};
use super::tool::{Ran, run};
use super::{iptables, nft};
use crate::cli::exit::Failure;
use crate::machine::{Kind, bound};

const CHECK: &str = "firewall";

/// The programs whose rules `nft` shows less clearly, or not at all; the first two of them for IPv4 and IPv6.
const OLD: [(&str, Family); 4] = [
    ("iptables", Family::V4),
    ("ip6tables", Family::V6),
    ("iptables-legacy", Family::V4),
    ("ip6tables-legacy", Family::V6),
];

/// What to do where only some are kept out: no command, since it might let in those who are kept out for good reason.
const PARTED: &str =
    "if that is not meant: a rule before it that accepts the port from those who are to use the hub";

/// The most of them that are named.
const NETWORKS: usize = 4;

/// Some port of those from which questions are asked: an answer to a broadcast comes there, unknown to the filter.
const ANSWER_PORT: u16 = 45_000;

pub(super) fn check(
    port: u16,
    serves: Option<Serves>,
    interfaces: &[Interface],
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let bound = if serves.is_some() { bound(port) } else { Vec::new() };
    let senders = senders(interfaces, &bound);
    let ran = [
        run("nft", &["list", "ruleset"]),
        run("iptables-save", &[]),
        run("ip6tables-save", &[]),
        run("iptables-legacy-save", &[]),
        run("ip6tables-legacy-save", &[]),
    ];
    let findings = match serves {
        Some(serves) => judge(&ran, port, serves.kinds(), &senders),
        None => judge_client(&ran, port, &senders),
    };
    findings.iter().try_for_each(|finding| report.add(finding))
}

/// From what the programs told, in the order of [`OLD`] behind `nft`.
fn judge(ran: &[Ran; 5], port: u16, kinds: &[Kind], senders: &[Sender]) -> Vec<Finding> {
    if ran.iter().all(|ran| *ran == Ran::Missing) {
        return vec![Finding::skip(CHECK, "neither nft nor iptables-save is here")];
    }
    let text = |ran: &Ran| match ran {
        Ran::Ended(true, text) => Some(text.clone()),
        Ran::Ended(false, _) | Ran::Missing | Ran::Stuck => None,
    };
    let [rules, old @ ..] = ran.each_ref().map(text);
    if rules.is_none() && old.iter().all(Option::is_none) {
        return vec![Finding::skip(CHECK, "only root may read its rules: sudo pigeon doctor")];
    }
    let filters = filters(rules.as_deref().unwrap_or_default(), &old);
    let mut findings = Vec::new();
    let mut remark = String::new();
    for &kind in kinds {
        for (program, chains) in &filters {
            for (entry, closed) in what_drops(chains, kind, port, senders) {
                match told(program, (kind, port), &closed) {
                    Ok((what, State::Fail)) => {
                        findings.push(Finding::fail(CHECK, what, fix(program, chains, entry, kind, port)));
                    }
                    Ok((what, _)) => findings.push(Finding::warn(CHECK, what, PARTED)),
                    Err(hardly) if remark.is_empty() => remark = hardly,
                    Err(_) => {}
                }
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("no rule keeps others from port {port}{remark}")));
    }
    findings
}

/// The chains that each program showed.
fn filters(rules: &str, old: &[Option<String>; 4]) -> Vec<(&'static str, Vec<Chain>)> {
    // What iptables has made nft prints too, but less clearly.
    let old: Vec<(&str, Vec<Chain>)> = OLD
        .into_iter()
        .zip(old)
        .map(|((program, family), text)| {
            (program, iptables::parse(text.as_deref().unwrap_or_default(), family))
        })
        .collect();
    let mut chains = nft::parse(rules);
    chains.retain(|chain| {
        !old.iter()
            .zip(["ip", "ip6"])
            .any(|((_, old), family)| old.iter().any(|old| chain.table == format!("{family} {}", old.table)))
    });
    std::iter::once(("nft", chains)).chain(old).collect()
}

/// What a chain does, in words, and how bad that is; or else what is to be remarked where nothing is wrong.
fn told(program: &str, (kind, port): (Kind, u16), closed: &Closed) -> Result<(String, State), String> {
    let port = format!("{kind} port {port}");
    Ok(match closed {
        Closed::All(by) => (format!("{program}: {by} keeps others from {port}"), State::Fail),
        Closed::Networks(networks, by) => {
            let more = if networks.len() > NETWORKS { " and others" } else { "" };
            let networks: Vec<&str> = networks.iter().map(String::as_str).take(NETWORKS).collect();
            let what = format!(
                "{program}: {by} keeps those on {}{more} from {port}, but not all",
                networks.join(", ")
            );
            (what, State::Warn)
        }
        Closed::Some(by) => (format!("{program}: only some senders reach {port}: {by}"), State::Warn),
        Closed::Hardly(by) => return Err(format!(", but perhaps some senders: {program}: {by}")),
    })
}

/// Where no hub runs the only question is whether the answer to a broadcast comes through: it comes from another
/// address than was asked, so that no filter takes it for an answer.
fn judge_client(ran: &[Ran; 5], port: u16, senders: &[Sender]) -> Vec<Finding> {
    // Connections are answered in kind, and pass.
    let mut findings = judge(ran, ANSWER_PORT, &[Kind::Udp], senders);
    for finding in &mut findings {
        match finding.state {
            State::Fail | State::Warn => {
                let some = if finding.state == State::Warn { "some of " } else { "" };
                let what = format!(
                    "a packet filter here keeps out {some}what answers a broadcast, which comes to any UDP port"
                );
                let fix = format!("say where the hub is: --hub HOST; or accept UDP from port {port}");
                *finding = Finding::warn(CHECK, what, fix);
            }
            State::Ok => *finding = Finding::ok(CHECK, "no rule here keeps out what answers a broadcast"),
            State::Skip => {}
        }
    }
    findings
}

/// The command of whoever has made the rules: what is added behind their back is lost at the next change.
fn fix(program: &str, chains: &[Chain], entry: &Chain, kind: Kind, port: u16) -> String {
    let protocol = kind.to_string().to_ascii_lowercase();
    if chains.iter().any(|chain| chain.name.starts_with("ufw")) {
        return format!("sudo ufw allow {port}/{protocol}");
    }
    if chains.iter().any(|chain| chain.table.ends_with(" firewalld")) {
        let add = format!("sudo firewall-cmd --permanent --add-port={port}/{protocol}");
        return format!("{add} && sudo firewall-cmd --reload");
    }
    let Chain { table, name, .. } = entry;
    if program == "nft" {
        return format!("sudo nft insert rule {table} {name} {protocol} dport {port} accept");
    }
    let table = if table == "filter" { String::new() } else { format!("-t {table} ") };
    format!("sudo {program} {table}-I {name} -p {protocol} --dport {port} -j ACCEPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(text: &str) -> Ran {
        Ran::Ended(true, text.to_owned())
    }

    /// What three told; there is no older program here.
    fn judge(ran: &[Ran; 3], port: u16) -> Vec<Finding> {
        super::judge(&with_legacy(ran), port, &[Kind::Udp, Kind::Tcp], &senders(&[], &[]))
    }

    fn with_legacy([nft, old, old6]: &[Ran; 3]) -> [Ran; 5] {
        [nft.clone(), old.clone(), old6.clone(), Ran::Missing, Ran::Missing]
    }

    #[test]
    fn what_cannot_be_read_is_no_failure() {
        for ran in [
            [Ran::Missing, Ran::Missing, Ran::Missing],
            [Ran::Ended(false, String::new()), Ran::Missing, Ran::Missing],
            [Ran::Stuck, Ran::Ended(false, String::new()), Ran::Missing],
        ] {
            let findings = judge(&ran, 99);
            assert_eq!((findings.len(), findings[0].state), (1, State::Skip), "{findings:?}");
        }
        assert_eq!(judge(&[ended(""), Ran::Missing, Ran::Missing], 99)[0].state, State::Ok);
    }

    #[test]
    fn where_no_hub_runs_only_answers_matter() {
        let filter = |rule: &str| ended(&format!("*filter\n:INPUT DROP [0:0]\n{rule}COMMIT\n"));
        for (rule, state) in [
            ("", State::Warn),
            ("-A INPUT -p udp -j ACCEPT\n", State::Ok),
            ("-A INPUT -p tcp -j ACCEPT\n", State::Warn),
        ] {
            let findings =
                judge_client(&with_legacy(&[Ran::Missing, filter(rule), ended("")]), 99, &senders(&[], &[]));
            assert_eq!((findings.len(), findings[0].state), (1, state), "{findings:?}");
        }
    }

    #[test]
    fn the_command_is_that_of_who_made_the_rules() {
        let closed = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
        let nft = |table: &str| {
            let head = "type filter hook input priority filter; policy drop;";
            ended(&format!("table {table} {{\n\tchain in {{\n\t\t{head}\n\t}}\n}}\n"))
        };
        for (ran, fix) in [
            (
                [nft("inet own"), Ran::Missing, Ran::Missing],
                "sudo nft insert rule inet own in udp dport 99 accept",
            ),
            (
                [nft("inet firewalld"), Ran::Missing, Ran::Missing],
                "sudo firewall-cmd --permanent --add-port=99/udp",
            ),
            (
                [Ran::Missing, ended(closed), Ran::Missing],
                "sudo iptables -I INPUT -p udp --dport 99 -j ACCEPT",
            ),
            ([Ran::Missing, ended(""), ended(closed)], "sudo ip6tables -I INPUT -p udp --dport 99 -j ACCEPT"),
            (
                [
                    nft("ip filter"),
                    ended("*filter\n:INPUT DROP [0:0]\n:ufw-user-input - [0:0]\nCOMMIT\n"),
                    ended(""),
                ],
                "sudo ufw allow 99/udp",
            ),
        ] {
            let findings = judge(&ran, 99);
            assert_eq!((findings.len(), findings[0].state), (2, State::Fail), "{findings:#?}");
            assert!(findings[0].fix.as_ref().is_some_and(|found| found.starts_with(fix)), "{findings:#?}");
        }
    }
}
