//! `pigeon doctor` as a process, with a hub of a few lines and system programs that print what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fake_hub;

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use fake_hub::{Hub, json, pigeon, run};
use serde_json::Value;
use tempfile::TempDir;

/// Programs of the system, by name and what they print.
///
/// The others print nothing, so that none of this machine's is run.
fn system(programs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let silent = [("systemctl", ""), ("nft", ""), ("iptables-save", ""), ("ip6tables-save", ""), ("iw", "")];
    for (name, text) in silent.iter().chain(programs) {
        let path = folder.path().join(name);
        let script =
            format!("#!/bin/sh\nwhile read -r line; do echo \"$line\"; done << 'END'\n{text}\nEND\n");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn doctor(system: &Path, port: u16) -> Command {
    let mut command = pigeon(&["doctor", "--json"]);
    command.env("PATH", system).arg(format!("--port={port}"));
    command
}

/// The findings of one check.
fn findings(out: &str, check: &str) -> Vec<Value> {
    out.lines().map(json).filter(|finding| finding["check"] == check).collect()
}

/// A hub that answers as a real one does.
fn hub() -> Hub {
    Hub::udp(|line| match line.strip_prefix("PING") {
        Some(text) => vec![format!("pong{text}\n").into_bytes()],
        None if line == "DISCOVER" => vec![b"HERE pi 0.1.0 1 3/10\n".to_vec()],
        None => Vec::new(),
    })
}

#[test]
fn a_hub_on_this_machine_is_looked_at_from_all_sides() {
    let hub = hub();
    let port = hub.address.port();
    let system = system(&[
        ("systemctl", "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled"),
        ("iptables-save", "*filter\n:INPUT DROP [0:0]\nCOMMIT"),
    ]);
    let (code, out, err) = run(&mut doctor(system.path(), port));
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let service = findings(&out, "service");
    assert_eq!((service.len(), &service[0]["state"]), (1, &"ok".into()), "{out}");
    // The port is held by this test, which is no pigeond; nobody has that of TCP.
    let holders = findings(&out, "port");
    let what = holders[0]["what"].as_str().unwrap();
    assert_eq!(holders[0]["state"], "fail");
    assert!(what.contains(&format!("(pid {})", std::process::id())), "{what}");
    assert!(holders[0]["fix"].as_str().unwrap().contains(&format!("kill {}", std::process::id())));
    assert!(holders[1]["what"].as_str().unwrap().contains("nobody listens on TCP"), "{out}");
    let walls = findings(&out, "firewall");
    assert_eq!((walls.len(), &walls[0]["state"]), (2, &"fail".into()), "{out}");
    let fix = format!("sudo iptables -I INPUT -p udp --dport {port} -j ACCEPT");
    assert_eq!(walls[0]["fix"], fix);
    assert_eq!(findings(&out, "dropped")[0]["state"], "ok", "{out}");
    let local = format!("127.0.0.1:{port} answers: hub \"pi\", version 0.1.0");
    assert!(findings(&out, "discovery").iter().any(|finding| finding["what"] == local), "{out}");
    let trip = findings(&out, "roundtrip");
    assert!(trip[0]["what"].as_str().unwrap().contains("20 of 20 datagrams answered"), "{out}");
    assert_eq!(findings(&out, "tcp")[0]["state"], "warn", "{out}");
}

#[test]
fn where_there_is_no_hub_at_all_it_says_so() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let system = system(&[("systemctl", "LoadState=loaded\nActiveState=inactive\nSubState=dead")]);
    let mut command = doctor(system.path(), port);
    let (code, out, err) = run(&mut command);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let last = json(out.lines().last().unwrap());
    assert_eq!((&last["check"], &last["state"]), (&"discovery".into(), &"fail".into()), "{out}");
    assert_eq!(last["what"], "no hub answers in any way");
    assert!(findings(&out, "roundtrip").is_empty(), "{out}");
}

#[test]
fn an_address_of_this_machine_is_looked_at_as_such_and_people_read_lines() {
    let hub = hub();
    let _tcp = TcpListener::bind(hub.address).unwrap();
    let system = system(&[]);
    let mut command = hub.pigeon(&["doctor"]);
    let (_, out, _) = run(command.env("PATH", system.path()));
    assert!(out.lines().any(|line| line.starts_with("ok    tcp ")), "{out}");
    assert!(out.lines().any(|line| line.starts_with("FAIL  port ")), "{out}");
    let fixes: Vec<&str> = out.lines().filter(|line| line.starts_with("      ")).collect();
    assert!(fixes.iter().any(|line| line.contains("sudo kill ")), "{out}");
}

#[test]
fn a_hub_that_answers_at_another_address_of_this_machine_is_healthy() {
    let hub = Hub::udp_at("[::1]:0", |line| match line {
        "DISCOVER" => vec![b"ERR denied not found\n".to_vec()],
        _ => vec![b"ERR denied not for you\n".to_vec()],
    });
    let port = hub.address.port();
    let system = system(&[]);
    let (_, out, _) = run(&mut doctor(system.path(), port));
    let found = findings(&out, "discovery");
    let about = |address: &str| {
        let what = |finding: &&Value| finding["what"].as_str().unwrap().starts_with(address);
        found.iter().find(what).unwrap_or_else(|| panic!("{address}: {out}"))
    };
    let shy = about(&format!("[::1]:{port} "));
    assert_eq!(shy["state"], "warn", "{out}");
    assert!(shy["what"].as_str().unwrap().ends_with("ERR denied not found"), "{out}");
    let mute = about(&format!("127.0.0.1:{port}: "));
    assert_eq!(mute["state"], "skip", "{out}");
    assert!(mute["what"].as_str().unwrap().contains("does not listen there"), "{out}");
    let trip = findings(&out, "roundtrip");
    assert_eq!(trip[0]["state"], "warn", "{out}");
    assert!(trip[0]["what"].as_str().unwrap().contains("ERR denied not for you"), "{out}");
    assert!(!out.contains("systemctl restart"), "{out}");
}

#[test]
fn a_hub_at_one_address_is_healthy_where_it_is_told_not_to_listen_elsewhere() {
    let hub = hub();
    let system = system(&[]);
    let (_, out, _) = run(&mut doctor(system.path(), hub.address.port()));
    let found = findings(&out, "discovery");
    let states: Vec<&str> = found.iter().map(|finding| finding["state"].as_str().unwrap()).collect();
    assert!(states.contains(&"ok") && states.iter().all(|state| ["ok", "skip"].contains(state)), "{out}");
    assert!(!out.contains("on its machine"), "{out}");
}

#[test]
fn a_rule_for_some_is_told_without_a_command() {
    let hub = hub();
    let port = hub.address.port();
    let drop = |condition: &str| {
        let rule = format!("-A INPUT -p udp -m udp --dport {port} {condition} -j DROP");
        let text = format!("*filter\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT");
        let runs =
            ("systemctl", "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled");
        let system = system(&[runs, ("iptables-save", text.as_str())]);
        let (_, out, _) = run(&mut doctor(system.path(), port));
        findings(&out, "firewall").remove(0)
    };
    let some = drop("-m hashlimit --hashlimit-above 5000/sec --hashlimit-name x");
    assert_eq!(some["state"], "warn", "{some}");
    assert!(some["what"].as_str().unwrap().contains("only some senders reach UDP port"), "{some}");
    assert!(!some["fix"].as_str().unwrap().contains("sudo"), "{some}");
    for condition in ["-i no-such-if0", "-m conntrack --ctstate INVALID"] {
        let nobody = drop(condition);
        assert_eq!(nobody["state"], "ok", "{nobody}");
    }
    let all = drop("");
    assert_eq!(
        (&all["state"], all["fix"].as_str().unwrap().contains("sudo iptables -I")),
        (&"fail".into(), true),
        "{all}"
    );
}
