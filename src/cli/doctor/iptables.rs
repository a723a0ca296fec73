//! Reads what `iptables-save` prints.

use super::nft::range;
use super::rules::{Chain, OneOf, Rule, Verdict};
use super::senders::Family;
use crate::machine::Kind;

/// The tables whose chains may drop, each with the chains that what comes to this machine enters by.
const ENTRIES: [(&str, &[&str]); 4] = [
    ("raw", &["PREROUTING"]),
    ("mangle", &["PREROUTING", "INPUT"]),
    ("filter", &["INPUT"]),
    ("security", &["INPUT"]),
];

/// The chains of all tables of a program that filters this family.
pub(super) fn parse(text: &str, family: Family) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut table = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.trim();
        } else if let Some(rest) = line.strip_prefix(':') {
            let mut words = rest.split_whitespace();
            let (Some(name), policy) = (words.next(), words.next()) else { continue };
            let is_entry = ENTRIES.iter().any(|(of, names)| *of == table && names.contains(&name));
            let input = is_entry.then_some(policy == Some("DROP"));
            let (table, name, family) = (table.to_owned(), name.to_owned(), Some(family));
            chains.push(Chain { table, name, family, devices: None, input, rules: Vec::new() });
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let (name, words) = rest.split_once(' ').unwrap_or((rest, ""));
            if let Some(chain) = chains.iter_mut().find(|chain| chain.table == table && chain.name == name) {
                chain.rules.push(Rule { text: line.to_owned(), ..rule(words) });
            }
        }
    }
    chains
}

fn rule(line: &str) -> Rule {
    let mut rule = Rule::new(line);
    let mut words = line.split_whitespace();
    let mut is_not = false;
    while let Some(word) = words.next() {
        if word == "!" {
            is_not = true;
            continue;
        }
        let is_not = std::mem::take(&mut is_not);
        match word {
            "-j" | "-g" => {
                rule.verdict = verdict(word, words.next().unwrap_or_default());
                return rule;
            }
            // It may have spaces; what it says does not matter, and a verdict stands behind its end.
            "--comment" => {
                let first = words.next().unwrap_or_default();
                if first.starts_with('"') && !(first.len() > 1 && first.ends_with('"')) {
                    words.by_ref().find(|word| word.ends_with('"'));
                }
            }
            "-m" => {
                words.next();
            }
            word => condition(&mut rule, word, is_not, &mut words),
        }
    }
    rule
}

fn verdict(word: &str, target: &str) -> Verdict {
    match target {
        "ACCEPT" => Verdict::Accept,
        "DROP" | "REJECT" => Verdict::Drop,
        "RETURN" => Verdict::Return,
        "NFQUEUE" => Verdict::Unknown,
        "LOG" | "NFLOG" | "MARK" => Verdict::Other,
        chain if word == "-g" => Verdict::Goto(chain.to_owned()),
        chain => Verdict::Jump(chain.to_owned()),
    }
}

/// What a rule matches, by its option.
fn condition<'a>(rule: &mut Rule, word: &str, is_not: bool, words: &mut impl Iterator<Item = &'a str>) {
    let mut value = || words.next().unwrap_or_default();
    match word {
        "-p" => {
            let name = value();
            let all = [("udp", Kind::Udp), ("tcp", Kind::Tcp)].into_iter();
            let kinds = all.filter(|(known, _)| (name == *known || name == "all") != is_not);
            rule.narrow(&kinds.map(|(_, kind)| kind).collect::<Vec<_>>());
        }
        "--dport" | "--dports" => {
            let all = value().split(',').filter_map(|port| range(port, ':')).collect();
            rule.ports = Some(OneOf { all, is_not });
        }
        "-i" => rule.interfaces.push(OneOf { all: vec![value().to_owned()], is_not }),
        "-s" => {
            let sources = rule.addresses(&[value().to_owned()], is_not);
            rule.sources.push(sources);
        }
        "-d" => {
            let destinations = rule.addresses(&[value().to_owned()], is_not);
            rule.destinations.push(destinations);
        }
        "--ctstate" | "--state" => rule.is_never |= value().split(',').any(|state| state == "NEW") == is_not,
        "--dst-type" => rule.is_never |= (value() == "LOCAL") == is_not,
        "--pkt-type" => rule.is_never |= (value() == "unicast") == is_not,
        // Of modules that ask for the way back, which is there for who is not forged, and for a route that nobody uses.
        "--invert" | "--rt-type" => rule.is_never = true,
        _ => rule.is_unsure = true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Closed, what_drops};
    use super::super::senders::tests::at_home;
    use super::*;

    fn dropped(text: &str, port: u16) -> [bool; 2] {
        closed(text, port).map(|closed| matches!(closed, Some(Closed::All(_))))
    }

    fn closed(text: &str, port: u16) -> [Option<Closed>; 2] {
        let chains = parse(text, Family::V4);
        [Kind::Udp, Kind::Tcp].map(|kind| {
            what_drops(&chains, kind, port, &at_home()).into_iter().next().map(|(_, closed)| closed)
        })
    }

    /// As ufw on Debian 12 writes it, with `ufw allow 22/tcp` and one rule more.
    fn ufw(rule: &str) -> String {
        format!(
            "\
# Generated by iptables-save v1.8.9 (nf_tables)
*nat
:INPUT DROP [0:0]
COMMIT
*filter
:INPUT DROP [12:1234]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
:ufw-not-local - [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -j ufw-user-input
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix \"[UFW BLOCK] \"
-A ufw-not-local -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment \"ssh from -j DROP\" -j ACCEPT
{rule}COMMIT
"
        )
    }

    #[test]
    fn the_rules_of_ufw_are_followed() {
        assert_eq!(dropped(&ufw(""), 10125), [true, true]);
        assert_eq!(dropped(&ufw(""), 22), [true, false]);
        for (rule, found) in [
            ("-A ufw-user-input -p udp -m udp --dport 10125 -j ACCEPT\n", [false, true]),
            ("-A ufw-user-input -p tcp -m multiport --dports 80,10000:10200 -j ACCEPT\n", [true, false]),
            ("-A ufw-user-input -s 192.168.0.0/16 -j ACCEPT\n", [false, false]),
        ] {
            assert_eq!(dropped(&ufw(rule), 10125), found, "{rule}");
        }
    }

    #[test]
    fn an_open_filter_drops_what_a_rule_says() {
        let filter = |rule: &str| format!("*filter\n:INPUT ACCEPT [0:0]\n{rule}COMMIT\n");
        for (rule, found) in [
            ("", [false, false]),
            ("-A INPUT -p udp -m udp --dport 10125 -j DROP\n", [true, false]),
            ("-A INPUT ! -i eth0 -p udp -j DROP\n", [false, false]),
            ("-A INPUT ! -i lo -p udp -j DROP\n", [true, false]),
            ("-A INPUT -i lo -p udp -m udp --dport 10125 -j ACCEPT\n-A INPUT -j DROP\n", [true, true]),
            ("-A INPUT -p udp -m udp ! --dport 53 -j DROP\n", [true, false]),
            ("-A INPUT ! -p udp -j DROP\n", [false, true]),
            ("-A INPUT -i eth+ -j DROP\n", [true, true]),
            ("-A INPUT -s 192.168.1.0/24 -j DROP\n", [true, true]),
            ("-A INPUT ! -s 192.168.1.0/24 -j DROP\n", [false, false]),
            ("-A INPUT -m rpfilter --invert -j DROP\n", [false, false]),
            ("-A INPUT -p udp -m udp --dport 10125 -m conntrack --ctstate INVALID -j DROP\n", [false, false]),
            ("-A INPUT -m pkttype --pkt-type broadcast -j DROP\n", [false, false]),
            (
                "COMMIT\n*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 10125 -j DROP\n",
                [true, false],
            ),
            ("-A INPUT -p tcp -j REJECT --reject-with icmp-port-unreachable\n", [false, true]),
            ("-A INPUT -s 10.0.0.9/32 -j DROP\n", [false, false]),
            ("-A OTHER -j DROP\n-A INPUT\n-A\n", [false, false]),
        ] {
            assert_eq!(dropped(&filter(rule), 10125), found, "{rule}");
        }
    }

    #[test]
    fn a_rule_for_some_is_told_apart() {
        let some = |closed: Option<&Closed>| matches!(closed, Some(Closed::Some(_)));
        for (policy, rule, found) in [
            (
                "ACCEPT",
                "-p udp -m udp --dport 10125 -m hashlimit --hashlimit-above 9/sec -j DROP",
                [true, false],
            ),
            ("ACCEPT", "-i wan0 -p udp -m udp --dport 10125 -j DROP", [false, false]),
            ("ACCEPT", "-s 203.0.113.9/32 -p udp -m udp --dport 10125 -j DROP", [false, false]),
            ("ACCEPT", "-s 192.168.1.9/32 -p tcp -m tcp --dport 10125 -j DROP", [false, true]),
            ("ACCEPT", "-p udp -j NFQUEUE --queue-num 0", [true, false]),
            ("DROP", "-m set --match-set friends src -j ACCEPT", [true, true]),
            ("DROP", "-i docker0 -j ACCEPT", [false, false]),
            ("DROP", "-m rt --rt-type 0 -j ACCEPT", [false, false]),
        ] {
            let text = format!("*filter\n:INPUT {policy} [0:0]\n-A INPUT {rule}\nCOMMIT\n");
            assert_eq!(closed(&text, 10125).each_ref().map(|closed| some(closed.as_ref())), found, "{rule}");
        }
    }
}
