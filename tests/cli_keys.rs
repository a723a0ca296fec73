//! `pigeon` with a key, against a hub that wants one.

#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;
#[path = "fake_hub/mod.rs"]
mod fake_hub;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::Daemon;
use common::relay::Relay;
use fake_hub::{Hub, interrupt, json, pigeon, replying, run};
use tempfile::TempDir;

/// The secret of a test's kitchen.
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A hub where the kitchen and the cellar have a secret each.
struct Keyed {
    daemon: Daemon,
    files: TempDir,
    kitchen: PathBuf,
    cellar: PathBuf,
}

impl Keyed {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let kitchen = new_key(files.path(), "kitchen", &["--allow-set", "kitchen/*"]);
        let cellar = new_key(files.path(), "cellar", &[]);
        let both = files.path().join("keys.toml");
        fs::write(&both, fs::read_to_string(&kitchen).unwrap() + &fs::read_to_string(&cellar).unwrap())
            .unwrap();
        fs::set_permissions(&both, fs::Permissions::from_mode(0o600)).unwrap();
        let daemon = Daemon::with(&format!("[access]\nkeys_file = \"{}\"\n", both.display()));
        Self { daemon, files, kitchen, cellar }
    }

    /// `pigeon` without a key.
    fn pigeon(&self, arguments: &[&str]) -> Command {
        let mut command = pigeon(arguments);
        command.env("PIGEON_HUB", self.daemon.address().to_string());
        command
    }

    /// `pigeon` with a key.
    fn with(&self, key: &Path, arguments: &[&str]) -> Command {
        let mut command = self.pigeon(arguments);
        command.env("PIGEON_KEY_FILE", key);
        command
    }
}

/// What `pigeon key new` prints, in a file.
fn new_key(directory: &Path, code: &str, options: &[&str]) -> PathBuf {
    let (exit, table, err) = run(pigeon(&["key", "new", code]).args(options));
    assert_eq!((exit, err.as_str()), (0, ""));
    let path = directory.join(code);
    fs::write(&path, table).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn start(mut command: Command) -> (Child, impl Iterator<Item = String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

fn end(mut child: Child) {
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_new_key_is_a_table_and_its_use() {
    let (exit, table, _) =
        run(&mut pigeon(&["key", "new", "house/kitchen", "--allow-set", "house/*", "a", "--allow-watch"]));
    assert_eq!(exit, 0);
    let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    let [head, secret, set, watch] = lines[..] else { panic!("{table}") };
    assert_eq!(
        (head, set, watch),
        ("[code.\"house/kitchen\"]", "allow_set = [\"house/*\", \"a\"]", "allow_watch = []")
    );
    let secret = secret.strip_prefix("secret = \"").and_then(|secret| secret.strip_suffix('"')).unwrap();
    assert!(
        secret.len() == 64 && secret.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
        "{secret}"
    );
    let (_, object, _) = run(&mut pigeon(&["key", "new", "ann", "--json", "--allow-set", "a*"]));
    let object = json(object.trim_end());
    assert_eq!((&object["code"], &object["allow_set"]), (&"ann".into(), &serde_json::json!(["a*"])));
    assert!(object["secret"].as_str().is_some_and(|other| other.len() == 64 && other != secret));
    assert_eq!(run(&mut pigeon(&["key", "new", "a b"])).0, 64);
}

#[test]
fn a_key_comes_from_a_file_or_the_environment_and_belongs_to_a_code() {
    let hub = Keyed::start();
    let set = ["set", "kitchen/temp", "21.5"];
    assert_eq!(run(&mut hub.with(&hub.kitchen, &set)).0, 0, "the only code of the file");
    let named = ["--as", "kitchen", "--key-file", hub.kitchen.to_str().unwrap(), "get", "kitchen/temp"];
    assert_eq!(run(&mut hub.pigeon(&named)), (0, "21.5\n".to_owned(), String::new()));
    let table = fs::read_to_string(&hub.kitchen).unwrap();
    let secret = table.split('"').nth(1).unwrap();
    let bare =
        hub.pigeon(&["get", "kitchen/temp"]).env("PIGEON_KEY", secret).args(["--as", "kitchen"]).output();
    assert_eq!(bare.unwrap().stdout, b"21.5\n");
    let (exit, _, err) = run(hub.pigeon(&["get", "kitchen/temp"]).env("PIGEON_KEY", secret));
    assert!(exit == 64 && err.contains("--as CODE"), "{err}");
    let (exit, _, err) = run(hub.with(&hub.kitchen, &["get", "a"]).args(["--as", "cellar"]));
    assert!(exit == 78 && err.contains("no secret for cellar, only for: kitchen"), "{err}");
    let (exit, _, err) = run(&mut hub.with(&hub.files.path().join("none"), &["get", "a"]));
    assert!(exit == 78 && err.contains("cannot read the key file"), "{err}");
    let (exit, _, err) = run(hub.pigeon(&["get", "a", "--as", "kitchen"]).env("PIGEON_KEY", "secret"));
    assert!(exit == 78 && err.contains("pigeon key new") && !err.contains("`secret`"), "{err}");
    fs::set_permissions(&hub.kitchen, fs::Permissions::from_mode(0o644)).unwrap();
    let (exit, _, err) = run(&mut hub.with(&hub.kitchen, &["get", "kitchen/temp"]));
    assert!(exit == 0 && err.contains("chmod o-rwx"), "{err}");
}

#[test]
fn every_command_works_with_a_key_and_within_what_it_allows() {
    let hub = Keyed::start();
    let ask = |arguments: &[&str]| run(&mut hub.with(&hub.kitchen, arguments));
    assert_eq!(ask(&["set", "kitchen/temp", "21.5"]).0, 0);
    assert_eq!(ask(&["inc", "kitchen/visits", "5"]).1, "5\n");
    assert_eq!(ask(&["dec", "kitchen/visits"]).1, "4\n");
    assert_eq!(ask(&["keys"]).1, "kitchen/temp\nkitchen/visits\n");
    assert_eq!(ask(&["del", "kitchen/temp"]).0, 0);
    assert_eq!(ask(&["who"]).1, "kitchen\n");
    for list in ["info", "stats"] {
        assert_eq!(ask(&[list]).0, 0);
    }
    for tcp in [&[][..], &["--tcp"]] {
        assert_eq!(run(hub.with(&hub.kitchen, &["get", "kitchen/visits"]).args(tcp)).1, "4\n");
    }
    let (exit, _, err) = ask(&["set", "cellar/temp", "9"]);
    assert!(exit == 77 && err.contains("denied"), "{err}");
    let (exit, _, err) = ask(&["get", "none"]);
    assert!(exit == 65 && err.contains("no-such-key"), "{err}");
}

#[test]
fn who_has_no_key_or_a_wrong_one_cannot_act_as_the_client() {
    let hub = Keyed::start();
    let (exit, _, err) = run(&mut hub.pigeon(&["send", "cellar", "hi", "--as", "kitchen"]));
    assert!(exit == 77 && err.contains("prove") && err.contains("--key-file"), "{err}");
    let wrong = hub
        .with(&hub.cellar, &["send", "cellar", "hi", "--as", "kitchen"])
        .env("PIGEON_KEY", SECRET)
        .output();
    assert_eq!(wrong.unwrap().status.code(), Some(78), "the file goes first, and is another code's");
    let mut wrong = hub.pigeon(&["send", "cellar", "hi", "--as", "kitchen", "--timeout", "1s"]);
    let (exit, _, err) = run(wrong.env("PIGEON_KEY", SECRET));
    assert!(exit == 77 && err.contains("does not take the secret"), "{err}");
}

#[test]
fn what_a_hub_without_the_secret_says_is_not_believed_but_told() {
    let hub = Hub::udp(replying(&[("JOIN kitchen", "OK joined kitchen 1/9"), ("GET a", "OK forged")]));
    let mut get = hub.pigeon(&["get", "a", "--as", "kitchen", "--timeout", "700ms"]);
    let (exit, out, err) = run(get.env("PIGEON_KEY", SECRET));
    assert_eq!((exit, out.as_str()), (75, ""));
    assert!(err.contains("no proved answer") && err.contains("OK joined kitchen 1/9"), "{err}");
    assert!(!hub.heard().iter().any(|line| line.contains("GET")), "{:?}", hub.heard());
}

#[test]
fn texts_questions_and_answers_go_between_keyed_clients() {
    for tcp in [&[][..], &["--tcp"]] {
        let hub = Keyed::start();
        let mut listen = hub.with(&hub.cellar, &["listen"]);
        listen.args(tcp);
        let (listener, mut heard) = start(listen);
        let mut joined = hub.pigeon(&["who"]);
        while run(&mut joined).1 != "cellar\n" {}
        for text in ["one", "two", "three"] {
            let (exit, reply, err) = run(hub.with(&hub.kitchen, &["send", "cellar", text]).args(tcp));
            assert_eq!((exit, reply.as_str(), err.as_str()), (0, "sent\n", ""));
            assert_eq!(heard.next(), Some(format!("kitchen: {text}")));
        }
        assert_eq!(run(hub.with(&hub.kitchen, &["all", "four"]).args(tcp)).1, "reached 1\n");
        assert_eq!(heard.next().as_deref(), Some("kitchen: four"));
        end(listener);
        let mut answer = hub.with(&hub.cellar, &["answer"]);
        answer.args(tcp).args(["--", "echo", "9 degrees"]).env("PATH", std::env::var_os("PATH").unwrap());
        let (service, _) = start(answer);
        while run(&mut joined).1.lines().all(|code| code != "cellar") {}
        assert_eq!(run(hub.with(&hub.kitchen, &["ask", "cellar", "how warm?"]).args(tcp)).1, "9 degrees\n");
        end(service);
    }
}

#[test]
fn mail_waits_for_the_key_of_a_listener_that_keeps_its_mailbox() {
    let hub = Keyed::start();
    let (listener, mut heard) = start(hub.with(&hub.cellar, &["listen", "--keep"]));
    while run(&mut hub.pigeon(&["who"])).1 != "cellar\n" {}
    assert_eq!(run(&mut hub.with(&hub.kitchen, &["send", "cellar", "one"])).0, 0);
    assert_eq!(heard.next().as_deref(), Some("kitchen: one"));
    end(listener);
    for text in ["two", "three"] {
        assert_eq!(run(&mut hub.with(&hub.kitchen, &["send", "cellar", text])).0, 0);
    }
    let (exit, _, err) = run(&mut hub.pigeon(&["listen", "--as", "cellar"]));
    assert!(exit == 77 && err.contains("prove"), "{err}");
    let (listener, mut heard) = start(hub.with(&hub.cellar, &["listen"]));
    for text in ["two", "three"] {
        assert_eq!(heard.next(), Some(format!("kitchen: {text}")));
    }
    end(listener);
}

#[test]
fn a_keyed_watch_goes_on_after_the_hub_was_killed() {
    let mut hub = Keyed::start();
    let (watcher, mut seen) = start(hub.with(&hub.cellar, &["watch", "kitchen/*"]));
    while run(&mut hub.pigeon(&["who"])).1 != "cellar\n" {}
    let set = |hub: &Keyed, value| {
        assert_eq!(run(&mut hub.with(&hub.kitchen, &["set", "kitchen/temp", value])).0, 0);
    };
    set(&hub, "20");
    assert_eq!(seen.next().as_deref(), Some("kitchen/temp 20"));
    hub.daemon.kill();
    hub.daemon.restart();
    set(&hub, "21");
    assert_eq!(seen.find(|line| line == "kitchen/temp 21").as_deref(), Some("kitchen/temp 21"));
    end(watcher);
}

#[test]
fn a_bad_network_costs_time_only() {
    let hub = Keyed::start();
    let relay = Relay::start(hub.daemon.address(), 20, 20);
    for count in 1..=5 {
        let mut inc = hub.with(&hub.kitchen, &["inc", "kitchen/visits", "--timeout", "30s"]);
        let (exit, out, err) = run(inc.env("PIGEON_HUB", relay.address.to_string()));
        assert_eq!((exit, out), (0, format!("{count}\n")), "{err}");
    }
}

#[test]
fn a_listener_whose_code_joins_elsewhere_with_the_key_is_told() {
    let hub = Keyed::start();
    let (mut first, mut heard) = start(hub.with(&hub.cellar, &["listen"]));
    while run(&mut hub.pigeon(&["who"])).1 != "cellar\n" {}
    let (second, mut also) = start(hub.with(&hub.cellar, &["listen"]));
    assert_eq!(first.wait().expect("it ends").code(), Some(77));
    assert_eq!(heard.next(), None);
    assert_eq!(run(&mut hub.with(&hub.kitchen, &["send", "cellar", "hi"])).0, 0);
    assert_eq!(also.next().as_deref(), Some("kitchen: hi"));
    end(second);
}

#[test]
fn what_needs_no_place_is_done_beside_a_program_that_has_the_mailbox() {
    for tcp in [&[][..], &["--tcp"]] {
        let hub = Keyed::start();
        let (watcher, mut seen) = start(hub.with(&hub.kitchen, &["watch", "kitchen/*"]));
        while run(&mut hub.pigeon(&["who"])).1 != "kitchen\n" {}
        let ask = |arguments: &[&str]| run(hub.with(&hub.kitchen, arguments).args(tcp));
        assert_eq!(ask(&["set", "kitchen/temp", "20"]), (0, String::new(), String::new()));
        assert_eq!(seen.next().as_deref(), Some("kitchen/temp 20"));
        assert_eq!(ask(&["get", "kitchen/temp"]).1, "20\n");
        assert_eq!(ask(&["inc", "kitchen/temp"]).1, "21\n");
        assert_eq!(seen.next().as_deref(), Some("kitchen/temp 21"), "nobody has taken its place or mailbox");
        assert_eq!(ask(&["keys"]).1, "kitchen/temp\n");
        assert_eq!(ask(&["who"]).1, "kitchen\n");
        let (exit, _, err) = ask(&["set", "cellar/temp", "9"]);
        assert!(exit == 77 && err.contains("denied"), "{err}");
        let (exit, _, err) = ask(&["send", "cellar", "hi"]);
        assert!(exit == 77 && err.contains("while kitchen has a mailbox"), "{err}");
        end(watcher);
    }
}

#[test]
fn a_command_that_fails_leaves_no_place_behind() {
    let hub = Keyed::start();
    for tcp in [&[][..], &["--tcp"]] {
        for (arguments, code) in [
            (&["get", "none"][..], 65),
            (&["inc", "cellar/visits"], 77),
            (&["set", "cellar/temp", "9"], 77),
            (&["del", "none"], 77),
            (&["send", "nobody", "hi"], 65),
            (&["ask", "nobody", "how warm?"], 65),
        ] {
            assert_eq!(run(hub.with(&hub.kitchen, arguments).args(tcp)).0, code, "{arguments:?}");
            let is_empty = |_| run(&mut hub.pigeon(&["who"])).1.is_empty();
            assert!((0..100).any(is_empty), "{arguments:?}");
        }
    }
}

#[test]
fn programs_that_need_no_place_share_a_key() {
    let hub = Keyed::start();
    let mut long =
        hub.with(&hub.kitchen, &["set", "kitchen/temp", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut typed = long.stdin.take().unwrap();
    for value in ["20", "21", "22"] {
        writeln!(typed, "{value}").unwrap();
        // Each of these takes the place.
        while run(&mut hub.with(&hub.kitchen, &["get", "kitchen/temp"])).1 != format!("{value}\n") {}
    }
    drop(typed);
    assert_eq!(long.wait().unwrap().code(), Some(0));
}
