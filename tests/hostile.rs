//! What hostile or heavy clients did once: each of these stopped, starved or fattened the daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use common::{Daemon, PATIENCE, ask, ask_tcp, receive};

/// Reads away whatever comes, until the connection ends.
fn read_away(stream: &TcpStream) -> std::thread::JoinHandle<usize> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            total += read;
        }
        total
    })
}

/// How many KiB the daemon had in use at most.
fn most_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn watching_everything_a_thousand_times_takes_little_memory_and_nobody_waits() {
    let daemon = Daemon::start();
    let control = daemon.udp();
    for n in 0..10 {
        assert_eq!(ask(&control, format!("SET v{n} {}", "x".repeat(8000)).as_bytes()), b"set");
    }
    let mut greedy = daemon.tcp();
    assert_eq!(ask_tcp(&mut greedy, b"JOIN ann\n", 16), b"joined ann 1/10\n");
    let before = most_kib(&daemon);
    let reader = read_away(&greedy);
    greedy.write_all(&b"WATCH *\n".repeat(1000)).unwrap();
    assert_eq!(ask(&control, b"PING"), b"pong");
    // The last reply and the values behind it show that all were answered, and the reader was never closed.
    greedy.write_all(b"BYE\n").unwrap();
    assert_eq!(reader.join().unwrap(), 1000 * ("watching *\n".len() + 10 * ("VAL v0 \n".len() + 8000)) + 4);
    // A twentieth of what was sent, with room for what the state file's own pages may take meanwhile.
    assert!(most_kib(&daemon) < before + 4096, "{before} {}", most_kib(&daemon));
}

#[test]
fn a_flood_of_messages_to_all_neither_fattens_the_daemon_nor_closes_who_reads() {
    let daemon = Daemon::start();
    let mut members: Vec<TcpStream> = (0..10).map(|_| daemon.tcp()).collect();
    for (n, member) in members.iter_mut().enumerate() {
        let reply = format!("joined m{n} {}/10\n", n + 1);
        assert_eq!(ask_tcp(member, format!("JOIN m{n}\n").as_bytes(), reply.len()), reply.as_bytes());
    }
    let before = most_kib(&daemon);
    let readers: Vec<_> = members.iter().map(read_away).collect();
    members[0].write_all(&b"ALL \n".repeat(13_000)).unwrap();
    for member in &mut members {
        member.write_all(b"BYE\n").unwrap();
    }
    let received: Vec<usize> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert!(received[0] >= 2 * 13_000);
    assert!(most_kib(&daemon) < before + 8192, "{before} {}", most_kib(&daemon));
}

#[test]
fn costly_searches_do_not_keep_others_waiting_for_each_other() {
    let daemon = Daemon::start();
    let control = daemon.udp();
    for n in (0..10_000).step_by(100) {
        let lines: Vec<String> = (n..n + 100).map(|n| format!("SET {}{n:05} x\n", "a".repeat(40))).collect();
        assert_eq!(ask(&control, lines.concat().as_bytes()), b"set\n".repeat(100));
    }
    let mut greedy = daemon.tcp();
    let reader = read_away(&greedy);
    let search = format!("KEYS {}*aaaaaaaab\n", "*a".repeat(20));
    greedy.write_all(&search.as_bytes().repeat(300)).unwrap();
    // The searches take their turns with this: it is answered long before they are through.
    assert_eq!(ask(&control, b"PING"), b"pong");
    let stats = String::from_utf8(ask(&control, b"STATS")).unwrap();
    let requests: u64 =
        stats.split(' ').find_map(|figure| figure.strip_prefix("requests=")).unwrap().parse().unwrap();
    assert!(requests < 10_000 + 300, "the searches were all done first: {stats}");
    drop(greedy);
    daemon.signal("TERM");
    drop(reader);
}

#[test]
fn at_the_end_nothing_is_cut_in_two_and_obeyed() {
    let mut daemon = Daemon::start();
    let control = daemon.udp();
    assert_eq!(ask(&control, format!("SET big {}", "x".repeat(8000)).as_bytes()), b"set");
    assert_eq!(ask(&control, b"SET precious 1"), b"set");
    let witness = daemon.udp();
    assert_eq!(ask(&witness, b"JOIN witness"), b"joined witness 1/10");
    assert_eq!(ask(&witness, b"WATCH *s"), b"watching *s");
    assert_eq!(receive(&witness), b"VAL precious 1");
    let mut stream = daemon.tcp();
    // Far more than this reads: the rest of the requests is held back, the last one in the middle.
    stream.write_all(&[&b"GET big\n".repeat(5000)[..], b"SET note "].concat()).unwrap();
    let mut first = [0; 8001];
    stream.read_exact(&mut first).unwrap();
    stream.write_all(b"DEL precious\n").unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    witness.set_nonblocking(true).unwrap();
    assert!(witness.recv(&mut first).is_err(), "nothing was deleted");
}

#[test]
fn at_the_end_what_a_reading_client_asked_for_is_answered_in_full() {
    let mut daemon = Daemon::start();
    assert_eq!(ask(&daemon.udp(), format!("SET big {}", "x".repeat(8000)).as_bytes()), b"set");
    let mut stream = daemon.tcp();
    daemon.signal("STOP");
    stream.write_all(&b"GET big\n".repeat(500)).unwrap();
    let reader = read_away(&stream);
    daemon.signal("TERM");
    daemon.signal("CONT");
    assert_eq!(reader.join().unwrap(), 500 * 8001);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_reload_may_narrow_and_widen_the_address_on_the_same_port() {
    let mut daemon = Daemon::with("[listen]\nbind = [\"0.0.0.0\"]\nport = 0\n");
    let port = daemon.port;
    let mut stream = daemon.tcp();
    assert_eq!(ask_tcp(&mut stream, b"JOIN ann\n", 16), b"joined ann 1/10\n");
    // From the system's choice to the same port by its number, which is in the way of itself.
    for bind in ["127.0.0.1", "0.0.0.0", "127.0.0.1"] {
        let free = free_port();
        for port in [free, port] {
            daemon.write_config(&format!("[listen]\nbind = [\"{bind}\"]\nport = {port}\n"));
            daemon.signal("HUP");
            daemon.wait_for_log("the configuration was reloaded");
            daemon.port = port;
            assert_eq!(ask(&daemon.udp(), b"WHO"), b"ann");
            assert_eq!(ask_tcp(&mut daemon.tcp(), b"WHO\n", 4), b"ann\n");
        }
    }
    for bind in ["0.0.0.0", "127.0.0.1", "0.0.0.0"] {
        daemon.write_config(&format!("[listen]\nbind = [\"{bind}\"]\nport = {port}\n"));
        daemon.signal("HUP");
        daemon.wait_for_log("the configuration was reloaded");
        assert_eq!(ask(&daemon.udp(), b"WHO"), b"ann");
    }
    assert_eq!(ask_tcp(&mut stream, b"WHO\n", 4), b"ann\n", "the connection has outlived all of it");
}

/// A port that is free for UDP and TCP, for now.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn the_end_of_a_datagram_that_is_too_long_is_mirrored() {
    let daemon = Daemon::start();
    let socket = daemon.udp();
    for (end, x) in [("\n", 8193), ("\r\n", 8300), ("\n", 20_000), ("", 60_000), ("\r\n", 65_000)] {
        let reply = ask(&socket, format!("{}{end}", "x".repeat(x)).as_bytes());
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.starts_with("ERR too-long "), "{reply}");
        assert_eq!(&reply[reply.trim_end().len()..], end, "{x}");
    }
}

#[test]
fn a_log_that_nobody_reads_does_not_fill_with_comings_and_goings() {
    let mut daemon = Daemon::start();
    let socket = daemon.udp();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..20 {
        let replies = ask(&socket, "JOIN a\nBYE\n".repeat(64).as_bytes());
        assert!(replies.starts_with(b"joined a 1/10\nbye\n"));
        // What did not fit into one datagram comes in a second.
        let _ = replies;
    }
    daemon.signal("TERM");
    daemon.wait();
    let lines = daemon.count_log("joined");
    assert!((1..=400).contains(&lines), "{lines}");
}
