//! The examples do what they say, against the daemon.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;
#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "common/program.rs"]
mod program;

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use common::Daemon;
use program::{Program, python, run, script, tool};

#[test]
fn the_counter_example_counts() {
    let daemon = Daemon::start();
    let printed = run(python("examples/counter.py"), &daemon, &[]);
    assert_eq!(printed, "INC -> 1\nINC -> 2\nDEC -> 1\nhello -> hello");
}

#[test]
fn the_discover_example_finds_the_hub_and_counts() {
    let daemon = Daemon::with("[broadcast]\nname = \"pi\"\n");
    let printed = run(python("examples/discover.py"), &daemon, &[]);
    assert_eq!(printed, format!("HERE: pi is at 127.0.0.1, port {}\nINC -> 1", daemon.port));
}

#[test]
fn the_shell_example_counts_and_keeps_a_value() {
    let (Some(_), Some(client)) = (tool("nc"), script("sh", "examples/shell.sh")) else { return };
    let daemon = Daemon::start();
    assert_eq!(run(client, &daemon, &[]), "1\nset\ngood morning\nbye\nvisits: 1");
}

#[test]
fn the_keyed_example_proves_what_it_asks_and_is_refused_without_the_secret() {
    let secret = "00112233445566778899aabbccddeeff";
    let files = tempfile::tempdir().expect("a temporary directory");
    let keys = files.path().join("keys.toml");
    std::fs::write(&keys, format!("[code.kitchen]\nsecret = \"{secret}\"\n")).expect("the keys are written");
    let daemon = Daemon::with(&format!("[access]\nkeys_file = \"{}\"\n", keys.display()));
    let with = |secret| {
        let mut client = python("examples/keyed.py");
        client.env("PIGEON_KEY", secret);
        client
    };
    for visits in ["1", "2"] {
        let printed = run(with(secret), &daemon, &["kitchen"]);
        let visits = format!("INC -> OK {visits}");
        let (joined, printed) = printed.split_once('\n').expect("lines");
        assert!(joined.starts_with("JOIN -> OK joined kitchen 1/"), "{joined}");
        let lines: Vec<&str> = printed.lines().collect();
        let right = ["SET -> OK set", &visits, "GET -> OK 21.5", "BYE -> OK bye"];
        assert_eq!(lines, right);
    }
    let mut ten = python("examples/ten_lines.py");
    ten.env("PIGEON_KEY", secret);
    assert_eq!(run(ten, &daemon, &["kitchen"]), "OK joined kitchen 1/11\nOK 3\nOK bye");
    let mut wrong = with("ffeeddccbbaa99887766554433221100");
    let ended = wrong.args(["127.0.0.1", &daemon.port.to_string(), "kitchen"]).output().expect("it runs");
    assert!(!ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
}

const CLIENT_PRINTS: [&str; 8] = [
    "joined sensor 1/10",
    "counter is 1",
    "room/temp is 21.5",
    "watching room/*",
    "pushed: VAL room/temp 21.5",
    "pushed: VAL room/temp 22",
    "refused: no-such-key",
    "bye",
];

#[test]
fn the_client_example_counts_once_keeps_a_value_and_is_pushed_to() {
    let daemon = Daemon::start();
    prints_what_it_should(&run(python("examples/client.py"), &daemon, &["sensor"]));
}

#[test]
fn the_client_example_counts_once_though_each_datagram_is_lost_or_doubled() {
    let daemon = Daemon::start();
    let relay = UdpSocket::bind("127.0.0.1:0").expect("a relay");
    let port = relay.local_addr().expect("its address").port().to_string();
    let mut client = python("examples/client.py");
    client.args(["127.0.0.1", &port, "sensor"]);
    let client = Program::start(client);
    let hub = daemon.udp();
    thread::spawn(move || carry_requests(&relay, &hub));
    // A WATCH that came twice pushes the present value twice.
    let mut lines: Vec<String> = client.rest().lines().map(str::to_owned).collect();
    lines.dedup();
    prints_what_it_should(&lines.join("\n"));
    assert_eq!(common::ask(&daemon.udp(), b"GET counter"), b"1");
}

fn prints_what_it_should(printed: &str) {
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), CLIENT_PRINTS.len(), "{printed}");
    for (line, start) in lines.into_iter().zip(CLIENT_PRINTS) {
        assert!(line.starts_with(start), "{line:?} instead of {start:?}");
    }
}

/// Carries each request to the hub twice, as long as the test runs.
fn carry_requests(relay: &UdpSocket, hub: &UdpSocket) {
    let mut buffer = [0; 2048];
    let mut replies = None;
    while let Ok((length, client)) = relay.recv_from(&mut buffer) {
        let (hub_too, relay_too) = (hub.try_clone().expect("a socket"), relay.try_clone().expect("a socket"));
        replies.get_or_insert_with(|| thread::spawn(move || carry_replies(&hub_too, &relay_too, client)));
        let _ = hub.send(&buffer[..length]);
        let _ = hub.send(&buffer[..length]);
    }
}

/// Loses the first two copies of each reply, and carries the others and all that is pushed.
fn carry_replies(hub: &UdpSocket, relay: &UdpSocket, client: SocketAddr) {
    let mut buffer = [0; 2048];
    let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
    while let Ok(length) = hub.recv(&mut buffer) {
        let reply = &buffer[..length];
        let copies = seen.entry(reply.to_vec()).or_default();
        *copies += 1;
        if !reply.starts_with(b"#") || *copies > 2 {
            let _ = relay.send_to(reply, client);
        }
    }
}
