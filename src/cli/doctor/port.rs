//! Who holds the hub's port.

use super::finding::{Finding, Report};
use super::service::processes;
use crate::cli::exit::Failure;
use crate::machine::{Held, Kind, held, ports};

const CHECK: &str = "port";

pub(super) fn check(port: u16, runs: bool, report: &mut Report<'_>) -> Result<(), Failure> {
    for kind in [Kind::Udp, Kind::Tcp] {
        if let Some(finding) = judge(kind, port, runs, &held(kind, port)) {
            report.add(&finding)?;
        }
    }
    Ok(())
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
fn judge(kind: Kind, port: u16, runs: bool, held: &Held) -> Option<Finding> {
    Some(match held {
        Held::ByNobody if !runs => return None,
        Held::ByNobody => Finding::fail(
            CHECK,
            format!("nobody listens on {kind} port {port}, though pigeond runs: it may use another port"),
            "see `port` in [listen] of its configuration; pigeon doctor --port PORT",
        ),
        Held::By(holders) => {
            // systemd keeps the sockets of the service beside it.
            let hub = holders.iter().find(|holder| holder.name == "pigeond");
            let hub = hub.or_else(|| holders.iter().find(|holder| holder.pid == 1));
            match (hub, holders.first()) {
                (Some(hub), _) => Finding::ok(CHECK, format!("{kind} port {port} is held by {hub}")),
                (None, Some(other)) => Finding::fail(
                    CHECK,
                    format!("{kind} port {port} is held by {other}, which is no pigeond"),
                    format!("sudo kill {}, or set another `port` in [listen]", other.pid),
                ),
                (None, None) => return None,
            }
        }
        Held::BySomebody if runs => {
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
    use crate::machine::Holder;

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
            let finding = judge(Kind::Tcp, 99, runs, &held);
            assert_eq!(finding.as_ref().map(|finding| finding.state), state, "{held:?} {finding:?}");
        }
        let finding = judge(Kind::Udp, 99, true, &by(&[("python3", 312)])).unwrap();
        assert_eq!(finding.what, "UDP port 99 is held by python3 (pid 312), which is no pigeond");
        assert!(finding.fix.unwrap().starts_with("sudo kill 312, "));
    }
}
