//! A keyed courier against a hub that is nothing but section 7, on a network that loses, repeats and reorders, gives the
//! client other addresses, and forges.

use std::collections::BTreeMap;

use core::time::Duration;

use proptest::prelude::*;

use super::super::jitter::Jitter;
use super::super::{Carrier, Id, Outcome};
use super::naive::{Hub, SECRET};
use super::network::{Air, Network};
use super::*;
use crate::wire::Tag;

const MINUTE: Duration = Duration::from_mins(1);

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn courier() -> Courier {
    Courier::keyed(Session::parse(b"s").unwrap(), Carrier::Datagrams, 1, SECRET)
}

fn sent(courier: &mut Courier, now: Moment) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(line) = courier.poll_transmit(now) {
        lines.push(String::from_utf8(line.to_vec()).unwrap());
    }
    lines
}

/// Answers what the courier sends until it has nothing more to send now: what ended.
fn settle(courier: &mut Courier, hub: &mut Hub, now: Moment, peer: u64) -> Vec<(Id, Outcome)> {
    let mut ended = Vec::new();
    loop {
        let lines = sent(courier, now);
        if lines.is_empty() {
            return ended;
        }
        for line in lines {
            match courier.handle_line(now, hub.handle(now, peer, &line).as_bytes()) {
                Some(Event::Finished(id, outcome)) => ended.push((id, outcome)),
                Some(Event::Challenged) => _ = courier.request_first(b"JOIN ann ack", now + MINUTE).unwrap(),
                Some(Event::Pushed(..)) | None => {}
            }
        }
    }
}

fn opened(hub: &mut Hub) -> Courier {
    let mut courier = courier();
    courier.request(b"JOIN ann ack", at(60_000)).unwrap();
    assert_eq!(settle(&mut courier, hub, at(0), 1).len(), 1);
    courier
}

#[test]
fn the_session_is_opened_by_a_join_that_asks_for_a_nonce_first() {
    let mut courier = courier();
    courier.request(b"INC", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), Vec::<String>::new(), "it would open an unkeyed session");
    courier.request(b"JOIN ann ack", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), ["#s.1 JOIN ann\n"]);
    assert_eq!(courier.handle_line(at(1), b"#s.1 ERR prove 0123456789abcdef"), None);
    let key = SessionKey::new(SECRET, "s", "0123456789abcdef");
    let proof = |number, line: &str| {
        String::from_utf8(key.prove(Way::Request, "s", number, line.as_bytes()).to_vec()).unwrap()
    };
    let join = "JOIN ann ack 0123456789abcdef";
    assert_eq!(sent(&mut courier, at(1)), [format!("#s.1.{} {join}\n", proof(1, join))]);
    let mac = key.prove(Way::Reply, "s", 1, b"OK joined ann 1/9 box1");
    let reply = format!("#s.1.{} OK joined ann 1/9 box1", str::from_utf8(&mac).unwrap());
    assert!(matches!(
        courier.handle_line(at(2), reply.as_bytes()),
        Some(Event::Finished(_, Outcome::Done(_)))
    ));
    assert_eq!(sent(&mut courier, at(2)), [format!("#s.2.{} INC\n", proof(2, "INC"))]);
    let ack = format!("#s.2.{} ACK 7\n", proof(2, "ACK 7"));
    assert_eq!(courier.acknowledgement(7), ack.as_bytes());
}

#[test]
fn nothing_unproved_is_believed_whatever_it_says() {
    let mut hub = Hub::default();
    let mut courier = opened(&mut hub);
    courier.request(b"INC", at(60_000)).unwrap();
    let line = sent(&mut courier, at(0)).remove(0);
    let other = hub.handle(at(0), 1, &line.replace("#s.2", "#s.3"));
    assert!(other.contains("ERR prove"), "a line is bound to its number: {other}");
    let own = line.split(' ').next().unwrap();
    let wrong = ["#s.2", "#s.2.0123456789abcdef", own].into_iter().flat_map(|tag| {
        ["OK 5", "ERR denied no", "ERR unopened begin with 1", "ERR busy", "ERR stale"]
            .map(|reply| format!("{tag} {reply}"))
    });
    let mut count = courier.ignored();
    for forged in wrong {
        assert_eq!(courier.handle_line(at(0), forged.as_bytes()), None, "{forged}");
        count += 1;
    }
    assert_eq!((courier.ignored(), courier.unproved()), (count, Some(&b"ERR stale"[..])));
    for forged in
        ["ERR too-long", "BYE moved", "MSG bob hi", "@1 MSG bob hi", "@1.0123456789abcdef MSG bob hi"]
    {
        assert_eq!(courier.handle_line(at(0), forged.as_bytes()), None, "{forged}");
    }
    assert!(courier.is_open());
    let reply = hub.handle(at(0), 1, &line);
    assert!(matches!(
        courier.handle_line(at(0), reply.as_bytes()),
        Some(Event::Finished(_, Outcome::Done(_)))
    ));
}

#[test]
fn a_push_is_taken_by_its_number_with_a_mailbox_and_once_without() {
    let mut hub = Hub::default();
    let mut with_mailbox = opened(&mut hub);
    let pushes: Vec<String> = (0..3).map(|_| hub.push("s").unwrap()).collect();
    let number = |courier: &mut Courier, push: &str| match courier.handle_line(at(0), push.as_bytes()) {
        Some(Event::Pushed(number, Push::Message { .. })) => Some(number.map(Number::get)),
        _ => None,
    };
    assert_eq!(number(&mut with_mailbox, &pushes[1]), Some(Some(2)));
    assert_eq!(number(&mut with_mailbox, &pushes[1]), Some(Some(2)), "the inbox drops it");
    assert_eq!(number(&mut with_mailbox, &pushes[1].replace("bob", "eve")), None);
    assert_eq!(number(&mut with_mailbox, &pushes[1].replace("@2", "@3")), None);
    let mut without = courier();
    without.request(b"JOIN ann", at(60_000)).unwrap();
    let mut hub = Hub::default();
    settle(&mut without, &mut hub, at(0), 1);
    let pushes: Vec<String> = (0..3).map(|_| hub.push("s").unwrap()).collect();
    assert_eq!(number(&mut without, &pushes[0]), Some(None));
    assert_eq!(number(&mut without, &pushes[2]), Some(None));
    for old in &pushes {
        assert_eq!(number(&mut without, old), None, "it is a copy, or was overtaken");
    }
}

#[test]
fn from_another_address_it_joins_again_and_goes_on() {
    let mut hub = Hub::default();
    let mut courier = opened(&mut hub);
    let inc = courier.request(b"INC", at(60_000)).unwrap();
    let line = sent(&mut courier, at(0)).remove(0);
    let challenge = hub.handle(at(0), 2, &line);
    assert_eq!(courier.handle_line(at(0), challenge.as_bytes()), Some(Event::Challenged));
    assert_eq!(courier.handle_line(at(0), challenge.as_bytes()), None, "one challenge for each copy");
    let join = courier.request_first(b"JOIN ann ack", at(60_000)).unwrap();
    let ended: Vec<Id> = settle(&mut courier, &mut hub, at(0), 2).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [join, inc]);
    assert_eq!(hub.effects.get("INC"), Some(&1));
    // Over TCP a new connection is another address, and the program knows it.
    courier.reconnected(at(0));
    let join = courier.request_first(b"JOIN ann ack", at(60_000)).unwrap();
    let ended = settle(&mut courier, &mut hub, at(0), 3);
    assert!(matches!(&ended[..], [(id, Outcome::Done(_))] if *id == join), "{ended:?}");
}

#[test]
fn a_session_that_was_opened_from_another_address_unnoticed_is_opened_anew() {
    for is_noticed in [true, false] {
        let (mut hub, mut courier) = (Hub::default(), courier());
        courier.request(b"JOIN ann ack", at(60_000)).unwrap();
        for _ in 0..2 {
            let line = sent(&mut courier, at(0)).remove(0);
            let reply = hub.handle(at(0), 1, &line);
            // The reply by which it is open is lost.
            if reply.contains("ERR prove") {
                courier.handle_line(at(0), reply.as_bytes());
            }
        }
        assert!(hub.sessions.contains_key("s") && !courier.is_open());
        if is_noticed {
            courier.reconnected(at(0));
        }
        let ended: Vec<_> =
            (0..60_000).flat_map(|millis| settle(&mut courier, &mut hub, at(millis), 2)).collect();
        assert!(matches!(&ended[..], [(_, Outcome::Done(_))]), "{ended:?}");
    }
}

#[test]
fn a_join_whose_reply_was_lost_gets_another_number_where_its_own_is_used() {
    let mut hub = Hub::default();
    let mut courier = opened(&mut hub);
    courier.reconnected(at(0));
    courier.request_first(b"JOIN ann ack", at(60_000)).unwrap();
    for peer in [2, 2] {
        let line = sent(&mut courier, at(0)).remove(0);
        let reply = hub.handle(at(0), peer, &line);
        if reply.contains("ERR prove") {
            courier.handle_line(at(0), reply.as_bytes());
        }
    }
    let ended: Vec<_> = (0..9_000).flat_map(|millis| settle(&mut courier, &mut hub, at(millis), 3)).collect();
    assert!(matches!(&ended[..], [(_, Outcome::Done(_))]), "{ended:?}");
    assert_eq!(courier.next_number, 4);
}

#[test]
fn a_challenge_costs_one_line_at_most_for_each_copy_that_leaves_in_its_time() {
    let mut courier = courier();
    courier.request(b"JOIN ann", at(600_000)).unwrap();
    let mut lines = sent(&mut courier, at(0)).len();
    for forged in 0..1000 {
        courier.handle_line(at(0), format!("#s.1 ERR prove evil{forged}").as_bytes());
        lines += sent(&mut courier, at(0)).len();
    }
    assert_eq!(lines, 2);
    let mut hub = Hub::default();
    let mut courier = opened(&mut hub);
    courier.request(b"JOIN ann ack", at(600_000)).unwrap();
    let mut lines = sent(&mut courier, at(0)).len();
    for forged in 0..1000 {
        courier
            .handle_line(at(0), format!("#s.{} ERR prove evil{forged}", courier.next_number - 1).as_bytes());
        lines += sent(&mut courier, at(0)).len();
    }
    assert_eq!(lines, 2);
}

#[test]
fn a_session_that_the_hub_has_forgotten_is_spent_once_its_join_is_given_up() {
    let mut hub = Hub::default();
    let mut courier = opened(&mut hub);
    hub.sessions.clear();
    courier.request(b"INC", at(9_000)).unwrap();
    let mut millis = 0;
    while !courier.is_spent() {
        settle(&mut courier, &mut hub, at(millis), 1);
        while courier.tick(at(millis)).is_some() {}
        millis += 10;
        assert!(millis < 100_000);
    }
    assert!(courier.is_idle() && courier.renew(Session::parse(b"t").unwrap()));
    courier.request(b"JOIN ann ack", at(millis + 9000)).unwrap();
    assert_eq!(settle(&mut courier, &mut hub, at(millis), 1).len(), 1);
    assert_eq!(hub.effects.get("INC"), None, "it was of the other session");
}

#[test]
fn who_has_another_secret_gets_no_further_and_can_be_told_why() {
    let mut courier = Courier::keyed(Session::parse(b"s").unwrap(), Carrier::Datagrams, 1, b"another");
    let id = courier.request(b"JOIN ann", at(5_000)).unwrap();
    let mut hub = Hub::default();
    for millis in 0..5_000 {
        assert_eq!(settle(&mut courier, &mut hub, at(millis), 1), Vec::new());
    }
    let excuse = Some(ErrorName::Prove);
    assert_eq!(courier.tick(at(5_000)), Some((id, Outcome::GivenUp { sent: true, excuse })));
    assert!(hub.sessions.is_empty());
}

#[test]
fn a_hub_that_is_busy_has_opened_nothing_and_may_open_it_with_another_nonce() {
    let mut courier = courier();
    courier.request(b"JOIN ann ack", at(600_000)).unwrap();
    sent(&mut courier, at(0));
    courier.handle_line(at(0), b"#s.1 ERR prove 0123456789abcdef");
    sent(&mut courier, at(0));
    let mac = SessionKey::new(SECRET, "s", "0123456789abcdef").prove(Way::Reply, "s", 1, b"ERR busy later");
    let busy = format!("#s.1.{} ERR busy later", str::from_utf8(&mac).unwrap());
    assert_eq!((courier.handle_line(at(0), busy.as_bytes()), courier.ignored()), (None, 0));
    assert_eq!(settle(&mut courier, &mut Hub::default(), at(300_000), 1).len(), 1);
}

#[test]
fn what_is_shown_of_a_courier_holds_no_secret() {
    let shown = format!("{:?}", opened(&mut Hub::default()));
    assert!(shown.contains("Keyed") && !shown.contains("0011"), "{shown}");
}

proptest! {
    #[test]
    fn whatever_is_lost_repeated_moved_or_forged_each_request_is_done_once_and_truly_answered(
        seed in any::<u64>(), requests in 1_usize..60, loss in 0.0..0.3, repeats in 0.0..0.5, forged in 0.0..0.5,
        moves in 0.0..0.005,
    ) {
        let mut courier = Courier::keyed(Session::parse(b"s").unwrap(), Carrier::Datagrams, seed, SECRET);
        let (air, recorded) = (Air::new(), Vec::new());
        let mut net = Network { air, dice: Jitter(!seed), loss, repeats, forged, posted: 0, recorded };
        let (mut hub, mut peer, mut pushed) = (Hub::default(), 1, 0);
        let deadline = Moment::ZERO + 30 * MINUTE;
        courier.request(b"JOIN ann", deadline).unwrap();
        let mut open = BTreeMap::new();
        for key in 0..requests {
            let line = format!("INC k{key}");
            open.insert(courier.request(line.as_bytes(), deadline).unwrap(), line);
        }
        let mut now = Moment::ZERO;
        while !open.is_empty() {
            while let Some(line) = courier.poll_transmit(now) {
                let line = str::from_utf8(line).unwrap().to_owned();
                net.post(now, true, peer, &line);
            }
            prop_assert!(courier.tick(now).is_none(), "given up at {now:?}: {courier:?}");
            let arrival = net.air.first().map(|(at, ..)| *at);
            let next = courier.next_deadline().into_iter().chain(arrival).min().unwrap();
            now = now.max(next);
            peer += u64::from(courier.is_open() && net.dice.next() < moves);
            while net.air.first().is_some_and(|(at, ..)| *at <= now) {
                let (_, _, to_hub, from, line) = net.air.pop_first().unwrap();
                if to_hub {
                    if !line.starts_with('#') || Tag::split(line.strip_suffix('\n').unwrap().as_bytes()).is_none() {
                        continue;
                    }
                    let reply = hub.handle(now, from, &line);
                    net.post(now, false, from, &reply);
                    let session = courier.session.clone();
                    if let Some(push) = hub.push(&session) {
                        net.post(now, false, from, &push);
                    }
                    continue;
                }
                if from != peer {
                    continue;
                }
                match courier.handle_line(now, line.as_bytes()) {
                    Some(Event::Finished(id, outcome)) => if let Some(line) = open.remove(&id) {
                        prop_assert_eq!(outcome, Outcome::Done(line.into_bytes()));
                    },
                    Some(Event::Challenged) => _ = courier.request_first(b"JOIN ann", deadline).unwrap(),
                    Some(Event::Pushed(number, Push::Message { from, text })) => {
                        prop_assert_eq!((number, from.as_str()), (None, "bob"));
                        let number: u64 = str::from_utf8(text).unwrap().parse().unwrap();
                        prop_assert!(number > pushed, "{} after {}", number, pushed);
                        pushed = number;
                    }
                    Some(Event::Pushed(..)) => prop_assert!(false, "{}", line),
                    None => {}
                }
            }
        }
        for key in 0..requests {
            prop_assert_eq!(hub.effects.get(&format!("INC k{key}")), Some(&1));
        }
    }
}
