//! The courier against a link that loses, repeats and reorders, and a hub that is nothing but the promise.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use core::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn courier(carrier: Carrier) -> Courier {
    Courier::new(Session::parse(b"s").unwrap(), carrier, 1)
}

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn sent(courier: &mut Courier, now: Moment) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(line) = courier.poll_transmit(now) {
        lines.push(String::from_utf8(line.to_vec()).unwrap());
    }
    lines
}

fn done(courier: &mut Courier, line: &str) -> Option<Vec<u8>> {
    match courier.handle_line(at(0), line.as_bytes()) {
        Some(Event::Finished(_, Outcome::Done(body))) => Some(body),
        Some(Event::Finished(..) | Event::Pushed(..) | Event::Challenged) | None => None,
    }
}

/// A courier whose number 1 is answered.
fn opened(carrier: Carrier) -> Courier {
    let mut courier = courier(carrier);
    courier.request(b"PING", at(60_000)).unwrap();
    sent(&mut courier, at(0));
    assert_eq!(done(&mut courier, "#s.1 OK pong"), Some(b"pong".to_vec()));
    courier
}

#[test]
fn number_1_is_awaited_before_any_other() {
    let mut courier = courier(Carrier::Datagrams);
    for _ in 0..3 {
        courier.request(b"INC", at(60_000)).unwrap();
    }
    assert_eq!(sent(&mut courier, at(0)), ["#s.1 INC\n"]);
    assert_eq!(done(&mut courier, "#s.1 OK 1\n"), Some(b"1".to_vec()));
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 INC\n", "#s.3 INC\n"]);
}

#[test]
fn at_most_32_are_under_way_and_the_newest_stays_within_64_of_the_oldest() {
    let mut courier = opened(Carrier::Datagrams);
    for _ in 0..200 {
        courier.request(b"INC", at(60_000)).unwrap();
    }
    assert_eq!(sent(&mut courier, at(0)).len(), 32);
    for number in 3..100 {
        done(&mut courier, &format!("#s.{number} OK"));
        sent(&mut courier, at(0));
    }
    assert_eq!(courier.next_number, 2 + SESSION_WINDOW - ROOM_FOR_FIRST, "number 2 was never answered");
    for _ in 0..2 * ROOM_FOR_FIRST {
        courier.request_first(b"JOIN ann", at(60_000)).unwrap();
        let number = courier.next_number;
        sent(&mut courier, at(0));
        done(&mut courier, &format!("#s.{number} OK joined ann 1/9"));
    }
    assert_eq!(courier.next_number, 2 + SESSION_WINDOW);
    courier.reconnected(at(1));
    let again = sent(&mut courier, at(1));
    assert_eq!(again, ["#s.2 INC\n"], "it makes room for those that wait to go first");
}

#[test]
fn only_one_place_command_is_under_way() {
    let mut courier = opened(Carrier::Datagrams);
    for line in ["JOIN ann", "WATCH a", "INC"] {
        courier.request(line.as_bytes(), at(60_000)).unwrap();
    }
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 JOIN ann\n"]);
    done(&mut courier, "#s.2 OK joined ann 1/9");
    assert_eq!(sent(&mut courier, at(0)), ["#s.3 WATCH a\n", "#s.4 INC\n"]);
}

#[test]
fn over_a_stream_a_line_is_sent_again_only_if_very_late_after_a_reconnect_or_a_busy() {
    let mut courier = opened(Carrier::Stream);
    courier.request(b"INC", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)).len(), 1);
    assert_eq!(sent(&mut courier, at(1_999)).len(), 0);
    assert_eq!(sent(&mut courier, at(2_000)), ["#s.2 INC\n"]);
    assert_eq!(sent(&mut courier, at(3_999)).len(), 0);
    courier.reconnected(at(0));
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 INC\n"]);
    assert_eq!(courier.handle_line(at(0), b"#s.2 ERR busy later"), None);
    assert_eq!(sent(&mut courier, at(0)).len(), 0);
    assert_eq!(sent(&mut courier, at(10_000)), ["#s.2 INC\n"]);
}

#[test]
fn after_a_reconnect_the_join_goes_first_and_an_older_place_command_gets_a_new_number() {
    let mut courier = opened(Carrier::Stream);
    for line in ["INC", "WATCH a"] {
        courier.request(line.as_bytes(), at(60_000)).unwrap();
    }
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 INC\n", "#s.3 WATCH a\n"]);
    courier.reconnected(at(0));
    courier.request_first(b"JOIN ann", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), ["#s.4 JOIN ann\n"]);
    assert_eq!(courier.handle_line(at(0), b"#s.3 OK watching a"), None);
    done(&mut courier, "#s.4 OK joined ann 1/9");
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 INC\n", "#s.5 WATCH a\n"]);
}

#[test]
fn a_join_that_a_second_reconnect_overtakes_holds_up_nothing() {
    let mut courier = opened(Carrier::Stream);
    courier.request(b"INC", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 INC\n"]);
    courier.reconnected(at(0));
    let first = courier.request_first(b"JOIN ann ack", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), ["#s.3 JOIN ann ack\n"]);
    courier.reconnected(at(0));
    courier.request_first(b"JOIN ann ack", at(60_000)).unwrap();
    courier.withdraw(first);
    assert_eq!(sent(&mut courier, at(0)), ["#s.4 JOIN ann ack\n"]);
    courier.reconnected(at(0));
    // Even if the one before is still wanted.
    courier.request_first(b"JOIN ann ack", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), ["#s.5 JOIN ann ack\n"]);
    done(&mut courier, "#s.5 OK joined ann 1/9 box1");
    assert_eq!(sent(&mut courier, at(0)), ["#s.2 INC\n", "#s.6 JOIN ann ack\n"]);
}

#[test]
fn giving_up_says_whether_the_outcome_is_unknown() {
    let mut courier = courier(Carrier::Datagrams);
    let first = courier.request(b"INC", at(1000)).unwrap();
    let second = courier.request(b"INC", at(60_000)).unwrap();
    sent(&mut courier, at(0));
    assert_eq!(courier.handle_line(at(1), b"#s.1 ERR stopping"), None);
    assert_eq!(courier.tick(at(999)), None);
    let excuse = Some(ErrorName::Stopping);
    assert_eq!(courier.tick(at(1000)), Some((first, Outcome::GivenUp { sent: true, excuse })));
    // Without number 1 the session cannot go on.
    assert_eq!((courier.is_spent(), sent(&mut courier, at(1000))), (true, Vec::new()));
    assert_eq!(courier.tick(at(59_999)), None);
    assert_eq!(courier.tick(at(60_000)), Some((second, Outcome::GivenUp { sent: false, excuse: None })));
}

#[test]
fn what_was_not_sent_goes_out_in_the_next_session_once_nothing_is_under_way() {
    let mut courier = opened(Carrier::Stream);
    courier.request(b"INC", at(60_000)).unwrap();
    courier.request(b"DEC", at(60_000)).unwrap();
    sent(&mut courier, at(0));
    let again = Session::parse(b"t").unwrap();
    assert!(!courier.renew(again), "the session stands");
    courier.handle_line(at(0), b"#s.2 ERR unopened begin with 1");
    let late = courier.request(b"ALL hi", at(60_000)).unwrap();
    let withdrawn = courier.request(b"WATCH a", at(60_000)).unwrap();
    assert!(!courier.renew(again), "DEC may have been done");
    courier.handle_line(at(0), b"#s.3 ERR unopened begin with 1");
    courier.withdraw(withdrawn);
    assert!(courier.renew(again));
    courier.request_first(b"JOIN ann", at(60_000)).unwrap();
    assert_eq!(sent(&mut courier, at(0)), ["#t.1 JOIN ann\n"]);
    done(&mut courier, "#t.1 OK joined ann 1/9");
    assert_eq!(sent(&mut courier, at(0)), ["#t.2 ALL hi\n"]);
    let event = courier.handle_line(at(0), b"#t.2 OK 1");
    assert_eq!(event, Some(Event::Finished(late, Outcome::Done(b"1".to_vec()))));
}

#[test]
fn a_hub_that_forgot_the_session_ends_it() {
    let mut courier = opened(Carrier::Datagrams);
    courier.request(b"INC", at(60_000)).unwrap();
    sent(&mut courier, at(0));
    let event = courier.handle_line(at(0), b"#s.2 ERR unopened begin with 1");
    assert!(matches!(event, Some(Event::Finished(_, Outcome::Refused { name, .. })) if name == "unopened"));
    assert!(courier.is_spent());
}

#[test]
fn an_untagged_too_long_is_about_the_longest_line_and_never_about_two() {
    let mut courier = opened(Carrier::Datagrams);
    let long = [b"SET k ".as_slice(), &[b'x'; 9000]].concat();
    let id = courier.request(&long, at(60_000)).unwrap();
    courier.request(&long[..2000], at(60_000)).unwrap();
    courier.request(b"INC", at(60_000)).unwrap();
    sent(&mut courier, at(0));
    let event = courier.handle_line(at(0), b"ERR too-long 8192 bytes at most\n");
    assert!(matches!(event, Some(Event::Finished(of, Outcome::Refused { .. })) if of == id));
    assert_eq!(courier.handle_line(at(0), b"ERR too-long 8192 bytes at most\n"), None);
    assert_eq!(done(&mut courier, "#s.3 OK set"), Some(b"set".to_vec()));
}

#[test]
fn what_would_arrive_as_something_else_is_not_taken() {
    let mut courier = courier(Carrier::Datagrams);
    for bad in ["SET a 1\nDEL a", "SET a \0", "SET a 1\r"] {
        assert_eq!(courier.request(bad.as_bytes(), at(0)), Err(Rejected::Unsendable), "{bad:?}");
    }
}

/// The promise of section 4, written down without a thought for speed: each number is done once.
#[derive(Default)]
struct NaiveHub {
    replies: BTreeMap<u64, String>,
    /// How often the effect of each request (its key) happened.
    effects: BTreeMap<String, u32>,
}

impl NaiveHub {
    fn handle(&mut self, line: &[u8]) -> String {
        let (tag, request) = Tag::split(line.strip_suffix(b"\n").unwrap()).unwrap();
        let (number, request) = (tag.number.get(), String::from_utf8(request.to_vec()).unwrap());
        assert!(number == 1 || self.replies.contains_key(&1), "{number} came before number 1 was done");
        let highest = self.replies.keys().next_back().copied().unwrap_or_default();
        assert!(number + SESSION_WINDOW > highest || self.replies.contains_key(&number), "{number} is stale");
        let effects = &mut self.effects;
        let reply = self.replies.entry(number).or_insert_with(|| {
            *effects.entry(request.clone()).or_default() += 1;
            format!("#s.{number} OK {request}\r\n")
        });
        reply.clone()
    }
}

/// What is in the air: when it arrives, a tie-breaker, and whether it goes to the hub.
type Air = BTreeSet<(Moment, u64, bool, Vec<u8>)>;

/// Loses, repeats and delays as its dice say.
struct Link {
    air: Air,
    dice: Jitter,
    loss: f64,
    repeats: f64,
    posted: u64,
}

impl Link {
    fn post(&mut self, now: Moment, to_hub: bool, line: &[u8]) {
        let copies = 1 + u32::from(self.dice.next() < self.repeats);
        for _ in 0..copies {
            if self.dice.next() >= self.loss {
                self.posted += 1;
                let delay = Duration::from_millis(1) + Duration::from_millis(400).mul_f64(self.dice.next());
                self.air.insert((now + delay, self.posted, to_hub, line.to_vec()));
            }
        }
    }
}

proptest! {
    #[test]
    fn each_request_is_done_exactly_once_and_answered_in_time(
        seed in any::<u64>(), requests in 1_usize..150, loss in 0.0..0.5, repeats in 0.0..0.5, busy in 0.0..0.2,
    ) {
        let mut courier = Courier::new(Session::parse(b"s").unwrap(), Carrier::Datagrams, seed);
        let mut link = Link { air: Air::new(), dice: Jitter(!seed), loss, repeats, posted: 0 };
        let mut hub = NaiveHub::default();
        let deadline = Moment::ZERO + 20 * MINUTE;
        let mut open = BTreeMap::new();
        for key in 0..requests {
            let line = if key % 7 == 0 { format!("WATCH {key}") } else { format!("INC k{key}") };
            open.insert(courier.request(line.as_bytes(), deadline).unwrap(), line);
        }
        let mut now = Moment::ZERO;
        while !courier.is_idle() {
            while let Some(line) = courier.poll_transmit(now) {
                let line = line.to_vec();
                link.post(now, true, &line);
            }
            prop_assert!(courier.tick(now).is_none(), "given up at {now:?}");
            let arrival = link.air.first().map(|(at, ..)| *at);
            let next = courier.next_deadline().into_iter().chain(arrival).min().unwrap();
            prop_assert!(next > now || arrival == Some(next), "time must pass: {next:?} at {now:?}");
            now = now.max(next);
            while link.air.first().is_some_and(|(at, ..)| *at <= now) {
                let (_, _, to_hub, line) = link.air.pop_first().unwrap();
                if to_hub && link.dice.next() < busy {
                    let tag = line.split(|&b| b == b' ').next().unwrap();
                    link.post(now, false, &[tag, b" ERR busy later\n"].concat());
                } else if to_hub {
                    let reply = hub.handle(&line);
                    link.post(now, false, reply.as_bytes());
                } else if let Some(Event::Finished(id, outcome)) = courier.handle_line(now, &line) {
                    let line = open.remove(&id).expect("a request ends once");
                    prop_assert_eq!(outcome, Outcome::Done(line.into_bytes()));
                }
            }
        }
        prop_assert!(open.is_empty());
        prop_assert_eq!(hub.effects.len(), requests);
        prop_assert!(hub.effects.values().all(|&times| times == 1));
    }
}
