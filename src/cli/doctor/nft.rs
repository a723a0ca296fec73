//! Reads what `nft list ruleset` prints.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::rules::{Chain, OneOf, Rule, Verdict};
use super::senders::Family;
use crate::machine::Kind;

/// Where what comes to this machine may be dropped.
const HOOKS: [&str; 3] = ["ingress", "prerouting", "input"];

/// What the sets hold that are read.
const SET_TYPES: [&str; 4] = ["type inet_service", "type ifname", "type ipv4_addr", "type ipv6_addr"];

/// Protocols of which no datagram or connection to the hub is one.
const OTHER_PROTOCOLS: [&str; 9] = ["icmp", "icmpv6", "igmp", "esp", "ah", "sctp", "dccp", "udplite", "comp"];

/// The longest list that is read where a rule names it.
const SET_BYTES: usize = 4096;

/// The chains of the ruleset; what is no chain is left out.
pub(super) fn parse(text: &str) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut table = String::new();
    let mut lines: Vec<String> = Vec::new();
    let mut in_chain = false;
    let mut sets: Vec<Set> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("table ").and_then(|rest| rest.strip_suffix(" {")) {
            name.clone_into(&mut table);
            sets.clear();
        } else if let Some(name) = line.strip_prefix("\tchain ").and_then(|rest| rest.strip_suffix(" {")) {
            let (table, name) = (table.clone(), name.to_owned());
            let family = match table.split_once(' ') {
                Some(("ip", _)) => Some(Family::V4),
                Some(("ip6", _)) => Some(Family::V6),
                _ => None,
            };
            chains.push(Chain { table, name, family, devices: None, input: None, rules: Vec::new() });
            in_chain = true;
        } else if let Some(name) = line.strip_prefix("\tset ").and_then(|rest| rest.strip_suffix(" {")) {
            sets.push(Set { name: format!("@{name}"), elements: None });
        } else if line == "\t}" {
            match chains.last_mut().filter(|_| in_chain) {
                Some(chain) => fill(chain, &lines, &sets),
                None => sets.last_mut().into_iter().for_each(|set| set.fill(&lines)),
            }
            lines.clear();
            in_chain = false;
        } else {
            // A long set goes on in further lines, indented more.
            let goes_on = line.strip_prefix("\t\t").is_some_and(|rest| rest.starts_with([' ', '\t']));
            match lines.last_mut().filter(|_| goes_on) {
                Some(last) => last.push_str(line),
                None => lines.push(line.trim().to_owned()),
            }
        }
    }
    chains
}

/// A set with a name, such as rules use.
struct Set {
    name: String,
    /// As they stand in braces, if they are read here and not too many.
    elements: Option<String>,
}

impl Set {
    fn fill(&mut self, lines: &[String]) {
        let is_read = lines.iter().any(|line| SET_TYPES.contains(&line.as_str()));
        let elements = lines.iter().find_map(|line| line.strip_prefix("elements = "));
        let elements = elements.filter(|text| is_read && text.len() <= SET_BYTES);
        if self.elements.is_none() {
            self.elements = elements.map(str::to_owned);
        }
    }
}

fn fill(chain: &mut Chain, lines: &[String], sets: &[Set]) {
    for line in lines {
        if line.starts_with("type ") && line.contains(" hook ") {
            let is_input = HOOKS.iter().any(|hook| line.starts_with(&format!("type filter hook {hook} ")));
            // What it asks is not what a hub is asked.
            let is_input = is_input && !chain.table.starts_with("arp ");
            chain.input = is_input.then(|| line.contains("policy drop"));
            chain.devices = devices(line);
        } else {
            let named = |set: &&Set| line.split_whitespace().any(|word| word == set.name);
            let set = sets.iter().find(named).and_then(|set| Some((&set.name, set.elements.as_ref()?)));
            let told = set.map_or_else(|| line.clone(), |(name, elements)| line.replace(name, elements));
            chain.rules.extend(without_map(&told).iter().map(|one| Rule { text: line.clone(), ..rule(one) }));
        }
    }
}

/// The interfaces that a chain is for, if it says.
fn devices(line: &str) -> Option<Vec<String>> {
    let mut words = words(line).into_iter().peekable();
    let word = words.find(|word| word == "device" || word == "devices")?;
    if word == "devices" {
        words.next();
    }
    Some(value(&mut words).0)
}

/// A rule that looks its verdict up among several is as many rules.
fn without_map(line: &str) -> Vec<String> {
    let Some((head, rest)) = line.split_once(" vmap { ") else { return vec![line.to_owned()] };
    let Some((map, _)) = rest.split_once('}') else { return vec![line.to_owned()] };
    let entries = map.split(',').filter_map(|entry| entry.rsplit_once(" : "));
    entries.map(|(key, verdict)| format!("{head} {} {}", key.trim(), verdict.trim())).collect()
}

type Words = Peekable<IntoIter<String>>;

fn rule(line: &str) -> Rule {
    let mut rule = Rule::new(line);
    // Asks for the way back, which is there for who is not forged.
    rule.is_never = line.contains("oif missing");
    let mut words: Words = words(line).into_iter().peekable();
    // Fields that are compared together, such as `ip saddr . udp dport`, are not understood, nor is a map that stands
    // elsewhere; what becomes of it is.
    if words.clone().any(|word| word == "." || word == "vmap") {
        rule.is_unsure = true;
        let decides = |word: &String| matches!(word.as_str(), "jump" | "goto") || verdict(word).is_some();
        while words.next_if(|word| !decides(word)).is_some() {}
    }
    while let Some(word) = words.next() {
        match word.as_str() {
            "jump" => {
                rule.verdict = words.next().map_or(Verdict::Other, Verdict::Jump);
                return rule;
            }
            "goto" => {
                rule.verdict = words.next().map_or(Verdict::Other, Verdict::Goto);
                return rule;
            }
            "counter" => skip(&mut words, &["packets", "bytes", "name"]),
            "log" => skip(&mut words, &["prefix", "level", "group", "flags", "snaplen", "queue-threshold"]),
            word => match verdict(word) {
                Some(verdict) => {
                    rule.verdict = verdict;
                    return rule;
                }
                None => condition(&mut rule, word, &mut words),
            },
        }
    }
    rule
}

/// What a rule matches, by the first word of it.
fn condition(rule: &mut Rule, word: &str, words: &mut Words) {
    let mut is_next = |word: &str| words.next_if(|next| next == word).is_some();
    match word {
        "udp" => protocol(rule, &[Kind::Udp], words),
        "tcp" => protocol(rule, &[Kind::Tcp], words),
        "th" => protocol(rule, &[Kind::Udp, Kind::Tcp], words),
        "meta" if is_next("l4proto") => by_name(rule, words),
        "meta" if is_next("nfproto") => {
            let (families, is_not) = value(words);
            let is_old = families.iter().any(|family| family == "ipv4") != is_not;
            rule.family = Some(if is_old { Family::V4 } else { Family::V6 });
        }
        "meta" if is_next("pkttype") => {
            let (types, is_not) = value(words);
            rule.is_never |= types.iter().any(|one| one == "host" || one == "unicast") == is_not;
        }
        "ip" | "ip6" => {
            rule.family = Some(if word == "ip" { Family::V4 } else { Family::V6 });
            let field = words.next();
            if matches!(field.as_deref(), Some("protocol" | "nexthdr")) {
                return by_name(rule, words);
            }
            let (values, is_not) = value(words);
            match field.as_deref() {
                Some("saddr") => {
                    let sources = rule.addresses(&values, is_not);
                    rule.sources.push(sources);
                }
                Some("daddr") => {
                    let destinations = rule.addresses(&values, is_not);
                    rule.destinations.push(destinations);
                }
                _ => rule.is_unsure = true,
            }
        }
        "iif" | "iifname" => {
            let (all, is_not) = value(words);
            rule.is_unsure |= all.iter().any(|name| name.starts_with('@'));
            rule.interfaces.push(OneOf { all, is_not });
        }
        "ct" => {
            let field = words.next();
            let (states, is_not) = value(words);
            match field.as_deref() {
                Some("state") => rule.is_never |= states.iter().any(|state| state == "new") == is_not,
                // Whose addresses are not rewritten.
                Some("status") if states == ["dnat"] => rule.is_never |= !is_not,
                _ => rule.is_unsure = true,
            }
        }
        "fib" if is_next("daddr") && is_next("type") => {
            let (types, is_not) = value(words);
            rule.is_never |= types.iter().any(|one| one == "local") == is_not;
        }
        other if OTHER_PROTOCOLS.contains(&other) => {
            rule.narrow(&[]);
            words.next();
            value(words);
        }
        _ => rule.is_unsure = true,
    }
}

/// Leaves out what belongs to a word: pairs of these and a value each.
fn skip(words: &mut Words, keys: &[&str]) {
    while words.next_if(|next| keys.contains(&next.as_str())).is_some() {
        words.next();
    }
}

fn verdict(word: &str) -> Option<Verdict> {
    Some(match word {
        "accept" => Verdict::Accept,
        "drop" | "reject" => Verdict::Drop,
        "return" => Verdict::Return,
        // A map that is kept elsewhere, or a program.
        "vmap" | "queue" => Verdict::Unknown,
        _ => return None,
    })
}

/// A protocol's word, with a field of its behind it.
fn protocol(rule: &mut Rule, kinds: &[Kind], words: &mut Words) {
    rule.narrow(kinds);
    if words.next().is_none_or(|field| field != "dport") {
        rule.is_unsure = true;
        value(words);
        return;
    }
    let (ports, is_not) = value(words);
    let all: Vec<(u16, u16)> = ports.iter().filter_map(|port| range(port, '-')).collect();
    // A set that is not known may hold the port; it is meant for some, at least.
    if all.len() < ports.len() {
        rule.is_unsure = true;
        rule.ports = Some(OneOf { all: vec![(0, u16::MAX)], is_not: false });
    } else {
        rule.ports = Some(OneOf { all, is_not });
    }
}

/// A field whose value is a protocol's name.
fn by_name(rule: &mut Rule, words: &mut Words) {
    let (names, is_not) = value(words);
    let all = [("udp", Kind::Udp), ("tcp", Kind::Tcp)].into_iter();
    let kinds: Vec<Kind> = all
        .filter(|(name, _)| names.iter().any(|given| given == name) != is_not)
        .map(|(_, kind)| kind)
        .collect();
    rule.narrow(&kinds);
}

/// The values behind a field, and whether they are those that do not match.
fn value(words: &mut Words) -> (Vec<String>, bool) {
    let is_not = words.next_if(|word| word == "!=").is_some();
    let is_set = words.next_if(|word| word == "{").is_some();
    let mut values: Vec<String> = words.next().into_iter().collect();
    while words.next_if(|word| word == ",").is_some() {
        values.extend(words.next());
    }
    if is_set {
        words.next_if(|word| word == "}");
    }
    (values, is_not)
}

/// One port, or a range of them.
pub(super) fn range(text: &str, between: char) -> Option<(u16, u16)> {
    let (first, last) = text.split_once(between).unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The words of a rule; one in quotation marks may have spaces, and counts as one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.replace(',', " , ").split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Closed, what_drops};
    use super::super::senders::tests::at_home;
    use super::*;

    fn drops(text: &str, port: u16) -> [Option<String>; 2] {
        closed(text, port).map(|closed| match closed {
            Some(Closed::All(by)) => Some(by),
            Some(Closed::Networks(..) | Closed::Some(_) | Closed::Hardly(_)) | None => None,
        })
    }

    fn closed(text: &str, port: u16) -> [Option<Closed>; 2] {
        let chains = parse(text);
        [Kind::Udp, Kind::Tcp].map(|kind| {
            what_drops(&chains, kind, port, &at_home()).into_iter().next().map(|(_, closed)| closed)
        })
    }

    const WORKSTATION: &str = "\
table inet filter {
\tset blocked {
\t\ttype ipv4_addr
\t\telements = { 203.0.113.5,
\t\t\t     203.0.113.6 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\tct state invalid drop
\t\tiifname \"lo\" accept
\t\tip saddr @blocked drop
\t\tmeta l4proto { icmp, ipv6-icmp } accept
\t\ttcp dport { 22, 80, 443,
\t\t\t    8000-8100, 10125 } accept comment \"web, drop\"
\t\tlimit rate 5/minute burst 5 packets log prefix \"nft drop: \" counter packets 3 bytes 84
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t}
}
";

    #[test]
    fn a_policy_that_drops_needs_a_rule_that_accepts() {
        let [udp, tcp] = drops(WORKSTATION, 10125);
        assert_eq!(udp.as_deref(), Some("the policy of the chain input (table inet filter)"));
        assert_eq!(tcp, None);
        assert_eq!(drops(WORKSTATION, 8050)[1], None, "a range");
        assert!(drops(WORKSTATION, 8101)[1].is_some());
    }

    #[test]
    fn a_rule_for_the_port_decides_before_the_policy() {
        let chain = |rules: &str| {
            let head = "\t\ttype filter hook input priority filter; policy accept;\n";
            let ports =
                "\tset ports {\n\t\ttype inet_service\n\t\telements = { 99,\n\t\t\t     10125 }\n\t}\n\n";
            let friends = "\tset friends {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }\n\t}\n\n";
            format!("table ip t {{\n{ports}{friends}\tchain in {{\n{head}{rules}\t}}\n}}\n")
        };
        for (rules, dropped) in [
            ("", [false, false]),
            ("\t\tudp dport 10125 drop\n", [true, false]),
            ("\t\ttcp dport 10000-11000 reject with tcp reset\n", [false, true]),
            ("\t\tudp dport 10125 accept\n\t\tdrop\n", [false, true]),
            ("\t\tip saddr 192.168.0.0/16 accept\n\t\tdrop\n", [false, false]),
            ("\t\tip saddr 203.0.113.5 drop\n", [false, false]),
            ("\t\tiifname \"lo\" accept\n\t\tcounter packets 1 bytes 2 drop\n", [true, true]),
            ("\t\tiifname \"eth0\" accept\n\t\tdrop\n", [false, false]),
            ("\t\tct state new udp dport 10125 accept\n\t\tmeta l4proto udp drop\n", [false, false]),
            ("\t\tmeta l4proto udp drop\n", [true, false]),
            ("\t\tudp dport != 53 drop\n", [true, false]),
            ("\t\tudp dport != 10125 drop\n", [false, false]),
            ("\t\tth dport 10125 drop\n", [true, true]),
            ("\t\tudp dport @ports drop\n", [true, false]),
            ("\t\tip saddr @friends drop\n", [false, false]),
            ("\t\tudp dport vmap { 22 : accept, 10000-10200 : drop }\n", [true, false]),
            ("\t\tct state vmap { invalid : drop, established : accept }\n", [false, false]),
            ("\t\tmeta l4proto . th dport { udp . 10125 } drop\n", [false, false]),
            ("\t\tip protocol udp reject with icmp port-unreachable\n", [true, false]),
            ("\t\tiifname != \"lo\" counter packets 0 bytes 0 drop\n", [true, true]),
            ("\t\tiif \"lo\" udp dport 10125 accept\n\t\tdrop\n", [true, true]),
            ("\t\tmeta pkttype { broadcast, multicast } drop\n", [false, false]),
            ("\t\tnumgen random mod 100 < 20 drop\n", [false, false]),
        ] {
            let found = drops(&chain(rules), 10125).map(|what| what.is_some());
            assert_eq!(found, dropped, "{rules}");
        }
    }

    /// What a chain does to those in 192.168.1.0/24, who come by eth0: all of them, some or hardly any are kept out.
    fn parted(policy: &str, rules: &str) -> Option<&'static str> {
        let head = format!("\t\ttype filter hook input priority filter; policy {policy};\n");
        let friends = "\tset friends {\n\t\ttype ipv4_addr\n\t\telements = { 192.168.0.0/16 }\n\t}\n\n";
        let other = "\tchain x {\n\t\tudp dport 10125 accept\n\t}\n\n";
        let [udp, _] = closed(
            &format!("table inet t {{\n{friends}{other}\tchain in {{\n{head}{rules}\n\t}}\n}}\n"),
            10125,
        );
        udp.map(|closed| match closed {
            Closed::All(_) => "all",
            Closed::Networks(..) => "networks",
            Closed::Some(_) => "some",
            Closed::Hardly(_) => "hardly",
        })
    }

    #[test]
    fn a_rule_for_others_neither_shuts_nor_opens() {
        for (rules, found) in [
            ("iifname \"wan0\" udp dport 10125 drop", None),
            ("iifname \"eth*\" drop", Some("all")),
            ("iifname != \"eth0\" drop", None),
            ("ip saddr 203.0.113.9 udp dport 10125 drop", None),
            ("ip saddr 192.168.1.9 udp dport 10125 drop", Some("some")),
            ("ip saddr 192.168.1.9 drop", Some("hardly")),
            ("ip saddr 192.168.0.0/16 drop", Some("all")),
            ("ip saddr != { 10.0.0.0/8, 192.168.0.0-192.168.9.255 } drop", None),
            ("ip6 saddr ::/0 drop", None),
            ("meta nfproto ipv6 drop", None),
            ("udp dport 10125 limit rate over 5000/second drop", Some("some")),
            ("limit rate over 5000/second drop", Some("hardly")),
            ("udp dport 10125 ct state invalid drop", None),
            ("ct state { established, new } udp dport 10125 drop", Some("all")),
            ("ct state new udp dport 10125 meter m { ip saddr limit rate over 9/second } drop", Some("some")),
            ("meta pkttype { broadcast, multicast } drop", None),
            ("fib saddr . iif oif missing drop", None),
            ("udp dport vmap @kept", Some("some")),
            ("udp dport @unknown drop", Some("some")),
            ("meta l4proto tcp th dport 10125 drop", None),
            ("limit rate 9/second goto x\n\t\tdrop", Some("some")),
            ("goto x\n\t\tdrop", None),
            ("jump y\n\t\tudp dport 10125 drop", Some("all")),
        ] {
            assert_eq!(parted("accept", rules), found, "{rules}");
        }
        for (rules, found) in [
            ("iifname \"docker0\" accept", Some("all")),
            ("ip daddr 224.0.0.0/4 accept", Some("all")),
            ("ip saddr 203.0.113.9 accept", Some("all")),
            ("ct status dnat accept", Some("all")),
            ("icmp type echo-request accept", Some("all")),
            ("fib daddr type { broadcast, multicast } accept", Some("all")),
            ("ip saddr 192.168.1.9 accept", Some("some")),
            ("meta mark 0x00000001 accept", Some("some")),
            ("limit rate 9/second accept", Some("some")),
            ("ip saddr 192.168.0.0/16 accept", None),
            ("ip saddr @friends accept", None),
            ("ip daddr 192.168.1.7 udp dport 10125 accept", None),
            ("iifname { \"eth0\", \"eth1\" } accept", None),
            ("meta nfproto ipv4 jump x", None),
            ("meta nfproto ipv6 jump x", Some("all")),
        ] {
            assert_eq!(parted("drop", rules), found, "{rules}");
        }
    }

    #[test]
    fn a_chain_of_an_interface_is_for_those_who_come_by_it() {
        let chain = |device: &str| {
            let head = format!("type filter hook ingress {device} priority filter; policy accept;");
            format!("table netdev t {{\n\tchain in {{\n\t\t{head}\n\t\tudp dport 10125 drop\n\t}}\n}}\n")
        };
        for (device, dropped) in [
            ("device \"eth0\"", true),
            ("devices = { \"eth1\", \"eth0\" }", true),
            ("device \"eth1\"", false),
        ] {
            assert_eq!(drops(&chain(device), 10125)[0].is_some(), dropped, "{device}");
        }
    }

    const FIREWALLD: &str = "\
table inet firewalld {
\tchain filter_INPUT {
\t\ttype filter hook input priority filter + 10; policy accept;
\t\tct state { established, related } accept
\t\tct status dnat accept
\t\tiifname \"lo\" accept
\t\tct state invalid drop
\t\tjump filter_INPUT_ZONES
\t\treject with icmpx admin-prohibited
\t}

\tchain filter_INPUT_ZONES {
\t\tiifname \"eth0\" goto filter_IN_public
\t\tgoto filter_IN_public
\t}

\tchain filter_IN_public {
\t\tjump filter_IN_public_allow
\t\tmeta l4proto { icmp, ipv6-icmp } accept
\t\treject with icmpx admin-prohibited
\t}

\tchain filter_IN_public_allow {
\t\ttcp dport 22 accept
\t\tudp dport 10125 accept
\t}
}
";

    #[test]
    fn chains_are_followed() {
        let [udp, tcp] = drops(FIREWALLD, 10125);
        assert_eq!(udp, None);
        assert!(tcp.is_some_and(|what| what.contains("filter_IN_public")));
        assert_eq!(drops(FIREWALLD, 22)[1], None);
    }

    #[test]
    fn what_is_no_ruleset_drops_nothing() {
        for text in ["", "}", "\t}\n\tchain x {", "table ip t {\n\tchain in {\n\t\t\"\n", "\t\t, {\n"] {
            assert_eq!(drops(text, 10125), [None, None], "{text}");
        }
    }
}
