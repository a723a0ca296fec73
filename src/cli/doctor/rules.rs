//! What a packet filter does to the hub's port: a model of its rules that is just detailed enough to tell.

use super::senders::{Family, Range, Sender};
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
    /// Goes through another chain, then on behind the rule.
    Jump(String),
    /// Goes through another chain, then on behind this one.
    Goto(String),
    /// Something else decides, which is not known here.
    Unknown,
    /// Nothing that decides, such as counting.
    Other,
}

/// Things of which a rule matches one, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OneOf<T> {
    pub(super) all: Vec<T>,
    pub(super) is_not: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Protocols that it matches, if it says.
    pub(super) kinds: Option<Vec<Kind>>,
    /// Ports that it matches, if it says: first and last of each range.
    pub(super) ports: Option<OneOf<(u16, u16)>>,
    pub(super) family: Option<Family>,
    pub(super) interfaces: Vec<OneOf<String>>,
    pub(super) sources: Vec<OneOf<Range>>,
    pub(super) destinations: Vec<OneOf<Range>>,
    /// It matches no new datagram or connection to this machine.
    pub(super) is_never: bool,
    /// It matches some only, such as those up to a rate, or says what is not understood here.
    pub(super) is_unsure: bool,
    pub(super) verdict: Verdict,
    /// As it is listed.
    pub(super) text: String,
}

/// Whether a rule matches what somebody sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Never,
    Maybe,
    Always,
}

impl Match {
    fn is(is_so: bool) -> Self {
        if is_so { Self::Always } else { Self::Never }
    }

    fn not_if(self, is_not: bool) -> Self {
        match self {
            Self::Never if is_not => Self::Always,
            Self::Always if is_not => Self::Never,
            Self::Never | Self::Maybe | Self::Always => self,
        }
    }
}

impl Rule {
    pub(super) fn new(text: &str) -> Self {
        Self {
            kinds: None,
            ports: None,
            family: None,
            interfaces: Vec::new(),
            sources: Vec::new(),
            destinations: Vec::new(),
            is_never: false,
            is_unsure: false,
            verdict: Verdict::Other,
            text: text.to_owned(),
        }
    }

    /// It matches these protocols alone, too.
    pub(super) fn narrow(&mut self, kinds: &[Kind]) {
        let both = |kind: &Kind| self.kinds.as_ref().is_none_or(|old| old.contains(kind));
        self.kinds = Some(kinds.iter().copied().filter(both).collect());
    }

    /// Addresses as they are listed; what cannot be read, such as the name of a set, is not understood.
    pub(super) fn addresses(&mut self, values: &[String], is_not: bool) -> OneOf<Range> {
        let all: Vec<Range> = values.iter().filter_map(|value| Range::parse(value)).collect();
        self.is_unsure |= all.len() < values.len();
        OneOf { all, is_not }
    }

    fn matches(&self, (kind, port): (Kind, u16), sender: &Sender) -> Match {
        let of_interface = |names: &OneOf<String>| {
            Match::is(names.all.iter().any(|name| is_called(&sender.interface, name))).not_if(names.is_not)
        };
        let ports = self.ports.as_ref().map_or(Match::Always, |ports| {
            let is_among = ports.all.iter().any(|&(first, last)| (first..=last).contains(&port));
            Match::is(is_among).not_if(ports.is_not)
        });
        let plain = [
            Match::is(!self.is_never),
            Match::is(self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))),
            Match::is(self.family.is_none_or(|family| family == sender.family)),
            if self.is_unsure { Match::Maybe } else { Match::Always },
            ports,
        ];
        let interfaces = self.interfaces.iter().map(of_interface);
        let sources = self.sources.iter().map(|given| among(given, &sender.sources));
        let destinations = self.destinations.iter().map(|given| among(given, &sender.own));
        let all = plain.into_iter().chain(interfaces).chain(sources).chain(destinations);
        all.min().unwrap_or(Match::Always)
    }
}

/// A name that ends so stands for all that begin with the rest.
fn is_called(interface: &str, name: &str) -> bool {
    match name.strip_suffix(['*', '+']) {
        Some(start) => interface.starts_with(start),
        None => interface == name,
    }
}

fn among(given: &OneOf<Range>, range: &Range) -> Match {
    let found = if given.all.iter().any(|given| given.holds(range)) {
        Match::Always
    } else if given.all.iter().any(|given| given.meets(range)) {
        Match::Maybe
    } else {
        Match::Never
    };
    // Of what could not be read nothing is left; the rule itself is unsure then.
    if given.all.is_empty() { Match::Maybe } else { found.not_if(given.is_not) }
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) family: Option<Family>,
    /// The interfaces whose packets enter it, where it is not all.
    pub(super) devices: Option<Vec<String>>,
    /// Whether all that comes to this machine passes it, and is dropped at its end.
    pub(super) input: Option<bool>,
    pub(super) rules: Vec<Rule>,
}

/// What a chain does to those who send to the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It drops all that they send: which rule or policy.
    All(String),
    /// It drops what comes from these networks: which, and by what.
    Networks(Vec<String>, String),
    /// It drops what comes from some, or may: a rule that parts them.
    Some(String),
    /// It drops nothing that is known, but for what a rule says that does not name the port, and was not understood or is
    /// for some.
    Hardly(String),
}

/// What keeps senders from the port: the chain that they enter by, which is where they can be let through, and what it
/// does.
///
/// Each such chain is asked, since what one accepts another may still drop.
pub(super) fn what_drops<'a>(
    chains: &'a [Chain],
    kind: Kind,
    port: u16,
    senders: &[Sender],
) -> Vec<(&'a Chain, Closed)> {
    let entries = chains.iter().filter(|chain| chain.input.is_some());
    entries.filter_map(|chain| Some((chain, closed(chains, chain, (kind, port), senders)?))).collect()
}

fn closed(chains: &[Chain], chain: &Chain, what: (Kind, u16), senders: &[Sender]) -> Option<Closed> {
    let comes_by = |sender: &&Sender| {
        let by_device = chain.devices.as_ref().is_none_or(|devices| devices.contains(&sender.interface));
        by_device && chain.family.is_none_or(|family| family == sender.family)
    };
    let (mut shut, mut networks, mut parted, mut hardly) = (None, Vec::new(), None, None);
    let mut asked = 0_usize;
    for sender in senders.iter().filter(comes_by) {
        asked += 1;
        let mut walk = Walk { chains, what, sender, fates: Fates::default() };
        if walk.through(chain, Way { is_sure: true, is_meant: false }, DEPTH) {
            walk.end(chain);
        }
        let fates = walk.fates;
        hardly = hardly.or(fates.passed_over);
        match (fates.accepted, fates.dropped) {
            (false, Some(by)) => {
                shut.get_or_insert(by);
                networks.push(sender.network());
            }
            (true, Some(by)) => {
                parted.get_or_insert(fates.unsure.unwrap_or(by));
            }
            (_, None) => {}
        }
    }
    match (shut, parted) {
        // A chain of one interface shuts out nobody who comes by another.
        (Some(by), None) if networks.len() == asked && asked == senders.len() => Some(Closed::All(by)),
        (Some(by), None) if networks.len() == asked && chain.family.is_some() => Some(Closed::All(by)),
        (Some(by), _) => Some(Closed::Networks(networks, by)),
        (None, Some(by)) => Some(Closed::Some(by)),
        (None, None) => hardly.map(Closed::Hardly),
    }
}

/// What may become of what somebody sends.
#[derive(Debug, Default)]
struct Fates {
    accepted: bool,
    /// By what.
    dropped: Option<String>,
    /// The first rule that decides, but perhaps not for all.
    unsure: Option<String>,
    /// The first such that would drop, but does not name the port: filters are full of those against what nobody sends.
    passed_over: Option<String>,
}

/// How a chain is reached.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Not by a rule that matches some only.
    is_sure: bool,
    /// By a rule that names the port.
    is_meant: bool,
}

struct Walk<'a> {
    chains: &'a [Chain],
    what: (Kind, u16),
    sender: &'a Sender,
    fates: Fates,
}

impl Walk<'_> {
    /// Follows a chain; tells whether its end can be reached.
    fn through(&mut self, chain: &Chain, way: Way, depth: usize) -> bool {
        let mut comes_back = false;
        for rule in &chain.rules {
            let found = rule.matches(self.what, self.sender);
            if found == Match::Never {
                continue;
            }
            let is_always = found == Match::Always;
            let way =
                Way { is_sure: way.is_sure && is_always, is_meant: way.is_meant || rule.ports.is_some() };
            let goes_on = match &rule.verdict {
                Verdict::Other => true,
                Verdict::Return => {
                    comes_back = true;
                    false
                }
                Verdict::Jump(name) => self.into(chain, name, way, depth),
                Verdict::Goto(name) => {
                    comes_back |= self.into(chain, name, way, depth);
                    false
                }
                verdict @ (Verdict::Accept | Verdict::Drop | Verdict::Unknown) => {
                    self.decide(chain, rule, verdict, way);
                    *verdict == Verdict::Unknown
                }
            };
            if is_always && !goes_on {
                return comes_back;
            }
        }
        true
    }

    fn into(&mut self, chain: &Chain, name: &str, way: Way, depth: usize) -> bool {
        let next = self.chains.iter().find(|next| next.table == chain.table && next.name == name);
        next.filter(|_| depth > 0).is_none_or(|next| self.through(next, way, depth - 1))
    }

    fn decide(&mut self, chain: &Chain, rule: &Rule, verdict: &Verdict, way: Way) {
        let (text, name, table) = (&rule.text, &chain.name, &chain.table);
        let by = format!("the rule `{text}` of the chain {name} (table {table})");
        let is_sure = way.is_sure && *verdict != Verdict::Unknown;
        if *verdict == Verdict::Drop && !is_sure && !way.is_meant {
            self.fates.passed_over.get_or_insert(by);
            return;
        }
        if !is_sure {
            self.fates.unsure.get_or_insert_with(|| by.clone());
        }
        self.fates.accepted |= *verdict != Verdict::Drop;
        if *verdict != Verdict::Accept && (is_sure || self.fates.dropped.is_none()) {
            self.fates.dropped = Some(by);
        }
    }

    /// What has come through the chain that it entered by.
    fn end(&mut self, chain: &Chain) {
        if chain.input == Some(true) {
            self.fates.dropped =
                Some(format!("the policy of the chain {} (table {})", chain.name, chain.table));
        } else {
            self.fates.accepted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::senders::tests::at_home;
    use super::*;

    #[test]
    fn chains_that_lead_in_a_circle_come_to_an_end() {
        let rule = Rule { verdict: Verdict::Jump("a".to_owned()), ..Rule::new("jump a") };
        let (table, name) = ("t".to_owned(), "a".to_owned());
        let chain = Chain { table, name, family: None, devices: None, input: Some(true), rules: vec![rule] };
        let chains = [chain];
        let dropped = what_drops(&chains, Kind::Udp, 99, &at_home());
        assert!(matches!(&dropped[0].1, Closed::All(by) if by.contains("policy")), "{dropped:?}");
    }
}
