//! `pigeon` without an address: hubs that answer a broadcast on loopback, where 127.255.255.255 is one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fake_hub;

use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use fake_hub::{Hub, json, pigeon, request, run, tagged};

/// What hears a broadcast, and lets each hub answer from its own address.
struct Network {
    port: u16,
    thread: Option<JoinHandle<usize>>,
}

impl Network {
    /// The hubs as the address each answers from, and its line.
    fn of(hubs: &[(&str, String)]) -> Self {
        Self::on_port(0, hubs)
    }

    fn on_port(port: u16, hubs: &[(&str, String)]) -> Self {
        let socket = UdpSocket::bind(("127.255.255.255", port)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let bound = |(ip, line): &(&str, String)| (UdpSocket::bind((*ip, 0)).unwrap(), line.clone());
        let hubs: Vec<(UdpSocket, String)> = hubs.iter().map(bound).collect();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 100];
            let mut asked = 0;
            loop {
                let (count, from) = socket.recv_from(&mut buffer).unwrap();
                match buffer.get(..count).unwrap() {
                    b"stop" => return asked,
                    b"DISCOVER\n" => asked += 1,
                    other => panic!("{}", other.escape_ascii()),
                }
                for (hub, line) in &hubs {
                    hub.send_to(line.as_bytes(), from).unwrap();
                }
            }
        });
        Self { port, thread: Some(thread) }
    }

    fn pigeon(&self, arguments: &[&str]) -> Command {
        let mut command = pigeon(arguments);
        command.arg(format!("--port={}", self.port));
        command
    }

    /// How often it was asked.
    fn end(mut self) -> usize {
        self.stop().unwrap()
    }

    fn stop(&mut self) -> Option<usize> {
        let thread = self.thread.take()?;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(b"stop", ("127.255.255.255", self.port)).unwrap();
        Some(thread.join().unwrap())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a hub says about itself.
fn here(name: &str, port: u16) -> String {
    format!("HERE {name} 0.1.0 {port} 3/10\n")
}

/// A hub that keeps sessions: it knows those that began with it.
fn hub(name: &'static str, at: &str) -> Hub {
    let mut sessions = Vec::new();
    Hub::udp_at(at, move |line| {
        if line == "DISCOVER" {
            // The address it is asked at is the one it answers from; its port is of no interest here.
            return vec![format!("HERE {name} 0.1.0 1 3/10").into_bytes()];
        }
        let (session, number) = line.split(' ').next().unwrap().split_once('.').unwrap();
        if number == "1" {
            sessions.push(session.to_owned());
        }
        let is_known = sessions.iter().any(|known| known == session);
        let reply = match request(line) {
            _ if !is_known => "ERR unopened begin with number 1",
            "PING" => "OK pong",
            "BYE" => return Vec::new(),
            "INC" => "OK 5",
            other => panic!("{other}"),
        };
        vec![tagged(line, reply)]
    })
}

fn cached(command: &mut Command, cache: &Path) -> (i32, String, String) {
    run(command.env("XDG_CACHE_HOME", cache))
}

#[test]
fn every_hub_is_listed_with_what_it_says() {
    let network = Network::of(&[("127.0.0.1", here("pi", 99)), ("127.0.0.2", here("den", 98))]);
    let (code, out, err) = run(&mut network.pigeon(&["discover", "--wait=300ms"]));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert!(lines[0].starts_with("den at 127.0.0.2:98: version 0.1.0, 3/10 clients, "), "{out}");
    assert!(lines[1].starts_with("pi at 127.0.0.1:99: version 0.1.0, 3/10 clients, "), "{out}");
    assert_eq!(lines.len(), 2, "{out}");

    let (_, out, _) = run(&mut network.pigeon(&["discover", "--wait=300ms", "--json"]));
    let mut hubs: Vec<_> = out.lines().map(json).collect();
    hubs.sort_by_key(|hub| hub["name"].to_string());
    assert_eq!(hubs[1]["address"], "127.0.0.1:99");
    assert_eq!(hubs[1]["addresses"][0], "127.0.0.1:99");
    assert_eq!((&hubs[0]["clients"], &hubs[0]["limit"]), (&3.into(), &10.into()));
    assert!(hubs[0]["ms"].as_f64().is_some_and(|millis| millis >= 0.0), "{out}");
    assert!(network.end() >= 6, "a broadcast is sent several times");
}

#[test]
fn one_hub_that_answers_from_two_addresses_is_one_and_two_of_one_name_are_two() {
    let (one, other) = (hub("pi", "127.0.0.1:0"), hub("pi", "127.0.0.2:0"));
    let (port, _) = (one.address.port(), other.address.port());
    // The second address leads to the first hub, as the two addresses of one machine do.
    let relay = {
        let to = one.address;
        Hub::udp_at(&format!("127.0.0.3:{port}"), move |line| {
            let socket = UdpSocket::bind("127.0.0.3:0").unwrap();
            socket.send_to(line.as_bytes(), to).unwrap();
            let mut buffer = [0; 100];
            let awaits = request(line) != "BYE";
            let count = if awaits { socket.recv(&mut buffer).unwrap() } else { return Vec::new() };
            vec![buffer.get(..count).unwrap().to_vec()]
        })
    };
    let network = Network::of(&[("127.0.0.1", here("pi", port)), ("127.0.0.3", here("pi", port))]);
    let (code, out, _) = run(&mut network.pigeon(&["discover", "--wait=600ms", "--json"]));
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    let addresses = [format!("127.0.0.1:{port}"), format!("127.0.0.3:{port}")];
    assert_eq!(json(out.trim())["addresses"], serde_json::json!(addresses));
    drop((network, relay, other));

    let twin = hub("pi", &format!("127.0.0.2:{port}"));
    let network = Network::of(&[("127.0.0.1", here("pi", port)), ("127.0.0.2", here("pi", port))]);
    let (code, out, _) = run(&mut network.pigeon(&["discover", "--wait=600ms"]));
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    drop(twin);
}

#[test]
fn a_command_without_an_address_uses_the_one_hub_and_finds_it_again() {
    let cache = tempfile::tempdir().unwrap();
    let pi = hub("pi", "127.0.0.1:0");
    let network = Network::of(&[("127.0.0.1", here("pi", pi.address.port()))]);
    let port = format!("--port={}", network.port);
    let (code, out, err) = cached(&mut network.pigeon(&["inc"]), cache.path());
    assert_eq!((code, out.as_str(), err.as_str()), (0, "5\n", ""));
    assert!(network.end() > 0);
    // Nobody hears a broadcast any more; the address is known.
    let (code, out, err) = cached(&mut pigeon(&["inc", &port]), cache.path());
    assert_eq!((code, out.as_str(), err.as_str()), (0, "5\n", ""));
    // Without the memory it is not found.
    let (code, _, err) = run(&mut pigeon(&["inc", &port, "--timeout=1ms"]));
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("no hub found") && err.contains("pigeon doctor") && err.contains("--hub"), "{err}");
}

/// Notes for the hubs on a port which one was used last; yields the file.
fn remember(cache: &Path, port: u16, line: &str) -> PathBuf {
    let file = cache.join(format!("pigeon/hub-{port}"));
    std::fs::create_dir(cache.join("pigeon")).unwrap();
    std::fs::write(&file, line).unwrap();
    file
}

#[test]
fn another_hub_than_the_remembered_one_is_not_used_unless_somebody_says_so() {
    let den = hub("den", "127.0.0.1:0");
    // The other one is at the remembered address, or answers on the network.
    for (last, network) in [
        (format!("{} pi\n", den.address), Network::of(&[("127.0.0.1", here("den", den.address.port()))])),
        ("127.0.0.9:9 pi\n".to_owned(), Network::of(&[("127.0.0.1", here("den", den.address.port()))])),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let file = remember(cache.path(), network.port, &last);
        let (code, out, err) = cached(&mut network.pigeon(&["inc", "--timeout=1ms"]), cache.path());
        assert_eq!((code, out.as_str()), (64, ""), "{err}");
        let (former, other) = (last.split(' ').next().unwrap(), den.address);
        assert!(err.contains(&format!("{former} (pi)")), "{err}");
        assert!(err.contains(&format!("--hub {other} (den)")), "{err}");
        assert!(err.contains(&format!("rm {}", file.display())), "{err}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), last, "it was overwritten unasked");
        assert!(network.end() > 0, "the networks are asked then");
    }
    assert!(den.heard().iter().all(|line| line == "DISCOVER"), "{:?}", den.heard());
}

#[test]
fn another_hub_on_this_machine_is_not_used_for_the_remembered_one() {
    let den = hub("den", "127.0.0.1:0");
    let network = Network::on_port(den.address.port(), &[]);
    let cache = tempfile::tempdir().unwrap();
    let file = remember(cache.path(), network.port, "127.0.0.9:9 pi\n");
    let (code, _, err) = cached(&mut network.pigeon(&["inc", "--timeout=1ms"]), cache.path());
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("--hub 127.0.0.9:9 (pi)"), "{err}");
    assert!(err.contains(&format!("--hub {} (den)", den.address)), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "127.0.0.9:9 pi\n");
    assert!(den.heard().iter().all(|line| line == "DISCOVER"), "{:?}", den.heard());
}

#[test]
fn the_remembered_hub_is_known_by_its_name_where_it_has_moved() {
    let pi = hub("pi", "127.0.0.1:0");
    let network =
        Network::of(&[("127.0.0.2", here("den", 98)), ("127.0.0.1", here("pi", pi.address.port()))]);
    let cache = tempfile::tempdir().unwrap();
    let file = remember(cache.path(), network.port, "127.0.0.9:9 pi\n");
    let (code, out, err) = cached(&mut network.pigeon(&["inc"]), cache.path());
    assert_eq!((code, out.as_str(), err.as_str()), (0, "5\n", ""));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{} pi\n", pi.address));
}

#[test]
fn a_hub_on_this_machine_is_remembered_too() {
    for (says, remembered) in [("HERE pi 0.1.0 1 3/10", " pi\n"), ("ERR denied not found", "\n")] {
        let local = Hub::udp(move |line| match line {
            "DISCOVER" => vec![says.as_bytes().to_vec()],
            line => vec![tagged(line, "OK 7")],
        });
        let port = local.address.port();
        let cache = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let arguments = ["inc", &format!("--port={port}")];
            assert_eq!(cached(&mut pigeon(&arguments), cache.path()).1, "7\n");
            let file = cache.path().join(format!("pigeon/hub-{port}"));
            assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{}{remembered}", local.address));
        }
        drop(local);
        // A neighbour is no substitute.
        let network = Network::on_port(port, &[("127.0.0.2", here("den", 98))]);
        let (code, _, err) = cached(&mut network.pigeon(&["inc", "--timeout=1ms"]), cache.path());
        assert_eq!(code, 64, "{err}");
    }
}

#[test]
fn a_hub_that_is_away_for_a_moment_is_waited_for() {
    for is_remembered in [false, true] {
        // Its port is free until it has been looked for.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (asked, is_asked) = std::sync::mpsc::sync_channel(100);
        let network = Hub::udp_at(&format!("127.255.255.255:{port}"), move |_| {
            let _ = asked.try_send(());
            Vec::new()
        });
        let cache = tempfile::tempdir().unwrap();
        if is_remembered {
            remember(cache.path(), port, &format!("127.0.0.1:{port} pi\n"));
        }
        let mut command = pigeon(&["inc", "--timeout=60s", &format!("--port={port}")]);
        command.env("XDG_CACHE_HOME", cache.path()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        is_asked.recv().unwrap();
        let pi = hub("pi", &format!("127.0.0.1:{port}"));
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"5\n"[..]));
        drop((pi, network));
    }
}

#[test]
fn a_hub_that_listens_on_tcp_alone_is_found_with_that_option() {
    for (says, remembered) in [("HERE pi 0.1.0 1 3/10\n", " pi\n"), ("ERR denied not found\n", "\n")] {
        let hub = Hub::tcp(move |line| match line {
            "DISCOVER" => vec![says.as_bytes().to_vec()],
            "PING" => vec![b"pong\n".to_vec()],
            line => vec![tagged(line, "OK 7")],
        });
        let port = format!("--port={}", hub.address.port());
        let cache = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (code, out, err) = cached(&mut pigeon(&["inc", "--tcp", &port]), cache.path());
            assert_eq!((code, out.as_str(), err.as_str()), (0, "7\n", ""));
            let file = cache.path().join(format!("pigeon/hub-{}", hub.address.port()));
            assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{}{remembered}", hub.address));
        }
        assert_eq!(run(&mut pigeon(&["inc", &port, "--timeout=1ms"])).0, 69);
    }
    // Something else that accepts connections is no hub.
    let other = Hub::tcp(|_| vec![b"HTTP/1.1 400 Bad Request\n\n".to_vec()]);
    let port = format!("--port={}", other.address.port());
    assert_eq!(run(&mut pigeon(&["inc", "--tcp", &port, "--timeout=1ms"])).0, 69);
}

#[test]
fn two_hubs_on_this_machine_are_both_seen() {
    let one = hub("pi", "127.0.0.1:0");
    let port = one.address.port();
    let other = hub("den", &format!("[::1]:{port}"));
    let cache = tempfile::tempdir().unwrap();
    let arguments = ["inc", &format!("--port={port}")];
    let (code, out, err) = cached(&mut pigeon(&arguments), cache.path());
    assert_eq!((code, out.as_str()), (64, ""), "{err}");
    assert!(err.contains(&format!("--hub 127.0.0.1:{port} (pi) or --hub [::1]:{port} (den)")), "{err}");
    drop(other);
    // Two of one name are two as well; the one that was used last goes on being used.
    let twin = hub("pi", &format!("[::1]:{port}"));
    assert_eq!(cached(&mut pigeon(&arguments), cache.path()).0, 64);
    remember(cache.path(), port, &format!("[::1]:{port} pi\n"));
    assert_eq!(cached(&mut pigeon(&arguments), cache.path()).1, "5\n");
    assert!(twin.heard().iter().any(|line| line.ends_with(" INC")), "{:?}", twin.heard());
    assert!(!one.heard().iter().any(|line| line.ends_with(" INC")), "{:?}", one.heard());
}

#[test]
fn a_hub_at_an_address_of_this_machine_that_is_not_loopback_is_found() {
    // Where the machine is on no network there is no such address.
    let is_lan = |ip: &IpAddr| ip.is_ipv4() && !ip.is_loopback();
    let Some(ip) = if_addrs::get_if_addrs().unwrap().iter().map(if_addrs::Interface::ip).find(is_lan) else {
        return;
    };
    let hub = Hub::udp_at(&format!("{ip}:0"), |line| match line {
        "DISCOVER" => vec![b"ERR denied not found".to_vec()],
        line => vec![tagged(line, "OK 7")],
    });
    let (code, out, err) = run(&mut pigeon(&["inc", &format!("--port={}", hub.address.port())]));
    assert_eq!((code, out.as_str(), err.as_str()), (0, "7\n", ""));
}

#[test]
fn between_two_hubs_it_never_guesses() {
    let network = Network::of(&[("127.0.0.1", here("pi", 99)), ("127.0.0.2", here("den", 98))]);
    let cache = tempfile::tempdir().unwrap();
    let (code, out, err) = cached(&mut network.pigeon(&["inc"]), cache.path());
    assert_eq!((code, out.as_str()), (64, ""), "{err}");
    assert!(err.contains("--hub 127.0.0.1:99 (pi)") && err.contains("--hub 127.0.0.2:98 (den)"), "{err}");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is remembered");
}

#[test]
fn a_hub_on_this_machine_goes_first_and_nobody_else_is_asked() {
    for discoverable in [true, false] {
        let local = Hub::udp(move |line| match line {
            "DISCOVER" if discoverable => vec![b"HERE pi 0.1.0 1 3/10".to_vec()],
            "DISCOVER" => vec![b"ERR denied this hub cannot be discovered".to_vec()],
            line => vec![tagged(line, "OK 7")],
        });
        let port = local.address.port();
        // It says nothing of the port: where it was asked is where it is.
        let network = Network::on_port(port, &[("127.0.0.2", here("den", 98))]);
        let (code, out, err) = run(&mut network.pigeon(&["inc"]));
        assert_eq!((code, out.as_str(), err.as_str()), (0, "7\n", ""));
        assert_eq!(network.end(), 0, "a broadcast was sent");
    }
}

#[test]
fn an_address_that_is_given_is_not_looked_for() {
    let hub = Hub::udp(|line| vec![tagged(line, "OK 1")]);
    let (code, out, _) = run(&mut hub.pigeon(&["inc"]));
    assert_eq!((code, out.as_str()), (0, "1\n"));
    assert!(!hub.heard().iter().any(|line| line.contains("DISCOVER")), "{:?}", hub.heard());
    let host = ["--hub=127.0.0.1".to_owned(), format!("--port={}", hub.address.port())];
    assert_eq!(run(pigeon(&["inc"]).args(host)).1, "1\n");
}

#[test]
fn what_is_no_answer_of_a_hub_is_not_shown() {
    let lines =
        ["HERE \x1b[31mpi 0.1.0 99 3/10\n", "HERE pi 0.1.0 0 3/10\n", "DISCOVER\n", "ERR denied\n", "\n"];
    let hubs: Vec<_> = lines.iter().map(|line| ("127.0.0.1", (*line).to_owned())).collect();
    let network = Network::of(&hubs);
    let (code, out, err) = run(&mut network.pigeon(&["discover", "--wait=200ms"]));
    assert_eq!((code, out.as_str()), (69, ""), "{err}");
    assert!(!err.contains('\x1b'), "{err}");
}
