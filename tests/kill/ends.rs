//! Ends that are asked for, and daemons that are not wanted.

use pigeond::courier::Carrier;

use crate::common::Daemon;
use crate::damage::figure;
use crate::victim::Victim;

#[test]
fn increments_are_done_exactly_once_however_often_the_daemon_is_ended_and_started() {
    let mut victim = Victim::start("");
    victim.gently = true;
    let hub = victim.address;
    crate::count(&mut victim, Carrier::Stream, |counter| counter.over_tcp(hub));
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on() {
    let first = Victim::start("");
    assert_eq!(first.ask("#s.1 INC"), "#s.1 OK 1");
    let state = first.daemon.directory().join("pigeond");
    let mut second = Daemon::spawn(&format!("[state]\ndirectory = \"{}\"\n", state.display()));
    let said = second.wait_for_log("another pigeond");
    let holder = format!("(process {}) uses the state in {}", first.daemon.pid(), state.display());
    assert!(said.contains(&holder), "{said}");
    assert!(said.contains("stop it, or set [state] directory to another"), "{said}");
    assert_eq!(second.wait().code(), Some(71));
    assert_eq!(first.ask("#s.2 INC"), "#s.2 OK 2");
}

#[test]
fn the_figures_say_what_was_kept_and_what_that_cost() {
    let victim = Victim::start("");
    for number in 1..=10 {
        victim.ask(&format!("#s.{number} INC"));
        victim.ask("GET counter");
    }
    let stats = victim.ask("STATS");
    let figure = |name| figure(&stats, name);
    assert_eq!((figure("kept"), figure("disk_errors"), figure("set_aside")), (10, 0, 0), "{stats}");
    assert!((1..=10).contains(&figure("commits")), "{stats}");
    assert!(figure("written") > 0, "{stats}");
}
