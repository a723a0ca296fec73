//! `pigeon` at a terminal: which hub is meant where several answer is asked of the person in front, on a real
//! pseudo-terminal that the program runs under as in a shell.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fake_hub;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use fake_hub::{Hub, request, tagged};
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::openpty;
use tempfile::TempDir;

/// How long the program may be silent before a test fails, in milliseconds.
const PATIENCE_MS: u16 = 20_000;

/// What a person sees before an answer is wanted.
const QUESTION: &str = "which one? ";

/// `pigeon`, whose standard input and error are a terminal of its own.
struct Terminal {
    screen: File,
    child: Child,
    /// All that has stood on the screen.
    seen: String,
}

impl Terminal {
    fn run(arguments: &[&str], cache: &Path) -> Self {
        let ends = openpty(None, None).unwrap();
        let terminal = || Stdio::from(ends.slave.try_clone().unwrap());
        // It makes that the terminal of the program, so that Ctrl+C there is heard.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_pigeon")).args(arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("XDG_CACHE_HOME", cache);
        command.stdin(terminal()).stderr(terminal()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        Self { screen: ends.master.into(), child, seen: String::new() }
    }

    /// Reads once; `false` when the program has left the terminal.
    fn read(&mut self) -> bool {
        let ready = poll(&mut [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)], PATIENCE_MS).unwrap();
        assert!(ready > 0, "nothing more comes: {}", self.seen);
        let mut part = [0; 1024];
        let count = self.screen.read(&mut part).unwrap_or(0);
        self.seen.push_str(str::from_utf8(&part[..count]).unwrap());
        count > 0
    }

    /// Waits for the question, and types this.
    fn answer(&mut self, keys: &str) {
        while !self.seen.contains(QUESTION) {
            assert!(self.read(), "it ended without a question: {}", self.seen);
        }
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    /// How it ended, with its standard output and all that stood on the screen.
    fn end(mut self) -> (ExitStatus, String, String) {
        while self.read() {}
        let output = self.child.wait_with_output().unwrap();
        (output.status, String::from_utf8(output.stdout).unwrap(), self.seen)
    }
}

fn hub(name: &'static str, at: &str) -> Hub {
    Hub::udp_at(at, move |line| match line {
        "DISCOVER" => vec![format!("HERE {name} 0.1.0 1 3/10").into_bytes()],
        line => match request(line) {
            "PING" => vec![tagged(line, "OK pong")],
            "INC" => vec![tagged(line, "OK 5")],
            _ => Vec::new(),
        },
    })
}

/// Two hubs on this machine, and nothing that is remembered of them.
struct Two {
    hubs: [Hub; 2],
    port: u16,
    cache: TempDir,
}

impl Two {
    fn new() -> Self {
        let pi = hub("pi", "127.0.0.1:0");
        let port = pi.address.port();
        Self { hubs: [pi, hub("den", &format!("[::1]:{port}"))], port, cache: tempfile::tempdir().unwrap() }
    }

    fn inc(&self) -> Terminal {
        Terminal::run(&["inc", &format!("--port={}", self.port)], self.cache.path())
    }

    fn remembered(&self) -> Option<String> {
        std::fs::read_to_string(self.cache.path().join(format!("pigeon/hub-{}", self.port))).ok()
    }

    /// Which of them was asked to count.
    fn counted(&self) -> [bool; 2] {
        self.hubs.each_ref().map(|hub| hub.heard().iter().any(|line| line.ends_with(" INC")))
    }
}

#[test]
fn the_hub_that_is_picked_is_used_and_remembered() {
    for (keys, picked) in [("1\n", 0), (" 2 \n", 1), ("7\u{8}\u{7f}\u{7f}2\n", 1)] {
        let two = Two::new();
        let mut terminal = two.inc();
        terminal.answer(keys);
        let (status, out, seen) = terminal.end();
        assert_eq!((status.code(), out.as_str()), (Some(0), "5\n"), "{keys:?}: {seen}");
        for line in [format!("1) pi at 127.0.0.1:{}", two.port), format!("2) den at [::1]:{}", two.port)] {
            assert!(seen.contains(&line), "{seen}");
        }
        assert_eq!(two.counted(), [picked == 0, picked == 1], "{keys:?}");
        let name = ["pi", "den"][picked];
        assert_eq!(two.remembered(), Some(format!("{} {name}\n", two.hubs[picked].address)));
        // Nobody is asked again.
        let (status, out, seen) = two.inc().end();
        assert_eq!((status.code(), out.as_str()), (Some(0), "5\n"), "{seen}");
        assert!(!seen.contains(QUESTION), "{seen}");
    }
}

#[test]
fn an_answer_that_picks_none_does_nothing() {
    // The last one is Ctrl+D: the end of what a person has to say.
    for keys in ["0\n", "3\n", "-1\n", "pi\n", "\n", "99999999999999999999\n", "\u{4}"] {
        let two = Two::new();
        let mut terminal = two.inc();
        terminal.answer(keys);
        let (status, out, seen) = terminal.end();
        assert_eq!((status.code(), out.as_str()), (Some(64), ""), "{keys:?}: {seen}");
        assert!(seen.contains("write a number from 1 to 2, or use --hub"), "{keys:?}: {seen}");
        assert_eq!((two.counted(), two.remembered()), ([false; 2], None), "{keys:?}");
    }
}

#[test]
fn ctrl_c_at_the_question_ends_it_and_does_nothing() {
    let two = Two::new();
    let mut terminal = two.inc();
    terminal.answer("1\u{3}");
    let (status, out, seen) = terminal.end();
    assert_eq!((status.signal(), out.as_str()), (Some(nix::libc::SIGINT), ""), "{status} {seen}");
    assert_eq!((two.counted(), two.remembered()), ([false; 2], None));
}

#[test]
fn another_hub_than_the_remembered_one_is_asked_about_even_if_it_is_the_only_one() {
    for (keys, code) in [("1\n", 0), ("n\n", 64)] {
        let den = hub("den", "127.0.0.1:0");
        let port = den.address.port();
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join(format!("pigeon/hub-{port}"));
        std::fs::create_dir(cache.path().join("pigeon")).unwrap();
        std::fs::write(&file, "127.0.0.9:9 pi\n").unwrap();
        let mut terminal = Terminal::run(&["inc", &format!("--port={port}")], cache.path());
        terminal.answer(keys);
        let (status, _, seen) = terminal.end();
        assert_eq!(status.code(), Some(code), "{seen}");
        assert!(
            seen.contains("the hub that was used last does not answer: --hub 127.0.0.9:9 (pi)"),
            "{seen}"
        );
        let remembered =
            if code == 0 { format!("{} den\n", den.address) } else { "127.0.0.9:9 pi\n".to_owned() };
        assert_eq!(std::fs::read_to_string(&file).unwrap(), remembered);
    }
}
