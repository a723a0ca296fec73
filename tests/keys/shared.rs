//! What proved clients share with those who prove nothing: time, budgets, and what a recorded line says later.

use std::time::Duration;

use pigeond::hub::Input;

use crate::person::{ANN, Person, Place, allowed, nonce, settings};
use crate::world::{VIA, peer};

/// A hub whose clients are idle after five seconds, and ann's client, which has joined at peer 1.
fn joined() -> (Place, Person) {
    let mut settings = settings();
    settings.clients_idle = Duration::from_secs(5);
    let mut place = Place::with(settings);
    let ann = place.join(1, "ann", ANN, "sess-ann", "");
    (place, ann)
}

#[test]
fn recorded_lines_do_not_keep_the_place_of_a_client_that_is_gone() {
    let (mut place, mut ann) = joined();
    assert_eq!(place.say(1, &mut ann, "PING"), "OK pong");
    for _ in 0..10 {
        place.world.pass(Duration::from_secs(1));
        for line in ann.said.clone() {
            place.ask(1, &line);
        }
    }
    assert_eq!(place.ask(2, "WHO"), [""]);
    // Nor does the line by which it came bring it back; the client itself can.
    let first = ann.said[0].clone();
    let fresh = nonce(&place.ask(1, &first)[0]);
    assert_eq!(place.ask(2, "WHO"), [""]);
    assert!(place.say(1, &mut ann, &format!("JOIN ann {fresh}")).starts_with("OK joined ann"));
}

#[test]
fn an_address_outside_is_not_proved_by_what_was_recorded_long_ago() {
    let mut settings = settings();
    settings.networks = pigeond::hub::Networks::List(vec!["0.0.0.0/0".parse().unwrap()]);
    let mut place = Place::with(settings);
    let outside = "192.0.2.1:5000".parse().unwrap();
    let say = |place: &mut Place, line: &str| -> usize {
        place.world.handle(Input::Datagram {
            from: outside,
            via: VIA,
            to_many: false,
            bytes: line.as_bytes(),
        });
        place.world.out.bytes.len()
    };
    place.ask(1, &format!("SET big {}", "x".repeat(4000)));
    place.world.handle(Input::Datagram {
        from: outside,
        via: VIA,
        to_many: false,
        bytes: b"JOIN ann                        ",
    });
    let fresh = nonce(str::from_utf8(&place.world.out.bytes).unwrap().trim_end());
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    say(&mut place, &ann.next(&format!("JOIN ann {fresh}")));
    place.commit();
    let get = ann.next("GET big");
    assert!(say(&mut place, &get) > 4000, "who has just proved to be there is told");
    assert!(say(&mut place, &get) > 4000, "a copy of it is, too");
    place.world.pass(Duration::from_secs(61));
    assert_eq!(say(&mut place, &get), 0, "much later it may be anybody's");
    assert!(say(&mut place, &ann.next("GET big")) > 4000);
}

#[test]
fn who_forges_a_proved_clients_address_spends_nothing_of_what_it_has() {
    let (mut place, mut ann) = joined();
    let forged: std::net::SocketAddr = (peer(1).ip(), 999).into();
    let help = "HELP\n".repeat(256);
    for _ in 0..400 {
        place.world.handle(Input::Datagram {
            from: forged,
            via: VIA,
            to_many: false,
            bytes: help.as_bytes(),
        });
    }
    assert_eq!(place.say(1, &mut ann, "INC a"), "OK 1", "its budget is its own");
    assert_eq!(place.seen_by(1, 2, "JOIN carl\nSEND ann hi").len(), 1, "its pushes come");
    let mut settings = place.settings.clone();
    settings.requests_per_second = core::num::NonZeroU32::new(10);
    place.settings = settings;
    place.reload();
    for _ in 0..100 {
        place.world.handle(Input::Datagram { from: forged, via: VIA, to_many: false, bytes: b"ACK 1" });
    }
    assert_eq!(place.say(1, &mut ann, "INC a"), "OK 2", "its rate is its own");
}

#[test]
fn who_may_not_see_a_value_is_not_told_it_by_counting() {
    let mut settings = settings();
    settings.keys.others = Some(allowed(&["*"], &["pub/*"]));
    let mut place = Place::with(settings);
    for line in ["GET alarm", "INC alarm 0", "DEC alarm 0"] {
        assert!(place.ask(2, line)[0].starts_with("ERR denied"), "{line}");
    }
    assert_eq!(place.ask(2, "INC pub/a"), ["1"]);
    assert_eq!(place.ask(2, "SET alarm 5"), ["set"]);
}

#[test]
fn who_forges_the_address_of_a_client_that_has_not_joined_does_not_keep_it_out() {
    let mut place = Place::new();
    let forged: std::net::SocketAddr = (peer(1).ip(), 999).into();
    let forge = |place: &mut Place, line: &str, times: u32| {
        for _ in 0..times {
            let bytes = line.as_bytes();
            place.world.handle(Input::Datagram { from: forged, via: VIA, to_many: false, bytes });
        }
    };
    forge(&mut place, &"HELP\n".repeat(256), 20);
    assert_eq!(place.ask(1, "PING"), Vec::<String>::new(), "its budget is used up");
    place.join(1, "ann", ANN, "sess-one", "");
    place.settings.requests_per_second = core::num::NonZeroU32::new(100);
    place.world = Place::with(place.settings.clone()).world;
    place.disk.clear();
    forge(&mut place, "PING", 1000);
    assert_eq!(place.ask(1, "PING"), Vec::<String>::new(), "its rate is used up");
    let ann = place.join(1, "ann", ANN, "sess-ann", "");
    assert_eq!(place.ask(1, "JOIN ann\nPING"), Vec::<String>::new(), "a JOIN takes nothing else along");
    // As many JOINs as are looked at are a bound too.
    forge(&mut place, "JOIN ann", pigeond::limits::JOINS_PER_SECOND);
    assert_eq!(place.ask(2, "JOIN bob").len(), 1);
    assert_eq!(place.ask(1, "JOIN bob"), Vec::<String>::new());
    place.world.pass(Duration::from_secs(1));
    drop(ann);
    assert_eq!(place.ask(1, "JOIN bob").len(), 1);
}
