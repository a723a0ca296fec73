//! The pure hub with a disk: what leaves when, what a crash may take, and what it may not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod world;

use std::time::Duration;

use pigeond::hub::{Conn, Hub, Input, Settings};

use world::World;

/// A hub with a disk that is empty.
struct Kept {
    world: World,
    disk: Vec<u8>,
    restarts: u64,
}

impl std::ops::Deref for Kept {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl std::ops::DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Kept {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let mut world = World::with(settings.clone());
        world.hub = Hub::restore(settings, 1, &[]).unwrap();
        Self { world, disk: Vec::new(), restarts: 0 }
    }

    /// Commits what is to be committed, until nothing is; returns how many commits that took.
    fn commit(&mut self) -> usize {
        let mut commits = 0;
        self.world.out.clear();
        while let Some(batch) = self.world.hub.poll_commit(self.world.now) {
            self.disk.extend_from_slice(batch);
            self.world.hub.handle(self.world.now, Input::Committed, &mut self.world.out);
            commits += 1;
        }
        commits
    }

    fn fail(&mut self) {
        self.world.out.clear();
        assert!(self.world.hub.poll_commit(self.world.now).is_some());
        self.world.hub.handle(self.world.now, Input::CommitFailed, &mut self.world.out);
    }

    /// Asks, commits, and returns what the asker gets, at once and after the commit.
    fn ask_and_commit(&mut self, n: u8, bytes: &[u8]) -> Vec<String> {
        let mut replies = self.world.ask(n, bytes);
        self.commit();
        replies.extend(self.world.to(n));
        replies
    }

    /// The hub is killed and started again.
    fn crash(&mut self) {
        self.restarts += 1;
        self.world.hub = Hub::restore(Settings::default(), 1 + self.restarts, &self.disk).unwrap();
        self.world.now = self.world.hub.started();
    }
}

/// What is told when nothing can be saved.
const DISK: &str = "ERR disk nothing can be saved now, send the same line again";

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_tagged_reply_waits_for_its_commit_and_an_untagged_one_does_not() {
    let mut kept = Kept::new();
    assert_eq!(kept.ask(1, b"#s.1 INC"), [""; 0]);
    assert_eq!(kept.ask(1, b"INC"), ["2"]);
    assert_eq!(kept.commit(), 1);
    assert_eq!(kept.to(1), ["#s.1 OK 1"]);
    kept.crash();
    assert_eq!(kept.ask(2, b"#s.1 INC"), ["#s.1 OK 1"], "known, and nothing is to be kept");
    assert_eq!(kept.ask(1, b"GET counter"), ["2"]);
}

#[test]
fn a_crash_before_the_commit_takes_effect_and_reply_together() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"#s.1 INC");
    assert_eq!(kept.ask(1, b"#s.2 INC"), [""; 0]);
    kept.crash();
    assert_eq!(kept.ask(1, b"GET counter"), ["1"]);
    assert_eq!(kept.ask_and_commit(1, b"#s.2 INC"), ["#s.2 OK 2"]);
}

#[test]
fn what_is_untagged_is_saved_within_a_second_and_what_only_reads_never() {
    let mut kept = Kept::new();
    kept.ask(1, b"INC");
    assert_eq!(kept.commit(), 0, "nobody waits");
    kept.pass(SECOND);
    assert_eq!(kept.commit(), 1);
    for _ in 0..1000 {
        kept.ask(1, b"INC other");
    }
    let before = kept.disk.len();
    kept.pass(SECOND);
    kept.commit();
    assert!(kept.disk.len() - before < 100, "each value once");
    kept.ask(1, b"GET counter\nPING\nWHO\nhello");
    kept.pass(SECOND);
    assert_eq!(kept.commit(), 0);
    assert_eq!(kept.ask_and_commit(1, b"#s.1 PING"), ["#s.1 OK pong"], "the session is kept");
    kept.pass(2 * SECOND);
    assert_eq!(kept.ask(1, b"#s.2 GET counter"), ["#s.2 OK 1"]);
    kept.pass(2 * SECOND);
    assert_eq!(kept.commit(), 0);
}

#[test]
fn requests_that_come_while_a_commit_runs_share_the_next() {
    let mut kept = Kept::new();
    kept.ask(1, b"#s.1 INC");
    assert!(kept.world.hub.poll_commit(kept.world.now).is_some());
    for n in 2..=5 {
        kept.ask(n, format!("#s{n}.1 INC").as_bytes());
        assert_eq!(kept.to(n), [""; 0]);
        assert!(kept.world.hub.poll_commit(kept.world.now).is_none(), "one at a time");
    }
    kept.handle(Input::Committed);
    assert_eq!((kept.to(1), kept.to(2)), (vec!["#s.1 OK 1".to_owned()], vec![]));
    assert_eq!(kept.commit(), 1);
    assert_eq!(kept.to(5), ["#s5.1 OK 5"]);
}

#[test]
fn a_copy_waits_for_the_commit_that_runs_and_goes_where_it_came_from() {
    let mut kept = Kept::new();
    kept.ask(1, b"#s.1 INC");
    assert!(kept.world.hub.poll_commit(kept.world.now).is_some());
    assert_eq!(kept.ask(2, b"#s.1 INC"), [""; 0]);
    kept.handle(Input::Committed);
    assert_eq!(kept.to(2), ["#s.1 OK 1"]);
    assert_eq!(kept.commit(), 0, "a copy alone costs no commit");
}

#[test]
fn the_pushes_of_a_tagged_request_leave_with_its_reply_and_later_ones_do_not_overtake_them() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(1, b"WATCH a");
    kept.commit();
    kept.ask(2, b"#s.1 SET a 1");
    assert_eq!(kept.to(1), [""; 0]);
    assert_eq!(kept.ask(2, b"SET a 2"), ["set"]);
    assert_eq!(kept.to(1), [""; 0]);
    kept.commit();
    assert_eq!(kept.to(1), ["VAL a 1", "VAL a 2"]);
}

#[test]
fn replies_on_a_stream_keep_their_order_around_a_commit() {
    let mut kept = Kept::new();
    kept.open(1);
    assert_eq!(kept.stream(1, b"#s.1 INC\nGET counter\n"), "");
    assert_eq!(kept.stream(1, b"PING\n"), "");
    kept.commit();
    assert_eq!(kept.on(1), "#s.1 OK 1\n1\npong\n");
    assert_eq!(kept.stream(1, b"PING\n"), "pong\n");
    kept.stream(1, b"#s.2 INC\nBYE\n");
    assert_eq!(kept.closed(), []);
    kept.commit();
    assert_eq!((kept.on(1), kept.closed()), ("#s.2 OK 2\nbye\n".to_owned(), vec![Conn(1)]));
}

#[test]
fn what_is_held_for_a_connection_never_reaches_the_next_of_its_number() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.stream(1, b"#s.1 INC\n");
    kept.handle(Input::Closed { conn: Conn(1), why: "test" });
    kept.open(1);
    kept.commit();
    assert_eq!(kept.on(1), "");
    assert_eq!(kept.stream(1, b"#s.1 INC\n"), "#s.1 OK 1\n");
}

#[test]
fn a_stream_that_asks_faster_than_the_disk_writes_is_held_back() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.ask(1, format!("SET k {}", "v".repeat(8000)).as_bytes());
    kept.stream(1, b"#s.1 INC\n");
    for _ in 0..10 {
        kept.stream(1, b"GET k\n");
    }
    assert_eq!(kept.stream(1, b"GET k\n"), "");
    let held = format!("{:?}", kept.out.list);
    assert!(held.contains("until_reply: true"), "{held}");
    kept.commit();
    assert_eq!(kept.on(1).len(), "#s.1 OK 1\n".len() + 9 * 8001, "the last ones were not taken");
}

#[test]
fn present_values_that_wait_for_the_disk_hold_back_who_asks_for_more_of_them() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.open(2);
    kept.ask(1, format!("SET k {}", "v".repeat(8000)).as_bytes());
    kept.stream(1, b"JOIN ann\nWATCH *\n");
    kept.stream(2, b"JOIN bob\nWATCH *\n");
    kept.commit();
    // Something that ann is pushed waits for the disk; what she asks for over and over waits behind it.
    kept.stream(2, b"#s.1 SET k 1\nSET k2 1\n");
    kept.ask(1, format!("SET k {}", "v".repeat(8000)).as_bytes());
    for _ in 0..10 {
        assert_eq!(kept.stream(1, b"WATCH *\n"), "");
    }
    let held = format!("{:?}", kept.out.list);
    assert!(held.contains("until_reply: true"), "{held}");
    kept.commit();
    assert_eq!(kept.on(1).matches("watching *\n").count(), 8, "the last ones were not taken");
    assert_eq!(kept.stream(1, b"PING\n"), "pong\n");
}

#[test]
fn when_nothing_can_be_saved_who_waits_is_told_and_reads_go_on() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.ask_and_commit(1, b"#s.1 INC");
    kept.ask(1, b"#s.2 INC\nPING\nkept.");
    kept.stream(1, b"GET counter\n#t.1 INC\r\nPING\n");
    kept.fail();
    assert_eq!(kept.to(1), [format!("#s.2 {DISK}\npong\nkept.")]);
    assert_eq!(kept.on(1), format!("2\n#t.1 {DISK}\r\npong\n"));
    // No answer was given: the same line goes on to wait, and another changes nothing.
    assert_eq!(kept.ask(1, b"#s.2 INC"), [format!("#s.2 {DISK}")]);
    assert_eq!(kept.ask(1, b"INC"), [DISK]);
    assert_eq!(kept.ask(1, b"#u.1 SET a 1"), [format!("#u.1 {DISK}")]);
    assert_eq!(kept.ask(1, b"#s.1 INC"), ["#s.1 OK 1"].map(|_| format!("#s.1 {DISK}")));
    assert_eq!(kept.ask(1, b"PING"), ["pong"]);
    kept.fail_again_and_recover();
    assert_eq!(kept.ask_and_commit(1, b"#s.2 INC"), ["#s.2 OK 2"], "its first reply");
    assert_eq!(kept.ask_and_commit(1, b"#s.3 INC"), ["#s.3 OK 4"], "the other session's was done once, too");
    kept.crash();
    assert_eq!(kept.ask(1, b"GET counter"), ["4"]);
}

impl Kept {
    fn fail_again_and_recover(&mut self) {
        assert_eq!(self.commit(), 0, "not at once");
        self.pass(SECOND);
        self.fail();
        self.pass(SECOND);
        assert_eq!(self.commit(), 1);
    }
}

#[test]
fn sessions_survive_with_window_place_and_claim() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"#s.1 JOIN ann");
    kept.ask_and_commit(2, b"#t.1 JOIN ann");
    kept.ask_and_commit(1, b"#s.2 DEL none");
    kept.ask_and_commit(1, b"#s.3 INC");
    kept.crash();
    assert!(kept.ask(1, b"#s.1 JOIN ann")[0].starts_with("#s.1 ERR stale"));
    assert!(kept.ask(1, b"#s.2 DEL none")[0].starts_with("#s.2 ERR no-such-key"));
    assert!(kept.ask(1, b"#s.2 INC")[0].starts_with("#s.2 ERR reused"));
    assert_eq!(kept.ask(1, b"#s.3 INC"), ["#s.3 OK 1"]);
    assert!(kept.ask(1, b"#x.2 INC")[0].starts_with("#x.2 ERR unopened"));
    kept.ask_and_commit(1, b"#s.66 INC");
    kept.crash();
    assert!(kept.ask(1, b"#s.2 DEL none")[0].starts_with("#s.2 ERR stale"));
}

#[test]
fn a_session_that_is_forgotten_stays_so() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"#s.1 INC");
    kept.ask_and_commit(1, b"#s.2 BYE");
    kept.pass(Duration::from_secs(62));
    kept.pass(SECOND);
    kept.commit();
    kept.crash();
    assert!(kept.ask(1, b"#s.3 INC")[0].starts_with("#s.3 ERR unopened"));
}

/// The name of the mailbox in the reply to a JOIN.
fn box_name(reply: &[String]) -> String {
    reply[0].rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_mailbox_delivers_in_order_one_first_and_then_a_window() {
    let mut kept = Kept::new();
    let joined = kept.ask_and_commit(1, b"JOIN ann ack");
    assert!(joined[0].starts_with("joined ann 1/10 "), "{joined:?}");
    kept.ask(2, b"JOIN bob");
    for n in 1..=25 {
        let reply = kept.ask(2, format!("SEND ann {n}").as_bytes());
        assert_eq!(reply, [if n == 1 { "sent" } else { "queued" }]);
    }
    kept.commit();
    assert_eq!(kept.to(1), ["@1 MSG bob 1"]);
    kept.ask(1, b"ACK 1");
    assert_eq!(kept.to(1), [""; 0], "not before their numbers are kept");
    kept.commit();
    let pushes = kept.to(1);
    assert_eq!((pushes.len(), &*pushes[0], &*pushes[23]), (24, "@2 MSG bob 2", "@25 MSG bob 25"));
}

#[test]
fn a_mailbox_survives_absence_and_crash_with_the_same_bytes_and_numbers() {
    let mut kept = Kept::new();
    let first = box_name(&kept.ask_and_commit(1, b"JOIN ann ack"));
    kept.ask(2, b"JOIN bob");
    for n in 1..=3 {
        kept.ask(2, format!("SEND ann {n}").as_bytes());
    }
    kept.commit();
    assert_eq!(kept.to(1), ["@1 MSG bob 1"]);
    kept.crash();
    kept.ask(2, b"JOIN bob");
    assert_eq!(kept.ask(2, b"SEND ann 4"), ["queued"], "ann is not there");
    let denied = kept.ask(1, b"JOIN ann");
    assert!(denied[0].starts_with("ERR denied"), "{denied:?}");
    let again = kept.ask_and_commit(3, b"JOIN ann ack");
    assert_eq!(box_name(&again[..1]), first);
    assert_eq!(again[1..], ["@1 MSG bob 1"]);
    kept.ask(1, b"ACK 1");
    kept.ask_and_commit(1, b"PING");
    assert_eq!(kept.to(3), [""; 0], "an ACK is heard only from the place");
    assert_eq!(kept.ask_and_commit(3, b"ACK 1"), ["@2 MSG bob 2", "@3 MSG bob 3", "@4 MSG bob 4"]);
    kept.ask(3, b"ACK 9");
    kept.ask(3, b"ACK 4");
    kept.pass(2 * SECOND);
    kept.commit();
    kept.crash();
    let last = kept.ask_and_commit(1, b"JOIN ann ack");
    assert_eq!((last.len(), box_name(&last)), (1, first.clone()));
    kept.ask_and_commit(1, b"BYE");
    assert_ne!(box_name(&kept.ask_and_commit(1, b"JOIN ann ack")), first, "another mailbox");
}

#[test]
fn over_udp_what_is_not_acknowledged_comes_again_eight_times_and_then_the_place_is_lost() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"JOIN ann ack");
    kept.ask(2, b"JOIN bob");
    kept.ask(2, b"SEND ann x");
    kept.commit();
    let start = kept.now;
    let mut pauses = Vec::new();
    while kept.ask(9, b"WHO") == ["ann bob"] {
        let due = kept.hub.next_deadline().unwrap();
        kept.world.now = due;
        kept.world.out.clear();
        kept.world.hub.tick(due, &mut kept.world.out);
        if kept.to(1) == ["@1 MSG bob x"] {
            pauses.push(due.since(start).as_millis());
        }
        kept.commit();
    }
    assert_eq!(pauses, [250, 750, 1750, 3750, 7750, 15750, 23750, 31750]);
    assert_eq!(kept.ask(2, b"SEND ann y"), ["queued"]);
}

#[test]
fn only_the_first_few_come_again_and_more_as_they_are_acknowledged() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"JOIN ann ack");
    kept.ask(2, b"JOIN bob");
    for n in 1..=25 {
        kept.ask(2, format!("SEND ann {n}").as_bytes());
    }
    kept.commit();
    kept.ask_and_commit(1, b"ACK 1");
    kept.pass(Duration::from_millis(250));
    let pushes = kept.to(1);
    assert_eq!((pushes.len(), &*pushes[0]), (4, "@2 MSG bob 2"));
    assert_eq!(kept.ask(1, b"ACK 3").len(), 4, "two more than what is still in flight");
}

#[test]
fn changes_of_a_value_conflate_and_what_was_sent_stays_as_it_was() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"JOIN ann ack");
    kept.ask_and_commit(1, b"WATCH a/*");
    kept.ask(2, b"SET a/x 1");
    kept.commit();
    assert_eq!(kept.to(1), ["@1 VAL a/x 1"]);
    for n in 2..=50 {
        kept.ask(2, format!("SET a/x {n}").as_bytes());
        kept.ask(2, format!("SET a/y {n}").as_bytes());
    }
    kept.ask(2, b"DEL a/y");
    kept.pass(2 * SECOND);
    kept.commit();
    kept.crash();
    let joined = kept.ask_and_commit(1, b"JOIN ann ack");
    assert_eq!(joined[1..], ["@1 VAL a/x 1"]);
    assert_eq!(kept.ask_and_commit(1, b"ACK 1"), ["@2 VAL a/x 50", "@3 GONE a/y"]);
    kept.ask(1, b"ACK 3");
    kept.ask(2, b"SET b 1");
    kept.ask(2, b"SET a/x 51");
    kept.commit();
    assert_eq!(kept.to(1), ["@4 VAL a/x 51"], "the watch has survived");
}

#[test]
fn a_full_mailbox_refuses_and_leaves_room_for_other_senders() {
    let mut kept = Kept::with(Settings { mailbox: 8, ..Settings::default() });
    kept.ask_and_commit(1, b"JOIN ann ack");
    for (n, code) in [(2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f")] {
        kept.ask(n, format!("JOIN {code}").as_bytes());
        let full = code == "f";
        for _ in 0..2 {
            assert_eq!(kept.ask(n, b"SEND ann x")[0].starts_with("ERR full"), full, "{code}");
        }
        assert!(kept.ask(n, b"SEND ann x")[0].starts_with("ERR full"), "a quarter each");
    }
    assert_eq!(kept.ask(6, b"ALL x"), ["4"], "ALL skips it");
    assert_eq!(kept.ask(7, b"SET k 1"), ["set"]);
}

#[test]
fn mailboxes_are_bounded_and_deleted_after_a_week_without_their_client() {
    let settings = Settings { mailboxes: 2, mailboxes_per_address: 1, ..Settings::default() };
    let mut kept = Kept::with(settings);
    kept.ask_and_commit(1, b"JOIN a ack");
    assert!(kept.ask(1, b"JOIN b ack")[0].starts_with("ERR full"), "one an address");
    kept.ask_and_commit(2, b"JOIN b ack");
    assert!(kept.ask(3, b"JOIN c ack")[0].starts_with("ERR full"), "two in all");
    let week = Duration::from_hours(7 * 24);
    kept.pass(Duration::from_mins(6));
    kept.pass(week.saturating_sub(Duration::from_mins(2)));
    assert!(kept.ask(3, b"JOIN c ack")[0].starts_with("ERR full"));
    kept.pass(Duration::from_mins(2));
    assert!(kept.ask_and_commit(3, b"JOIN c ack")[0].starts_with("joined c 1/10"));
}

#[test]
fn who_joins_with_ack_keeps_what_it_watched() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(1, b"WATCH a");
    kept.ask_and_commit(1, b"JOIN ann ack");
    kept.ask(2, b"SET a 1");
    kept.commit();
    assert_eq!(kept.to(1), ["@1 VAL a 1"]);
    kept.crash();
    assert_eq!(kept.ask_and_commit(1, b"JOIN ann ack")[1..], ["@1 VAL a 1"]);
}

/// The ticket in a push.
fn ticket(push: &str) -> String {
    push.split("ASK ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn a_question_reaches_one_client_and_its_answer_whoever_asked() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(2, b"JOIN bob");
    kept.ask(3, b"JOIN eve");
    assert_eq!(kept.ask(1, b"ASK bob how warm?\nPING"), ["pong"], "the answer comes later");
    let push = kept.to(2)[0].clone();
    assert!(push.ends_with(" ann how warm?"), "{push}");
    let ticket = ticket(&push);
    assert!(kept.ask(3, format!("ANSWER {ticket} 1").as_bytes())[0].starts_with("ERR no-such-ticket"));
    assert_eq!(kept.ask(2, format!("ANSWER {ticket} 21.5").as_bytes()), ["answered"]);
    assert_eq!(kept.to(1), ["21.5\n"]);
    assert!(kept.ask(2, format!("ANSWER {ticket} 21.5").as_bytes())[0].starts_with("ERR no-such-ticket"));
    assert!(kept.ask(1, b"ASK carl x")[0].starts_with("ERR no-such-client"));
    kept.ask(1, b"ASK bob x\n");
    kept.pass(Duration::from_secs(10));
    assert_eq!(kept.to(1), ["ERR timeout the client did not answer in time\n"]);
}

#[test]
fn a_tagged_question_is_asked_once_and_answered_where_the_newest_copy_came_from() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(2, b"JOIN bob");
    kept.commit();
    kept.ask(1, b"#s.1 ASK bob x");
    assert_eq!(kept.to(2), [""; 0], "recorded before it is asked");
    kept.commit();
    let ticket = ticket(&kept.to(2)[0]);
    assert_eq!(kept.ask_and_commit(3, b"#s.1 ASK bob x"), [""; 0]);
    assert_eq!(kept.to(2), [""; 0]);
    kept.ask(2, format!("ANSWER {ticket} y").as_bytes());
    assert_eq!((kept.to(1), kept.to(3)), (vec![], vec![]));
    kept.commit();
    assert_eq!((kept.to(1), kept.to(3)), (vec![], vec!["#s.1 OK y".to_owned()]));
    assert_eq!(kept.ask(1, b"#s.1 ASK bob x"), ["#s.1 OK y"]);
    kept.crash();
    assert_eq!(kept.ask(1, b"#s.1 ASK bob x"), ["#s.1 OK y"]);
}

#[test]
fn a_restart_makes_a_tagged_question_a_timeout() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(2, b"JOIN bob");
    kept.ask_and_commit(1, b"#s.1 ASK bob x");
    kept.crash();
    assert!(kept.ask(1, b"#s.1 ASK bob x")[0].starts_with("#s.1 ERR timeout"));
}

#[test]
fn on_a_stream_a_question_holds_up_the_replies_behind_it_but_no_request() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.open(2);
    kept.stream(1, b"JOIN ann\n");
    kept.stream(2, b"JOIN bob\n");
    kept.commit();
    let first = kept.stream(1, b"PING\nASK bob q\n");
    assert_eq!(first, "pong\n");
    let to_bob = ticket(&kept.on(2));
    assert_eq!(kept.stream(1, b"INC\n"), "");
    assert_eq!(kept.stream(2, b"ASK ann p\n"), "");
    let to_ann = ticket(&kept.on(1));
    assert_eq!(kept.stream(2, b"INC\n"), "");
    assert_eq!(kept.stream(1, format!("ANSWER {to_ann} a\n").as_bytes()), "");
    assert_eq!(kept.on(2), "a\n2\n");
    kept.stream(2, format!("ANSWER {to_bob} b\n").as_bytes());
    assert_eq!((kept.on(1).as_str(), kept.on(2).as_str()), ("b\n1\nanswered\n", "answered\n"));
}

#[test]
fn who_half_closes_after_a_question_still_gets_its_answer() {
    let mut kept = Kept::new();
    kept.ask_and_commit(2, b"JOIN bob");
    kept.open(1);
    kept.stream(1, b"JOIN ann\nASK bob q\n");
    kept.commit();
    let ticket = ticket(&kept.to(2)[0]);
    kept.handle(Input::HalfClosed { conn: Conn(1) });
    assert_eq!(kept.closed(), []);
    kept.ask(2, format!("ANSWER {ticket} a").as_bytes());
    assert_eq!((kept.on(1), kept.closed()), ("a\n".to_owned(), vec![Conn(1)]));
}

#[test]
fn a_session_that_goes_on_after_its_bye_is_kept_for_its_hour_over_a_restart_too() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"#s.1 BYE");
    kept.ask_and_commit(1, b"#s.2 INC");
    kept.crash();
    kept.pass(Duration::from_mins(2));
    assert_eq!(kept.ask_and_commit(1, b"#s.3 INC"), ["#s.3 OK 2"]);
}

#[test]
fn a_late_answer_does_not_take_the_place_of_a_later_request_in_the_window() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(2, b"JOIN bob");
    kept.commit();
    kept.ask_and_commit(1, b"#s.1 ASK bob x");
    let ticket = ticket(&kept.to(2)[0]);
    assert_eq!(kept.ask_and_commit(1, b"#s.65 INC"), ["#s.65 OK 1"]);
    kept.ask_and_commit(2, format!("ANSWER {ticket} y").as_bytes());
    assert_eq!(kept.ask_and_commit(1, b"#s.65 INC"), ["#s.65 OK 1"], "not done again");
    kept.crash();
    assert_eq!(kept.ask_and_commit(1, b"#s.65 INC"), ["#s.65 OK 1"]);
}

#[test]
fn mail_for_a_client_that_was_there_for_weeks_outlives_a_crash() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.stream(1, b"JOIN ann ack\n");
    kept.commit();
    let weeks = Duration::from_hours(30 * 24);
    kept.pass(weeks);
    kept.ask(2, b"JOIN bob");
    kept.ask_and_commit(2, b"#s.1 SEND ann x");
    kept.crash();
    kept.pass(SECOND);
    let joined = kept.ask_and_commit(3, b"JOIN ann ack");
    assert_eq!(joined[1..], ["@1 MSG bob x"]);
}

#[test]
fn while_a_commit_is_tried_again_nothing_new_is_changed_either() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"JOIN ann ack");
    kept.ask(2, b"#s.1 INC");
    kept.fail();
    kept.pass(SECOND);
    assert!(kept.world.hub.poll_commit(kept.world.now).is_some());
    for line in ["INC", "#t.1 GET counter", "SET a 1"] {
        assert!(kept.ask(2, line.as_bytes())[0].ends_with(DISK), "{line}");
    }
    for line in ["WATCH a", "UNWATCH a", "BYE", "JOIN ann ack"] {
        assert_eq!(kept.ask(1, line.as_bytes()), [DISK], "{line}");
    }
}

#[test]
fn who_joined_or_was_answered_when_the_commit_failed_is_told_so() {
    let mut kept = Kept::new();
    kept.open(1);
    kept.ask_and_commit(2, b"JOIN bob");
    kept.stream(1, b"JOIN ann\n");
    kept.commit();
    kept.stream(1, b"ASK bob q\n");
    let ticket = ticket(&kept.to(2)[0]);
    kept.ask(2, format!("#s.1 ANSWER {ticket} a").as_bytes());
    kept.ask(3, b"JOIN carl ack\r\n");
    kept.fail();
    assert_eq!(kept.on(1), format!("{DISK}\n"));
    assert_eq!(kept.to(3), [format!("{DISK}\r\n")]);
}

#[test]
fn what_came_before_an_unwatch_that_changed_nothing_is_stale_after_a_restart_too() {
    let mut kept = Kept::new();
    // The WATCH of number 2 is late. What stands in one datagram with the UNWATCH is kept, too.
    kept.ask_and_commit(1, b"#s.1 JOIN ann ack\n#s.3 UNWATCH a\n#s.4 WATCH b");
    assert!(kept.ask_and_commit(1, b"#s.2 WATCH a")[0].starts_with("#s.2 ERR stale"));
    kept.crash();
    assert!(kept.ask_and_commit(1, b"#s.2 WATCH a")[0].starts_with("#s.2 ERR stale"));
    assert!(kept.ask_and_commit(1, b"#s.3 UNWATCH a")[0].starts_with("#s.3 ERR stale"));
    kept.ask_and_commit(2, b"#t.1 JOIN bob ack\n#t.2 UNWATCH a");
    kept.crash();
    assert!(kept.ask_and_commit(2, b"#t.2 WATCH a")[0].starts_with("#t.2 ERR reused"));
}

#[test]
fn who_half_closes_after_a_tagged_question_still_gets_its_answer() {
    let mut kept = Kept::new();
    kept.ask_and_commit(2, b"JOIN bob");
    kept.open(1);
    kept.stream(1, b"JOIN ann\n#s.1 ASK bob q\n");
    kept.commit();
    let ticket = ticket(&kept.to(2)[0]);
    kept.handle(Input::HalfClosed { conn: Conn(1) });
    assert_eq!(kept.closed(), []);
    kept.ask(2, format!("ANSWER {ticket} a").as_bytes());
    kept.commit();
    assert_eq!((kept.on(1), kept.closed()), ("#s.1 OK a\n".to_owned(), vec![Conn(1)]));
}

#[test]
fn what_was_stale_stays_so_over_a_restart_and_reads_make_nothing_stale() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"#s.1 INC");
    kept.ask_and_commit(1, b"#s.70 PING");
    assert_eq!(kept.ask_and_commit(1, b"#s.3 INC"), ["#s.3 OK 2"]);
    kept.ask(1, b"#s.80 INC");
    assert_eq!(kept.ask(1, b"#s.4 INC"), [""; 0], "it rests on what is not kept yet");
    kept.commit();
    assert!(kept.to(1).iter().any(|reply| reply.starts_with("#s.4 ERR stale")));
    kept.crash();
    assert!(kept.ask(1, b"#s.4 INC")[0].starts_with("#s.4 ERR stale"));
}

#[test]
fn what_was_to_go_to_a_connection_never_reaches_the_next_of_its_number_however_it_ended() {
    let mut kept = Kept::new();
    kept.ask_and_commit(2, b"JOIN bob");
    kept.open(7);
    kept.stream(7, b"JOIN ann\n#s.1 ASK bob q\n");
    kept.commit();
    let ticket = ticket(&kept.to(2)[0]);
    kept.ask(2, b"#b.1 SEND ann secret");
    kept.stream(7, b"BYE\n");
    kept.open(7);
    kept.commit();
    assert_eq!(kept.on(7), "");
    kept.ask(2, format!("ANSWER {ticket} secret").as_bytes());
    kept.commit();
    assert_eq!(kept.on(7), "");
    assert_eq!(kept.ask(3, b"#s.1 ASK bob q"), ["#s.1 OK secret"], "whoever has the tag is told");
}

#[test]
fn while_nothing_leaves_for_the_disk_no_place_is_lost_for_want_of_an_ack() {
    let mut kept = Kept::new();
    kept.ask_and_commit(2, b"JOIN bob ack");
    kept.ask_and_commit(1, b"JOIN ann");
    kept.ask(1, b"#a.1 SEND bob hi");
    for _ in 0..60 {
        kept.fail();
        kept.pass(SECOND);
        assert_eq!(kept.to(2), [""; 0]);
    }
    kept.commit();
    assert_eq!(kept.to(2), ["@1 MSG ann hi"], "once");
    assert_eq!(kept.ask(1, b"WHO"), ["ann bob"]);
}

#[test]
fn changes_of_keys_that_come_and_go_do_not_grow_a_mailbox_without_bound() {
    let mut kept = Kept::with(Settings { values: 100, ..Settings::default() });
    let first = box_name(&kept.ask_and_commit(2, b"JOIN bob ack"));
    kept.ask_and_commit(2, b"WATCH *");
    for n in 0..1000 {
        kept.ask(1, format!("SET k{n} 1\nDEL k{n}").as_bytes());
        let stats = kept.ask(1, b"STATS")[0].clone();
        let letters = stats.split(' ').find_map(|pair| pair.strip_prefix("letters=")).unwrap();
        assert!(letters.parse::<u32>().unwrap() <= 203, "{stats}");
    }
    assert_ne!(box_name(&kept.ask_and_commit(2, b"JOIN bob ack")), first, "it can tell");
}

#[test]
fn what_waits_for_a_commit_is_bounded_whoever_asks() {
    let mut kept = Kept::new();
    kept.ask_and_commit(2, format!("#v.1 SET big {}", "x".repeat(8000)).as_bytes());
    kept.ask(2, b"#s.1 PING");
    assert!(kept.world.hub.poll_commit(kept.world.now).is_some());
    let mut busy = 0;
    for n in 0..3000_u32 {
        let from = std::net::SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a01_0000 + n), 99));
        let bytes = b"#s.1 PING\nGET big";
        kept.handle(Input::Datagram { from, via: world::VIA, to_many: false, bytes });
        busy += usize::from(!kept.out.list.is_empty());
    }
    // 8 MiB of replies of 8 KB each.
    assert!((1900..2100).contains(&busy), "{busy}");
}

#[test]
fn long_answers_are_remembered_up_to_a_bound() {
    let mut kept = Kept::new();
    kept.open(7);
    kept.open(8);
    kept.stream(7, b"JOIN ann\n");
    kept.stream(8, b"JOIN bob\n");
    let text = "y".repeat(8000);
    let mut answered = 0;
    'asking: for session in 0.. {
        for number in 1..=64 {
            kept.stream(7, format!("#s{session}.{number} ASK bob q\n").as_bytes());
            if kept.commit() == 0 || kept.on(8).is_empty() {
                break 'asking;
            }
            let ticket = ticket(&kept.on(8));
            kept.stream(8, format!("ANSWER {ticket} {text}\n").as_bytes());
            kept.commit();
            kept.disk.clear();
            answered += 1;
        }
    }
    // Each takes its text, and its session 64 records of 40 bytes.
    assert!(((32 << 20) / 8043..=(32 << 20) / 8003).contains(&answered), "{answered}");
}

#[test]
fn an_answer_that_comes_before_the_commit_is_told_after_it_and_in_order() {
    let mut kept = Kept::new();
    kept.ask_and_commit(2, b"JOIN bob");
    kept.open(7);
    kept.stream(7, b"JOIN ann\n");
    kept.commit();
    kept.stream(7, b"#s.1 INC\n");
    kept.stream(7, b"ASK bob q\nPING\n");
    let ticket = ticket(&kept.to(2)[0]);
    kept.stream(7, b"PING\n");
    kept.ask(2, format!("ANSWER {ticket} a").as_bytes());
    kept.commit();
    assert_eq!(kept.on(7), "#s.1 OK 1\na\npong\n");
    assert_eq!(kept.stream(7, b"PING\n"), "pong\n");
}

#[test]
fn a_batch_that_is_there_twice_restores_what_it_restores_once() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"#s.1 INC");
    kept.ask_and_commit(1, b"#s.2 BYE");
    let before = kept.disk.len();
    kept.ask(2, b"#t.1 JOIN ann ack");
    kept.pass(Duration::from_secs(61));
    kept.ask(1, b"#s.1 INC");
    kept.ask(1, b"#u.1 INC");
    kept.commit();
    let twice = kept.disk[before..].to_vec();
    kept.disk.extend_from_slice(&twice);
    kept.crash();
    assert_eq!(kept.ask(1, b"#u.1 INC"), ["#u.1 OK 3"]);
    assert_eq!(kept.ask(1, b"#s.1 INC"), ["#s.1 OK 2"]);
}

#[test]
fn who_joins_or_watches_is_told_so_once_that_is_kept() {
    let mut kept = Kept::new();
    kept.open(1);
    assert_eq!(kept.stream(1, b"JOIN ann\nWATCH a\nPING\n"), "", "and what comes behind keeps its order");
    kept.commit();
    assert_eq!(kept.on(1), "joined ann 1/10\nwatching a\npong\n");
    assert_eq!(kept.stream(1, b"JOIN ann\nWATCH a\n"), "joined ann 1/10\nwatching a\n", "nothing new");
}

#[test]
fn while_nothing_can_be_saved_nobody_joins_or_watches_and_nothing_gathers() {
    let mut kept = Kept::new();
    kept.ask_and_commit(1, b"JOIN ann");
    kept.ask(1, b"#s.1 INC");
    kept.fail();
    let before = kept.hub.gathered_bytes();
    for line in ["WATCH a", "UNWATCH a", "JOIN ann", "BYE"] {
        assert_eq!(kept.ask(1, line.as_bytes()), [DISK], "{line}");
    }
    assert_eq!((kept.ask(2, b"JOIN bob"), kept.hub.gathered_bytes()), (vec![DISK.to_owned()], before));
}

#[test]
fn a_connection_that_its_own_request_ended_asks_nothing_more() {
    let settings = Settings { values: 20, ..Settings::default() };
    let mut kept = Kept::with(settings);
    kept.open(1);
    kept.stream(1, b"JOIN ann ack\nWATCH *\n");
    kept.commit();
    // More keys than its mailbox may hold letters about, none of which it acknowledges.
    for key in 0..40 {
        kept.ask(2, format!("SET k{key} 1").as_bytes());
        kept.ask(2, format!("DEL k{key}").as_bytes());
        kept.commit();
    }
    assert_eq!(kept.ask(3, b"WHO"), ["ann"]);
    kept.stream(1, b"SET last x\nSET more x\nJOIN evil\nWATCH foo\n");
    kept.commit();
    assert_eq!(kept.ask(3, b"WHO"), [""], "neither is there");
    kept.pass(SECOND);
    kept.commit();
    kept.crash();
    assert_eq!(kept.ask(3, b"WHO"), [""]);
}
