//! A disk that fills, on a small file system of the test's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use crate::damage::figure;
use crate::victim::Victim;

/// Sessions that ask at the same time.
const SESSIONS: usize = 4;

/// The size of the disk, and of a file on it that can make room, in bytes.
const DISK: usize = 1536 * 1024;
const BALLAST: usize = 768 * 1024;

#[test]
fn what_was_answered_before_the_disk_was_full_is_there_and_all_goes_on_once_there_is_room() {
    // A thread can have mounts that nobody else sees, and that end with it and its processes.
    let tested = std::thread::spawn(|| {
        let disk = tempfile::tempdir().unwrap();
        if let Err(why) = mount(disk.path()) {
            println!("skipped: this needs to mount a small disk, and may not: {why}");
            return;
        }
        fill(disk.path());
        run("umount", &["-l", disk.path().to_str().unwrap()]).unwrap();
    });
    tested.join().unwrap();
}

fn mount(disk: &Path) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
    run("mount", &["--make-rprivate", "/"])?;
    run("mount", &["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs", disk.to_str().unwrap()])
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(words).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

fn fill(disk: &Path) {
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; BALLAST]).unwrap();
    let state = disk.join("state");
    let mut victim = Victim::start(&format!("[state]\ndirectory = \"{}\"\n", state.display()));
    let mut sessions: Vec<Session> = (0..SESSIONS).map(Session::new).collect();
    ask_until_full(&mut victim, &mut sessions);
    // A daemon that is killed there starts there too.
    check_log(&victim.daemon.kill(), 0);
    victim.daemon.restart();
    check(&victim, &sessions);
    ask_until_full(&mut victim, &mut sessions);

    fs::remove_file(&ballast).unwrap();
    victim.daemon.wait_for_log("the state can be saved again");
    for session in &mut sessions {
        // The line that was refused, and some more.
        for _ in 0..4 {
            session.ask(&victim);
            assert!(!session.is_refused);
        }
    }
    check(&victim, &sessions);
    check_log(&victim.daemon.kill(), 1);
    victim.daemon.restart();
    check(&victim, &sessions);
    victim.kill();
    check(&victim, &sessions);
    println!("full disk: {} answered", sessions.iter().map(|session| session.number - 1).sum::<u64>());
    victim.daemon.signal("TERM");
    assert!(victim.daemon.wait().success());
}

/// Asks until every session is refused because the disk is full. Reads go on all the while.
fn ask_until_full(victim: &mut Victim, sessions: &mut [Session]) {
    for session in sessions.iter_mut() {
        session.is_refused = false;
    }
    while sessions.iter().any(|session| !session.is_refused) {
        sessions.iter_mut().filter(|session| !session.is_refused).for_each(|session| session.ask(victim));
        assert!(victim.ask("GET k0-0").starts_with("0 0 "), "reads go on");
    }
    victim.daemon.wait_for_log("the state cannot be saved");
    for _ in 0..3 {
        for session in sessions.iter_mut() {
            session.ask(victim);
            assert!(session.is_refused, "there is still no room");
        }
        assert!(victim.ask("#new.1 INC n").starts_with("#new.1 ERR disk "));
        assert!(victim.ask("GET k0-0").starts_with("0 0 "), "reads go on");
    }
    assert!(figure(&victim.ask("STATS"), "disk_errors") > 0);
}

/// The log says once that the disk is full, and so often that it no longer is.
fn check_log(log: &[String], recovered: usize) {
    for (said, times) in [("the state cannot be saved", 1), ("the state can be saved again", recovered)] {
        assert_eq!(log.iter().filter(|line| line.contains(said)).count(), times, "{said}: {log:#?}");
    }
}

/// All that was answered is there, once, and what was answered is answered again.
fn check(victim: &Victim, sessions: &[Session]) {
    let increments: u64 = sessions.iter().map(|session| session.increments).sum();
    assert_eq!(victim.ask("GET n"), increments.to_string());
    for Session { name, number, last, .. } in sessions {
        for even in (0..*number - 1).filter(|number| number % 2 == 0) {
            assert_eq!(victim.ask(&format!("GET k{name}-{even}")), value(*name, even));
        }
        let (line, reply) = last;
        assert_eq!(victim.ask(line), *reply);
    }
    assert_eq!(victim.ask("GET n"), increments.to_string());
}

fn value(session: usize, number: u64) -> String {
    format!("{session} {number} {}", "x".repeat(1000))
}

/// A client that sets a long value, increments, sets a long value and so on, one after the other.
struct Session {
    name: usize,
    /// The number of the line that is to be asked.
    number: u64,
    increments: u64,
    /// Whether its line was refused last time.
    is_refused: bool,
    /// The last line that was answered, and the reply.
    last: (String, String),
}

impl Session {
    fn new(name: usize) -> Self {
        Self { name, number: 1, increments: 0, is_refused: false, last: Default::default() }
    }

    /// Asks the line whose turn it is.
    fn ask(&mut self, victim: &Victim) {
        let (name, number, before) = (self.name, self.number, self.number - 1);
        let sets = before.is_multiple_of(2);
        let request =
            if sets { format!("SET k{name}-{before} {}", value(name, before)) } else { "INC n".to_owned() };
        let line = format!("#full{name}.{number} {request}");
        let reply = victim.ask(&line);
        self.is_refused = reply.starts_with(&format!("#full{name}.{number} ERR disk "));
        if !self.is_refused {
            assert!(reply.starts_with(&format!("#full{name}.{number} OK ")), "{reply}");
            self.number += 1;
            self.increments += u64::from(!sets);
            self.last = (line, reply);
        }
    }
}
