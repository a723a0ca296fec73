//! What a packet filter does to the hub's port: a model of its rules that is just detailed enough to tell.

use crate::machine::Kind;

/// How deep chains may lead into each other.
const DEPTH: usize = 16;

/// What a rule does with what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    /// Dropped or rejected.
    Drop,
    Return,
    Chain(String),
    /// Nothing that decides, such as counting.
    Other,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Protocols that it matches, if it says.
    pub(super) kinds: Option<Vec<Kind>>,
    /// Ports that it matches, if it says: first and last of each range.
    pub(super) ports: Option<Vec<(u16, u16)>>,
    /// It matches some senders, or up to some rate.
    pub(super) is_partial: bool,
    /// It matches what is no new datagram or connection, or what is not understood here.
    pub(super) is_special: bool,
    /// It matches what comes from this machine alone.
    pub(super) is_loopback: bool,
    pub(super) verdict: Verdict,
    /// As it is listed.
    pub(super) text: String,
}

impl Rule {
    pub(super) fn new(text: &str) -> Self {
        Self {
            kinds: None,
            ports: None,
            is_partial: false,
            is_special: false,
            is_loopback: false,
            verdict: Verdict::Other,
            text: text.to_owned(),
        }
    }

    fn concerns(&self, kind: Kind, port: u16) -> bool {
        let by_kind = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        let by_port = self.ports.as_ref();
        by_kind
            && !self.is_loopback
            && by_port.is_none_or(|ports| ports.iter().any(|&(first, last)| (first..=last).contains(&port)))
    }
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) table: String,
    pub(super) name: String,
    /// Whether all that comes to this machine passes it, and is dropped at its end.
    pub(super) input: Option<bool>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Accepted,
    /// By which rule.
    Dropped(String),
    Undecided,
}

/// What drops datagrams or connections to the port: the chain that they enter by, which is where they can be let
/// through, and the rule or policy in words.
///
/// Each such chain is asked, since what one accepts another may still drop.
pub(super) fn what_drops(chains: &[Chain], kind: Kind, port: u16) -> Vec<(&Chain, String)> {
    let by = |chain: &Chain| {
        let drops_by_default = chain.input?;
        match walk(chains, chain, (kind, port), DEPTH) {
            Fate::Dropped(rule) => Some(rule),
            Fate::Undecided if drops_by_default => {
                Some(format!("the policy of the chain {} (table {})", chain.name, chain.table))
            }
            Fate::Accepted | Fate::Undecided => None,
        }
    };
    chains.iter().filter_map(|chain| by(chain).map(|what| (chain, what))).collect()
}

fn walk(chains: &[Chain], chain: &Chain, what: (Kind, u16), depth: usize) -> Fate {
    for rule in chain.rules.iter().filter(|rule| rule.concerns(what.0, what.1)) {
        // A rule that names the port is meant for it, whatever else it says.
        let is_meant = rule.ports.is_some();
        match &rule.verdict {
            Verdict::Accept if is_meant || !rule.is_special => return Fate::Accepted,
            Verdict::Drop if is_meant || !(rule.is_special || rule.is_partial) => {
                let (text, name, table) = (&rule.text, &chain.name, &chain.table);
                return Fate::Dropped(format!("the rule `{text}` of the chain {name} (table {table})"));
            }
            Verdict::Return if !(rule.is_special || rule.is_partial) => return Fate::Undecided,
            Verdict::Chain(name) if !rule.is_special && depth > 0 => {
                let next = chains.iter().find(|next| next.table == chain.table && next.name == *name);
                match next.map(|next| walk(chains, next, what, depth - 1)) {
                    Some(Fate::Undecided) | None => {}
                    Some(fate) => return fate,
                }
            }
            Verdict::Accept | Verdict::Drop | Verdict::Return | Verdict::Chain(_) | Verdict::Other => {}
        }
    }
    Fate::Undecided
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_lead_in_a_circle_come_to_an_end() {
        let rule = Rule { verdict: Verdict::Chain("a".to_owned()), ..Rule::new("jump a") };
        let rules = vec![rule];
        let chain = Chain { table: "t".to_owned(), name: "a".to_owned(), input: Some(true), rules };
        let chains = [chain];
        let dropped = what_drops(&chains, Kind::Udp, 99);
        assert!(dropped[0].1.contains("policy"), "{dropped:?}");
    }
}
