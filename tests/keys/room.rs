//! The room of clients with secrets: nobody who has none takes it from them, from however many addresses.

use std::net::SocketAddr;

use pigeond::hub::{Conn, Input, Settings};

use crate::person::{ANN, BOB, Person, Place, nonce, settings};
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
fn codes_with_a_secret_always_find_a_place() {
    let mut place = Place::with(Settings { clients_limit: 3, ..settings() });
    assert_eq!(forge(&mut place, 0, "JOIN x"), "joined x 1/3");
    assert!(forge(&mut place, 1, "JOIN y").starts_with("ERR full"), "two places are kept");
    assert_eq!(forge(&mut place, 0, "JOIN y"), "joined y 1/3", "another code in the same place");
    place.join(1, "ann", ANN, "sess-ann", "");
    assert!(forge(&mut place, 2, "JOIN z").starts_with("ERR full"), "the second is still kept");
    place.join(2, "bob", BOB, "sess-bob", "");
    // Without its secret, the code's place is one for everybody.
    place.settings.keys.codes.remove("bob");
    place.reload();
    assert_eq!(forge(&mut place, 3, "JOIN z"), "joined z 3/3");
}

#[test]
fn codes_with_a_secret_always_find_a_mailbox() {
    let mut place = Place::with(Settings { mailboxes: 3, mailboxes_per_address: 3, ..settings() });
    assert!(forge(&mut place, 0, "JOIN x ack").starts_with("joined x"));
    assert!(forge(&mut place, 1, "JOIN y ack").starts_with("ERR full"), "two mailboxes are kept");
    place.join(1, "ann", ANN, "sess-ann", " ack");
    place.crash();
    assert!(forge(&mut place, 2, "JOIN z ack").starts_with("ERR full"), "also after a restart");
    place.join(2, "bob", BOB, "sess-bob", " ack");
}

#[test]
fn letters_of_others_leave_room_for_those_of_codes_with_a_secret() {
    let big = Settings {
        mailbox: 10_000,
        mailboxes: 100,
        clients_limit: 100,
        max_message_bytes: 65_347,
        ..settings()
    };
    let mut place = Place::with(big);
    let ann = place.join(1, "ann", ANN, "sess-ann", " ack");
    for code in ["x", "y", "z"] {
        forge(&mut place, 0, &format!("JOIN {code} ack"));
    }
    let text = "t".repeat(60_000);
    let sent = (0..10_000)
        .find(|n| {
            let (from, to) = (n / 2000, ["x", "y"][n % 2]);
            let lines = format!("JOIN s{from}\nSEND {to} {text}");
            forge(&mut place, u16::try_from(10 + from).unwrap(), &lines).contains("ERR full")
        })
        .unwrap();
    let room = pigeond::limits::MAILBOX_BYTES / text.len();
    assert!((room - 1..=room + 1).contains(&sent), "{sent}");
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    assert_eq!(place.say(2, &mut bob, "SEND ann hi"), "OK sent");
    assert!(place.say(2, &mut bob, "SEND x hi").starts_with("ERR full"));
    drop(ann);
}

#[test]
fn where_all_need_a_secret_connections_that_prove_none_make_room() {
    let mut place =
        Place::with(Settings { tcp_connections: 3, keys_required: true, guests: None, ..settings() });
    let open = |place: &mut Place, conn: u32| {
        let from = forged(u16::try_from(conn).unwrap());
        place.world.handle(Input::Opened { conn: Conn(conn), id: conn.into(), from });
        place.world.closed()
    };
    for conn in 0..3 {
        assert_eq!(open(&mut place, conn), [], "{conn}");
        assert_eq!(place.stream(conn, "PING"), "pong\n");
    }
    let fresh = nonce(place.stream(0, "JOIN ann").trim_end());
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert!(ann.heard(1, place.stream(0, &line).trim_end()).starts_with("OK joined"));
    assert_eq!(open(&mut place, 3), [Conn(1)], "the oldest that has proved nothing");
    assert_eq!(open(&mut place, 4), [Conn(2)]);
    assert_eq!(open(&mut place, 5), [Conn(3)], "even if it is new");
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
