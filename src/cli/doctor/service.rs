//! Whether pigeond runs on this machine, as a service or by hand.

use std::fs;

use super::finding::{Finding, Report};
use super::tool::{Ran, run};
use crate::cli::exit::Failure;
use crate::machine::proc;

const CHECK: &str = "service";

/// Tells whether a hub runs here.
pub(super) fn check(report: &mut Report<'_>) -> Result<bool, Failure> {
    let properties = "--property=LoadState,ActiveState,SubState,UnitFileState,Result";
    let unit = match run("systemctl", &["show", "pigeond.service", properties]) {
        Ran::Ended(_, text) => Unit::parse(&text),
        Ran::Missing | Ran::Stuck => None,
    };
    let (finding, runs) = judge(unit.as_ref(), &processes());
    report.add(&finding)?;
    Ok(runs)
}

/// What systemd knows of the unit.
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    load: String,
    active: String,
    sub: String,
    file: String,
    result: String,
}

impl Unit {
    /// Reads what `systemctl show` prints; `None` if systemd does not run here.
    fn parse(text: &str) -> Option<Self> {
        let get = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        let unit = Self {
            load: get("LoadState"),
            active: get("ActiveState"),
            sub: get("SubState"),
            file: get("UnitFileState"),
            result: get("Result"),
        };
        (!unit.load.is_empty()).then_some(unit)
    }
}

fn judge(unit: Option<&Unit>, processes: &[i32]) -> (Finding, bool) {
    let by_hand = processes.first();
    let Some(unit) = unit.filter(|unit| unit.load != "not-found") else {
        return match by_hand {
            Some(pid) => (Finding::ok(CHECK, format!("pigeond runs (pid {pid}), not as a service")), true),
            None => (Finding::skip(CHECK, "no pigeond is installed or runs on this machine"), false),
        };
    };
    let start = "sudo systemctl start pigeond";
    let finding = match (unit.load.as_str(), unit.active.as_str()) {
        (_, "active" | "reloading") if unit.file == "disabled" => Finding::warn(
            CHECK,
            "pigeond.service runs, but will not be started at boot",
            "sudo systemctl enable pigeond",
        ),
        (_, "active" | "reloading") => Finding::ok(CHECK, "pigeond.service is active"),
        _ if by_hand.is_some() && unit.active != "activating" => {
            let what = "a pigeond runs that was started by hand, while pigeond.service does not";
            Finding::warn(CHECK, what, format!("end it, then: {start}"))
        }
        ("masked", _) => Finding::fail(
            CHECK,
            "pigeond.service is masked",
            "sudo systemctl unmask pigeond && ".to_owned() + start,
        ),
        (_, "activating") => {
            let what =
                format!("pigeond.service is being started again and again ({}, {})", unit.sub, unit.result);
            Finding::fail(CHECK, what, "journalctl -u pigeond -n 20")
        }
        (_, "failed") => {
            let what = format!("pigeond.service has failed ({})", unit.result);
            Finding::fail(CHECK, what, format!("journalctl -u pigeond -n 20, then: {start}"))
        }
        (_, state) => Finding::fail(CHECK, format!("pigeond.service is not running ({state})"), start),
    };
    let runs = matches!(unit.active.as_str(), "active" | "reloading") || by_hand.is_some();
    (finding, runs)
}

/// Every process of the daemon that is on the same network: one in a container counts as another machine.
pub(super) fn processes() -> Vec<i32> {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let own = network("self");
    proc::processes()
        .filter(|&pid| proc::name(pid).is_some_and(|name| name == "pigeond"))
        .filter(|pid| network(&pid.to_string()).is_none_or(|network| Some(network) == own))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn judged(text: &str, processes: &[i32]) -> (State, bool, String) {
        let (finding, runs) = judge(Unit::parse(text).as_ref(), processes);
        let fix = finding.fix.map(|fix| format!(" | {fix}")).unwrap_or_default();
        (finding.state, runs, finding.what + &fix)
    }

    #[test]
    fn each_state_of_the_unit_has_its_command() {
        let show = |load: &str, active: &str, sub: &str, file: &str, result: &str| {
            format!(
                "Result={result}\nLoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\n"
            )
        };
        for (text, state, runs, part) in [
            (show("loaded", "active", "running", "enabled", "success"), State::Ok, true, "is active"),
            (show("loaded", "active", "running", "disabled", "success"), State::Warn, true, "enable pigeond"),
            (show("loaded", "inactive", "dead", "enabled", "success"), State::Fail, false, "systemctl start"),
            (
                show("loaded", "failed", "failed", "enabled", "exit-code"),
                State::Fail,
                false,
                "(exit-code) | journalctl",
            ),
            (
                show("loaded", "activating", "auto-restart", "enabled", "exit-code"),
                State::Fail,
                false,
                "auto-restart",
            ),
            (show("masked", "inactive", "dead", "masked", "success"), State::Fail, false, "unmask"),
            (show("not-found", "inactive", "dead", "", "success"), State::Skip, false, "no pigeond"),
        ] {
            let (found, found_runs, what) = judged(&text, &[]);
            assert_eq!((found, found_runs), (state, runs), "{text}{what}");
            assert!(what.contains(part), "{what}");
        }
    }

    #[test]
    fn one_that_was_started_by_hand_is_seen() {
        let not_found = "LoadState=not-found\nActiveState=inactive\n";
        for text in ["", not_found] {
            let (state, runs, what) = judged(text, &[312]);
            assert_eq!((state, runs), (State::Ok, true));
            assert!(what.contains("pid 312"), "{what}");
        }
        let (state, runs, _) = judged("LoadState=loaded\nActiveState=inactive\n", &[312]);
        assert_eq!((state, runs), (State::Warn, true));
        assert_eq!(judged("", &[]).0, State::Skip);
        assert_eq!(Unit::parse("System has not been booted with systemd\n"), None);
    }
}
