//! What a crash leaves of keyed sessions.

use crate::person::{ANN, BOB, Place, keys, nonce};

#[test]
fn a_keyed_session_and_its_place_survive_a_crash() {
    let mut place = Place::new();
    place.ask(99, "JOIN carl");
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    let mut bob = place.join(2, "bob", BOB, "sess-bob", " ack");
    let inc = ann.next("INC a");
    let reply = place.ask(1, &inc);
    place.seen_by(2, 99, "SEND bob one");
    place.crash();
    assert_eq!(place.ask(1, &inc), reply, "a copy, sealed as before");
    assert_eq!(place.say(1, &mut ann, "INC a"), "OK 2");
    nonce(&place.ask(3, &ann.next("INC a"))[0]);
    nonce(&place.ask(1, "JOIN ann")[0]);
    assert!(place.ask(1, "ALL x")[0].starts_with("ERR join-first"));
    assert_eq!(place.say(1, &mut ann, "ALL x"), "OK 2");
    let pushes = place.ask(2, &bob.next("ACK 1"));
    assert_eq!(bob.pushed(&pushes[0]), (2, "MSG ann x".to_owned()));
}

#[test]
fn numbers_of_pushes_rise_over_crashes_and_leave_once_they_are_kept() {
    let mut place = Place::new();
    place.ask(99, "JOIN carl");
    let ann = place.join(1, "ann", ANN, "sess-ann", "");
    let mut last = 0;
    for round in 0..4 {
        place.world.ask(99, b"SEND ann x");
        assert_eq!(place.world.to(1), [""; 0], "not before the run's number is kept");
        if round % 2 == 1 {
            // What did not leave may lose its number.
            place.crash();
            continue;
        }
        place.commit();
        let (number, _) = ann.pushed(&place.world.to(1)[0]);
        assert!(number > last, "{number} after {last}");
        last = number;
        place.world.ask(99, b"SEND ann y");
        let (number, _) = ann.pushed(&place.world.to(1)[0]);
        assert_eq!(number, last + 1, "the next needs no commit");
        last = number;
        place.crash();
    }
}

#[test]
fn a_hub_that_starts_without_the_secret_forgets_session_and_place() {
    for codes in [&[("bob", BOB)][..], &[("bob", BOB), ("ann", BOB)]] {
        let mut place = Place::new();
        let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
        let mut bob = place.join(2, "bob", BOB, "sess-bob", "");
        place.settings.keys = keys(codes);
        place.crash();
        assert_eq!(place.ask(9, "WHO"), ["bob"]);
        assert_eq!(place.say(2, &mut bob, "INC a"), "OK 1");
        nonce(&place.ask(1, &ann.next("INC a"))[0]);
        // It does not come back with the secret either.
        place.settings.keys = keys(&[("bob", BOB), ("ann", ANN)]);
        place.crash();
        nonce(&place.ask(1, &ann.next("INC a"))[0]);
        assert_eq!(place.ask(9, "WHO"), ["bob"]);
    }
}

#[test]
fn a_place_without_a_key_is_lost_once_its_code_has_one() {
    let mut place = Place::new();
    place.settings.keys = keys(&[]);
    place.world.hub.reconfigure(place.settings.clone());
    place.ask(1, "JOIN ann");
    place.settings.keys = keys(&[("ann", ANN)]);
    place.crash();
    assert_eq!(place.ask(9, "WHO"), [""]);
    nonce(&place.ask(1, "JOIN ann")[0]);
}

#[test]
fn what_cannot_be_saved_is_refused_under_a_seal() {
    let mut place = Place::new();
    let mut ann = place.join(1, "ann", ANN, "sess-ann", "");
    place.world.ask(1, ann.next("INC a").as_bytes());
    place.world.out.clear();
    assert!(place.world.hub.poll_commit(place.world.now).is_some());
    place.world.hub.handle(place.world.now, pigeond::hub::Input::CommitFailed, &mut place.world.out);
    assert!(ann.heard(2, &place.world.to(1)[0]).starts_with("ERR disk"));
}
