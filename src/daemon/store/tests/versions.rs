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
    assert!(matches!(refused, OpenError::Newer { version: 7, known: 2, .. }), "{refused}");
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
    assert_eq!(version(&connection), (2, 2));
    let [first, second] = schema::MIGRATIONS else { panic!("another step: count it here") };
    let half = "ALTER TABLE value ADD COLUMN more ANY; INSERT INTO nowhere VALUES (1);";
    let step = "ALTER TABLE value ADD COLUMN since INTEGER NOT NULL DEFAULT 5;";
    schema::migrate(&mut connection, &[first, second, step, half]).unwrap_err();
    assert_eq!(version(&connection), (3, 3));
    let read = |column: &str| {
        connection.query_row(&format!("SELECT text, {column} FROM value"), [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
    };
    assert_eq!(read("since").unwrap(), ("1".to_owned(), 5));
    assert!(read("more").is_err());
    assert!(schema::check(&connection, &[first, second, step]).is_ok());
    let older = schema::check(&connection, &[first, second]);
    assert!(matches!(older, Err(Trouble::Newer { version: 3, known: 2 })));
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
