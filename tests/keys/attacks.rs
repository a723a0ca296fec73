//! Each attack, by a peer that hears and records everything and can send from any address, but knows no secret.

use std::time::Duration;

use pigeond::proof::{SessionKey, Way};

use crate::person::{ANN, BOB, Person, Place, nonce};

const MINUTE: Duration = Duration::from_mins(1);

/// That a line from a peer is answered with nothing but the word that it must be proved, and changes nothing.
fn is_in_vain(place: &mut Place, n: u8, line: &str) {
    let before = place.digest();
    let replies = place.ask(n, line);
    assert_eq!(replies.len(), 1, "{line}: {replies:?}");
    nonce(&replies[0]);
    assert_eq!(place.digest(), before, "{line}");
}

/// Bob sees that ann is where she was, and hears him there.
fn is_reached(place: &mut Place, ann: &Person, n: u8) {
    let line = "SEND ann still there?";
    let pushes = place.seen_by(n, 99, line);
    assert_eq!(pushes.len(), 1, "{pushes:?}");
    assert_eq!(ann.pushed(&pushes[0]).1, "MSG carl still there?");
}

/// A hub that carl, who has no secret, has joined at peer 99, and ann at 1.
fn two() -> (Place, Person) {
    let mut place = Place::new();
    assert_eq!(place.ask(99, "JOIN carl"), ["joined carl 1/12"]);
    let ann = place.join(1, "ann", ANN, "sess-ann", "");
    (place, ann)
}

#[test]
fn what_is_right_works() {
    let (mut place, mut ann) = two();
    assert_eq!(place.say(1, &mut ann, "INC a"), "OK 1");
    assert_eq!(place.say(1, &mut ann, "GET a"), "OK 1");
    assert_eq!(place.say(1, &mut ann, "nonsense").split(' ').next(), Some("ERR"));
    assert_eq!(place.say(1, &mut ann, "SEND carl hi"), "OK sent");
    assert_eq!(
        place.say(1, &mut ann, "JOIN ann"),
        "OK joined ann 2/12",
        "from the same place no nonce is needed"
    );
    is_reached(&mut place, &ann, 1);
}

#[test]
fn a_replay_from_elsewhere_and_a_join_without_a_key_are_in_vain() {
    let (mut place, mut ann) = two();
    let lines = [ann.said[0].clone(), ann.next("INC a"), ann.next("SEND carl hi"), ann.next("BYE")];
    is_in_vain(&mut place, 2, &lines[0]);
    for line in &lines[1..3] {
        assert_eq!(place.ask(1, line).len(), 1);
        is_in_vain(&mut place, 2, line);
    }
    is_in_vain(&mut place, 2, &lines[3]);
    is_in_vain(&mut place, 2, "JOIN ann");
    is_in_vain(&mut place, 2, "#other.1 JOIN ann ack");
    is_in_vain(&mut place, 2, "JOIN ann 0123456789abcdef");
    is_reached(&mut place, &ann, 1);
}

#[test]
fn a_copy_from_where_it_came_from_is_answered_again_and_not_done_again() {
    let (mut place, mut ann) = two();
    let line = ann.next("INC a");
    let reply = place.ask(1, &line);
    assert_eq!(place.ask(1, &line), reply);
    assert_eq!(place.ask(2, "GET a"), ["1"]);
}

#[test]
fn nothing_is_played_again_after_bye() {
    let (mut place, _) = two();
    let join = {
        let nonce = nonce(&place.ask(1, "JOIN bob")[0]);
        let mut bob = Person::new(BOB, "sess-bob", &nonce);
        let join = bob.next(&format!("JOIN bob {nonce}"));
        assert!(bob.heard(1, &place.ask(1, &join)[0]).starts_with("OK"));
        let (inc, held, bye) = (bob.next("INC b"), bob.next("INC held"), bob.next("BYE"));
        assert_eq!(bob.heard(2, &place.ask(1, &inc)[0]), "OK 1");
        assert_eq!(bob.heard(4, &place.ask(1, &bye)[0]), "OK bye");
        // Copies are answered as copies; what was held back on its way is not new any more, nor is anything else.
        assert_eq!(bob.heard(2, &place.ask(1, &inc)[0]), "OK 1");
        assert_eq!(bob.heard(4, &place.ask(1, &bye)[0]), "OK bye");
        for line in [held, bob.next("INC b"), bob.next("JOIN bob"), bob.next("GET b"), bob.next("PING")] {
            let number = line.split('.').nth(1).unwrap().parse().unwrap();
            assert!(bob.heard(number, &place.ask(1, &line)[0]).starts_with("ERR unopened"), "{line}");
        }
        assert!(bob.heard(1, &place.ask(1, &join)[0]).starts_with("ERR stale"));
        join
    };
    assert_eq!(place.ask(2, "WHO"), ["carl"], "who takes another code gives up its own");
    // While the nonce lives so does the session; once the session is gone the nonce is of no worth.
    for _ in 0..8 {
        place.world.pass(MINUTE / 2);
        place.commit();
        let replies = place.ask(1, &join);
        assert!(replies[0].contains("ERR stale") || replies[0].contains("ERR prove"), "{replies:?}");
        assert_eq!(place.ask(2, "WHO"), ["carl"]);
    }
}

#[test]
fn a_nonce_does_not_outlive_the_session_that_it_began() {
    let mut settings = crate::person::settings();
    settings.session_idle = MINUTE;
    settings.clients_idle = Duration::from_secs(1);
    let mut place = Place::with(settings);
    let first = nonce(&place.ask(1, "JOIN ann")[0]);
    let mut ann = Person::new(ANN, "sess-ann", &first);
    let (join, inc) = (ann.next(&format!("JOIN ann {first}")), ann.next("INC a"));
    assert!(place.ask(1, &join)[0].contains(" OK joined") && place.ask(1, &inc)[0].contains(" OK 1"));
    for second in 0..400 {
        place.world.pass(Duration::from_secs(1));
        place.commit();
        // Whoever plays it to the hub too early is known, whoever does so too late has a nonce of no worth.
        if second % 119 == 118 {
            place.ask(1, &join);
            place.ask(1, &inc);
        }
        assert_eq!(place.ask(2, "GET a"), ["1"], "after {second} s");
    }
    // Left alone it is forgotten in the end.
    place.world.pass(4 * MINUTE);
    place.commit();
    is_in_vain(&mut place, 1, &join);
    assert!(place.ask(2, "STATS")[0].contains("sessions=0"));
}

#[test]
fn cut_and_mixed_lines_are_in_vain() {
    let (mut place, mut ann) = two();
    let (set, inc) = (ann.next("SET a hello"), ann.next("INC b"));
    for cut in [1, 3, 6] {
        is_in_vain(&mut place, 1, &set[..set.len() - cut]);
    }
    let (set_head, set_line) = set.split_at(set.find(' ').unwrap());
    let (inc_head, inc_line) = inc.split_at(inc.find(' ').unwrap());
    is_in_vain(&mut place, 1, &format!("{set_head}{inc_line}"));
    is_in_vain(&mut place, 1, &format!("{inc_head}{set_line}"));
    is_in_vain(&mut place, 1, &set.replace(".2.", ".3."));
    is_in_vain(&mut place, 1, &set.replace(".2.", ".20."));
    assert!(ann.heard(2, &place.ask(1, &set)[0]).starts_with("OK set"), "the line itself is as good as ever");
}

#[test]
fn a_reply_is_no_request_and_a_request_is_no_reply() {
    let (mut place, mut ann) = two();
    ann.number += 1;
    // The hub has said this; nobody can say it to the hub.
    place.ask(1, &ann.line(2, "PING"));
    let said = ann.key.prove(Way::Reply, &ann.session, 2, b"INC a");
    is_in_vain(&mut place, 1, &format!("#sess-ann.2.{} INC a", str::from_utf8(&said).unwrap()));
    let pushed = ann.key.prove(Way::Push, &ann.session, 2, b"INC a");
    is_in_vain(&mut place, 1, &format!("#sess-ann.2.{} INC a", str::from_utf8(&pushed).unwrap()));
    let line = ann.line(2, "PING");
    let reply = place.ask(1, &line);
    assert_ne!(reply[0].split(' ').next(), line.split(' ').next(), "the seals differ");
}

#[test]
fn another_session_and_another_secret_are_in_vain() {
    let (mut place, mut ann) = two();
    let bob = place.join(2, "bob", BOB, "sess-bob", "");
    let inc = ann.next("INC a");
    is_in_vain(&mut place, 1, &inc.replace("sess-ann", "sess-bob"));
    is_in_vain(&mut place, 2, &inc.replace("sess-ann", "sess-bob"));
    is_in_vain(&mut place, 2, &inc.replace("sess-ann", "sess-new"));
    // Bob has a secret, but not ann's.
    let fresh = nonce(&place.ask(2, "JOIN ann")[0]);
    let mut forger = Person::new(BOB, "sess-bad", &fresh);
    is_in_vain(&mut place, 2, &forger.next(&format!("JOIN ann {fresh}")));
    let mut forger = Person { key: SessionKey::new(BOB.as_bytes(), "sess-ann", "x"), ..ann.clone() };
    is_in_vain(&mut place, 1, &forger.next("BYE"));
    // In his own session he may not be ann either.
    let mut bob = bob;
    let fresh = nonce(&place.ask(2, "JOIN ann")[0]);
    for line in ["JOIN ann".to_owned(), format!("JOIN ann {fresh}"), "JOIN carl".to_owned()] {
        assert!(place.say(2, &mut bob, &line).starts_with("ERR denied"), "{line}");
    }
    is_reached(&mut place, &ann, 1);
}

#[test]
fn a_nonce_is_for_one_address_kind_and_time() {
    let mut place = Place::new();
    let open = |place: &mut Place, from: u8, nonce: &str, session: &str| {
        let mut ann = Person::new(ANN, session, nonce);
        let line = ann.next(&format!("JOIN ann {nonce}"));
        place.ask(from, &line)[0].clone()
    };
    let stolen = nonce(&place.ask(1, "JOIN ann")[0]);
    nonce(&open(&mut place, 2, &stolen, "stolen"));
    nonce(&open(&mut place, 1, "0123456789abcdef", "made-up"));
    place.world.open(7);
    let mut ann = Person::new(ANN, "on-tcp", &stolen);
    let line = ann.next(&format!("JOIN ann {stolen}"));
    nonce(place.stream(7, &line).trim_end());
    // It was made at the start of a minute: it is taken for that one and the next.
    place.world.pass(Duration::from_secs(119));
    assert!(open(&mut place, 1, &stolen, "late-but-good").contains(" OK joined"));
    place.world.pass(Duration::from_secs(1));
    nonce(&open(&mut place, 1, &stolen, "too-late"));
}

#[test]
fn what_the_right_address_says_without_a_mac_is_a_guests() {
    let mut place = Place::new();
    place.ask(99, "JOIN carl");
    let ann = place.join(1, "ann", ANN, "sess-ann", " ack");
    // One letter is under way, which the client has not acknowledged.
    let pushes = place.seen_by(1, 99, "SEND ann one");
    assert_eq!(ann.pushed(&pushes[0]), (1, "MSG carl one".to_owned()));
    place.seen_by(1, 99, "SEND ann two");
    let before = place.digest();
    assert_eq!(place.ask(1, "ACK 1"), [""; 0]);
    assert_eq!(place.ask(1, "#sess-ann.9 ACK 1"), [""; 0]);
    assert_eq!(place.ask(1, "#sess-new.9.0123456789abcdef ACK 1"), [""; 0]);
    assert!(place.ask(1, "SEND carl x")[0].starts_with("ERR join-first"));
    assert!(place.ask(1, "ALL x")[0].starts_with("ERR join-first"));
    assert!(place.ask(1, "WATCH *")[0].starts_with("ERR join-first"));
    assert_eq!(place.ask(1, "BYE"), ["bye"]);
    assert!(place.ask(1, "JOIN dora")[0].starts_with("ERR denied"), "ann would have to leave");
    assert!(place.ask(1, "#s.1 JOIN dora")[0].contains("ERR denied"));
    nonce(&place.ask(1, "#sess-ann.2 BYE")[0]);
    nonce(&place.ask(1, "JOIN ann ack")[0]);
    let mut after = place.digest();
    after.retain(|row, _| before.contains_key(row) || !row.starts_with("session"));
    assert_eq!(after, before);
    assert_eq!(place.ask(2, "WHO"), ["ann carl"]);
    // With a mac they count.
    let line = ann.line(2, "ACK 1");
    let pushes = place.ask(1, &line);
    assert_eq!(ann.pushed(&pushes[0]), (2, "MSG carl two".to_owned()));
}

#[test]
fn unproved_lines_do_not_keep_a_place() {
    let (mut place, ann) = two();
    for _ in 0..3 {
        place.world.pass(2 * MINUTE);
        place.ask(1, "PING");
        place.ask(1, &ann.line(2, "PING").replace("PING", "PONG"));
        place.ask(99, "PING");
    }
    assert_eq!(place.ask(99, "WHO"), ["carl"], "what anybody could have sent is not the client's");
}

#[test]
fn only_a_fresh_join_moves_a_session() {
    let (mut place, mut ann) = two();
    let first = ann.said[0].clone();
    is_in_vain(&mut place, 2, &first);
    let fresh = nonce(&place.ask(2, &ann.next("PING"))[0]);
    // A nonce for one address moves nobody to another.
    let join = ann.next(&format!("JOIN ann {fresh}"));
    is_in_vain(&mut place, 3, &join);
    let reply = place.ask(2, &join);
    assert_eq!((reply.len(), ann.heard(3, &reply[0]).as_str()), (1, "OK joined ann 2/12"));
    is_reached(&mut place, &ann, 2);
    // From where it was nothing comes any more, though it is recorded, and its nonce as fresh as ever.
    let back = nonce(&place.ask(1, &ann.line(4, "PING"))[0]);
    is_in_vain(&mut place, 1, &join);
    is_in_vain(&mut place, 1, &first);
    ann.number = 4;
    let home = ann.next(&format!("JOIN ann {back}"));
    assert!(ann.heard(5, &place.ask(1, &home)[0]).starts_with("OK"));
    is_in_vain(&mut place, 2, &join);
    is_reached(&mut place, &ann, 1);
}

#[test]
fn a_join_that_was_refused_moves_a_session_once() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    // With a mailbox, which another session of hers has opened, she joins no more without.
    place.join(3, "ann", ANN, "sess-box", " ack");
    let join = |place: &mut Place, ann: &mut Person, n: u8| {
        let fresh = nonce(&place.ask(n, "JOIN ann")[0]);
        let line = ann.next(&format!("JOIN ann {fresh}"));
        let refused = ann.heard(ann.number, &place.ask(n, &line)[0]);
        assert!(refused.starts_with("ERR "), "{refused}");
        line
    };
    let there = join(&mut place, &mut ann, 2);
    join(&mut place, &mut ann, 1);
    is_in_vain(&mut place, 2, &there);
}

#[test]
fn on_a_stream_it_is_the_same() {
    let mut place = Place::new();
    place.world.open(1);
    place.world.open(2);
    let fresh = nonce(place.stream(1, "JOIN ann").trim_end());
    let mut ann = Person::new(ANN, "sess-ann", &fresh);
    let line = ann.next(&format!("JOIN ann {fresh}"));
    assert_eq!(ann.heard(1, place.stream(1, &line).trim_end()), "OK joined ann 1/12");
    let inc = ann.next("INC a");
    nonce(place.stream(2, &inc).trim_end());
    assert_eq!(ann.heard(2, place.stream(1, &inc).trim_end()), "OK 1");
    assert!(place.stream(1, "SEND ann x").starts_with("ERR join-first"));
    assert!(place.stream(1, "JOIN dora").starts_with("ERR denied"));
    let pushes = place.ask(3, "JOIN carl");
    assert_eq!(pushes, ["joined carl 2/12"]);
    place.world.ask(3, b"SEND ann hi");
    place.commit();
    assert_eq!(ann.pushed(place.world.on(1).trim_end()).1, "MSG carl hi");
}
