//! A restart and a kill that no client notices, with a descriptor store like systemd's around the daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

use std::io::{BufRead, BufReader, ErrorKind, Lines, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The store, and the daemon in it.
struct Store {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    port: u16,
    directory: TempDir,
}

impl Store {
    fn start(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Self::configure(&directory, "127.0.0.1", 0, settings);
        let mut child = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/takeover/store.py"))
            .arg(env!("CARGO_BIN_EXE_pigeond"))
            .arg(&config)
            .env("XDG_STATE_HOME", directory.path())
            .env_remove("STATE_DIRECTORY")
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = log.find_map(|line| line.unwrap().split_once("listening on port ")?.1.parse().ok());
        // Whoever writes a log wants a reader.
        std::thread::spawn(move || log.for_each(drop));
        let port = port.expect("it listens");
        let mut store = Self { child, orders, answers, port, directory };
        assert_eq!(store.answer(), "ready");
        store
    }

    fn configure(directory: &TempDir, bind: &str, port: u16, settings: &str) -> PathBuf {
        let config = directory.path().join("p.toml");
        std::fs::write(&config, format!("[listen]\nbind = [\"{bind}\"]\nport = {port}\n{settings}")).unwrap();
        config
    }

    fn answer(&mut self) -> String {
        self.answers.next().expect("the store answers").unwrap()
    }

    fn order(&mut self, word: &str) -> String {
        writeln!(self.orders, "{word}").unwrap();
        self.answer()
    }

    /// Waits until so many connections are kept.
    fn wait_for_connections(&mut self, count: usize) {
        let kept = |names: &str| names.split(' ').filter(|name| name.starts_with("conn.")).count();
        let start = std::time::Instant::now();
        while kept(&self.order("names")) != count {
            assert!(start.elapsed() < PATIENCE, "{count} connections are kept");
            std::thread::yield_now();
        }
    }

    fn tcp(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = writeln!(self.orders, "end");
        let _ = self.child.wait();
    }
}

/// A connection.
struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    fn say(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line comes");
        line
    }

    fn ask(&mut self, bytes: &str) -> String {
        self.say(bytes);
        self.hear()
    }
}

fn ask(socket: &UdpSocket, request: &str) -> String {
    socket.send(request.as_bytes()).unwrap();
    hear(socket)
}

fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2000];
    let length = loop {
        match socket.recv(&mut buffer) {
            // A wait that is bounded in time is not taken up again by the kernel.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => break received.expect("a datagram comes"),
        }
    };
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn connections_places_watches_and_half_lines_outlive_a_restart_and_a_kill() {
    let mut store = Store::start("");
    let (mut ann, mut guest, bob) = (store.tcp(), store.tcp(), store.udp());
    assert_eq!(ann.ask("JOIN ann\n"), "joined ann 1/10\n");
    assert_eq!(ann.ask("WATCH door\n"), "watching door\n");
    // Under a tag, so that the kill takes nothing back.
    assert_eq!(guest.ask("#guest-one.1 INC\nSET door op"), "#guest-one.1 OK 1\n");
    assert_eq!(ask(&bob, "JOIN bob"), "joined bob 2/10");
    for (how, number) in [("restart", 2), ("kill", 3)] {
        store.wait_for_connections(2);
        assert_eq!(store.order(how), "ready");
        assert_eq!(guest.ask("en\n"), "set\n", "{how}");
        assert_eq!(ann.hear(), "VAL door open\n", "{how}");
        assert_eq!(ann.ask("SEND bob hello\n"), "sent\n", "{how}");
        assert_eq!(hear(&bob), "MSG ann hello", "{how}");
        let counted = guest.ask(&format!("#guest-one.{number} INC\nSET door op"));
        assert_eq!(counted, format!("#guest-one.{number} OK {number}\n"), "{how}");
    }
}

#[test]
fn a_half_line_that_was_completed_is_forgotten() {
    let mut store = Store::start("");
    let mut guest = store.tcp();
    assert_eq!(guest.ask("PING\nSET door op"), "pong\n");
    store.wait_for_connections(1);
    assert_eq!(guest.ask("en\n"), "set\n");
    assert_eq!(store.order("kill"), "ready");
    assert_eq!(guest.ask("#guest-one.1 INC\n"), "#guest-one.1 OK 1\n");
}

#[test]
fn a_client_whose_line_was_cut_twice_over_kills_reads_it_whole() {
    let mut store = Store::start("");
    let value = "x".repeat(8000);
    assert_eq!(ask(&store.udp(), &format!("#setter-one.1 SET big {value}")), "#setter-one.1 OK set");
    let mut slow = store.tcp();
    assert_eq!(slow.ask("PING\n"), "pong\n");
    store.wait_for_connections(1);
    slow.say(&"GET big\n".repeat(2000));
    for _ in 0..3 {
        assert_eq!(ask(&store.udp(), "PING"), "pong");
        assert_eq!(store.order("kill"), "ready");
    }
    slow.say("PING the end\n");
    let lines = std::iter::from_fn(|| Some(slow.hear()).filter(|line| line != "pong the end\n"));
    for (number, line) in lines.into_iter().enumerate() {
        assert!(line.trim_end() == value, "line {number} has {} bytes", line.len());
    }
}

#[test]
fn another_address_on_the_same_port_is_taken_by_a_restart_and_by_a_reload() {
    let mut store = Store::start("");
    let mut ann = store.tcp();
    assert_eq!(ann.ask("JOIN ann\n"), "joined ann 1/10\n");
    for (order, bind) in [("restart", "0.0.0.0"), ("reload", "127.0.0.1"), ("restart", "0.0.0.0")] {
        Store::configure(&store.directory, bind, store.port, "");
        assert_eq!(store.order(order), "ready");
        assert_eq!(ask(&store.udp(), "WHO"), "ann", "{order} {bind}");
        assert_eq!(store.tcp().ask("PING\n"), "pong\n", "{order} {bind}");
        assert_eq!(ann.ask("PING\n"), "pong\n", "{order} {bind}");
    }
}

#[test]
fn no_datagram_is_refused_or_lost_over_restarts() {
    let mut store = Store::start("");
    let (asking, socket) = (AtomicBool::new(true), store.udp());
    let asked = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut number = 0;
            while asking.load(Ordering::Relaxed) {
                number += 1;
                assert_eq!(ask(&socket, &format!("PING {number}")), format!("pong {number}"));
            }
            number
        });
        for _ in 0..5 {
            assert_eq!(store.order("restart"), "ready");
        }
        asking.store(false, Ordering::Relaxed);
        asked.join().unwrap()
    });
    assert!(asked > 5, "{asked}");
}

#[test]
fn a_connection_that_ends_is_kept_no_longer_and_its_peer_sees_the_end() {
    let mut store = Store::start("");
    let (mut ann, mut bob) = (store.tcp(), store.tcp());
    assert_eq!(ann.ask("JOIN ann\n"), "joined ann 1/10\n");
    assert_eq!(bob.ask("PING\n"), "pong\n");
    store.wait_for_connections(2);
    assert_eq!(store.order("restart"), "ready");
    assert_eq!(ann.ask("BYE\n"), "bye\n");
    assert_eq!(ann.reader.read_until(b'\n', &mut Vec::new()).unwrap(), 0, "its end");
    drop(bob);
    store.wait_for_connections(0);
    assert_eq!(store.order("names"), "tails tcp.0.127.0.0.1 udp.0.127.0.0.1");
}

#[test]
fn a_slow_reader_gets_whole_lines_after_a_restart_and_after_a_kill() {
    let mut store = Store::start("[limits]\nunread_bytes = 16777216\n");
    let value = "x".repeat(8000);
    assert_eq!(ask(&store.udp(), &format!("#setter-one.1 SET big {value}")), "#setter-one.1 OK set");
    for how in ["restart", "kill"] {
        let mut slow = store.tcp();
        assert_eq!(slow.ask("PING\n"), "pong\n");
        store.wait_for_connections(1);
        // Far more than the sockets take while it does not read.
        slow.say(&"GET big\n".repeat(2000));
        assert_eq!(ask(&store.udp(), "PING"), "pong");
        assert_eq!(store.order(how), "ready");
        slow.say("PING the end\n");
        let mut lines = 0;
        loop {
            let line = slow.hear();
            if line == "pong the end\n" {
                break;
            }
            assert_eq!(line.trim_end(), value, "{how}, line {lines}");
            lines += 1;
        }
        assert!(lines <= 2000 && (how == "kill" || lines == 2000), "{how}: {lines}");
        drop(slow);
        store.wait_for_connections(0);
    }
}

#[test]
fn without_a_state_the_sockets_that_listen_are_kept_and_connections_end() {
    let mut store = Store::start("[state]\ndirectory = \"\"\n");
    let (mut ann, socket) = (store.tcp(), store.udp());
    assert_eq!(ann.ask("JOIN ann\n"), "joined ann 1/10\n");
    assert_eq!(store.order("restart"), "ready");
    assert_eq!(ann.reader.read_until(b'\n', &mut Vec::new()).unwrap(), 0, "nobody knows her any more");
    assert_eq!(ask(&socket, "WHO"), "");
}
