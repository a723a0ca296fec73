//! `pigeon ask` and `pigeon answer`, against a hub of a few lines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake_hub;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake_hub::{Hub, interrupt, json, replying, request, run, tagged};

/// A hub that puts these questions to whoever joins, under the tickets t0k1, t0k2 ..., and confirms each answer.
fn asking(questions: &'static [&'static str]) -> Hub {
    Hub::udp(move |line| match request(line) {
        "JOIN pi ack" => {
            let ask = |(at, text): (usize, &&str)| format!("@{at} ASK t0k{at} ann {text}\n").into_bytes();
            let questions = (1..).zip(questions).map(ask);
            std::iter::once(tagged(line, "OK joined pi 1/9 box1")).chain(questions).collect()
        }
        "BYE" => vec![tagged(line, "OK bye")],
        "UNWATCH -" => vec![tagged(line, "OK unwatching -")],
        answer if answer.starts_with("ANSWER ") => vec![tagged(line, "OK answered")],
        _ => Vec::new(),
    })
}

/// `pigeon answer --as pi`, these options and a shell script as the command.
fn answering(hub: &Hub, options: &[&str], script: &str) -> Command {
    let mut command = hub.pigeon(&["answer", "--as", "pi"]);
    command.args(options).args(["--", "sh", "-c", script]).env("PATH", std::env::var_os("PATH").unwrap());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it until the hub has heard all of these, and ends it: standard output and standard error.
fn until(hub: &Hub, mut command: Command, lines: &[&str]) -> (String, String) {
    let child = command.spawn().unwrap();
    for line in lines {
        hub.await_line(line);
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(request(hub.heard().last().unwrap()), "BYE");
    (String::from_utf8(output.stdout).unwrap(), err)
}

#[test]
fn the_answer_is_printed_plain_and_as_json_and_may_be_empty() {
    let hub = Hub::udp(|line| match request(line) {
        "JOIN ann" => vec![tagged(line, "OK joined ann 1/9")],
        join if join.starts_with("JOIN ask-") => vec![tagged(line, "OK joined ask 1/9")],
        "ASK pi how  warm?" => vec![tagged(line, "OK 21.5 C")],
        "ASK pi " => vec![tagged(line, "OK")],
        _ => Vec::new(),
    });
    let ask = |arguments: &[&str]| run(hub.pigeon(&["ask", "pi"]).args(arguments));
    assert_eq!(ask(&["how  warm?"]), (0, "21.5 C\n".to_owned(), String::new()));
    assert_eq!(ask(&["how  warm?", "--json", "--as", "ann"]).1, "{\"answer\":\"21.5 C\"}\n");
    assert_eq!(ask(&[""]), (0, "\n".to_owned(), String::new()));
    hub.await_lines("BYE", 3);
}

#[test]
fn each_way_of_getting_no_answer_has_its_exit_code() {
    let hub = Hub::udp(|line| match request(line) {
        "ASK pi fail" => vec![tagged(line, "OK ERR command failed: exit status 3")],
        "ASK pi slow" => vec![tagged(line, "ERR timeout no answer in time")],
        "ASK pi silent" => Vec::new(),
        "ASK nobody x" => vec![tagged(line, "ERR no-such-client nobody has that code")],
        _ => vec![tagged(line, "OK joined ask 1/9")],
    });
    for (arguments, code, err) in [
        (["pi", "fail"], 70, "pigeon: pi answers: command failed: exit status 3\n"),
        (["pi", "slow"], 75, "pigeon: timeout: no answer in time\n"),
        (["nobody", "x"], 65, "pigeon: no-such-client: nobody has that code\n"),
    ] {
        let ended = run(hub.pigeon(&["ask"]).args(arguments));
        assert_eq!(ended, (code, String::new(), err.to_owned()), "{arguments:?}");
    }
    let (code, _, err) = run(&mut hub.pigeon(&["ask", "pi", "silent", "--timeout", "100ms"]));
    assert!(code == 75 && err.contains("within 100ms") && err.contains("unknown"), "{code}: {err}");
}

#[test]
fn a_command_has_the_question_twice_and_who_asks_and_its_output_is_the_answer() {
    let hub = asking(&["how  warm?", ""]);
    let script = r#"printf '%s|%s|%s\nend\n\n' "$PIGEON_FROM" "$PIGEON_QUESTION" "$(cat)"; echo loud >&2"#;
    let lines = ["ANSWER t0k1 ann|how  warm?|how  warm? end", "ANSWER t0k2 ann|| end"];
    let (out, err) = until(&hub, answering(&hub, &[], script), &lines);
    assert_eq!(out, "ann: how  warm? -> ann|how  warm?|how  warm? end\nann:  -> ann|| end\n");
    assert_eq!(err, "loud\nloud\n");
    let hub = asking(&["hi"]);
    let (out, _) = until(&hub, answering(&hub, &["--json"], "echo 5"), &["ANSWER t0k1 5"]);
    assert_eq!(json(&out), serde_json::json!({"from": "ann", "question": "hi", "answer": "5"}));
}

#[test]
fn a_command_that_fails_cannot_start_or_says_too_much_is_a_clear_error() {
    for (script, why) in [
        ("echo no; exit 3", "command failed: exit status 3"),
        ("kill -9 $$", "command failed: signal 9"),
        ("yes", "the command's output is longer than 8032 bytes"),
    ] {
        let hub = asking(&["x"]);
        let line = format!("ANSWER t0k1 ERR {why}");
        let (_, err) = until(&hub, answering(&hub, &[], script), &[&line]);
        assert_eq!(err.lines().last().unwrap(), format!("pigeon: to ann: {why}"));
    }
    let hub = asking(&["x"]);
    let mut command = hub.pigeon(&["answer", "--as", "pi", "--", "/nonexistent/command"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let line = "ANSWER t0k1 ERR cannot start the command: No such file or directory (os error 2)";
    until(&hub, command, &[line]);
}

#[test]
fn a_slow_command_is_killed_with_all_that_it_started() {
    let hub = asking(&["slow", "next"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!(
        "[ \"$PIGEON_QUESTION\" = next ] && exec echo 5; sleep 600 & echo $! > {}; wait",
        file.display()
    );
    let lines = ["ANSWER t0k1 ERR the command took longer than 2s", "ANSWER t0k2 5"];
    until(&hub, answering(&hub, &["--command-timeout", "2s"], &script), &lines);
    let pid = std::fs::read_to_string(file).unwrap();
    await_death(pid.trim());
}

#[test]
fn while_a_command_runs_questions_are_acknowledged_and_wait_in_order() {
    let hub = asking(&["1", "2", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Each command waits for a line of its own.
    let script = format!("head -n 1 < {}", gate.display());
    let child = answering(&hub, &[], &script).spawn().unwrap();
    hub.await_line("ACK 3");
    assert!(!hub.heard().iter().any(|line| line.contains("ANSWER")), "{:?}", hub.heard());
    for answer in 1..=3 {
        // Opening waits for the command to open the other end, so that each has its own.
        std::fs::write(&gate, format!("a{answer}\n")).unwrap();
        hub.await_line(&format!("ANSWER t0k{answer} a{answer}"));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let (code, err) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
    assert_eq!((code, &*err), (Some(0), ""));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ann: 1 -> a1\nann: 2 -> a2\nann: 3 -> a3\n");
}

#[test]
fn so_many_commands_run_at_once_as_the_limit_says() {
    let hub = asking(&["1", "2"]);
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The first ends only because the second runs beside it.
    let gate = gate.display();
    let script =
        format!("if [ $PIGEON_QUESTION = 1 ]; then cat {gate}; else echo beside > {gate}; echo b; fi");
    let lines = ["ANSWER t0k1 beside", "ANSWER t0k2 b"];
    until(&hub, answering(&hub, &["--limit", "2"], &script), &lines);
}

#[test]
fn ctrl_c_kills_the_command_tells_whoever_waits_and_says_bye() {
    let hub = asking(&["1", "2"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", file.display());
    let child = answering(&hub, &[], &script).spawn().unwrap();
    hub.await_line("ACK 2");
    while !file.exists() {
        std::thread::yield_now();
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for line in ["ANSWER t0k1 ERR the service has ended", "ANSWER t0k2 ERR the service has ended"] {
        hub.await_line(line);
    }
    assert_eq!(request(hub.heard().last().unwrap()), "BYE");
    await_death(std::fs::read_to_string(file).unwrap().trim());
}

#[test]
fn an_answer_that_comes_too_late_or_is_too_long_for_the_hub_is_no_end() {
    let hub = Hub::udp(|line| match request(line) {
        "JOIN pi ack" => {
            let questions = ["@1 ASK t0k1 ann late", "@2 ASK t0k2 ann long", "@3 ASK t0k3 ann last"];
            let questions = questions.map(|line| format!("{line}\n").into_bytes());
            std::iter::once(tagged(line, "OK joined pi 1/9 box1")).chain(questions).collect()
        }
        "ANSWER t0k1 late" => vec![tagged(line, "ERR no-such-ticket nobody waits")],
        "ANSWER t0k2 long" => vec![tagged(line, "ERR too-long 4 bytes at most")],
        other if other.starts_with("ANSWER ") => vec![tagged(line, "OK answered")],
        "BYE" => vec![tagged(line, "OK bye")],
        _ => Vec::new(),
    });
    let lines = ["ANSWER t0k2 ERR the answer is longer than the hub takes", "ANSWER t0k3 last"];
    let (out, err) = until(&hub, answering(&hub, &[], "cat"), &lines);
    // The second try with the long one may be answered before or after it.
    assert!(out.lines().any(|line| line == "ann: last -> last"), "{out}");
    assert_eq!(err, "pigeon: the answer to ann came too late\n");
}

#[test]
fn a_service_needs_a_code_and_a_command() {
    let hub = Hub::udp(replying(&[]));
    for arguments in
        [&["answer", "--", "true"][..], &["answer", "--as", "pi"], &["answer", "--as", "pi", "true"]]
    {
        let (code, out, err) = run(&mut hub.pigeon(arguments));
        assert!(code == 64 && out.is_empty() && !err.is_empty(), "{arguments:?}: {code} {err}");
    }
    assert_eq!(hub.heard(), Vec::<String>::new());
}

/// Waits until a process is gone, or is a corpse that nobody has buried.
fn await_death(pid: &str) {
    #[expect(clippy::disallowed_methods, reason = "this test waits for a process")]
    let since = Instant::now();
    loop {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => {}
            Ok(_) | Err(_) => return,
        }
        assert!(since.elapsed() < Duration::from_secs(20), "{pid} lives");
        std::thread::yield_now();
    }
}
