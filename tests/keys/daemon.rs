//! The real daemon with a keys file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{Daemon, ask};
use crate::person::{ANN, BOB, Person, nonce};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A daemon with this keys file, mode 0600, which is not waited for.
fn spawn(keys: &str, more: &str) -> (Daemon, std::path::PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.toml");
    fs::write(&file, keys).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = Daemon::spawn(&format!("{more}\n[access]\nkeys_file = \"{}\"\n", file.display()));
    (daemon, file, directory)
}

fn code(code: &str, secret: &str) -> String {
    format!("[code.{code}]\nsecret = \"{secret}\"\n")
}

#[test]
fn a_keys_file_that_is_wrong_stops_the_start_and_says_where() {
    let (mut daemon, file, _directory) = spawn("[code.ann]\nsecret = \"1234\"\n[cod]\n", "");
    assert_eq!(daemon.wait().code(), Some(78));
    let log = daemon.end().join("\n");
    let file = file.display();
    assert!(log.contains(&format!("{file}:2:10: the secret of \"ann\" has 4 digits")), "{log}");
    assert!(log.contains(&format!("{file}:3:2: the file holds the unknown \"cod\"")), "{log}");
}

#[test]
fn a_client_with_its_secret_is_heard_and_a_reload_takes_it_away() {
    let (mut daemon, file, _directory) = spawn(&code("ann", ANN), "");
    daemon.wait_for_port();
    let socket = daemon.udp();
    let fresh = nonce(&text(&ask(&socket, b"JOIN ann")));
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert_eq!(ann.heard(1, &text(&ask(&socket, line.as_bytes()))), "OK joined ann 1/11");
    let line = ann.next("INC a");
    assert_eq!(ann.heard(2, &text(&ask(&socket, line.as_bytes()))), "OK 1");

    // A bad file keeps the old keys; its findings are told, but nothing of a secret.
    fs::write(&file, format!("[code.ann]\nsecret = \"{ANN}zz\"\n")).unwrap();
    daemon.signal("HUP");
    let told = daemon.wait_for_log("the secret of");
    assert!(told.contains(":2:10:") && !told.contains(&ANN[..8]), "{told}");
    daemon.wait_for_log("was not reloaded");
    let line = ann.next("INC a");
    assert_eq!(ann.heard(3, &text(&ask(&socket, line.as_bytes()))), "OK 2");

    // A file that others can read is taken, with a warning; another secret ends the session.
    fs::write(&file, code("ann", BOB)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("everybody on this machine may open the keys");
    daemon.wait_for_log("its secret was changed or taken away");
    nonce(&text(&ask(&socket, ann.next("INC a").as_bytes())));
}

#[test]
fn keyed_sessions_outlive_a_kill() {
    let (mut daemon, _file, _directory) = spawn(&code("ann", ANN), "");
    daemon.wait_for_port();
    let socket = daemon.udp();
    let fresh = nonce(&text(&ask(&socket, b"JOIN ann")));
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    let join = ann.next(&format!("JOIN ann {fresh}"));
    ask(&socket, join.as_bytes());
    let inc = ann.next("INC a");
    let reply = ask(&socket, inc.as_bytes());
    daemon.kill();
    daemon.restart();
    assert_eq!(ask(&socket, inc.as_bytes()), reply);
    let line = ann.next("INC a");
    assert_eq!(ann.heard(3, &text(&ask(&socket, line.as_bytes()))), "OK 2");
    // The nonce of the last run is of no worth in this one.
    let mut again = Person::new(ANN, "sess-new", &fresh);
    nonce(&text(&ask(&socket, again.next(&format!("JOIN ann {fresh}")).as_bytes())));
}
