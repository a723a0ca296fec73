//! The daemon as a process: its options, signals, reloads, limits, and what it tells systemd.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use common::{Daemon, PATIENCE, ask, ask_tcp, receive, uninterrupted};

fn pigeond() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pigeond"));
    // Whatever it is asked, it leaves no state behind.
    command.env_remove("STATE_DIRECTORY").env_remove("XDG_STATE_HOME").env_remove("HOME");
    command
}

#[test]
fn options_print_and_check() {
    pigeond().arg("--version").assert().success().stdout(format!("pigeond {}\n", env!("CARGO_PKG_VERSION")));
    pigeond().arg("--help").assert().success();
    pigeond().arg("--wrong").assert().code(64);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/pigeond.toml");
    pigeond().args(["--config", shipped, "--check-config"]).assert().success();
    let printed = pigeond().args(["--config", shipped, "--print-config"]).assert().success();
    let directory = tempfile::tempdir().unwrap();
    let again = directory.path().join("again.toml");
    std::fs::write(&again, &printed.get_output().stdout).unwrap();
    let reprinted = pigeond().arg("--config").arg(&again).arg("--print-config").assert().success();
    let settings = |run: &assert_cmd::assert::Assert| {
        let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        // The comment above them names the file.
        text.split_once("\n\n").unwrap().1.to_owned()
    };
    assert_eq!(settings(&reprinted), settings(&printed));
}

#[test]
fn the_directory_beside_the_configuration_is_read_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let (file, more) = (directory.path().join("main.toml"), directory.path().join("conf.d"));
    let run = |option: &str| {
        let run = pigeond().current_dir(&directory).args(["--config", "main.toml", option]).assert();
        let output = run.get_output();
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    std::fs::write(&file, "[listen]\nport = 1\nbind = [\"10.0.0.1\", \"::1\"]\n").unwrap();
    let (code, text) = run("--print-config");
    assert!(code == 0 && text.starts_with("# Read from:\n#   main.toml\n\n"), "{text}");

    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("10-site.toml"), "[listen]\nport = 2\n").unwrap();
    std::fs::write(more.join("20-host.toml"), "[listen]\nbind = [\"10.0.0.2\"]\n").unwrap();
    let (code, text) = run("--print-config");
    let files = "#   main.toml\n#   conf.d/10-site.toml\n#   conf.d/20-host.toml\n";
    assert!(code == 0 && text.contains(files), "{text}");
    assert!(text.contains("\nport = 2\n") && text.contains("\nbind = [\"10.0.0.2\"]\n"), "{text}");

    std::fs::write(more.join("10-site.toml"), "[listen]\nport = 70000\n").unwrap();
    std::fs::write(more.join("20-host.toml"), "\n[lisen]\n").unwrap();
    let (code, text) = run("--check-config");
    let both = text.contains("conf.d/10-site.toml:2:8: ") && text.contains("\nconf.d/20-host.toml:2:2: ");
    assert!(code == 78 && both, "{text}");

    std::fs::remove_dir_all(&more).unwrap();
    std::fs::write(&more, "").unwrap();
    let (code, text) = run("--check-config");
    assert!(code == 78 && text.contains("conf.d: cannot be read: Not a directory"), "{text}");
}

#[test]
fn a_reload_reads_the_directory_too() {
    let mut daemon = Daemon::start();
    let socket = daemon.udp();
    let more = daemon.config_file().with_file_name("conf.d");
    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("reply.toml"), "[text]\nreply = \"counter\"\n").unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("the configuration was reloaded");
    assert_eq!(ask(&socket, b"hello"), b"0");
    std::fs::write(more.join("limit.toml"), "\n[clients]\nlimit = 0\n").unwrap();
    daemon.signal("HUP");
    let line = daemon.wait_for_log("clients.limit");
    assert!(line.contains("conf.d/limit.toml:3:9: "), "{line}");
    daemon.wait_for_log("the old one stays in force");
    assert_eq!(ask(&socket, b"hello"), b"0");
}

#[test]
fn a_bad_configuration_stops_the_start_with_78_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.toml");
    std::fs::write(&file, "[listen]\nport = 70000\n[clients]\nlimitt = 5\n").unwrap();
    for arguments in [&["--check-config"][..], &[]] {
        let run = pigeond().arg("--config").arg(&file).args(arguments).assert().code(78);
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(
            said.contains("bad.toml:2:") && said.contains("bad.toml:4:") && said.contains("limit"),
            "{said}"
        );
    }
    pigeond().args(["--config", "/nonexistent/pigeond.toml"]).assert().code(78);
}

#[test]
fn a_check_outside_of_the_service_looks_at_the_keys_that_the_service_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pigeond.toml");
    std::fs::write(&file, "[access]\nrequired = true\n").unwrap();
    let service = std::path::Path::new("/etc/pigeond/keys");
    for option in ["--check-config", "--print-config"] {
        let mut look = pigeond();
        look.env_remove("CREDENTIALS_DIRECTORY").arg("--config").arg(&file).arg(option);
        let run = look.assert();
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        // The machine that runs the test may have keys.
        if service.try_exists().is_ok_and(|exists| !exists) {
            run.code(78);
            assert!(
                said.contains("pigeond.toml:2:12: ") && said.contains("nothing in /etc/pigeond/keys"),
                "{said}"
            );
        }
        let keys = directory.path().join("pigeond.keys");
        std::fs::write(&keys, "[code.ann]\nsecret = \"00112233445566778899aabbccddeeff\"\n").unwrap();
        let mut look = pigeond();
        look.env("CREDENTIALS_DIRECTORY", directory.path()).arg("--config").arg(&file).arg(option);
        look.assert().success();
        std::fs::write(&keys, "[code.ann]\nsecret = 5\n").unwrap();
        let run = look.assert().code(78);
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.contains("pigeond.keys:2:10: "), "{said}");
    }
}

#[test]
fn a_taken_port_is_named_with_who_holds_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = format!("[listen]\nbind = [\"127.0.0.1\"]\nport = {port}\nudp = false\n");
    let mut daemon = Daemon::spawn(&settings);
    let line = daemon.wait_for_log("is taken");
    assert!(line.contains(&format!("TCP port {port}")), "{line}");
    assert!(line.contains(&format!("(pid {})", std::process::id())), "{line}");
    assert_eq!(daemon.wait().code(), Some(71));
}

#[test]
fn term_and_int_answer_what_has_arrived_and_end_cleanly_with_the_port_free() {
    for signal in ["TERM", "INT"] {
        let mut daemon = Daemon::start();
        let socket = daemon.udp();
        let mut stream = daemon.tcp();
        assert_eq!(ask_tcp(&mut stream, b"INC\n", 2), b"1\n");
        // The daemon stands still while these arrive, so only its end can answer them.
        daemon.signal("STOP");
        socket.send(b"INC").unwrap();
        stream.write_all(b"INC\nhello").unwrap();
        daemon.signal(signal);
        daemon.signal("CONT");
        let by_udp = receive(&socket);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        // Either may have been first.
        let answers = (by_udp.as_slice(), rest.as_slice());
        assert!([(&b"2"[..], &b"3\nhello"[..]), (b"3", b"2\nhello")].contains(&answers), "{answers:?}");
        assert_eq!(daemon.wait().code(), Some(0));
        UdpSocket::bind(daemon.address()).expect("the UDP port is free");
        TcpListener::bind(daemon.address()).expect("the TCP port is free");
    }
}

#[test]
fn a_reload_changes_settings_without_dropping_anybody() {
    let mut daemon = Daemon::start();
    let socket = daemon.udp();
    let mut stream = daemon.tcp();
    assert_eq!(ask_tcp(&mut stream, b"JOIN ann\n", 16), b"joined ann 1/10\n");
    daemon.write_config("[clients]\nlimit = 20\n[text]\nreply = \"counter\"\n");
    daemon.signal("HUP");
    daemon.wait_for_log("the configuration was reloaded");
    assert_eq!(ask(&socket, b"hello"), b"0");
    assert_eq!(ask(&socket, b"JOIN bob"), b"joined bob 2/20");
    assert_eq!(ask_tcp(&mut stream, b"SEND bob hi\n", 5), b"sent\n");
    assert_eq!(receive(&socket), b"MSG ann hi");
}

#[test]
fn a_reload_moves_to_another_port_and_keeps_connections_and_clients() {
    let mut daemon = Daemon::start();
    let socket = daemon.udp();
    let mut stream = daemon.tcp();
    assert_eq!(ask(&socket, b"JOIN bob"), b"joined bob 1/10");
    assert_eq!(ask_tcp(&mut stream, b"JOIN ann\n", 16), b"joined ann 2/10\n");
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    daemon.write_config(&format!("[listen]\nbind = [\"127.0.0.1\"]\nport = {free}\n"));
    daemon.signal("HUP");
    daemon.wait_for_log("the configuration was reloaded");
    assert_eq!(ask_tcp(&mut stream, b"WHO\n", 8), b"ann bob\n");
    UdpSocket::bind(daemon.address()).expect("the old port is free");
    let old_port = std::mem::replace(&mut daemon.port, free);
    assert_ne!(old_port, free);
    assert_eq!(ask(&daemon.udp(), b"WHO"), b"ann bob");
}

#[test]
fn a_bad_reload_keeps_the_old_settings_and_says_so() {
    let mut daemon = Daemon::start();
    let socket = daemon.udp();
    for bad in
        ["[clients]\nlimit = 0\n", "[listen\n", "[listen]\nbind = [\"127.0.0.1\"]\nport = 1\nwrong = 1\n"]
    {
        daemon.write_config(bad);
        daemon.signal("HUP");
        daemon.wait_for_log("the old one stays in force");
        assert_eq!(ask(&socket, b"PING"), b"pong");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    daemon.write_config(&format!("[listen]\nbind = [\"127.0.0.1\"]\nport = {port}\nudp = false\n"));
    daemon.signal("HUP");
    daemon.wait_for_log("is taken");
    assert_eq!(ask(&socket, b"PING"), b"pong");
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    let daemon = Daemon::with("[listen]\nbind = [\"0.0.0.0\", \"::\"]\nport = 0\n");
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for last in [1, 2, 77] {
        let asked = daemon.at(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
        // Several at once leave in one call, and several of one length in one segmented datagram.
        for request in ["INC", "INC", "PING a", "PING a"] {
            socket.send_to(request.as_bytes(), asked).unwrap();
        }
        for _ in 0..4 {
            assert_eq!(uninterrupted(|| socket.recv_from(&mut [0; 100])).unwrap().1, asked);
        }
    }
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    v6.set_read_timeout(Some(PATIENCE)).unwrap();
    v6.send_to(b"GET counter", daemon.at("::1".parse().unwrap())).unwrap();
    let mut reply = [0; 100];
    let (length, from) = uninterrupted(|| v6.recv_from(&mut reply)).unwrap();
    assert_eq!((&reply[..length], from), (&b"6"[..], daemon.at("::1".parse().unwrap())));
}

#[test]
fn pushes_of_many_lengths_arrive_whole_and_in_order() {
    let daemon = Daemon::start();
    let (watcher, setter) = (daemon.udp(), daemon.udp());
    assert_eq!(ask(&watcher, b"JOIN w"), b"joined w 1/10");
    assert_eq!(ask(&watcher, b"WATCH *"), b"watching *");
    let lines: Vec<String> = (0..40).map(|n| format!("SET k {}\n", "x".repeat(n / 3))).collect();
    assert_eq!(ask(&setter, lines.concat().as_bytes()), b"set\n".repeat(40));
    for n in 0..40 {
        assert_eq!(receive(&watcher), format!("VAL k {}", "x".repeat(n / 3)).as_bytes());
    }
}

#[test]
fn ten_thousand_clients_join_and_one_more_is_refused() {
    let daemon = Daemon::with("[clients]\nlimit = 10000\n");
    let before = daemon.resident_kib();
    for n in 0..10_000_u32 {
        // An address of its own for each: places outlive the sockets, whose ports are soon given out again.
        let [_, _, high, low] = n.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 1, high, low), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(daemon.address()).unwrap();
        assert_eq!(
            ask(&socket, format!("JOIN c{n}").as_bytes()),
            format!("joined c{n} {}/10000", n + 1).as_bytes()
        );
    }
    let one_more = daemon.udp();
    assert!(ask(&one_more, b"JOIN more").starts_with(b"ERR full "));
    let grown = daemon.resident_kib() - before;
    assert!(grown < 10_000, "{grown} KiB for 10,000 clients");
}

#[test]
fn an_idle_daemon_takes_less_than_a_mebibyte_of_its_own() {
    let daemon = Daemon::start();
    assert_eq!(ask(&daemon.udp(), b"PING"), b"pong");
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kib: u64 = own.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kib < 1024, "{kib} KiB");
}

#[test]
fn connections_beyond_the_limit_are_told_and_closed_and_room_is_made_when_one_ends() {
    let daemon = Daemon::with("[limits]\ntcp_connections = 2\n");
    let mut first = daemon.tcp();
    let mut second = daemon.tcp();
    assert_eq!(ask_tcp(&mut first, b"PING\n", 5), b"pong\n");
    assert_eq!(ask_tcp(&mut second, b"PING\n", 5), b"pong\n");
    let mut told = String::new();
    daemon.tcp().read_to_string(&mut told).unwrap();
    assert!(told.starts_with("ERR full "), "{told}");
    assert_eq!(ask_tcp(&mut first, b"BYE\n", 4), b"bye\n");
    assert_eq!(uninterrupted(|| first.read(&mut [0; 10])).unwrap(), 0);
    assert_eq!(ask_tcp(&mut daemon.tcp(), b"PING\n", 5), b"pong\n");
}

#[test]
fn a_client_that_does_not_read_is_closed_and_the_others_are_served() {
    let mut daemon = Daemon::with("[limits]\nunread_bytes = 65536\n");
    let mut deaf = daemon.tcp();
    let mut loud = daemon.tcp();
    assert_eq!(ask_tcp(&mut deaf, b"JOIN deaf\n", 17), b"joined deaf 1/10\n");
    assert_eq!(ask_tcp(&mut loud, b"JOIN loud\n", 17), b"joined loud 2/10\n");
    let line = format!("ALL {}\n", "x".repeat(8000));
    let mut took = b"1\n".to_vec();
    // Far more than the kernel buffers of one connection hold.
    for _ in 0..10_000 {
        took = ask_tcp(&mut loud, line.as_bytes(), 2);
        if took == b"0\n" {
            break;
        }
    }
    assert_eq!(took, b"0\n", "the deaf client is gone");
    daemon.wait_for_log("does not read");
}

/// More replies than the kernel's buffers hold.
const REQUESTS: usize = 20_000;

#[test]
fn a_client_that_asks_and_never_reads_is_not_read_from_and_gets_all_in_the_end() {
    let daemon = Daemon::start();
    let mut stream = daemon.tcp();
    let before = daemon.resident_kib();
    let mut asking = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let line = format!("PING {}\n", "x".repeat(1000));
        for _ in 0..REQUESTS {
            asking.write_all(line.as_bytes()).unwrap();
        }
    });
    // Others are served meanwhile, and what is unread waits in the kernel.
    assert_eq!(ask(&daemon.udp(), b"PING"), b"pong");
    let mut total = 0;
    let mut buffer = vec![0; 1 << 16];
    while total < REQUESTS * 1006 {
        total += uninterrupted(|| stream.read(&mut buffer)).unwrap();
    }
    writer.join().unwrap();
    assert_eq!(total, REQUESTS * 1006);
    assert!(daemon.resident_kib() < before + 2048);
}

#[test]
fn small_requests_for_large_values_are_answered_in_full_with_little_memory() {
    let daemon = Daemon::start();
    let mut stream = daemon.tcp();
    let value = "v".repeat(8000);
    assert_eq!(ask_tcp(&mut stream, format!("SET k {value}\n").as_bytes(), 4), b"set\n");
    let before = daemon.resident_kib();
    let mut asking = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || asking.write_all(&b"GET k\n".repeat(REQUESTS)).unwrap());
    let mut reply = vec![0; 8001];
    for n in 0..REQUESTS {
        stream.read_exact(&mut reply).unwrap();
        assert!(reply.iter().all(|&b| b == b'v' || b == b'\n'), "reply {n}");
    }
    writer.join().unwrap();
    assert!(daemon.resident_kib() < before + 2048);
}

/// Starts a daemon that tells this socket what it would tell systemd.
fn with_notify_socket(watchdog: Option<&str>) -> (std::process::Child, UnixDatagram, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = directory.path().join("p.toml");
    std::fs::write(&config, "[listen]\nbind = [\"127.0.0.1\"]\nport = 0\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pigeond"));
    command.arg("--config").arg(config).env("NOTIFY_SOCKET", path).env_remove("JOURNAL_STREAM");
    command.env("XDG_STATE_HOME", directory.path()).env_remove("STATE_DIRECTORY");
    if let Some(microseconds) = watchdog {
        command.env("WATCHDOG_USEC", microseconds).env_remove("WATCHDOG_PID");
    }
    (command.stderr(std::process::Stdio::null()).spawn().unwrap(), notify, directory)
}

fn wait_for_notice(notify: &UnixDatagram, part: &str) -> String {
    loop {
        let mut buffer = [0; 4096];
        let received = uninterrupted(|| notify.recv(&mut buffer));
        let length = received.unwrap_or_else(|error| panic!("no {part}: {error}"));
        let notice = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if notice.contains(part) {
            return notice;
        }
    }
}

fn signal(child: &std::process::Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(status.unwrap().success());
}

#[test]
fn systemd_hears_of_readiness_life_reload_and_end() {
    let (mut child, notify, _directory) = with_notify_socket(Some("200000"));
    wait_for_notice(&notify, "READY=1");
    let alive = wait_for_notice(&notify, "WATCHDOG=1");
    assert!(alive.contains("STATUS=0/10 clients"), "{alive}");
    signal(&child, "HUP");
    let reloading = wait_for_notice(&notify, "RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    wait_for_notice(&notify, "READY=1");
    signal(&child, "TERM");
    wait_for_notice(&notify, "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
