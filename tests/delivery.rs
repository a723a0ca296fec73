//! Mail and questions between real programs: `pigeon` on both sides of a real daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use common::relay::Relay;
use common::{Daemon, PATIENCE, ask};

/// `pigeon` for this hub, with nothing from this machine's environment but the path.
fn pigeon(hub: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pigeon"));
    command.args(["--hub", hub, "--timeout", "60s"]).args(arguments).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null());
    command
}

/// Runs to the end: exit code and standard output.
fn run(hub: &str, arguments: &[&str]) -> (i32, String) {
    let output = pigeon(hub, arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// A `pigeon` that runs until it is ended.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(hub: &str, arguments: &[&str]) -> Self {
        let mut child = pigeon(hub, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = sync_channel(100_000);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.try_send(line);
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it prints a line")
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Ends it as Ctrl+C does: what it still printed.
    fn end(mut self) -> Vec<String> {
        self.signal(nix::sys::signal::Signal::SIGINT);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok()).collect()
    }

    /// Kills it, so that it cannot say goodbye.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until this code is joined.
fn await_code(socket: &UdpSocket, code: &str) {
    while !String::from_utf8(ask(socket, b"WHO")).unwrap().split(' ').any(|joined| joined == code) {
        std::thread::yield_now();
    }
}

#[test]
fn a_script_becomes_a_service() {
    let daemon = Daemon::start();
    let hub = daemon.address().to_string();
    let script = r#"[ "$PIGEON_QUESTION" = fail ] && exit 3; printf '%s to %s' "$(cat)" "$PIGEON_FROM""#;
    for transport in [&[][..], &["--tcp"]] {
        let arguments = [&["answer", "--as", "pi"], transport, &["--", "sh", "-c", script]].concat();
        let service = Running::start(&hub, &arguments);
        await_code(&daemon.udp(), "pi");
        for times in 1..=3 {
            let question = format!("how warm? {times}");
            let answer = format!("{question} to ann");
            let asked = run(&hub, &[&["ask", "--as", "ann", "pi", &question], transport].concat());
            assert_eq!(asked, (0, format!("{answer}\n")));
            assert_eq!(service.line(), format!("ann: {question} -> {answer}"));
        }
        assert_eq!(run(&hub, &["ask", "pi", "fail"]).0, 70);
        assert_eq!(service.end().len(), 1);
        assert_eq!(run(&hub, &["ask", "pi", "x"]), (65, String::new()), "it said goodbye");
    }
}

#[test]
fn a_question_that_nobody_answers_ends_in_time() {
    let daemon = Daemon::with("[limits]\nask_timeout = \"1s\"\n");
    let hub = daemon.address().to_string();
    let service = Running::start(&hub, &["answer", "--as", "pi", "--", "sleep", "600"]);
    await_code(&daemon.udp(), "pi");
    assert_eq!(run(&hub, &["ask", "pi", "x"]).0, 75);
    assert_eq!(service.end(), Vec::<String>::new());
}

#[test]
fn mail_waits_for_a_listener_that_was_killed_or_told_to_keep_it() {
    let daemon = Daemon::start();
    let hub = daemon.address().to_string();
    let bob = daemon.udp();
    assert_eq!(ask(&bob, b"JOIN bob"), b"joined bob 1/10");
    let mut number = 0;
    let mut send = || {
        number += 1;
        let reply = ask(&bob, format!("SEND ann {number}").as_bytes());
        assert!(reply == b"sent" || reply == b"queued", "{}", reply.escape_ascii());
        format!("bob: {number}")
    };
    for transport in [&[][..], &["--tcp"], &[]] {
        let listen = [&["listen", "--keep", "--as", "ann"], transport].concat();
        let listener = Running::start(&hub, &listen);
        await_code(&bob, "ann");
        for _ in 0..5 {
            assert_eq!(send(), listener.line());
        }
        assert_eq!(listener.end(), Vec::<String>::new());
        let waiting: Vec<String> = (0..20).map(|_| send()).collect();
        let listener = Running::start(&hub, &listen);
        assert_eq!(waiting, (0..20).map(|_| listener.line()).collect::<Vec<_>>());
        assert_eq!(listener.end(), Vec::<String>::new());
        let listener = Running::start(&hub, &listen);
        let last = send();
        assert_eq!(last, listener.line());
        listener.kill();
        let waiting: Vec<String> = (0..20).map(|_| send()).collect();
        let listener = Running::start(&hub, &listen);
        // Whether the last acknowledgement left before the kill is not known.
        let first = Some(listener.line()).filter(|line| *line != last).unwrap_or_else(|| listener.line());
        assert_eq!(waiting[0], first);
        assert_eq!(waiting[1..], (1..20).map(|_| listener.line()).collect::<Vec<_>>());
        assert_eq!(listener.end(), Vec::<String>::new());
    }
    let listener = Running::start(&hub, &["listen", "--as", "ann"]);
    assert_eq!(send(), listener.line());
    assert_eq!(listener.end(), Vec::<String>::new());
    assert!(ask(&bob, b"SEND ann x").starts_with(b"ERR no-such-client"), "it said goodbye");
}

#[test]
fn who_only_sends_under_a_code_does_not_take_its_place_from_a_listener() {
    let daemon = Daemon::start();
    let hub = daemon.address().to_string();
    let listener = Running::start(&hub, &["listen", "--as", "ann"]);
    await_code(&daemon.udp(), "ann");
    assert_eq!(run(&hub, &["send", "--as", "ann", "ann", "hi"]).0, 77);
    assert_eq!(run(&hub, &["send", "--as", "bob", "ann", "hi"]).0, 0);
    assert_eq!(listener.line(), "bob: hi");
    assert_eq!(listener.end(), Vec::<String>::new());
    assert_eq!(run(&hub, &["all", "--as", "ann", "hi"]).0, 0);
}

#[test]
fn a_watcher_sees_the_newest_value_and_a_chat_sees_both_sides() {
    let daemon = Daemon::start();
    let hub = daemon.address().to_string();
    let socket = daemon.udp();
    assert_eq!(ask(&socket, b"SET t/a 1"), b"set");
    let watcher = Running::start(&hub, &["watch", "t/*"]);
    assert_eq!(watcher.line(), "t/a 1");
    for value in 2..50 {
        assert_eq!(ask(&socket, format!("SET t/a {value}").as_bytes()), b"set");
    }
    while watcher.line() != "t/a 49" {}
    assert_eq!(watcher.end(), Vec::<String>::new());
    let listener = Running::start(&hub, &["listen", "--as", "ann"]);
    await_code(&socket, "ann");
    let mut chat =
        pigeon(&hub, &["chat", "--as", "bob"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    chat.stdin.take().unwrap().write_all(b"@ann one\ntwo\n").unwrap();
    assert_eq!([listener.line(), listener.line()], ["bob: one", "bob: two"]);
    assert_eq!(chat.wait().unwrap().code(), Some(0));
    listener.end();
}

#[test]
fn through_a_network_that_drops_20_and_repeats_10_percent_each_message_comes_once_and_in_order() {
    let daemon = Daemon::start();
    let relay = Relay::start(daemon.address(), 20, 10);
    let listener = Running::start(&relay.address.to_string(), &["listen", "--as", "ann"]);
    let bob = daemon.udp();
    await_code(&bob, "ann");
    assert_eq!(ask(&bob, b"JOIN bob"), b"joined bob 2/10");
    let mut lines = Vec::new();
    for number in 0..300 {
        // A full mailbox says so, and the sender waits for the listener.
        while ask(&bob, format!("SEND ann {number}").as_bytes()).starts_with(b"ERR full") {
            lines.push(listener.line());
        }
    }
    while lines.len() < 300 {
        lines.push(listener.line());
    }
    assert_eq!(lines, (0..300).map(|number| format!("bob: {number}")).collect::<Vec<_>>());
    assert_eq!(listener.end(), Vec::<String>::new());
}

#[test]
fn a_listener_gets_each_message_once_and_in_order_while_the_hub_is_killed_again_and_again() {
    let state = tempfile::tempdir().unwrap();
    let settings = |port| {
        let directory = state.path().display();
        format!(
            "[listen]\nbind = [\"127.0.0.1\"]\nport = {port}\n[clients]\nmailbox = 1000\n[state]\ndirectory = \"{directory}\"\n"
        )
    };
    for transport in [&[][..], &["--tcp"]] {
        let mut daemon = Daemon::with(&settings(0));
        let port = daemon.port;
        let hub = daemon.address().to_string();
        let listener = Running::start(&hub, &[&["listen", "--as", "ann"], transport].concat());
        await_code(&daemon.udp(), "ann");
        let arguments = [&["send", "--as", "bob", "ann", "-"], transport].concat();
        let mut sender =
            pigeon(&hub, &arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut input = sender.stdin.take().unwrap();
        let count = 200;
        let mut lines = Vec::new();
        for number in 0..count {
            writeln!(input, "{number}").unwrap();
            if number % 40 == 39 {
                // Killed while messages are under way; some have been heard, so that time passes in between.
                lines.push(listener.line());
                daemon.signal("KILL");
                daemon.wait();
                daemon = Daemon::with(&settings(port));
            }
        }
        drop(input);
        while lines.len() < count {
            lines.push(listener.line());
        }
        assert_eq!(lines, (0..count).map(|number| format!("bob: {number}")).collect::<Vec<_>>());
        assert_eq!(sender.wait().unwrap().code(), Some(0));
        assert_eq!(listener.end(), Vec::<String>::new());
    }
}
