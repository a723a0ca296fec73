//! Places that outlive the hub: who stood where, what was watched, and what was half said, over crashes and restarts.

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

use pigeond::hub::{Action, Actions, Conn, Hub, Input, Networks, Resumed, Settings, Target};

use world::{World, peer};

/// A hub whose connections outlive it, with a disk.
struct Kept {
    world: World,
    disk: Vec<u8>,
}

impl Kept {
    fn new() -> Self {
        let mut world = World::new();
        world.hub = Hub::restore(Settings::default(), 1, &[]).unwrap();
        world.hub.resume(world.now, &[], &mut world.out);
        Self { world, disk: Vec::new() }
    }

    /// Does something, commits what is to be committed, and returns what a peer gets.
    fn ask(&mut self, n: u8, bytes: &[u8]) -> Vec<String> {
        let mut replies = self.world.ask(n, bytes);
        self.commit();
        replies.extend(self.world.to(n));
        replies
    }

    fn stream(&mut self, conn: u32, bytes: &[u8]) -> String {
        let mut replies = self.world.stream(conn, bytes);
        self.commit();
        replies += &self.world.on(conn);
        replies
    }

    fn commit(&mut self) {
        self.world.out.clear();
        while let Some(batch) = self.world.hub.poll_commit(self.world.now) {
            self.disk.extend_from_slice(batch);
            self.world.hub.handle(self.world.now, Input::Committed, &mut self.world.out);
        }
    }

    /// The hub is killed and started again, and finds connections, each by its id and with a number.
    fn restart(&mut self, connections: &[(u64, u32)]) {
        self.restart_with(Settings::default(), connections);
    }

    fn restart_with(&mut self, settings: Settings, connections: &[(u64, u32)]) {
        let states: Vec<_> = connections
            .iter()
            .map(|&(id, _)| self.world.hub.unfinished(Conn(u32::try_from(id).unwrap())).unwrap_or_default())
            .collect();
        let resumed: Vec<_> = connections
            .iter()
            .zip(&states)
            .map(|(&(id, conn), stream)| Resumed { conn: Conn(conn), id, from: peer(200), stream })
            .collect();
        self.world.hub = Hub::restore(settings, 2, &self.disk).unwrap();
        self.world.now = self.world.hub.started();
        self.world.out = Actions::default();
        self.world.hub.resume(self.world.now, &resumed, &mut self.world.out);
    }
}

#[test]
fn a_place_over_udp_and_what_it_watches_outlive_a_kill() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann\r\n");
    kept.ask(1, b"WATCH room/*");
    kept.ask(1, b"WATCH gone");
    kept.ask(1, b"UNWATCH gone");
    kept.restart(&[]);
    kept.ask(2, b"JOIN bob");
    assert_eq!(kept.ask(2, b"SEND ann hello"), ["sent"]);
    kept.world.ask(2, b"SEND ann hello");
    assert_eq!(kept.world.to(1), ["MSG bob hello\r\n"], "with the end that its JOIN had");
    kept.world.ask(2, b"SET room/door open");
    assert_eq!(kept.world.to(1), ["VAL room/door open\r\n"]);
    kept.world.ask(2, b"SET gone 1");
    assert_eq!(kept.world.to(1), [""; 0]);
    assert_eq!(kept.ask(1, b"WHO"), ["ann bob"]);
}

#[test]
fn a_place_over_udp_is_sent_to_from_the_port_it_came_by() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.restart(&[]);
    kept.ask(2, b"JOIN bob");
    kept.world.ask(2, b"SEND ann hello");
    let mut ports = Vec::new();
    for action in &kept.world.out.list {
        if let Action::Send { target: Target::Udp { to, via }, .. } = action
            && *to == peer(1)
        {
            ports.push(via.port);
        }
    }
    assert_eq!(ports, [10125]);
}

#[test]
fn a_place_on_a_kept_connection_goes_on_under_another_number_without_a_greeting() {
    let mut kept = Kept::new();
    kept.world.open(3);
    kept.world.open(4);
    kept.stream(3, b"JOIN ann\n");
    kept.stream(3, b"WATCH door\n");
    let settings = Settings { text_greeting: "hello".into(), ..Settings::default() };
    kept.restart_with(settings, &[(4, 0), (3, 1)]);
    assert!(kept.world.out.list.is_empty(), "{:?}", kept.world.out);
    kept.world.ask(2, b"SET door open");
    assert_eq!((kept.world.on(1).as_str(), kept.world.on(0).as_str()), ("VAL door open\n", ""));
    assert_eq!(kept.stream(1, b"JOIN ann\n"), "joined ann 1/10\n");
    assert_eq!(
        kept.stream(0, b"SEND ann hi\n").split(' ').nth(1),
        Some("join-first"),
        "that one had no place"
    );
}

#[test]
fn a_line_that_was_cut_by_the_end_is_put_together() {
    let mut kept = Kept::new();
    kept.world.open(3);
    assert_eq!(kept.stream(3, b"PING\nSET door op"), "pong\n");
    kept.restart(&[(3, 0)]);
    kept.world.pass(Duration::from_mins(1));
    assert!(kept.world.out.list.is_empty(), "half a command is not obeyed, however long the rest takes");
    assert_eq!(kept.stream(0, b"en\nGET door\n"), "set\nopen\n");
    // And a line that was too long is still too long.
    let mut kept = Kept::new();
    kept.world.open(0);
    kept.stream(0, &[&b"PING\n"[..], &[b'x'; 10_000]].concat());
    kept.restart(&[(0, 0)]);
    assert!(kept.stream(0, b"DEL door\nPING\n").starts_with("ERR too-long"));
}

#[test]
fn text_without_an_end_is_answered_after_its_pause_by_the_next_run() {
    let mut kept = Kept::new();
    kept.world.open(3);
    assert_eq!(kept.stream(3, b"hello"), "");
    kept.restart(&[(3, 0)]);
    kept.world.pass(Duration::from_millis(50));
    assert_eq!(kept.world.on(0), "hello");
}

#[test]
fn a_place_whose_connection_is_gone_is_given_up_for_good() {
    let mut kept = Kept::new();
    kept.world.open(3);
    kept.stream(3, b"JOIN ann\n");
    kept.restart(&[]);
    assert_eq!(kept.ask(1, b"WHO"), [""]);
    kept.world.pass(Duration::from_secs(1));
    kept.commit();
    kept.restart(&[(3, 0)]);
    assert_eq!(kept.ask(1, b"WHO"), [""], "it was told to have left");
}

#[test]
fn who_has_left_or_moved_is_found_where_it_was_last() {
    let mut kept = Kept::new();
    kept.world.open(3);
    kept.stream(3, b"JOIN ann\n");
    kept.stream(3, b"BYE\n");
    kept.world.open(3);
    kept.stream(3, b"JOIN bob\n");
    kept.stream(3, b"WATCH a\n");
    kept.ask(1, b"JOIN bob");
    kept.restart(&[(3, 0)]);
    assert_eq!(kept.ask(9, b"WHO"), ["bob"]);
    kept.world.ask(9, b"SET a 1");
    assert_eq!((kept.world.to(1), kept.world.on(0)), (vec!["VAL a 1".to_owned()], String::new()));
}

#[test]
fn what_was_not_acknowledged_comes_again_to_a_place_that_was_kept() {
    let mut kept = Kept::new();
    kept.world.open(3);
    let joined = kept.stream(3, b"JOIN ann ack\n");
    kept.ask(2, b"JOIN bob");
    kept.world.ask(2, b"#bob-one.1 SEND ann hello");
    kept.commit();
    assert_eq!(kept.world.on(3), "@1 MSG bob hello\n");
    kept.restart(&[(3, 0)]);
    kept.commit();
    assert_eq!(kept.world.on(0), "@1 MSG bob hello\n");
    assert_eq!(kept.stream(0, b"ACK 1\n"), "", "it is heard from its place");
    assert_eq!(kept.stream(0, b"JOIN ann ack\n"), joined.replace("1/10", "2/10"), "the same mailbox");
}

#[test]
fn a_lower_limit_throws_nobody_out_and_a_network_that_is_not_admitted_any_more_does() {
    let mut kept = Kept::new();
    for conn in 0..3 {
        kept.world.open(conn);
        kept.stream(conn, format!("JOIN c{conn}\n").as_bytes());
    }
    kept.ask(5, b"JOIN udp");
    let all = [(0, 0), (1, 1), (2, 2)];
    kept.restart_with(Settings { clients_limit: 1, tcp_connections: 1, ..Settings::default() }, &all);
    assert_eq!(kept.ask(9, b"WHO"), ["c0 c1 c2 udp"]);
    let networks = Networks::List(vec!["10.0.0.0/8".parse().unwrap()]);
    kept.restart_with(Settings { networks, ..Settings::default() }, &all);
    assert_eq!(kept.world.closed(), [Conn(0), Conn(1), Conn(2)]);
    assert_eq!(kept.world.hub.summary().clients, 0);
}

#[test]
fn a_repeated_join_or_watch_is_not_kept_again() {
    let mut kept = Kept::new();
    kept.ask(1, b"JOIN ann");
    kept.ask(1, b"WATCH a");
    kept.world.pass(Duration::from_secs(1));
    kept.commit();
    let before = kept.disk.len();
    kept.ask(1, b"JOIN ann");
    kept.ask(1, b"WATCH a");
    kept.ask(1, b"UNWATCH b");
    kept.world.pass(Duration::from_secs(1));
    kept.commit();
    assert_eq!(kept.disk.len(), before);
}
