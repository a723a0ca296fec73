use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use tempfile::TempDir;

use super::writer::Failure;
use super::*;
use crate::hub::{Change, Content, Spot};
use model::{Hub, Model};

mod damage;
mod figures;
mod model;
mod versions;

const MAKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 17));

fn open(directory: &Path) -> Result<Opened<Vec<u8>>, OpenError> {
    Store::open(directory, Sync::Normal, |changes| Ok(changes.to_vec()))
}

fn batch(changes: &[Change<'_>]) -> Vec<u8> {
    let mut batch = Vec::new();
    for change in changes {
        change.write(&mut batch);
    }
    batch
}

fn value<'a>(key: &'a str, text: &'a [u8]) -> Change<'a> {
    Change::Value { key, text, maker: MAKER }
}

/// A directory whose file holds these changes, in its tables.
fn holding(changes: &[Change<'_>]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap().store;
    store.ledger.commit(&batch(changes)).unwrap();
    close(store);
    directory
}

/// Real files, in memory where the system has room for that: hundreds of them are made, and none is to last.
pub(super) fn quick_directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn close(store: Store) {
    store.ledger.close().unwrap();
}

fn one_of_each() -> Vec<Change<'static>> {
    let place = Some((3, u64::MAX));
    vec![
        Change::Clock { uptime_ms: 1000, next_id: 4 },
        value("a", b"20.5"),
        Change::Session {
            id: 1,
            name: "s1",
            opener: MAKER,
            place,
            superseded: false,
            claimed: Some("anna"),
            bye: true,
        },
        Change::Keyed {
            session: 1,
            code: "anna",
            nonce: "abcd",
            check: *b"0123456789abcdef",
            spot: Spot::Tcp { id: 7 },
            joined: Some(2),
        },
        Change::Reply { session: 1, number: 70, line: u64::MAX, outcome: b"OK 1" },
        Change::Mailbox { id: 2, code: "anna", name: "box1", opener: MAKER, left_ms: 9 },
        Change::Delivery { mailbox: 2, sent: 2, acked: 1 },
        Change::Letter { mailbox: 2, number: 2, content: Content::Key { key: "a" } },
        Change::Letter { mailbox: 2, number: 3, content: Content::Told { key: "a", push: b"VAL a 1" } },
        Change::Letter { mailbox: 2, number: 4, content: Content::Text { sender: "bob", push: b"MSG hi" } },
        Change::Watch { owner: 2, pattern: "room/*" },
        Change::Place {
            id: 3,
            code: "carl",
            spot: Spot::Udp { to: (MAKER, 9).into(), local: Some(MAKER), port: 10_125, interface: 2 },
            ending: b"\r\n",
            boxed: false,
        },
        Change::Watch { owner: 3, pattern: "*" },
    ]
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("not/there/yet");
    let (mut hub, mut model) = (Hub::default(), Model::default());
    for round in 0..3_u8 {
        let opened = open(&below).unwrap();
        assert_eq!(Model::of(&opened.state), model);
        let (writer, mut done) = opened.store.start().unwrap();
        for number in 0..200 {
            let batch = hub.batch(&[(number, round, number), (number / 16, number, round)]);
            model.apply(&batch);
            writer.commit(batch).unwrap();
            assert_eq!(done.recv().await.unwrap(), Done { result: Ok(()) });
        }
        writer.close();
        let names: Vec<_> = fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&below), mode(&below.join(FILE))), (0o700, 0o600));
}

#[tokio::test]
async fn what_a_burst_has_written_is_counted_soon_after_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, mut done) = open(directory.path()).unwrap().store.start().unwrap();
    for _ in 0..50 {
        writer.commit(batch(&[value("a", &[b'x'; 1000])])).unwrap();
        assert_eq!(done.recv().await.unwrap(), Done { result: Ok(()) });
    }
    // Far less than it takes until a fold counts, if nothing else does.
    let counted = async {
        while writer.written() < 50 * 1000 {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(4);
    assert!(tokio::time::timeout(patience, counted).await.is_ok(), "{}", writer.written());
}

#[test]
fn a_second_daemon_is_refused_until_the_first_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).unwrap();
    let refused = open(directory.path()).unwrap_err().to_string();
    let expected = format!(
        "another pigeond (process {}) uses the state in {}: stop it, or set [state] directory to another",
        process::id(),
        directory.path().display()
    );
    assert_eq!(refused, expected);
    drop(first);
    assert!(open(directory.path()).is_ok());
}

#[test]
fn every_table_is_read_by_plain_sql() {
    let mut changes = one_of_each();
    changes.push(value("raw", b"\xff"));
    let directory = holding(&changes);
    let connection = Connection::open(directory.path().join(FILE)).unwrap();
    let shown = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let expected: &[(&str, &[&str])] = &[
        ("SELECT uptime_ms || ' ' || next_id FROM clock", &["1000 4"]),
        ("SELECT code || ' ' || nonce || ' ' || conn || ' ' || joined FROM keyed", &["anna abcd 7 2"]),
        (
            "SELECT key || '=' || text || ' by ' || maker FROM value WHERE typeof(text) = 'text'",
            &["a=20.5 by 192.168.1.17"],
        ),
        ("SELECT key || ' ' || hex(text) FROM value WHERE typeof(text) = 'blob'", &["raw FF"]),
        (
            "SELECT name || ' ' || place || ' ' || place_line || ' ' || claimed || ' ' || bye FROM session",
            &["s1 3 -1 anna 1"],
        ),
        ("SELECT session || '.' || number || ' ' || slot || ' ' || outcome FROM reply", &["1.70 6 OK 1"]),
        (
            "SELECT code || ' ' || name || ' ' || opener || ' ' || left_ms FROM mailbox",
            &["anna box1 192.168.1.17 9"],
        ),
        ("SELECT sent || ' ' || acked FROM delivery", &["2 1"]),
        (
            "SELECT number || coalesce(' from ' || sender, ' of ' || key) || coalesce(': ' || push, '') FROM letter",
            &["2 of a", "3 of a: VAL a 1", "4 from bob: MSG hi"],
        ),
        ("SELECT pattern FROM watch", &["room/*", "*"]),
        ("SELECT code || ' ' || address || ' ' || port FROM place", &["carl 192.168.1.17:9 10125"]),
        ("SELECT version || ' ' || fold || ' ' || row_count FROM file", &["3 1 14"]),
        ("SELECT 'none' WHERE NOT EXISTS (SELECT * FROM batch)", &["none"]),
    ];
    for (sql, rows) in expected {
        assert_eq!(&shown(sql), rows, "{sql}");
    }
}

#[test]
fn what_is_no_state_file_or_is_refused_by_the_hub_is_set_aside_beside_earlier_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let bad = beside(&file, ".bad2");
    fs::write(&file, "no database at all, and longer than a header of one hundred bytes is. ".repeat(9))
        .unwrap();
    let earlier = beside(&file, ".bad-wal");
    fs::write(&earlier, "of an earlier one").unwrap();
    let opened = open(directory.path()).unwrap();
    assert_eq!(opened.set_aside.unwrap().path, bad);
    assert!(fs::read_to_string(&bad).unwrap().starts_with("no database"));
    assert_eq!(fs::read_to_string(&earlier).unwrap(), "of an earlier one");
    drop(opened.store);

    Connection::open(&file).unwrap().execute("UPDATE value SET crc = 0", []).unwrap();
    let refuse = |changes: &[u8]| if changes.is_empty() { Ok(1) } else { Err(Damage("two of one")) };
    let mut store = open(directory.path()).unwrap().store;
    store.ledger.commit(&batch(&[value("a", b"1")])).unwrap();
    drop(store);
    let opened = Store::open(directory.path(), Sync::Normal, refuse).unwrap();
    assert_eq!(opened.state, 1);
    let set_aside = opened.set_aside.unwrap();
    assert_eq!(set_aside.why, "the state is damaged: two of one");
    assert_eq!(set_aside.path, beside(&file, ".bad3"));
    assert_eq!(fs::read(&set_aside.path).unwrap()[..6], *b"SQLite");
}

#[test]
fn of_many_damaged_files_only_the_last_gives_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let text = |number: usize| format!("no database {number} ").repeat(50);
    for number in 1..=11 {
        fs::write(&file, text(number)).unwrap();
        drop(open(directory.path()).unwrap().store);
        aside::remove(&file).unwrap();
    }
    assert_eq!(fs::read_to_string(beside(&file, ".bad")).unwrap(), text(1));
    for (suffix, number) in [(".bad2", 2), (".bad8", 8), (".bad9", 11)] {
        assert_eq!(fs::read_to_string(beside(&file, suffix)).unwrap(), text(number));
    }
}

#[test]
fn an_empty_file_with_a_log_is_told_and_both_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let mut store = open(directory.path()).unwrap().store;
    store.ledger.commit(&batch(&[value("a", b"1")])).unwrap();
    drop(store);
    let batches = fs::read(beside(&file, BATCHES)).unwrap();
    fs::write(&file, "").unwrap();
    let opened = open(directory.path()).unwrap();
    assert!(opened.state.is_empty());
    let kept = opened.set_aside.unwrap();
    let why = "it is older than its batches";
    assert_eq!((kept.path, kept.why.as_str()), (beside(&file, ".bad"), why));
    assert_eq!(fs::read(beside(&file, ".bad-batches")).unwrap(), batches);
}

#[test]
fn rows_that_were_changed_removed_or_added_by_others_are_found() {
    let damages = [
        "UPDATE value SET text = '21.5'",
        "DELETE FROM watch",
        "INSERT INTO reply SELECT session, slot + 1, number, line, outcome, crc FROM reply",
        "UPDATE letter SET sender = 'x'",
        "DROP TABLE delivery",
        "UPDATE file SET version = 4",
        "PRAGMA application_id = 5",
        "INSERT INTO batch VALUES (1, x'00', 5)",
    ];
    for damage in damages {
        let directory = holding(&one_of_each());
        Connection::open(directory.path().join(FILE)).unwrap().execute_batch(damage).unwrap();
        let opened = open(directory.path()).unwrap();
        assert!(opened.set_aside.is_some() && opened.state.is_empty(), "{damage}");
    }
}

#[test]
fn a_place_that_cannot_be_written_to_is_an_error_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = open(&file).unwrap_err();
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
    let error = open(&file.join("below")).unwrap_err();
    assert!(error.to_string().contains("file/below: the state cannot be kept here: "), "{error}");
}

#[tokio::test]
async fn on_a_full_disk_nothing_of_a_batch_is_kept_and_later_ones_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap().store;
    store.ledger.commit(&batch(&[value("before", b"1")])).unwrap();
    // A device that has no room, ever.
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let real = store.ledger.batches.file.replace(full);
    let too_much = batch(&[value("too", b"much"), value("big", &[b'x'; 10_000])]);
    assert!(store.ledger.commit(&too_much).unwrap_err().is_disk_full());
    store.ledger.batches.file = real;
    store.ledger.commit(&batch(&[value("after", b"2")])).unwrap();
    drop(store);
    let Opened { mut store, state, .. } = open(directory.path()).unwrap();
    assert_eq!(Model::of(&state), Model::of(&batch(&[value("before", b"1"), value("after", b"2")])));

    store.ledger.batches.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let (writer, mut done) = store.start().unwrap();
    for _ in 0..2 {
        writer.commit(too_much.clone()).unwrap();
        assert_eq!(done.recv().await.unwrap().result, Err(Failure::DiskFull));
    }
}

#[test]
fn a_fold_that_fails_changes_nothing_and_succeeds_later() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path()).unwrap().store.ledger;
    let kept = batch(&[value("a", &[b'x'; 3000]), value("b", &[b'y'; 3000])]);
    ledger.commit(&kept).unwrap();
    let pages: i64 = ledger.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    ledger.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let failure = Failure::from(ledger.fold().unwrap_err());
    assert_eq!(failure, Failure::DiskFull);
    assert!(ledger.has_batches());
    drop(ledger);
    let Opened { store, state, .. } = open(directory.path()).unwrap();
    assert_eq!(state, kept);
    close(store);
    assert_eq!(Model::of(&open(directory.path()).unwrap().state), Model::of(&kept));
}

/// Batches can only be read from here on, as far as the open file goes.
fn forbid_writing(store: &mut Store, directory: &Path) {
    store.ledger.batches.file = Some(File::open(beside(&directory.join(FILE), BATCHES)).unwrap());
}

#[tokio::test]
async fn after_an_error_of_the_system_the_file_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap().store;
    store.ledger.commit(&batch(&[value("a", b"0")])).unwrap();
    forbid_writing(&mut store, directory.path());
    let (writer, mut done) = store.start().unwrap();
    writer.commit(batch(&[value("a", b"1")])).unwrap();
    let failed = done.recv().await.unwrap().result;
    assert!(matches!(&failed, Err(Failure::Failed(why)) if why.contains("its batches: ")), "{failed:?}");
    writer.commit(batch(&[value("a", b"2")])).unwrap();
    assert_eq!(done.recv().await.unwrap().result, Ok(()));
    writer.close();
    assert_eq!(open(directory.path()).unwrap().state, batch(&[value("a", b"2")]));
}

#[tokio::test]
async fn a_file_that_vanished_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap().store;
    store.ledger.commit(&batch(&[value("a", b"1")])).unwrap();
    forbid_writing(&mut store, directory.path());
    let (writer, mut done) = store.start().unwrap();
    for part in ["", "-wal", "-shm", BATCHES] {
        fs::remove_file(beside(&directory.path().join(FILE), part)).unwrap();
    }
    for _ in 0..3 {
        writer.commit(batch(&[value("b", b"2")])).unwrap();
        assert!(matches!(done.recv().await.unwrap().result, Err(Failure::Failed(_))));
    }
    writer.close();
}

#[test]
fn as_many_batches_as_should_be_kept_are_a_reason_to_fold() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = open(directory.path()).unwrap().store.ledger;
    for number in 0..4096_u64 {
        assert!(!ledger.is_full(), "{number}");
        ledger.commit(&batch(&[Change::Clock { uptime_ms: number, next_id: 1 }])).unwrap();
    }
    assert!(ledger.is_full());
    ledger.fold().unwrap();
    assert!(!ledger.is_full() && !ledger.has_batches());
    ledger.commit(&batch(&[value("a", &vec![b'x'; 4 * 1024 * 1024])])).unwrap();
    assert!(ledger.is_full());
}
