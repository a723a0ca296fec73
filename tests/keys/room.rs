//! The room of clients with secrets: nobody who has none takes it from them, from however many addresses.

use std::net::SocketAddr;

use pigeond::hub::{Conn, Hub, Input, Resumed, Settings};

use crate::person::{ANN, BOB, Person, Place, keys, nonce, settings};
use crate::world::VIA;

/// An address on the LAN, one of very many.
fn forged(n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::from(([10, 9, high, low], 5000))
}

/// Somebody says something from a forged address; what is sent there.
fn forge(place: &mut Place, n: u16, line: &str) -> String {
    let input = Input::Datagram { from: forged(n), via: VIA, to_many: false, bytes: line.as_bytes() };
    place.world.handle(input);
    let mut said = String::from_utf8_lossy(&place.world.out.bytes).into_owned();
    place.commit();
    said.push_str(&String::from_utf8_lossy(&place.world.out.bytes));
    said
}

#[test]
fn sessions_of_others_leave_room_for_those_of_codes_with_a_secret() {
    let mut place = Place::with(Settings { sessions: 4, sessions_per_address: 3, ..settings() });
    for n in 0..4 {
        assert_eq!(forge(&mut place, n, &format!("#f{n}.1 INC a")), format!("#f{n}.1 OK {}", n + 1));
    }
    assert!(
        forge(&mut place, 4, "#f4.1 INC a").contains("ERR busy"),
        "the bound of those who have no secret"
    );
    for session in ["sess-one", "sess-two", "sess-three"] {
        place.join(1, "ann", ANN, session, "");
    }
    let fresh = nonce(&place.ask(1, "JOIN ann")[0]);
    let mut fourth = Person::new(ANN, "sess-four", &fresh);
    let refused = place.ask(1, &fourth.next(&format!("JOIN ann {fresh}")));
    assert!(fourth.heard(1, &refused[0]).starts_with("ERR busy"), "one code's bound");
    place.crash();
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    assert_eq!(place.say(2, &mut bob, "INC a"), "OK 5");
    assert!(forge(&mut place, 5, "#f5.1 INC a").contains("ERR busy"), "nor do they make room for others");
}

#[test]
fn a_code_with_a_secret_always_has_a_place() {
    let mut place = Place::with(Settings { clients_limit: 1, keys: keys(&[("ann", ANN)]), ..settings() });
    assert_eq!(forge(&mut place, 0, "JOIN x"), "joined x 1/2");
    assert!(forge(&mut place, 1, "JOIN y").starts_with("ERR full"));
    place.join(1, "ann", ANN, "sess-ann", "");
    assert!(forge(&mut place, 1, "JOIN y").starts_with("ERR full"), "the bound of those who have no secret");
    // A code that has one only now has its place too, and one that has none any more is counted with all others.
    place.settings.keys = keys(&[("bob", BOB)]);
    place.reload();
    place.join(2, "bob", BOB, "sess-bob", "");
    assert!(forge(&mut place, 1, "JOIN ann").starts_with("ERR full"));
    assert_eq!(forge(&mut place, 0, "JOIN y"), "joined y 2/2", "another code in the same place");
}

#[test]
fn a_code_with_a_secret_always_has_a_mailbox() {
    let few = Settings { mailboxes: 2, mailboxes_per_address: 2, clients_limit: 20, ..settings() };
    let mut place = Place::with(few);
    assert!(forge(&mut place, 0, "JOIN x ack").starts_with("joined x"));
    assert!(forge(&mut place, 1, "JOIN y ack").starts_with("joined y"));
    assert!(forge(&mut place, 2, "JOIN z ack").starts_with("ERR full"));
    place.join(1, "ann", ANN, "sess-ann", " ack");
    place.crash();
    assert!(forge(&mut place, 2, "JOIN z ack").starts_with("ERR full"), "also after a restart");
    place.join(2, "bob", BOB, "sess-bob", " ack");
    place.settings.keys = keys(&[("cyd", ANN)]);
    place.reload();
    place.join(3, "cyd", ANN, "sess-cyd", " ack");
    // Three of those four must go before somebody without a secret finds room: ann's and bob's count with all others.
    forge(&mut place, 0, "BYE");
    for code in ["ann", "bob"] {
        assert!(forge(&mut place, 4, "JOIN z ack").starts_with("ERR full"), "{code}");
        forge(&mut place, 3, &format!("JOIN {code} ack\nBYE"));
    }
    assert!(forge(&mut place, 4, "JOIN z ack").starts_with("joined z"));
}

#[test]
fn half_of_a_mailbox_is_for_senders_who_have_a_secret() {
    let mut place = Place::with(Settings { mailbox: 8, ..settings() });
    place.join(1, "ann", ANN, "sess-ann", " ack");
    place.crash();
    forge(&mut place, 0, "JOIN open ack");
    for n in 1..6 {
        let said = forge(&mut place, n, &format!("JOIN s{n}\nSEND ann spam\nSEND open spam\nSEND ann spam"));
        let is_full = said.lines().filter(|line| line.starts_with("ERR full")).count();
        assert_eq!(is_full, if n <= 2 { 0 } else { 2 }, "{n}: {said}");
    }
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    for _ in 0..2 {
        assert_eq!(place.say(2, &mut bob, "SEND ann hi"), "OK queued");
    }
    assert!(place.say(2, &mut bob, "SEND ann hi").starts_with("ERR full"), "a quarter for each sender");
}

/// Fills the memory of letters by senders who have no secret, whoever they are for.
fn fill_letters(place: &mut Place, boxes: &[&str]) {
    let text = "t".repeat(60_000);
    let sent = (0..10_000)
        .find(|n| {
            let (from, to) = (n / 2000, boxes[n % boxes.len()]);
            let lines = format!("JOIN s{from}\nSEND {to} {text}");
            forge(place, u16::try_from(10 + from).unwrap(), &lines).contains("ERR full")
        })
        .unwrap();
    let room = pigeond::limits::MAILBOX_BYTES / text.len();
    assert!((room - 1..=room + 1).contains(&sent), "{sent}");
}

#[test]
fn letters_of_others_leave_room_for_those_of_senders_with_a_secret() {
    let keys = keys(&[("ann", ANN), ("bob", BOB), ("cyd", ANN)]);
    let big = Settings { mailbox: 10_000, clients_limit: 100, max_message_bytes: 65_347, ..settings() };
    let mut place = Place::with(Settings { keys, ..big });
    place.join(1, "ann", ANN, "sess-ann", " ack");
    forge(&mut place, 0, "JOIN x ack");
    fill_letters(&mut place, &["x", "ann"]);
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    for session in ["sess-two", "sess-three"] {
        assert_eq!(place.say(2, &mut bob, "SEND ann hi"), "OK queued");
        assert_eq!(place.say(2, &mut bob, "SEND x hi"), "OK queued");
        assert!(forge(&mut place, 1, "JOIN z ack").starts_with("ERR full"));
        place.crash();
        bob = place.join(2, "bob", BOB, session, "");
    }
    place.join(3, "cyd", ANN, "sess-cyd", " ack");
    // Theirs is bounded too.
    let text = "t".repeat(60_000);
    let sent = (0..10_000)
        .find(|_| place.say(2, &mut bob, &format!("SEND x {text}")).starts_with("ERR full"))
        .unwrap();
    let room = pigeond::limits::MAILBOX_BYTES / text.len();
    assert!((room - 1..=room + 1).contains(&sent), "{sent}");
    // What a sender without a secret any more has written counts with that of all others.
    place.settings.keys.codes.remove("bob");
    place.reload();
    assert!(forge(&mut place, 2, "JOIN bob\nSEND ann hi").contains("ERR full"));
}

#[test]
fn questions_of_others_leave_room_for_those_of_codes_with_a_secret() {
    let mut place = Place::with(Settings { clients_limit: 100, ..settings() });
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    place.join(2, "bob", BOB, "sess-bob", "");
    let asks = vec!["ASK ann x"; 255].join("\n");
    for n in 0..20 {
        forge(&mut place, n, &format!("JOIN s{n}\n{asks}"));
        forge(&mut place, n, &asks);
    }
    assert!(forge(&mut place, 21, "JOIN s21\nASK ann x").contains("ERR busy"));
    let line = ann.next("ASK bob hi");
    assert_eq!(place.seen_by(2, 1, &line).len(), 1, "bob is asked");
}

#[test]
fn where_all_need_a_secret_connections_that_prove_none_make_room() {
    let few =
        Settings { tcp_connections: 4, tcp_connections_per_address: 2, keys_required: true, ..settings() };
    let mut place = Place::with(few);
    let open = |place: &mut Place, conn: u32, from: u16| {
        place.world.handle(Input::Opened { conn: Conn(conn), id: conn.into(), from: forged(from) });
        place.world.closed()
    };
    for conn in 0..3 {
        assert_eq!(open(&mut place, conn, conn.try_into().unwrap()), [], "{conn}");
        assert_eq!(place.stream(conn, "PING"), "pong\n");
    }
    let fresh = nonce(place.stream(0, "JOIN ann").trim_end());
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert!(ann.heard(1, place.stream(0, &line).trim_end()).starts_with("OK joined"));
    assert_eq!(open(&mut place, 3, 2), []);
    assert_eq!(open(&mut place, 4, 2), [Conn(2)], "an address with too many makes room itself");
    assert_eq!(open(&mut place, 5, 5), [Conn(1)], "the oldest that has proved nothing");
    assert_eq!(open(&mut place, 6, 6), [Conn(3)]);
    assert_eq!(open(&mut place, 7, 7), [Conn(4)], "even if it is new");
    // A connection that outlived the hub, with its client, is no newcomer to the next.
    let resumed = [0, 5].map(|conn: u32| Resumed {
        conn: Conn(conn),
        id: conn.into(),
        from: forged(conn.try_into().unwrap()),
        stream: b"",
    });
    place.settings.tcp_connections = 2;
    place.world.hub = Hub::restore(place.settings.clone(), 2, &place.disk).unwrap();
    place.world.now = place.world.hub.started();
    place.world.hub.resume(place.world.now, &resumed, &mut place.world.out);
    assert_eq!(open(&mut place, 8, 8), [Conn(5)]);
}

#[test]
fn what_others_have_asked_is_remembered_up_to_a_bound_of_their_own() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    // Every record takes 40 bytes, and a session grows to 64 of them.
    let lines = |session: &str| -> String {
        (1..=64).map(|number| format!("#{session}.{number} INC n 0")).collect::<Vec<_>>().join("\n")
    };
    let full =
        (0..u16::MAX).find(|n| forge(&mut place, *n, &lines(&format!("f{n}"))).contains("ERR busy")).unwrap();
    let room = pigeond::limits::RECORDED_BYTES / (64 * 40);
    assert!((room - 1..=room + 1).contains(&usize::from(full)), "{full}");
    assert_eq!(forge(&mut place, 0, "#f0.65 INC n 0"), "#f0.65 OK 0", "who is in goes on");
    assert!(forge(&mut place, 0, "#g.1 INC n 0").contains("ERR busy"));
    assert!(forge(&mut place, 0, "#g.1 GET n").contains("OK 0"), "what is not remembered is done");
    assert_eq!(place.say(1, &mut ann, "INC n"), "OK 1");
}
