//! Whether a wireless interface sleeps between packets: then answers take a tenth of a second, and broadcasts
//! are lost.

use std::fs;
use std::path::Path;

use super::finding::{Finding, Report};
use super::tool::{Ran, run};
use crate::cli::exit::Failure;

const CHECK: &str = "wifi";

/// Interfaces that are looked at.
const MOST: usize = 8;

pub(super) fn check(report: &mut Report<'_>) -> Result<(), Failure> {
    for name in wireless(Path::new("/sys/class/net")) {
        report.add(&judge(&name, &run("iw", &["dev", &name, "get", "power_save"])))?;
    }
    Ok(())
}

/// The wireless interfaces.
fn wireless(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let wireless = all.filter(|entry| entry.path().join("wireless").is_dir());
    let mut names: Vec<String> = wireless.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.truncate(MOST);
    names
}

fn judge(name: &str, ran: &Ran) -> Finding {
    let text = match ran {
        Ran::Missing => {
            return Finding::skip(CHECK, format!("{name}: no `iw` here to tell about power saving"));
        }
        Ran::Stuck => "",
        Ran::Ended(_, text) => text.trim(),
    };
    match text.strip_prefix("Power save: ") {
        Some("off") => Finding::ok(CHECK, format!("{name} does not save power")),
        Some("on") => Finding::warn(
            CHECK,
            format!("{name} saves power: answers may take 100 ms, and broadcasts may be lost"),
            format!("sudo iw dev {name} set power_save off (until the next boot)"),
        ),
        Some(_) | None => Finding::skip(CHECK, format!("{name}: `iw` does not tell about power saving")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn what_iw_prints_is_understood() {
        let ended = |text: &str| Ran::Ended(true, text.to_owned());
        for (ran, state) in [
            (ended("Power save: on\n"), State::Warn),
            (ended("Power save: off\n"), State::Ok),
            (ended("command failed: Operation not supported (-95)\n"), State::Skip),
            (ended(""), State::Skip),
            (Ran::Missing, State::Skip),
            (Ran::Stuck, State::Skip),
        ] {
            assert_eq!(judge("wlan0", &ran).state, state, "{ran:?}");
        }
    }

    #[test]
    fn wireless_interfaces_are_those_that_say_so() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["wlan1/wireless", "wlan0/wireless", "eth0/device"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        assert_eq!(wireless(folder.path()), ["wlan0", "wlan1"]);
        assert_eq!(wireless(&folder.path().join("none")), Vec::<String>::new());
    }
}
