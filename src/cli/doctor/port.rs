//! Who holds the hub's port.

use super::finding::{Finding, Report};
use super::service::processes;
use crate::cli::exit::Failure;
use crate::machine::{Held, Holder, Kind, held, ports};

const CHECK: &str = "port";

/// Over what the hub of this machine is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Both,
    UdpOnly,
    TcpOnly,
}

impl Serves {
    pub(super) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Both => &[Kind::Udp, Kind::Tcp],
            Self::UdpOnly => &[Kind::Udp],
            Self::TcpOnly => &[Kind::Tcp],
        }
    }

    /// A hub that could not have all the ports that it is told to listen on does not start, so that one that holds
    /// the port over one transport, and nobody over the other, is told to use that one.
    fn of(udp: &Held, tcp: &Held) -> Self {
        let may_be_hub = |held: &Held| match held {
            Held::ByNobody => false,
            Held::By(holders) => hub(holders).is_some(),
            Held::BySomebody => true,
        };
        match (udp, tcp) {
            (udp, Held::ByNobody) if may_be_hub(udp) => Self::UdpOnly,
            (Held::ByNobody, tcp) if may_be_hub(tcp) => Self::TcpOnly,
            _ => Self::Both,
        }
    }
}

/// Tells over what the hub serves, if one runs here.
pub(super) fn check(port: u16, runs: bool, report: &mut Report<'_>) -> Result<Option<Serves>, Failure> {
    let (udp, tcp) = (held(Kind::Udp, port), held(Kind::Tcp, port));
    let serves = runs.then(|| Serves::of(&udp, &tcp));
    for (kind, held) in [(Kind::Udp, udp), (Kind::Tcp, tcp)] {
        if let Some(finding) = judge(kind, port, serves, &held) {
            report.add(&finding)?;
        }
    }
    Ok(serves)
}

/// systemd keeps the sockets of the service beside it.
fn hub(holders: &[Holder]) -> Option<&Holder> {
    let hub = holders.iter().find(|holder| holder.name == "pigeond");
    hub.or_else(|| holders.iter().find(|holder| holder.pid == 1))
}

/// The port to look at: the wanted one, unless it is known that no hub of this machine listens there, but elsewhere.
pub(super) fn real(wanted: u16, report: &mut Report<'_>) -> Result<u16, Failure> {
    let known: Vec<(i32, Vec<u16>)> = processes().into_iter().map(|pid| (pid, ports(pid))).collect();
    match elsewhere(wanted, &known) {
        Some((pid, port)) => {
            let what = format!("pigeond (pid {pid}) listens on port {port}, not on {wanted}");
            report.add(&Finding::warn(CHECK, what, format!("clients need --port {port}")))?;
            Ok(port)
        }
        None => Ok(wanted),
    }
}

/// A process and its port, if the ports of all are known and the wanted one is not among them.
fn elsewhere(wanted: u16, known: &[(i32, Vec<u16>)]) -> Option<(i32, u16)> {
    if known.iter().any(|(_, ports)| ports.is_empty() || ports.contains(&wanted)) {
        return None;
    }
    known.iter().find_map(|(pid, ports)| Some((*pid, *ports.first()?)))
}

/// Nothing is to be said of a port that nobody holds where no hub runs.
fn judge(kind: Kind, port: u16, serves: Option<Serves>, held: &Held) -> Option<Finding> {
    Some(match held {
        Held::ByNobody if serves.is_none() => return None,
        Held::ByNobody if serves.is_some_and(|serves| !serves.kinds().contains(&kind)) => {
            let name = kind.to_string().to_ascii_lowercase();
            Finding::ok(
                CHECK,
                format!(
                    "{kind} port {port} is free: the hub is told not to use it (`{name} = false` in [listen])"
                ),
            )
        }
        Held::ByNobody => Finding::fail(
            CHECK,
            format!("nobody listens on {kind} port {port}, though pigeond runs: it may use another port"),
            "see `port` in [listen] of its configuration; pigeon doctor --port PORT",
        ),
        Held::By(holders) => match (hub(holders), holders.first()) {
            (Some(hub), _) => Finding::ok(CHECK, format!("{kind} port {port} is held by {hub}")),
            (None, Some(other)) => Finding::fail(
                CHECK,
                format!("{kind} port {port} is held by {other}, which is no pigeond"),
                format!("sudo kill {}, or set another `port` in [listen]", other.pid),
            ),
            (None, None) => return None,
        },
        Held::BySomebody if serves.is_some() => {
            Finding::ok(CHECK, format!("{kind} port {port} is held, by a process of another user"))
        }
        Held::BySomebody => Finding::warn(
            CHECK,
            format!("{kind} port {port} is held by a process of another user"),
            "to see which: sudo pigeon doctor",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn another_port_is_looked_at_only_where_the_wanted_one_is_known_not_to_be_the_hubs() {
        for (known, port) in [
            (vec![], None),
            (vec![(7, vec![99])], None),
            (vec![(7, vec![98]), (8, vec![97, 99])], None),
            (vec![(7, vec![98]), (8, vec![])], None),
            (vec![(7, vec![97, 98])], Some((7, 97))),
        ] {
            assert_eq!(elsewhere(99, &known), port, "{known:?}");
        }
    }

    #[test]
    fn a_hub_that_holds_the_port_over_one_transport_is_meant_to() {
        let by = |name: &str| Held::By(vec![Holder { name: name.to_owned(), pid: 7 }]);
        for (udp, tcp, serves) in [
            (by("pigeond"), by("pigeond"), Serves::Both),
            (by("pigeond"), Held::ByNobody, Serves::UdpOnly),
            (Held::BySomebody, Held::ByNobody, Serves::UdpOnly),
            (Held::ByNobody, by("pigeond"), Serves::TcpOnly),
            (Held::ByNobody, Held::ByNobody, Serves::Both),
            (by("python3"), Held::ByNobody, Serves::Both),
            (by("pigeond"), by("python3"), Serves::Both),
        ] {
            assert_eq!(Serves::of(&udp, &tcp), serves, "{udp:?} {tcp:?}");
        }
        let finding = judge(Kind::Tcp, 99, Some(Serves::UdpOnly), &Held::ByNobody).unwrap();
        assert_eq!(finding.state, State::Ok);
        assert!(finding.what.contains("`tcp = false`"), "{}", finding.what);
        assert_eq!(judge(Kind::Udp, 99, Some(Serves::UdpOnly), &Held::ByNobody).unwrap().state, State::Fail);
    }

    #[test]
    fn only_the_hub_and_its_manager_may_hold_the_port() {
        let by = |all: &[(&str, i32)]| {
            let holder = |(name, pid): &(&str, i32)| Holder { name: (*name).to_owned(), pid: *pid };
            Held::By(all.iter().map(holder).collect())
        };
        for (held, runs, state) in [
            (by(&[("pigeond", 7)]), true, Some(State::Ok)),
            (by(&[("systemd", 1), ("pigeond", 7)]), true, Some(State::Ok)),
            (by(&[("systemd", 1)]), false, Some(State::Ok)),
            (by(&[("python3", 312)]), true, Some(State::Fail)),
            (by(&[("python3", 312)]), false, Some(State::Fail)),
            (Held::BySomebody, true, Some(State::Ok)),
            (Held::BySomebody, false, Some(State::Warn)),
            (Held::ByNobody, true, Some(State::Fail)),
            (Held::ByNobody, false, None),
        ] {
            let finding = judge(Kind::Tcp, 99, runs.then_some(Serves::Both), &held);
            assert_eq!(finding.as_ref().map(|finding| finding.state), state, "{held:?} {finding:?}");
        }
        let finding = judge(Kind::Udp, 99, Some(Serves::Both), &by(&[("python3", 312)])).unwrap();
        assert_eq!(finding.what, "UDP port 99 is held by python3 (pid 312), which is no pigeond");
        assert!(finding.fix.unwrap().starts_with("sudo kill 312, "));
    }
}
