//! Who holds the hub's port.

use super::finding::{Finding, Report};
use crate::cli::exit::Failure;
use crate::machine::{Held, Kind, held};

const CHECK: &str = "port";

pub(super) fn check(port: u16, runs: bool, report: &mut Report<'_>) -> Result<(), Failure> {
    for kind in [Kind::Udp, Kind::Tcp] {
        if let Some(finding) = judge(kind, port, runs, &held(kind, port)) {
            report.add(&finding)?;
        }
    }
    Ok(())
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
