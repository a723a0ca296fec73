//! Files of other versions: newer ones are left alone, older ones brought up.

use super::*;

#[test]
fn a_newer_file_is_refused_and_stays_as_it_is() {
    let directory = holding(&one_of_each());
    let file = directory.path().join(FILE);
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA user_version = 7; UPDATE file SET version = 7;").unwrap();
    drop(connection);
    let before = fs::read(&file).unwrap();
    let refused = open(directory.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { version: 7, known: 3, .. }), "{refused}");
    assert!(refused.to_string().contains("written by a newer pigeond"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(!beside(&file, ".bad").exists());
}

#[test]
fn an_older_file_is_brought_up_step_by_step_and_a_step_that_fails_is_undone() {
    let directory = holding(&[value("a", b"1")]);
    let file = directory.path().join(FILE);
    let mut connection = Connection::open(&file).unwrap();
    let version = |connection: &Connection| -> (i64, i64) {
        connection
            .query_row("SELECT user_version, version FROM pragma_user_version, file", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap()
    };
    assert_eq!(version(&connection), (3, 3));
    let [first, second, third] = schema::MIGRATIONS else { panic!("another step: count it here") };
    let half = "ALTER TABLE value ADD COLUMN more ANY; INSERT INTO nowhere VALUES (1);";
    let step = "ALTER TABLE value ADD COLUMN since INTEGER NOT NULL DEFAULT 5;";
    schema::migrate(&mut connection, &[first, second, third, step, half]).unwrap_err();
    assert_eq!(version(&connection), (4, 4));
    let read = |column: &str| {
        connection.query_row(&format!("SELECT text, {column} FROM value"), [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
    };
    assert_eq!(read("since").unwrap(), ("1".to_owned(), 5));
    assert!(read("more").is_err());
    assert!(schema::check(&connection, &[first, second, third, step]).is_ok());
    let older = schema::check(&connection, &[first, second, third]);
    assert!(matches!(older, Err(Trouble::Newer { version: 4, known: 3 })));
}

#[test]
fn a_file_without_keyed_sessions_is_read_by_a_hub_that_has_them() {
    let directory = holding(&[value("a", b"1")]);
    let file = directory.path().join(FILE);
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("DROP TABLE keyed; PRAGMA user_version = 1; UPDATE file SET version = 1;")
        .unwrap();
    drop(connection);
    let opened = open(directory.path()).unwrap();
    assert_eq!(Model::of(&opened.state), Model::of(&batch(&[value("a", b"1")])));
}

#[test]
fn batches_that_an_older_version_has_left_are_read_and_go_with_the_next_fold() {
    let directory = holding(&[value("a", b"1")]);
    let file = directory.path().join(FILE);
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA user_version = 2; UPDATE file SET version = 2;").unwrap();
    for (number, text) in [(1_u64, b"2"), (2, b"3")] {
        let left = batch(&[value("a", text)]);
        let mut hasher = crc32fast::Hasher::new();
        // The file was folded once when it was closed.
        hasher.update(&1_u64.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        hasher.update(&left);
        let row = rusqlite::params![number.cast_signed(), left, hasher.finalize()];
        connection.execute("INSERT INTO batch VALUES (?, ?, ?)", row).unwrap();
    }
    drop(connection);
    let mut store = open(directory.path()).unwrap().store;
    assert!(store.ledger.has_batches());
    store.ledger.commit(&batch(&[value("b", b"4")])).unwrap();
    drop(store);
    let all = Model::of(&batch(&[value("a", b"3"), value("b", b"4")]));
    for _ in 0..2 {
        let Opened { store, state, .. } = open(directory.path()).unwrap();
        assert_eq!(Model::of(&state), all);
        close(store);
        let left: i64 = Connection::open(&file)
            .unwrap()
            .query_row("SELECT count(*) FROM batch", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
    }
}
