//! What keys promise beside: numbers of pushes, who may do what, and that nothing tells how much of a proof was right.

use std::time::Duration;

use pigeond::hub::{Keys, Networks, Settings, TextReply};
use pigeond::limits::KEYED_LINGER;
use pigeond::wire::Word;

use crate::person::{ANN, BOB, Person, Place, allowed, keys, nonce, settings};
use crate::world::World;

#[test]
fn without_keys_a_mac_is_refused_as_ever() {
    let mut world = World::new();
    assert!(world.ask(1, b"#s.1.0123456789abcdef INC")[0].starts_with("#s.1 ERR denied"));
    assert!(world.ask(1, b"JOIN ann 0123456789abcdef")[0].starts_with("ERR denied"));
    assert_eq!(world.ask(1, b"JOIN ann"), ["joined ann 1/10"]);
}

#[test]
fn codes_without_a_secret_go_on_as_ever_unless_all_need_one() {
    let mut place = Place::new();
    assert_eq!(place.ask(1, "JOIN carl"), ["joined carl 1/12"]);
    assert_eq!(place.ask(1, "#s.1 INC"), ["#s.1 OK 1"]);
    assert_eq!(place.ask(1, "#s.1.0123456789abcdef INC")[0].split(' ').nth(2), Some("reused"));
    assert_eq!(place.ask(1, "ALL x"), ["0"]);
    let mut place = Place::with(Settings { keys_required: true, ..settings() });
    assert!(place.ask(1, "JOIN carl")[0].starts_with("ERR denied this code has no secret"));
    assert_eq!(place.ask(1, "INC"), ["1"], "guests are another matter");
    place.join(1, "ann", ANN, "s", "");
    let mut place = Place::with(Settings { keys_required: true, ..Settings::default() });
    assert!(place.ask(1, "JOIN carl")[0].starts_with("ERR denied"), "also where no code has one");
}

#[test]
fn pushes_are_numbered_in_rising_order_and_those_of_a_mailbox_without_gaps() {
    let mut place = Place::new();
    place.ask(99, "JOIN carl");
    let mut ann = place.join(1, "ann", ANN, "plain", "");
    place.say(1, &mut ann, "WATCH *");
    let mut last = 0;
    for line in ["SEND ann x", "INC a", "ALL x", "DEL a", "SEND ann x"] {
        let pushes = place.seen_by(1, 99, line);
        let (number, _) = ann.pushed(&pushes[0]);
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    let mut bob = place.join(2, "bob", BOB, "boxed", " ack");
    for number in 1..4 {
        let pushes = place.seen_by(2, 99, "SEND bob x");
        assert_eq!(bob.pushed(&pushes[0]), (number, "MSG carl x".to_owned()));
        place.ask(2, &bob.next(&format!("ACK {number}")));
    }
}

#[test]
fn an_answer_is_sealed_when_it_comes() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    let ask = ann.next("ASK bob how are you?");
    let pushes = place.seen_by(2, 1, &ask);
    let (_, question) = bob.pushed(&pushes[0]);
    let ticket = question.split(' ').nth(1).unwrap();
    let answer = bob.next(&format!("ANSWER {ticket} fine"));
    let replies = place.seen_by(1, 2, &answer);
    assert_eq!(ann.heard(2, &replies[0]), "OK fine");
    assert_eq!(ann.heard(2, &place.ask(1, &ask)[0]), "OK fine", "and to a copy");
}

#[test]
fn another_session_of_the_client_takes_over_and_tells_the_first() {
    let mut place = Place::new();
    let mut old = place.join(1, "ann", ANN, "old", "");
    let nonce = nonce(&place.ask(2, "JOIN ann")[0]);
    let mut new = Person::new(ANN, "new", &nonce);
    let join = new.next(&format!("JOIN ann {nonce}"));
    let pushes = place.seen_by(1, 2, &join);
    assert_eq!(old.pushed(&pushes[0]).1, "BYE moved");
    assert!(place.say(1, &mut old, "ALL x").starts_with("ERR join-first"));
    let first = old.said[0].clone();
    assert!(old.heard(1, &place.ask(1, &first)[0]).starts_with("ERR stale"));
    assert!(place.say(2, &mut new, "ALL x").starts_with("OK 0"));
    assert_eq!(place.say(1, &mut old, "BYE"), "OK bye");
    assert_eq!(place.ask(3, "WHO"), ["ann"], "a session that was taken over gives up nothing");
}

#[test]
fn numbers_of_a_mailbox_begin_again_only_with_a_new_session() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "first", " ack");
    assert!(place.say(1, &mut ann, "JOIN ann ack").starts_with("OK joined ann 1/12 "));
    assert!(place.say(1, &mut ann, "JOIN ann").starts_with("ERR denied"), "the mailbox is there");
    // Another session deletes the mailbox: the first one's numbers and its ACKs are of that one, and of no other.
    let mut other = place.join(2, "ann", ANN, "second", " ack");
    assert_eq!(place.say(2, &mut other, "BYE"), "OK bye");
    for line in ["JOIN ann ack", "JOIN ann"] {
        assert!(place.say(1, &mut ann, line).starts_with("ERR unopened"), "{line}");
    }
    let mut ann = place.join(1, "ann", ANN, "third", "");
    assert!(place.say(1, &mut ann, "JOIN ann ack").starts_with("ERR unopened"), "not the other way either");
    assert_eq!(place.say(1, &mut ann, "BYE"), "OK bye");
    place.join(1, "ann", ANN, "fourth", " ack");
}

#[test]
fn a_keyed_session_lingers_and_lives_as_long_as_its_place() {
    let mut place = Place::new();
    place.world.open(1);
    let fresh = nonce(place.stream(1, "JOIN ann").trim_end());
    let mut ann = Person::new(ANN, "listener", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert!(place.stream(1, &line).contains(" OK joined"));
    place.world.pass(Duration::from_hours(5));
    place.commit();
    place.ask(3, "JOIN carl");
    place.world.ask(3, b"SEND ann hi");
    place.commit();
    assert_eq!(ann.pushed(place.world.on(1).trim_end()).1, "MSG carl hi");
    let bye = ann.next("BYE");
    assert!(place.stream(1, &bye).contains(" OK bye"));
    place.world.pass(KEYED_LINGER.saturating_sub(Duration::from_millis(1)));
    assert!(place.ask(3, "STATS")[0].contains("sessions=1"));
    place.world.pass(Duration::from_millis(1));
    assert!(place.ask(3, "STATS")[0].contains("sessions=0"));
}

#[test]
fn each_command_keeps_to_its_list() {
    let mut keys = keys(&[("ann", ANN), ("bob", BOB)]);
    keys.codes.get_mut("ann").unwrap().allowed = allowed(&["kitchen/*"], &["kitchen/*", "public"]);
    keys.others = Some(allowed(&[], &["public"]));
    let mut place = Place::with(Settings { keys, ..Settings::default() });
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    let denied =
        |reply: String, list: &str| assert!(reply.contains("ERR denied") && reply.contains(list), "{reply}");
    for line in ["SET a 1", "INC a", "DEC a 2", "DEL a", "INC", "SET kitchen 1"] {
        denied(place.say(1, &mut ann, line), "allow_set");
        denied(place.ask(5, line)[0].clone(), "allow_set");
    }
    for line in ["GET a", "KEYS", "KEYS *", "KEYS k*", "WATCH *", "WATCH kitchen*", "WATCH *n/*"] {
        denied(place.say(1, &mut ann, line), "allow_watch");
    }
    for line in ["GET kitchen/a", "KEYS", "KEYS kitchen/*"] {
        denied(place.ask(5, line)[0].clone(), "allow_watch");
    }
    for line in [
        "SET kitchen/a 1",
        "INC kitchen/a",
        "DEC kitchen/a",
        "GET kitchen/a",
        "KEYS kitchen/*",
        "KEYS public",
        "WATCH kitchen/*",
        "UNWATCH *",
        "DEL kitchen/a",
    ] {
        let line = ann.next(line);
        assert!(place.ask(1, &line)[0].contains(" OK"), "{line}");
    }
    assert!(place.ask(5, "GET public")[0].starts_with("ERR no-such-key"));
    // A client without a secret is like a guest.
    place.ask(5, "JOIN carl");
    denied(place.ask(5, "WATCH kitchen/*")[0].clone(), "allow_watch");
    assert_eq!(place.ask(5, "WATCH public"), ["watching public"]);
    // Bob has no lists: he may do everything.
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    assert_eq!(place.say(2, &mut bob, "SET a 1"), "OK set");
    assert_eq!(place.say(2, &mut bob, "KEYS"), "OK a");
}

#[test]
fn what_may_no_longer_be_watched_is_not() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    let mut bob = place.join(2, "bob", BOB, "sess-bob", " ack");
    for line in ["WATCH a/*", "WATCH b/*"] {
        place.say(1, &mut ann, line);
        place.say(2, &mut bob, line);
    }
    let mut keys = place.settings.keys.clone();
    for code in ["ann", "bob"] {
        keys.codes.get_mut(code).unwrap().allowed = allowed(&[], &["a/*"]);
    }
    place.settings.keys = keys;
    place.reload();
    for restarts in 0..2 {
        assert_eq!(place.seen_by(1, 9, "INC b/x"), [""; 0], "after {restarts} restarts");
        assert_eq!(place.seen_by(2, 9, "DEL b/x"), [""; 0]);
        assert_eq!(place.seen_by(1, 9, "INC a/x").len(), 1);
        place.crash();
    }
}

#[test]
fn guests_may_do_less_than_who_has_proved_itself() {
    let mut place = Place::with(Settings { guests: Some(Vec::new()), ..settings() });
    assert!(place.ask(1, "INC a")[0].starts_with("ERR denied"));
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    assert_eq!(place.say(1, &mut ann, "INC a"), "OK 1");
    assert!(place.ask(1, "INC a")[0].starts_with("ERR denied"), "the same address without a mac");
}

#[test]
fn a_counter_that_may_not_be_read_is_not_told_in_answer_to_plain_text() {
    let others = |watch: &[&str]| Keys { others: Some(allowed(&["*"], watch)), ..settings().keys };
    let (get, ping) = (Some(vec![Word::Get]), Some(vec![Word::Ping]));
    for (keys, guests, guest, joined) in [
        (settings().keys, None, "7", "7"),
        (settings().keys, get, "7", "7"),
        (settings().keys, ping.clone(), "0", "7"),
        (Keys::default(), ping, "0", "7"),
        (others(&["counter"]), None, "7", "7"),
        (others(&["kitchen/*"]), None, "0", "0"),
    ] {
        let mut place = Place::with(Settings { text_reply: TextReply::Counter, ..settings() });
        place.ask(1, "INC counter 7");
        let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
        place.ask(2, "JOIN carl");
        place.settings = Settings { keys, guests, ..place.settings };
        place.reload();
        assert_eq!(place.ask(9, "hello"), [guest]);
        assert_eq!(place.ask(2, "hello"), [joined]);
        place.world.open(1);
        assert_eq!(place.stream(1, "hello"), format!("{guest}\n"));
        // What comes without a mac is a guest's, in one datagram with a proved line too.
        let both = ann.next("PING") + "\nhello";
        assert!(place.ask(1, &both)[0].ends_with(&format!("\n{guest}")), "{guest}");
    }
}

#[test]
fn who_is_proved_is_sent_more_than_it_sends() {
    let networks = Networks::List(vec!["0.0.0.0/0".parse().unwrap()]);
    let mut place = Place::with(Settings { networks, ..settings() });
    let far = "192.0.2.1:5000".parse().unwrap();
    let ask = |place: &mut Place, line: &str| {
        place.world.handle(pigeond::hub::Input::Datagram {
            from: far,
            via: crate::world::VIA,
            to_many: false,
            bytes: line.as_bytes(),
        });
        let is = |target: &pigeond::hub::Target| target.peer() == pigeond::hub::Peer::Udp(far);
        let mut all = place.world.sent(is);
        place.commit();
        all.extend(place.world.sent(is));
        all
    };
    place.ask(9, &format!("SET long {}", "x".repeat(1000)));
    assert_eq!(ask(&mut place, "GET long"), [""; 0], "not proved");
    assert_eq!(ask(&mut place, "JOIN ann"), [""; 0], "the nonce would be longer than that");
    let fresh = nonce(&ask(&mut place, &format!("JOIN ann{}", " ".repeat(18)))[0]);
    let mut ann = Person::new(ANN, "far", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert_eq!(ann.heard(1, &ask(&mut place, &line)[0]), "OK joined ann 1/12");
    let line = ann.next("GET long");
    assert_eq!(ann.heard(2, &ask(&mut place, &line)[0]).len(), 1003);
}

#[test]
fn reloading_drops_whose_secret_is_gone_or_changed_and_nobody_else() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
    place.ask(3, "JOIN carl");
    let reload = |place: &mut Place, keys: Keys| {
        place.settings.keys = keys;
        place.reload();
    };
    reload(&mut place, keys(&[("ann", BOB), ("bob", BOB)]));
    nonce(&place.ask(1, &ann.next("INC a"))[0]);
    assert_eq!(place.say(2, &mut bob, "INC a"), "OK 1");
    assert_eq!(place.ask(9, "WHO"), ["bob carl"]);
    // Whoever had a code without a secret that has one now must prove it; a secret that comes back opens nothing old.
    reload(&mut place, keys(&[("ann", ANN), ("carl", ANN)]));
    nonce(&place.ask(1, &ann.next("INC a"))[0]);
    assert_eq!(place.ask(9, "WHO"), [""]);
    assert_eq!(place.ask(9, "GET a"), ["1"]);
    reload(&mut place, Keys::default());
    assert_eq!(place.ask(1, "JOIN ann"), ["joined ann 1/10"]);
}

#[test]
fn a_nonce_is_worth_nothing_once_the_keys_have_changed() {
    let mut place = Place::new();
    let fresh = nonce(&place.ask(1, "JOIN ann")[0]);
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert!(place.ask(1, &line)[0].contains(" OK joined"));
    for keys in [Keys::default(), settings().keys] {
        place.settings.keys = keys;
        place.reload();
    }
    nonce(&place.ask(1, &line)[0]);
}

/// A comparison that stops at the first wrong byte tells, by the time it takes, how much was right.
#[test]
fn proofs_and_nonces_are_compared_in_constant_time() {
    let source = |path: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(path).unwrap()
    };
    let (proof, keyed) = (source("src/proof.rs"), source("src/hub/keyed.rs"));
    assert!(proof.contains("self.prove(way, session, number, line).ct_eq(proof)"));
    assert!(keyed.contains("made.ct_eq(nonce.as_bytes())"));
    assert_eq!(keyed.matches("key.is_proved(").count(), 2, "where a line's mac is checked");
    for line in keyed.lines().filter(|line| line.contains(" == ") || line.contains(" != ")) {
        for word in ["mac", "nonce.as", "proof", "secret.as"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}
