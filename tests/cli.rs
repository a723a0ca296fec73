//! `pigeon` as a process, against a hub of a few lines that answers as each test wants.

mod fake_hub;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use fake_hub::{CLOSE, Hub, interrupt, json, pigeon, replying, request, run, run_with_input, tagged};
use serde_json::Value;

#[test]
fn a_count_is_printed_plain_and_as_json_and_the_session_ends_with_bye() {
    let hub = Hub::udp(replying(&[("INC", "OK 5"), ("INC a -2", "OK 3")]));
    assert_eq!(run(&mut hub.pigeon(&["inc"])), (0, "5\n".to_owned(), String::new()));
    let (code, out, _) = run(&mut hub.pigeon(&["--json", "inc", "a", "-2"]));
    assert_eq!((code, out.as_str()), (0, "{\"value\":\"3\"}\n"));
    drop(hub.pigeon(&["get", "end"]).arg("--timeout=1ms").output());
    let heard = hub.heard();
    assert_eq!(request(&heard[1]), "BYE");
    let (session, other) = (heard[0].split('.').next().unwrap(), heard[2].split('.').next().unwrap());
    assert!(session.len() >= 9 && session != other, "{heard:?}");
    assert!(heard[1].starts_with(&format!("{session}.2 ")), "{heard:?}");
}

#[test]
fn each_refusal_has_its_exit_code_and_its_sentence() {
    let hub = Hub::udp(replying(&[
        ("GET a", "ERR no-such-key no value has that key"),
        ("INC a x", "ERR not-a-number n is a whole number"),
        ("STATS", "ERR denied not for guests"),
        ("INFO", "ERR usage INFO"),
        ("DEL a", "ERR brand-new word"),
    ]));
    for (arguments, code, sentence) in [
        (&["get", "a"][..], 65, "pigeon: no-such-key: no value has that key\n"),
        (&["inc", "a", "x"], 65, "pigeon: not-a-number: n is a whole number\n"),
        (&["stats"], 77, "pigeon: denied: not for guests\n"),
        (&["info"], 64, "pigeon: usage: INFO\n"),
        (&["del", "a"], 65, "pigeon: brand-new: word\n"),
    ] {
        assert_eq!(run(&mut hub.pigeon(arguments)), (code, String::new(), sentence.to_owned()));
    }
}

#[test]
fn where_no_hub_is_the_exit_code_is_69_and_where_none_answers_75() {
    // Bound and dropped again: nobody listens there.
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for transport in [&[][..], &["--tcp"]] {
        let (code, _, err) =
            run(pigeon(&["inc", "--timeout", "300ms"]).args(transport).args(["--hub", &gone.to_string()]));
        assert_eq!(code, 69, "{err}");
        assert_eq!(
            err,
            format!("pigeon: no pigeond answers at {gone}; is it running? (systemctl status pigeond)\n")
        );
    }
    let silent = Hub::udp(|_| Vec::new());
    let (code, _, err) = run(&mut silent.pigeon(&["inc", "--timeout", "50ms"]));
    assert!(code == 75 && err.contains("within 50ms") && err.contains("unknown"), "{code}: {err}");
    let (code, _, err) = run(&mut silent.pigeon(&["get", "a", "--timeout", "50ms"]));
    assert!(code == 75 && !err.contains("unknown"), "{code}: {err}");
}

#[test]
fn wrong_usage_is_64_and_a_bad_configuration_78_with_its_position() {
    for arguments in [
        &["fly"][..],
        &[],
        &["get", "a b"],
        &["inc", "--timeout", "5h"],
        &["--hub", ":", "inc"],
        &["all", "hi"],
    ] {
        let (code, out, err) = run(&mut pigeon(arguments));
        assert!(code == 64 && out.is_empty() && !err.is_empty(), "{arguments:?}: {code} {err}");
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("pigeon")).unwrap();
    std::fs::write(home.path().join("pigeon/config.toml"), "tcp = true\nport = 5\n").unwrap();
    let (code, _, err) = run(pigeon(&["inc"]).env("XDG_CONFIG_HOME", home.path()));
    assert!(code == 78 && err.contains("config.toml:2:1: "), "{code}: {err}");
}

#[test]
fn the_flag_goes_before_the_environment_and_that_before_the_file() {
    let hub = Hub::udp(replying(&[("INC", "OK 1")]));
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".config/pigeon")).unwrap();
    let file = format!("hub = \"{}\"\n", hub.address);
    std::fs::write(home.path().join(".config/pigeon/config.toml"), file).unwrap();
    assert_eq!(run(pigeon(&["inc"]).env("HOME", home.path())).0, 0);
    let env = |command: &mut Command| run(command.env("PIGEON_HUB", "127.0.0.1:0")).0;
    assert_eq!(env(pigeon(&["inc"]).env("HOME", home.path())), 64);
    assert_eq!(env(pigeon(&["inc", "--hub", &hub.address.to_string()]).env("HOME", home.path())), 0);
}

#[test]
fn a_lost_request_is_sent_again_the_same_bytes() {
    let mut copies = 0;
    let hub = Hub::udp(move |line| {
        copies += 1;
        if copies == 1 { Vec::new() } else { vec![tagged(line, "OK 1"), tagged(line, "OK 1")] }
    });
    assert_eq!(run(&mut hub.pigeon(&["inc"])), (0, "1\n".to_owned(), String::new()));
    let heard = hub.heard();
    assert_eq!(heard[0], heard[1]);
}

#[test]
fn a_busy_hub_is_asked_again() {
    let mut copies = 0;
    let hub = Hub::tcp(move |line| {
        copies += 1;
        vec![tagged(line, if copies == 1 { "ERR busy later" } else { "OK 1" })]
    });
    assert_eq!(run(&mut hub.pigeon(&["inc", "--tcp"])), (0, "1\n".to_owned(), String::new()));
}

#[test]
fn over_tcp_a_broken_connection_is_made_anew_and_the_request_sent_again() {
    let mut copies = 0;
    let hub = Hub::tcp(move |line| {
        copies += 1;
        vec![if copies == 1 { CLOSE.to_vec() } else { tagged(line, "OK 1") }]
    });
    assert_eq!(run(&mut hub.pigeon(&["inc", "--tcp"])), (0, "1\n".to_owned(), String::new()));
    let heard = hub.heard();
    assert_eq!(heard[0], heard[1]);
}

#[test]
fn over_tcp_a_member_joins_anew_before_it_sends_again() {
    let mut sends = 0;
    let hub = Hub::tcp(move |line| match request(line) {
        "JOIN ann" => vec![tagged(line, "OK joined ann 1/9")],
        "ALL hi" => {
            sends += 1;
            vec![if sends == 1 { CLOSE.to_vec() } else { tagged(line, "OK 2") }]
        }
        _ => Vec::new(),
    });
    let (code, out, err) = run(&mut hub.pigeon(&["--tcp", "--as", "ann", "all", "hi"]));
    assert_eq!((code, out.as_str()), (0, "reached 2\n"), "{err}");
    let heard: Vec<String> = hub.heard().iter().map(|line| request(line).to_owned()).collect();
    assert_eq!(heard[..4], ["JOIN ann", "ALL hi", "JOIN ann", "ALL hi"]);
}

#[test]
fn a_dash_makes_each_line_of_the_input_a_request() {
    let hub = Hub::udp(|line| vec![line.as_bytes().to_vec()]);
    let (code, out, _) = run_with_input(&mut hub.pigeon(&["say", "-"]), "one\r\ntwo\n\nlast");
    assert_eq!((code, out.as_str()), (0, "one\ntwo\n\nlast\n"));
    assert_eq!(hub.heard(), ["one", "two", "", "last"]);
}

#[test]
fn a_text_with_a_line_feed_is_refused_before_anything_is_sent() {
    let hub = Hub::udp(|_| Vec::new());
    for arguments in [&["say", "a\nb"][..], &["set", "k", "a\nDEL k"]] {
        assert_eq!(run(&mut hub.pigeon(arguments)).0, 65);
    }
    assert_eq!(hub.heard(), Vec::<String>::new());
}

#[test]
fn what_the_hub_passes_on_is_stripped_of_control_characters() {
    let hub = Hub::udp(|_| vec![b"a\x1b[2Jb\x07\xc2\x9bc\xff\n".to_vec()]);
    assert_eq!(run(&mut hub.pigeon(&["raw", "GET a"])), (0, "a[2Jbc\u{fffd}\n".to_owned(), String::new()));
    let (_, out, _) = run(&mut hub.pigeon(&["raw", "GET", "a", "--json"]));
    assert_eq!(json(&out)["bytes"][1], 0x1b);
    assert!(!out.trim_end().contains(char::is_control), "{out:?}");
    assert_eq!(hub.heard(), ["GET a", "GET a"]);
}

#[test]
fn a_reader_that_has_gone_away_is_success() {
    let many = (0..2000).map(|key| format!("some-long-key-{key}")).collect::<Vec<_>>().join(" ");
    let hub = Hub::udp(move |line| vec![tagged(line, &format!("OK {many}"))]);
    let mut child = hub.pigeon(&["keys"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_text_goes_to_whom_it_is_sent_and_not_to_who_sends() {
    let hub = Hub::udp(replying(&[("JOIN ann", "OK joined ann 1/9"), ("SEND bob  hi", "OK queued")]));
    let (code, out, err) = run(&mut hub.pigeon(&["--as", "ann", "send", "bob", " hi", "--json"]));
    assert_eq!((code, out.as_str()), (0, "{\"reply\":\"queued\"}\n"), "{err}");
}

#[test]
fn bench_counts_what_is_answered_and_what_is_lost() {
    let mut copies = 0_u32;
    let hub = Hub::udp(move |_| {
        copies += 1;
        if copies == 3 { Vec::new() } else { vec![b"1\n".to_vec()] }
    });
    let arguments = ["bench", "--clients", "1", "--window", "1", "--seconds", "0.5", "--json"];
    let (code, out, err) = run(&mut hub.pigeon(&arguments));
    let tally = json(&out);
    assert_eq!((code, &tally["lost"]), (0, &Value::from(1)), "{out}{err}");
    assert!(tally["requests"].as_u64() > Some(2) && tally["p50_us"].is_number(), "{out}");
}

#[test]
fn bench_over_tcp_counts_lines() {
    let hub = Hub::tcp(|_| vec![b"1\n".to_vec()]);
    let arguments = ["bench", "--tcp", "--clients", "1", "--window", "7", "--seconds", "0.1", "--json"];
    let (code, out, err) = run(&mut hub.pigeon(&arguments));
    assert!(code == 0 && json(&out)["requests"].as_u64() > Some(6), "{out}{err}");
}

#[test]
fn a_list_is_followed_to_its_end() {
    let hub = Hub::udp(replying(&[
        ("WHO", "OK ann bob +"),
        ("WHO bob", "OK carl +"),
        ("WHO carl", "OK dora"),
        ("KEYS a*", "OK a1 +"),
        ("KEYS a* a1", "OK"),
    ]));
    assert_eq!(run(&mut hub.pigeon(&["who"])).1, "ann\nbob\ncarl\ndora\n");
    assert_eq!(run(&mut hub.pigeon(&["keys", "a*", "--json"])).1, "{\"key\":\"a1\"}\n");
}

#[test]
fn ping_tells_loss_and_times() {
    let hub = Hub::udp(|line| match line {
        "PING 2" => Vec::new(),
        _ => vec![line.replace("PING", "pong").into_bytes()],
    });
    let (code, out, _) = run(&mut hub.pigeon(&["ping", "-c", "3", "-i", "1ms", "--timeout", "100ms"]));
    assert_eq!(code, 0);
    assert!(out.contains("seq=3 time=") && out.contains("3 sent, 2 answered, 33% lost"), "{out}");
    let (_, out, _) = run(&mut hub.pigeon(&["ping", "-c", "1", "--json"]));
    let last = json(out.lines().last().unwrap());
    assert_eq!((&last["sent"], &last["answered"]), (&Value::from(1), &Value::from(1)));
}

#[test]
fn watch_prints_values_until_ctrl_c_and_then_says_bye() {
    let hub = Hub::udp(|line| match request(line) {
        "WATCH a*" => {
            vec![
                b"VAL a1 5\n".to_vec(),
                tagged(line, "OK watching a*"),
                b"VAL a2 \x1bx\n".to_vec(),
                b"GONE a1\n".to_vec(),
            ]
        }
        request if request.starts_with("JOIN watch-") => vec![tagged(line, "OK joined w 1/9")],
        "BYE" => vec![tagged(line, "OK bye")],
        "UNWATCH -" => vec![tagged(line, "OK unwatching -")],
        other => panic!("{other}"),
    });
    let mut child = hub.pigeon(&["watch", "a*"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(
        [lines.next(), lines.next(), lines.next()].map(Option::unwrap),
        ["a1 5", "a2 x", "a1 is gone"]
    );
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(request(hub.heard().last().unwrap()), "BYE");
}

#[test]
fn listening_ends_with_77_when_the_code_joins_elsewhere() {
    let hub = Hub::udp(|line| match request(line) {
        "JOIN ann ack" => {
            vec![tagged(line, "OK joined ann 1/9"), b"MSG bob hi\n".to_vec(), b"BYE moved\n".to_vec()]
        }
        _ => vec![tagged(line, "OK")],
    });
    let (code, _, err) = run(&mut hub.pigeon(&["listen", "--as", "ann"]));
    assert!(code == 77 && err.contains("elsewhere"), "{code}: {err}");
}

#[test]
fn chat_asks_for_a_code_sends_what_is_typed_and_ends_with_bye() {
    let hub = Hub::udp(|line| match request(line) {
        "JOIN ann ack" => vec![tagged(line, "OK joined ann 1/9 box1")],
        "ALL hello" => vec![b"MSG bob \x1b[31mhi\n".to_vec(), tagged(line, "OK 1")],
        "SEND bob you" => vec![tagged(line, "OK sent")],
        "SEND carl x" => vec![tagged(line, "ERR no-such-client carl has not joined")],
        "BYE" => vec![tagged(line, "OK bye")],
        "UNWATCH -" => vec![tagged(line, "OK unwatching -")],
        other => panic!("{other}"),
    });
    let input = "no code\nann\nhello\n@bob you\n/to carl x\nBYE\nnever sent\n";
    let (code, out, err) = run_with_input(&mut hub.pigeon(&["chat"]), input);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().collect::<Vec<_>>(), ["bob: [31mhi", "reached 1", "sent"]);
    assert!(err.contains("no-such-client"), "{err}");
    assert_eq!(request(hub.heard().last().unwrap()), "BYE");
}

#[test]
fn chat_ends_with_its_input_and_with_ctrl_c() {
    let answer =
        || replying(&[("JOIN ann ack", "OK joined ann 1/9 box1"), ("ALL hi", "OK 0"), ("BYE", "OK bye")]);
    let hub = Hub::udp(answer());
    let (code, out, _) = run_with_input(&mut hub.pigeon(&["chat", "--as", "ann", "--json"]), "hi");
    assert_eq!((code, out.as_str()), (0, "{\"reached\":0}\n"));
    let hub = Hub::udp(answer());
    let mut chat = hub.pigeon(&["chat", "--as", "ann"]);
    let mut child = chat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"hi\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "reached 0\n");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(request(hub.heard().last().unwrap()), "BYE");
}

#[test]
fn a_line_typed_after_the_hub_forgot_the_session_goes_out_in_a_new_one() {
    let mut known = String::new();
    let mut restarts = 1;
    let hub = Hub::tcp(move |line| {
        let (session, number) = line.split(' ').next().unwrap().split_once('.').unwrap();
        if number == "1" {
            known = session.to_owned();
        } else if session != known {
            return vec![tagged(line, "ERR unopened begin with 1")];
        }
        match request(line) {
            "JOIN ann ack" => vec![tagged(line, "OK joined ann 1/9 box1")],
            "ALL one" => vec![tagged(line, "OK 1")],
            "ALL two" if restarts > 0 => {
                restarts -= 1;
                known.clear();
                vec![tagged(line, "OK 2"), CLOSE.to_vec()]
            }
            "ALL two" | "ALL three" => vec![tagged(line, "OK 3")],
            _ => vec![tagged(line, "OK bye")],
        }
    });
    let mut chat = hub.pigeon(&["chat", "--tcp", "--as", "ann"]);
    chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = chat.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for (line, reply) in [("one\n", "reached 1"), ("two\n", "reached 2"), ("three\n", "reached 3")] {
        input.write_all(line.as_bytes()).unwrap();
        assert_eq!(lines.next().as_deref(), Some(reply));
        // What leaves on the old connection may have been done: type on when the new one stands.
        let joins = || hub.heard().iter().filter(|line| request(line) == "JOIN ann ack").count();
        while reply == "reached 2" && joins() < 2 {
            std::thread::yield_now();
        }
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let heard: Vec<String> = hub.heard().iter().map(|line| request(line).to_owned()).collect();
    assert_eq!(heard.iter().filter(|line| *line == "JOIN ann ack").count(), 3, "{heard:?}");
}

#[test]
fn ctrl_c_before_a_place_is_taken_ends_well() {
    for arguments in [&["listen"][..], &["watch", "a"], &["chat", "--as", "ann"]] {
        let (joining, joined) = std::sync::mpsc::sync_channel(1);
        let hub = Hub::udp(move |_| {
            let _ = joining.try_send(());
            Vec::new()
        });
        let mut command = hub.pigeon(arguments);
        let mut child = command.args(["--timeout", "1m"]).stdin(Stdio::piped()).spawn().unwrap();
        joined.recv().unwrap();
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn chat_that_is_asked_to_end_before_it_has_a_code_ends_well() {
    let hub = Hub::udp(|_| Vec::new());
    assert_eq!(run_with_input(&mut hub.pigeon(&["chat"]), "BYE\n"), (0, String::new(), String::new()));
    let mut command = hub.pigeon(&["chat"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Only the answer to a wrong code tells that the question was asked.
    child.stdin.as_mut().unwrap().write_all(b"no code\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("a code is"), "{line}");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(hub.heard(), Vec::<String>::new());
}

#[test]
fn a_refusal_of_a_text_is_no_reply_to_it_but_its_echo_is() {
    let hub = Hub::udp(|line| {
        let reply = match line {
            "long" => "ERR too-long at most 1024 bytes",
            "much" => "ERR busy later",
            echoed => echoed,
        };
        vec![format!("{reply}\n").into_bytes()]
    });
    for (text, code, err) in
        [("long", 65, "pigeon: too-long: at most 1024 bytes\n"), ("much", 75, "pigeon: busy: later\n")]
    {
        assert_eq!(run(&mut hub.pigeon(&["say", text])), (code, String::new(), err.to_owned()));
    }
    for text in ["ERR too-long x", "ERR busy", "ERR other"] {
        assert_eq!(run(&mut hub.pigeon(&["say", text])), (0, format!("{text}\n"), String::new()));
    }
}

#[test]
fn a_push_is_no_reply_to_a_raw_line_and_ack_has_none() {
    let hub = Hub::udp(|line| match line {
        "JOIN ann" => vec![b"joined ann 1/9\n".to_vec()],
        "INC" => vec![b"MSG bob hi\n".to_vec(), b"1\n".to_vec()],
        "DEC" => vec![b"0\n".to_vec()],
        _ => Vec::new(),
    });
    let (code, out, _) = run_with_input(&mut hub.pigeon(&["raw", "-"]), "JOIN ann\nACK 5\nINC\nDEC\n");
    assert_eq!((code, out.as_str()), (0, "joined ann 1/9\nMSG bob hi\n1\n0\n"));
    assert_eq!(hub.heard(), ["JOIN ann", "ACK 5", "INC", "DEC"]);
}

#[test]
fn bench_prints_what_it_measured_of_a_hub_that_went_away() {
    let mut copies = 0;
    let hub = Hub::tcp(move |_| {
        copies += 1;
        vec![if copies > 20 { CLOSE.to_vec() } else { b"1\n".to_vec() }]
    });
    let arguments = ["bench", "--tcp", "--clients", "1", "--window", "1", "--seconds", "60", "--json"];
    let (code, out, err) = run(&mut hub.pigeon(&arguments));
    assert!(code == 69 && err.contains("went away"), "{code}: {err}");
    assert_eq!(json(&out)["requests"], 20);
}

#[test]
fn bench_measures_no_echo_server() {
    let echo = |line: &str| vec![format!("{line}\n").into_bytes()];
    for (hub, transport) in [(Hub::udp(echo), &[][..]), (Hub::tcp(echo), &["--tcp"])] {
        let mut command = hub.pigeon(&["bench", "--clients", "1", "--seconds", "60"]);
        let (code, out, err) = run(command.args(transport));
        assert!(code == 69 && out.is_empty() && err.contains("`INC` and no number"), "{code}: {out}{err}");
    }
}

#[test]
fn the_file_says_how_to_talk_under_which_code_and_how_long_to_wait() {
    let hub = Hub::tcp(replying(&[("JOIN ann", "OK joined ann 1/9"), ("ALL hi", "OK 2")]));
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("pigeon")).unwrap();
    let file = "tcp = true\nas = \"ann\"\ntimeout = \"70ms\"\n";
    std::fs::write(home.path().join("pigeon/config.toml"), file).unwrap();
    let with_file = |arguments| run(hub.pigeon(arguments).env("XDG_CONFIG_HOME", home.path()));
    assert_eq!(with_file(&["get", "silence"]).2.matches("within 70ms").count(), 1);
    let (code, out, err) = with_file(&["all", "hi", "--timeout", "1m"]);
    assert_eq!((code, out.as_str()), (0, "reached 2\n"), "{err}");
}

#[test]
fn a_refusal_is_stripped_of_control_characters_and_del_has_its_json() {
    let hub = Hub::udp(replying(&[("GET a", "ERR x \x1b[31mred"), ("DEL a", "OK deleted a")]));
    assert_eq!(run(&mut hub.pigeon(&["get", "a"])).2, "pigeon: x: [31mred\n");
    assert_eq!(run(&mut hub.pigeon(&["del", "a", "--json"])).1, "{\"deleted\":\"a\"}\n");
}
