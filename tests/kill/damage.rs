//! State files that were cut off or overwritten somewhere.

use std::fs;
use std::path::PathBuf;

use crate::victim::Victim;

/// Requests of each session that the state is made of: enough that some are in the tables and some are not.
const REQUESTS: u64 = 400;

/// The parts of the state file that outlive a kill.
const PARTS: [&str; 2] = ["pigeond.db", "pigeond.db-batches"];

/// How many damaged files are tried: some unless `PIGEON_KILL_DAMAGES` says otherwise.
fn damages() -> u64 {
    std::env::var("PIGEON_KILL_DAMAGES").map_or(40, |damages| damages.parse().expect("a number"))
}

#[test]
fn a_damaged_state_is_set_aside_or_is_a_whole_earlier_one_and_the_daemon_always_starts() {
    let mut victim = Victim::start("");
    let directory = victim.daemon.directory().join("pigeond");
    for number in 1..=REQUESTS {
        if number == REQUESTS / 2 {
            // What was asked until now is all in the tables then.
            victim.daemon.signal("TERM");
            victim.daemon.end();
            victim.daemon.restart();
        }
        for session in ["one", "two"] {
            let reply = victim.ask(&format!("#{session}.{number} INC {session}"));
            assert_eq!(reply, format!("#{session}.{number} OK {number}"));
        }
    }
    victim.daemon.kill();
    let whole: Vec<Vec<u8>> = PARTS.iter().map(|part| fs::read(directory.join(part)).unwrap()).collect();
    let (mut set_aside, mut earlier, mut unharmed) = (0, 0, 0);
    for seed in 0..damages() {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut parts = whole.clone();
        let damage = harm(&mut parts, &mut dice);
        fs::remove_dir_all(&directory).unwrap();
        fs::create_dir(&directory).unwrap();
        for (part, bytes) in PARTS.iter().zip(&parts) {
            fs::write(directory.join(part), bytes).unwrap();
        }
        victim.daemon.restart();
        match look(&victim, &directory) {
            None => set_aside += 1,
            Some(REQUESTS) => unharmed += 1,
            Some(_) => earlier += 1,
        }
        let log = victim.daemon.kill();
        let says = |words: &str| log.iter().any(|line| line.contains(words));
        let says_so = says("the state was damaged and is now")
            || says("what was saved last in the state is damaged and lost");
        assert_eq!(says_so, directory.join("pigeond.db.bad").exists(), "{damage}: {log:#?}");
        assert!(!log.iter().any(|line| line.contains("panicked")), "{damage}: {log:#?}");
    }
    println!("damaged {}: {set_aside} set aside, {earlier} earlier, {unharmed} unharmed", damages());
    assert!(set_aside > 0, "some damage must be found");
    victim.daemon.restart();
}

/// Damages one of the parts; says how.
fn harm(parts: &mut [Vec<u8>], dice: &mut fastrand::Rng) -> String {
    let which = dice.usize(..parts.len());
    let part = &mut parts[which];
    let at = dice.usize(..part.len());
    let what = match dice.u8(..4) {
        0 => {
            part.truncate(at);
            "cut off".to_owned()
        }
        1 => {
            part[at] ^= 1 << dice.u8(..8);
            "a bit turned".to_owned()
        }
        2 => {
            let end = part.len().min(at + dice.usize(1..5000));
            part[at..end].fill(0);
            format!("empty up to {end}")
        }
        _ => {
            let end = part.len().min(at + dice.usize(1..5000));
            part[at..end].fill_with(|| dice.u8(..));
            format!("overwritten up to {end}")
        }
    };
    format!("{} at {at}: {what}", PARTS[which])
}

/// How many requests of the second session the state holds; `None` if it was set aside whole. What one transaction made
/// true together is true together: the counter, and the reply to its last increment.
fn look(victim: &Victim, directory: &std::path::Path) -> Option<u64> {
    let set_aside = figure(&victim.ask("STATS"), "set_aside");
    let bad: PathBuf = directory.join("pigeond.db.bad");
    assert_eq!(set_aside, u64::from(bad.exists()));
    let [one, two] = ["one", "two"].map(|session| {
        let value = victim.ask(&format!("GET {session}"));
        if value.starts_with("ERR no-such-key") { 0 } else { value.parse::<u64>().unwrap() }
    });
    assert!(one == two || one == two + 1, "{one} and {two} were never true together");
    for (session, value) in [("one", one), ("two", two)] {
        for number in [value, value + 1].into_iter().filter(|&number| number > 0) {
            let reply = victim.ask(&format!("#{session}.{number} INC {session}"));
            assert_eq!(reply, format!("#{session}.{number} OK {number}"), "of {one} and {two}");
        }
        assert_eq!(victim.ask(&format!("GET {session}")), (value + 1).to_string());
    }
    (set_aside == 0 || one > 0).then_some(two)
}

/// One of the hub's figures.
pub fn figure(stats: &str, name: &str) -> u64 {
    let mut pairs = stats.split(' ').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name} in {stats}")).1.parse().unwrap()
}
