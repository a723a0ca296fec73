//! `pigeon listen`, `watch` and `chat` with acknowledged delivery, against a hub of a few lines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake_hub;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use fake_hub::{CLOSE, Hub, interrupt, json, replying, request, run, tagged};

/// Starts it, with its standard output to read line by line.
fn start(mut command: Command) -> (Child, impl Iterator<Item = String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

fn end(mut child: Child) {
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn push(line: &str) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

#[test]
fn what_is_printed_is_acknowledged_once_in_order_and_again_if_the_hub_repeats_itself() {
    let mut repeated = false;
    let hub = Hub::udp(move |line| match (line, request(line)) {
        (_, "JOIN ann ack") => vec![tagged(line, "OK joined ann 1/9 box1"), push("@1 MSG bob one")],
        ("ACK 1", _) => ["@3 MSG bob three", "@2 MSG bob two", "@2 MSG bob two"].map(push).to_vec(),
        ("ACK 3", _) if !core::mem::replace(&mut repeated, true) => vec![push("@3 MSG bob three")],
        (_, "BYE") => vec![tagged(line, "OK bye")],
        _ => Vec::new(),
    });
    let (child, mut lines) = start(hub.pigeon(&["listen", "--as", "ann"]));
    for line in ["bob: one", "bob: two", "bob: three"] {
        assert_eq!(lines.next().as_deref(), Some(line));
    }
    hub.await_lines("ACK 3", 2);
    end(child);
    assert_eq!(lines.next(), None);
    assert_eq!(request(hub.heard().last().unwrap()), "BYE");
}

#[test]
fn what_nobody_could_print_is_not_acknowledged() {
    let (gone, reader_gone) = std::sync::mpsc::sync_channel(1);
    let hub = Hub::udp(move |line| match request(line) {
        "JOIN ann ack" => {
            reader_gone.recv().unwrap();
            vec![tagged(line, "OK joined ann 1/9 box1"), push("@1 MSG bob one")]
        }
        "PING" => vec![tagged(line, "OK pong")],
        _ => Vec::new(),
    });
    let (mut child, lines) = start(hub.pigeon(&["listen", "--keep", "--as", "ann", "--timeout", "1m"]));
    drop(lines);
    gone.send(()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!hub.heard().iter().any(|line| line.starts_with("ACK")), "{:?}", hub.heard());
}

#[test]
fn after_the_place_is_lost_the_same_mailbox_goes_on_and_another_begins_anew() {
    let mut joins = 0;
    let hub = Hub::udp(move |line| match request(line) {
        "JOIN ann ack" => {
            joins += 1;
            let mailbox = if joins < 3 { "box1" } else { "box2" };
            let mut lines = vec![tagged(line, &format!("OK joined ann 1/9 {mailbox}"))];
            match joins {
                1 => lines.extend(["@5 MSG bob five"].map(push)),
                2 => lines.extend(["@5 MSG bob five", "@6 MSG bob six"].map(push)),
                _ => lines.extend(["@1 MSG bob first"].map(push)),
            }
            lines
        }
        "UNWATCH -" if joins < 3 => vec![tagged(line, "ERR join-first JOIN code")],
        "UNWATCH -" => vec![tagged(line, "OK unwatching -")],
        "BYE" => vec![tagged(line, "OK bye")],
        _ => Vec::new(),
    });
    let (child, mut lines) = start(hub.pigeon(&["listen", "--as", "ann"]));
    for line in ["bob: five", "bob: six", "bob: first"] {
        assert_eq!(lines.next().as_deref(), Some(line));
    }
    hub.await_line("ACK 1");
    end(child);
    assert_eq!(lines.next(), None);
}

#[test]
fn over_tcp_a_watch_goes_on_where_the_connection_broke() {
    let mut joins = 0;
    let hub = Hub::tcp(move |line| match (line, request(line)) {
        (_, "WATCH a*") if joins == 1 => {
            vec![tagged(line, "OK watching a*"), push("@1 VAL a1 5"), push("@2 VAL a2 6")]
        }
        ("ACK 2", _) => vec![CLOSE.to_vec()],
        (_, "WATCH a*") => vec![tagged(line, "OK watching a*")],
        (_, "BYE") => vec![tagged(line, "OK bye")],
        (_, join) if join.starts_with("JOIN watch-") && join.ends_with(" ack") => {
            joins += 1;
            let mut lines = vec![tagged(line, "OK joined w 1/9 box1")];
            // The acknowledgement was lost with the connection.
            if joins > 1 {
                lines.extend(["@2 VAL a2 6", "@3 GONE a1"].map(push));
            }
            lines
        }
        _ => Vec::new(),
    });
    let (child, mut lines) = start(hub.pigeon(&["watch", "--tcp", "a*"]));
    for line in ["a1 5", "a2 6", "a1 is gone"] {
        assert_eq!(lines.next().as_deref(), Some(line));
    }
    hub.await_line("ACK 3");
    end(child);
    assert_eq!(lines.next(), None);
}

#[test]
fn with_keep_the_mailbox_stays_and_only_a_named_one_can() {
    let hub = Hub::udp(|line| match request(line) {
        "JOIN ann ack" => vec![tagged(line, "OK joined ann 1/9 box1"), push("@1 MSG bob one")],
        "PING" => vec![tagged(line, "OK pong")],
        _ => Vec::new(),
    });
    let (child, mut lines) = start(hub.pigeon(&["listen", "--keep", "--as", "ann"]));
    assert_eq!(lines.next().as_deref(), Some("bob: one"));
    end(child);
    let heard: Vec<String> = hub.heard();
    assert!(heard.contains(&"ACK 1".to_owned()), "{heard:?}");
    assert!(!heard.iter().any(|line| request(line) == "BYE"), "{heard:?}");
    let (code, _, err) = run(&mut hub.pigeon(&["listen", "--keep"]));
    assert!(code == 64 && err.contains("--as"), "{code}: {err}");
}

#[test]
fn a_refusal_of_the_mailbox_or_of_who_only_sends_is_told() {
    let hub = Hub::udp(replying(&[
        ("JOIN ann ack", "ERR denied no mailboxes here"),
        ("JOIN ann", "ERR denied this code has a mailbox"),
    ]));
    let (code, _, err) = run(&mut hub.pigeon(&["listen", "--as", "ann"]));
    assert_eq!((code, err.as_str()), (77, "pigeon: denied: no mailboxes here\n"));
    for arguments in [&["send", "bob", "hi"][..], &["all", "hi"], &["ask", "bob", "hi"]] {
        let (code, _, err) = run(hub.pigeon(arguments).args(["--as", "ann"]));
        assert!(code == 77 && err.contains("under another code"), "{code}: {err}");
    }
}

#[test]
fn a_question_to_a_listener_is_shown_with_its_ticket() {
    let hub = Hub::udp(|line| match request(line) {
        "JOIN ann ack" => vec![tagged(line, "OK joined ann 1/9 box1"), push("@1 ASK t0k3n bob how warm?")],
        "BYE" => vec![tagged(line, "OK bye")],
        _ => Vec::new(),
    });
    let (child, mut lines) = start(hub.pigeon(&["listen", "--as", "ann"]));
    assert_eq!(lines.next().as_deref(), Some("bob asks: how warm?"));
    end(child);
    let (child, mut lines) = start(hub.pigeon(&["listen", "--as", "ann", "--json"]));
    let shown = json(&lines.next().unwrap());
    assert_eq!(shown, serde_json::json!({"from": "bob", "question": "how warm?", "ticket": "t0k3n"}));
    end(child);
}

#[test]
fn a_terminal_that_is_closed_ends_it_well_unless_it_was_told_to_outlive_that() {
    for ignored in [false, true] {
        let (go, gone) = std::sync::mpsc::sync_channel(1);
        let hub = Hub::udp(move |line| match (line, request(line)) {
            (_, "JOIN ann ack") => vec![tagged(line, "OK joined ann 1/9 box1"), push("@1 MSG bob one")],
            ("ACK 1", _) => {
                gone.recv().unwrap();
                vec![push("@2 MSG bob two")]
            }
            (_, "BYE") => vec![tagged(line, "OK bye")],
            _ => Vec::new(),
        });
        let listen = hub.pigeon(&["listen", "--as", "ann"]);
        // Whatever whoever runs the tests has told them.
        let hangup = if ignored { "--ignore-signal=HUP" } else { "--default-signal=HUP" };
        let mut command = Command::new("env");
        command.arg(hangup).arg(listen.get_program()).args(listen.get_args());
        command.env("PIGEON_HUB", hub.address.to_string()).stdin(Stdio::null());
        let (mut child, mut lines) = start(command);
        assert_eq!(lines.next().as_deref(), Some("bob: one"));
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
        go.send(()).unwrap();
        if ignored {
            assert_eq!(lines.next().as_deref(), Some("bob: two"));
            end(child);
        } else {
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
        assert_eq!(request(hub.heard().last().unwrap()), "BYE");
    }
}
