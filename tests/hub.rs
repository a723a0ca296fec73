//! The pure hub, driven through what the examples of the protocol page leave out: limits, time, and bad company.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use pigeond::hub::{Action, Conn, Event, Input, Networks, Settings, TextReply};
use pigeond::wire::Word;

use world::{VIA, World, peer};

#[test]
fn a_place_over_udp_ends_five_minutes_after_the_last_datagram() {
    let mut world = World::new();
    world.ask(1, b"JOIN ann");
    world.ask(2, b"JOIN bob");
    world.pass(Duration::from_secs(299));
    world.ask(1, b"any datagram at all");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.ask(9, b"WHO"), ["ann"]);
    let left = |event: &Event| matches!(event, Event::Left { code, why: "idle" } if &**code == "ann");
    world.pass(Duration::from_secs(297));
    assert_eq!(world.ask(9, b"WHO"), ["ann"]);
    world.pass(Duration::from_secs(2));
    assert!(world.out.events.iter().any(left));
    assert_eq!(world.ask(9, b"WHO"), [""]);
    assert_eq!(world.hub.next_deadline(), None, "nothing is left to wait for");
}

#[test]
fn a_place_over_tcp_lasts_as_long_as_its_connection() {
    let mut world = World::new();
    world.open(0);
    world.stream(0, b"JOIN ann\n");
    world.pass(Duration::from_secs(100_000));
    assert_eq!(world.ask(9, b"WHO"), ["ann"]);
    world.handle(Input::Closed { conn: Conn(0), why: "gone" });
    assert_eq!(world.ask(9, b"WHO"), [""]);
}

#[test]
fn silent_guests_are_closed_and_those_who_speak_or_join_are_not() {
    let mut world = World::new();
    for conn in 0..3 {
        world.open(conn);
    }
    world.stream(1, b"JOIN ann\n");
    world.pass(Duration::from_secs(3599));
    world.stream(2, b"PING\n");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.closed(), [Conn(0)]);
    world.pass(Duration::from_secs(3598));
    assert_eq!(world.closed(), [Conn(2)]);
    assert_eq!(world.ask(9, b"WHO"), ["ann"]);
}

#[test]
fn plain_text_over_udp_is_answered_200_times_a_second_for_each_address() {
    let mut world = World::new();
    let answered = |world: &mut World, n| (0..300).filter(|_| !world.ask(n, b"hello").is_empty()).count();
    assert_eq!(answered(&mut world, 1), 200);
    assert_eq!(answered(&mut world, 2), 200);
    assert_eq!(world.ask(1, b"INC"), ["1"], "requests are no text");
    world.pass(Duration::from_secs(1));
    assert_eq!(answered(&mut world, 1), 200);
}

#[test]
fn an_echo_loop_with_another_server_ends() {
    let mut world = World::new();
    let mut echoes = 0;
    let mut text = b"hello".to_vec();
    while let Some(echo) = world.ask(1, &text).pop() {
        text = echo.into_bytes();
        echoes += 1;
        assert!(echoes <= 200);
    }
}

#[test]
fn what_is_sent_to_everybody_is_answered_only_if_it_asks_who_is_there() {
    let mut world = World::new();
    assert_eq!(world.broadcast(1, b"hello"), ["hello"]);
    assert_eq!(world.broadcast(1, b"PING a"), ["pong a"]);
    for request in [&b"INC"[..], b"JOIN ann", b"#s.1 INC", b"GET counter", b"INFO", &[b'x'; 9000]] {
        assert!(world.broadcast(1, request).is_empty());
    }
    assert_eq!(world.broadcast(1, b"INC\nPING\n"), ["pong\n"]);
    assert!(world.ask(1, b"GET counter")[0].starts_with("ERR no-such-key "), "nothing was done");
}

#[test]
fn strangers_and_the_hub_itself_get_no_answer() {
    let own = SocketAddr::new(peer(250).ip(), 10125);
    let mut world = World::with(Settings { own: vec![own], ..Settings::default() });
    for from in ["8.8.8.8:53".parse().unwrap(), own] {
        world.handle(Input::Datagram { from, via: VIA, to_many: false, bytes: b"INC" });
        assert!(world.out.list.is_empty());
    }
    world.handle(Input::Opened { conn: Conn(0), id: 0, from: "8.8.8.8:53".parse().unwrap() });
    assert_eq!((world.on(0).as_str(), world.closed()), ("", vec![Conn(0)]));
    let networks = Networks::List(vec!["8.8.0.0/16".parse().unwrap()]);
    let mut world = World::with(Settings { networks, ..Settings::default() });
    world.handle(Input::Datagram {
        from: "8.8.8.8:53".parse().unwrap(),
        via: VIA,
        to_many: false,
        bytes: b"INC",
    });
    assert_eq!(world.out.list.len(), 1);
    assert!(world.ask(1, b"INC").is_empty());
}

#[test]
fn an_address_gets_at_most_its_budget_then_busy_then_silence() {
    let mut world = World::new();
    let value = "v".repeat(8000);
    world.ask(1, format!("SET k {value}").as_bytes());
    let (mut bytes, mut busy, mut silent) = (0, 0, 0);
    for _ in 0..100 {
        match world.ask(1, b"GET k").pop() {
            Some(reply) if reply.starts_with("ERR busy ") => busy += 1,
            Some(reply) => bytes += reply.len(),
            None => silent += 1,
        }
    }
    assert!((256 * 1024..=256 * 1024 + 3 * 9000 + 8000).contains(&bytes), "{bytes}");
    assert_eq!(busy, 1);
    assert!(silent > 50);
    assert!(world.ask(1, b"INC").is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ask(1, b"INC"), ["1"], "what was refused was not done");
}

#[test]
fn replies_that_one_datagram_does_not_hold_come_in_several() {
    let mut world = World::new();
    world.ask(1, format!("SET k {}", "v".repeat(600)).as_bytes());
    let replies = world.ask(1, b"GET k\nGET k\nGET k\nPING\n");
    assert_eq!(replies.iter().map(String::len).collect::<Vec<_>>(), [1202, 606]);
    assert!(replies.iter().all(|reply| reply.len() <= 1400));
    world.ask(1, format!("SET k {}", "v".repeat(2000)).as_bytes());
    let replies = world.ask(1, b"PING\nGET k\nPING\n");
    assert_eq!(replies.iter().map(String::len).collect::<Vec<_>>(), [5, 2001, 5]);
}

#[test]
fn text_is_answered_as_the_operator_says() {
    let answers = [("ping".to_owned(), "pong!".to_owned())].into();
    let settings = Settings { text_reply: TextReply::Counter, text_answers: answers, ..Settings::default() };
    let mut world = World::with(settings);
    assert_eq!(world.ask(1, b"hello"), ["0"]);
    world.ask(1, b"INC 41");
    assert_eq!(world.ask(1, b"hello\r\n"), ["41\r\n"]);
    assert_eq!(world.ask(1, b"hello\0\0\0"), ["41\0"]);
    assert_eq!(world.ask(1, b"ping"), ["pong!"]);
    assert_eq!(world.ask(1, b"ping\n"), ["pong!\n"]);
    assert_eq!(world.ask(1, b"ping\0\0"), ["pong!\0"]);
    world.hub.reconfigure(Settings {
        text_reply: TextReply::Fixed("welcome".to_owned()),
        text_greeting: "who are you?".to_owned(),
        ..Settings::default()
    });
    assert_eq!(world.ask(1, b"hello\n"), ["welcome\n"]);
    assert_eq!(world.open(0), "who are you?\n");
}

#[test]
fn guests_may_only_what_the_operator_lets_them() {
    let mut world = World::with(Settings { guests: Some(vec![Word::Ping]), ..Settings::default() });
    assert_eq!(world.ask(1, b"PING"), ["pong"]);
    assert!(world.ask(1, b"DISCOVER")[0].starts_with("HERE "), "always allowed");
    assert!(world.ask(1, b"INC")[0].starts_with("ERR denied "));
    assert!(world.ask(1, b"#s.1 INC")[0].starts_with("#s.1 ERR denied "));
    assert_eq!(world.ask(1, b"JOIN ann"), ["joined ann 1/10"]);
    assert_eq!(world.ask(1, b"INC"), ["1"]);
    assert!(world.ask(1, b"#s.1 INC")[0].starts_with("#s.1 ERR denied "), "the first answer stands");
}

#[test]
fn what_this_version_does_not_do_is_refused_and_said() {
    let mut world = World::new();
    world.ask(1, b"JOIN ann");
    assert!(world.ask(1, b"JOIN ann abcd")[0].starts_with("ERR denied "));
    assert!(world.ask(1, b"#s.1.0123456789abcdef INC")[0].starts_with("#s.1 ERR denied "));
}

#[test]
fn a_full_hub_refuses_and_throws_nobody_out() {
    let mut world = World::with(Settings { clients_limit: 2, ..Settings::default() });
    world.ask(1, b"JOIN a");
    world.ask(2, b"JOIN b");
    assert!(world.ask(3, b"JOIN c")[0].starts_with("ERR full "));
    assert_eq!(world.ask(1, b"JOIN c"), ["joined c 2/2"], "who gives up one place may take another");
    assert_eq!(world.ask(3, b"JOIN b"), ["joined b 2/2"], "a code that moves needs no place");
    world.hub.reconfigure(Settings { clients_limit: 1, ..Settings::default() });
    assert_eq!(world.ask(3, b"WHO"), ["b c"]);
    world.ask(3, b"BYE");
    assert!(world.ask(2, b"JOIN d")[0].starts_with("ERR full "));
    world.ask(1, b"BYE");
    assert_eq!(world.ask(2, b"JOIN d"), ["joined d 1/1"]);
}

#[test]
fn a_client_that_moves_keeps_its_watches_and_the_old_place_is_told() {
    let mut world = World::new();
    world.ask(1, b"JOIN ann");
    world.ask(1, b"WATCH k");
    assert_eq!(world.ask(2, b"JOIN ann\r\n"), ["joined ann 1/10\r\n"]);
    assert_eq!(world.to(1), ["BYE moved"]);
    world.ask(9, b"SET k 1");
    assert_eq!((world.to(1).len(), world.to(2)), (0, vec!["VAL k 1\r\n".to_owned()]));
}

#[test]
fn watches_end_with_the_place() {
    let mut world = World::new();
    world.ask(1, b"JOIN ann");
    world.ask(1, b"WATCH *");
    world.ask(1, b"WATCH k");
    world.ask(9, b"SET k 1");
    assert_eq!(world.to(1), ["VAL k 1"], "once, however many patterns match");
    world.ask(1, b"BYE");
    world.ask(1, b"JOIN ann");
    world.ask(9, b"SET k 2");
    assert!(world.to(1).is_empty());
}

#[test]
fn values_that_are_there_follow_the_reply_to_watch() {
    let mut world = World::new();
    for key in ["a", "ab", "abc", "b"] {
        world.ask(9, format!("SET {key} 1").as_bytes());
    }
    world.ask(1, b"JOIN ann\n");
    assert_eq!(world.ask(1, b"WATCH ab*\n"), ["watching ab*\n", "VAL ab 1\n", "VAL abc 1\n"]);
    world.open(0);
    world.stream(0, b"JOIN bob\r\n");
    assert_eq!(world.stream(0, b"WATCH a*c\r\nPING\r\n"), "watching a*c\r\npong\r\nVAL abc 1\n");
}

#[test]
fn a_watch_that_would_flood_its_client_is_refused() {
    let mut world = World::new();
    world.open(0);
    world.stream(0, b"JOIN ann\n");
    for n in 0..20 {
        world.stream(0, format!("SET k{n} {}\n", "v".repeat(8000)).as_bytes());
    }
    assert!(world.stream(0, b"WATCH k*\n").starts_with("ERR full "));
    assert!(world.stream(0, b"WATCH k1*\n").starts_with("watching k1*\nVAL k1 vvv"));
}

#[test]
fn limits_refuse_with_full() {
    let settings = Settings { values: 1, watches_per_client: 1, ..Settings::default() };
    let mut world = World::with(settings);
    world.ask(1, b"JOIN ann");
    assert_eq!(world.ask(1, b"SET a 1"), ["set"]);
    assert!(world.ask(1, b"SET b 1")[0].starts_with("ERR full "));
    assert!(world.ask(1, b"INC b")[0].starts_with("ERR full "));
    assert_eq!(world.ask(1, b"WATCH a"), ["watching a", "VAL a 1"]);
    assert!(world.ask(1, b"WATCH b")[0].starts_with("ERR full "));
    assert_eq!(world.ask(1, b"WATCH a"), ["watching a", "VAL a 1"]);
    assert_eq!(world.ask(1, b"UNWATCH a"), ["unwatching a"]);
    assert_eq!(world.ask(1, b"WATCH b"), ["watching b"]);
}

#[test]
fn a_session_is_forgotten_an_hour_after_its_last_line_or_a_minute_after_its_bye() {
    let mut world = World::new();
    world.ask(1, b"#s.1 INC");
    world.ask(1, b"#t.1 INC");
    world.ask(1, b"#t.2 BYE");
    world.pass(Duration::from_secs(59));
    assert_eq!(world.ask(1, b"#t.1 INC"), ["#t.1 OK 2"], "a late copy finds its answer");
    world.pass(Duration::from_secs(61));
    assert!(world.ask(1, b"#t.3 INC")[0].starts_with("#t.3 ERR unopened "));
    world.pass(Duration::from_secs(3400));
    assert_eq!(world.ask(1, b"#s.1 INC"), ["#s.1 OK 1"]);
    world.pass(Duration::from_secs(3601));
    assert!(world.ask(1, b"#s.2 INC")[0].starts_with("#s.2 ERR unopened "));
    assert_eq!(world.hub.next_deadline(), None);
}

#[test]
fn a_late_copy_of_a_join_does_not_undo_what_came_later() {
    let mut world = World::new();
    world.ask(1, b"#s.1 JOIN ann");
    world.ask(1, b"#s.2 WATCH *");
    assert!(world.ask(1, b"#s.1 JOIN ann")[0].starts_with("#s.1 ERR stale "));
    assert_eq!(world.ask(1, b"#s.2 WATCH *"), ["#s.2 OK watching *"], "the newest is done anew");
    assert!(world.ask(1, b"#s.2 WATCH a")[0].starts_with("#s.2 ERR reused "));
    assert_eq!(world.ask(2, b"#t.1 JOIN ann"), ["#t.1 OK joined ann 1/10"]);
    assert!(world.ask(1, b"#s.2 WATCH *")[0].starts_with("#s.2 ERR stale "));
    assert_eq!(world.ask(1, b"#s.3 JOIN ann"), ["#s.3 OK joined ann 1/10"], "a new request is no copy");
}

#[test]
fn a_tagged_send_is_delivered_once() {
    let mut world = World::new();
    world.ask(1, b"JOIN ann");
    world.ask(2, b"JOIN bob");
    for _ in 0..3 {
        assert_eq!(world.ask(1, b"#s.1 SEND bob hi"), ["#s.1 OK sent"]);
    }
    assert!(world.to(2).is_empty(), "the copies delivered nothing");
    assert_eq!(world.ask(1, b"#s.2 ALL hi"), ["#s.2 OK 1"]);
    assert_eq!(world.to(2), ["MSG ann hi"]);
}

#[test]
fn lists_go_on_where_they_ended() {
    let mut world = World::new();
    for n in 0..300 {
        world.ask(1, format!("SET key{n:03} x").as_bytes());
    }
    let mut all = Vec::new();
    let mut request = "KEYS *".to_owned();
    loop {
        let reply = world.ask(1, request.as_bytes()).remove(0);
        assert!(reply.len() <= 1000);
        let (names, more) = match reply.strip_suffix(" +") {
            Some(names) => (names, true),
            None => (reply.as_str(), false),
        };
        all.extend(names.split(' ').map(str::to_owned));
        if !more {
            break;
        }
        request = format!("KEYS * {}", all.last().unwrap());
    }
    assert_eq!(all, (0..300).map(|n| format!("key{n:03}")).collect::<Vec<_>>());
}

#[test]
fn replies_that_the_hub_words_stay_within_their_bounds() {
    let mut world = World::with(Settings { name: "n".repeat(24), ..Settings::default() });
    world.pass(Duration::from_hours(1_000_000));
    for word in pigeond::wire::WORDS {
        for request in
            [word.as_str().to_owned(), format!("{} / ~", word.as_str()), format!("HELP {}", word.as_str())]
        {
            for reply in world.ask(1, request.as_bytes()) {
                let list = ["STATS", "HELP"].contains(&request.as_str());
                assert!(
                    reply.is_ascii() && reply.len() <= if list { 1000 } else { 100 },
                    "{request}: {reply}"
                );
            }
        }
    }
}

#[test]
fn connections_from_one_address_are_bounded() {
    let mut world = World::with(Settings { tcp_connections_per_address: 2, ..Settings::default() });
    assert_eq!((world.open(0), world.open(1)), (String::new(), String::new()));
    assert!(world.open(2).starts_with("ERR full "));
    assert_eq!(world.closed(), [Conn(2)]);
    world.handle(Input::Closed { conn: Conn(0), why: "gone" });
    assert_eq!(world.open(0), "");
}

#[test]
fn a_stream_that_asks_for_too_much_at_once_gets_it_bit_by_bit() {
    let mut world = World::new();
    world.open(0);
    world.stream(0, format!("SET k {}\n", "v".repeat(8000)).as_bytes());
    let mut requests = b"GET k\n".repeat(1000);
    let (mut total, mut rounds) = (0, 0);
    while !requests.is_empty() {
        let replies = world.stream(0, &requests).len();
        assert!(replies <= 64 * 1024 + 8001, "{replies}");
        let held = world.out.list.iter().find_map(|action| match action {
            Action::Hold { bytes, .. } => Some(*bytes),
            Action::Send { .. }
            | Action::Close(_)
            | Action::Await { .. }
            | Action::Answer { .. }
            | Action::Broadcast { .. }
            | Action::Nothing => None,
        });
        requests.drain(..requests.len() - held.unwrap_or(0));
        (total, rounds) = (total + replies, rounds + 1);
    }
    assert_eq!(total, 1000 * 8001);
    assert!(rounds > 100);
}

#[test]
fn one_read_causes_a_bounded_number_of_pushes_and_the_rest_waits() {
    let settings = Settings { clients_limit: 1000, networks: Networks::Local, ..Settings::default() };
    let mut world =
        World::with(Settings { tcp_connections: 2000, tcp_connections_per_address: 2000, ..settings });
    for conn in 0..1000 {
        world.open(conn);
        world.stream(conn, format!("JOIN c{conn}\n").as_bytes());
    }
    let requests = b"ALL x\n".repeat(4000);
    world.handle(Input::Stream { conn: Conn(0), bytes: &requests });
    assert!(world.out.list.len() < 34_000, "{}", world.out.list.len());
    assert!(world.out.list.iter().any(|action| matches!(action, Action::Hold { conn: Conn(0), .. })));
    // What is not needed again is given back, by half each time.
    (0..8).for_each(|_| world.out.clear());
    assert!(world.out.list.capacity() <= 1024 && world.out.events.capacity() <= 1024);
}

#[test]
fn one_datagram_that_asks_for_too_much_is_told_busy_for_the_rest() {
    let mut world = World::with(Settings { values: 20_000, ..Settings::default() });
    for n in 0..11_000 {
        let from = SocketAddr::new([127, 0, 0, 1].into(), 5000);
        let line = format!("SET k{n} 1");
        world.handle(Input::Datagram { from, via: VIA, to_many: false, bytes: line.as_bytes() });
    }
    let replies = world.ask(1, b"KEYS nothing*\nKEYS *z\nKEYS *z\nPING\n");
    assert_eq!(replies.len(), 1);
    let lines: Vec<&str> = replies[0].split('\n').collect();
    assert_eq!((lines[0], lines[1]), ("", ""), "what is cheap is done, and what is dear is done once");
    assert!(lines[2].starts_with("ERR busy ") && lines[3].starts_with("ERR busy "), "{lines:?}");
}

#[test]
fn an_address_outside_the_local_networks_never_gets_more_than_it_sent() {
    let networks = Networks::List(vec!["192.0.2.0/24".parse().unwrap()]);
    let mut world = World::with(Settings { networks, ..Settings::default() });
    let from: SocketAddr = "192.0.2.7:5000".parse().unwrap();
    for word in pigeond::wire::WORDS {
        for line in
            [word.as_str().to_owned(), format!("{} a b", word.as_str()), format!("{} a\n", word.syntax())]
        {
            world.handle(Input::Datagram { from, via: VIA, to_many: false, bytes: line.as_bytes() });
            world.pass_quietly(Duration::from_secs(1));
            let sent: usize = world.sent(|_| true).iter().map(String::len).sum();
            assert!(sent <= line.len(), "{line}: {sent}");
        }
    }
    world.handle(Input::Datagram { from, via: VIA, to_many: false, bytes: b"hello" });
    assert_eq!(world.sent(|_| true), ["hello"]);
}

#[test]
fn silence_over_the_budget_does_not_use_up_the_word_busy() {
    let mut world = World::new();
    let mut came = world.ask(1, format!("SET k {}", "v".repeat(8000)).as_bytes()).len() + 8006;
    let mut went = "set".len();
    while went < 3 * came + 256 * 1024 {
        went += world.ask(1, b"GET k")[0].len();
        came += "GET k".len();
    }
    assert!(world.ask(1, b"hello").is_empty());
    assert!(world.ask(1, b"PING")[0].starts_with("ERR busy "));
    assert!(world.ask(1, b"PING").is_empty());
}

#[test]
fn a_wrong_request_under_a_tag_keeps_its_error_for_good() {
    let mut world = World::new();
    assert!(world.ask(1, b"#s.1 INC a 1.5")[0].starts_with("#s.1 ERR not-a-number "));
    assert!(world.ask(1, b"#s.1 INC a 1")[0].starts_with("#s.1 ERR reused "));
    assert!(world.ask(1, b"#s.2 SET k")[0].starts_with("#s.2 ERR usage "));
    assert!(world.ask(1, b"#s.2 SET k v")[0].starts_with("#s.2 ERR reused "));
    world.open(0);
    world.stream(0, b"PING\n#s.3 SET k v");
    world.handle(Input::HalfClosed { conn: Conn(0) });
    assert!(world.on(0).starts_with("#s.3 ERR usage "));
    assert_eq!(world.ask(1, b"#s.3 SET k value"), ["#s.3 OK set"], "a line that never ended may come whole");
}

#[test]
fn an_ack_is_never_answered_not_even_unfinished() {
    let mut world = World::new();
    world.open(0);
    assert_eq!(world.stream(0, b"PING\nACK 5\nACK\nACK 5"), "pong\n");
    world.handle(Input::HalfClosed { conn: Conn(0) });
    assert_eq!(world.on(0), "");
}

#[test]
fn new_times_reach_those_who_are_here_too() {
    let never = Settings { guest_idle: None, ..Settings::default() };
    let mut world = World::with(never);
    world.open(0);
    world.ask(1, b"JOIN ann");
    world.pass(Duration::from_secs(100));
    let guest_idle = Some(Duration::from_secs(200));
    world.hub.reconfigure(Settings {
        guest_idle,
        clients_idle: Duration::from_secs(150),
        ..Settings::default()
    });
    world.pass(Duration::from_secs(49));
    assert_eq!(world.ask(9, b"WHO"), ["ann"]);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.ask(9, b"WHO"), [""]);
    world.pass(Duration::from_secs(50));
    assert_eq!(world.closed(), [Conn(0)]);
}
