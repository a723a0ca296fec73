//! Random recorded traffic, played again whole, cut, mixed or from elsewhere.

use proptest::prelude::*;

use crate::person::{ANN, Person, Place, nonce};

/// What ann says, as she might.
fn spoken() -> impl Strategy<Value = String> {
    prop_oneof![
        "(INC|DEC) [ab]".prop_map(|line| line),
        "SET [ab] [0-9]{1,3}".prop_map(|line| line),
        "(DEL|GET) [ab]".prop_map(|line| line),
        "SEND carl [a-z]{1,5}".prop_map(|line| line),
        "(WATCH|UNWATCH) [ab*]".prop_map(|line| line),
        Just("PING".to_owned()),
        Just("ALL hello".to_owned()),
    ]
}

/// What is done with two of the recorded lines: which, how, and where from.
type Attack = (prop::sample::Index, prop::sample::Index, u8, usize, u8);

/// The forged line.
fn forge(recorded: &[String], (first, second, how, cut, _): &Attack) -> String {
    let (one, other) = (first.get(recorded), second.get(recorded));
    let head = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let line = |line: &str| line.split_once(' ').map_or_else(String::new, |(_, line)| line.to_owned());
    match how % 6 {
        0 => one.clone(),
        1 => one.chars().take(cut % one.len().max(1)).collect(),
        2 => format!("{} {}", head(one), line(other)),
        3 => line(one),
        4 => format!("{} {}", head(one).rsplit_once('.').map_or("", |(tag, _)| tag), line(other)),
        _ => one.replacen(".2.", ".3.", 1).replacen(".1.", ".99.", 1),
    }
}

/// Whether a forged line is not even meant for ann: what any guest may say, and do.
fn is_a_guests(line: &str) -> bool {
    !line.starts_with("#sess-ann.")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn recorded_traffic_changes_nothing(
        lines in prop::collection::vec(spoken(), 1..12),
        moves in any::<bool>(),
        says_bye in any::<bool>(),
        attacks in prop::collection::vec(any::<Attack>(), 1..24),
    ) {
        let mut place = Place::new();
        place.ask(99, "JOIN carl");
        let mut recorded = Vec::new();
        let fresh = nonce(&place.ask(1, "JOIN ann")[0]);
        let mut ann = Person::new(ANN, "sess-ann", &fresh);
        let mut at = 1;
        let mut say = |place: &mut Place, ann: &mut Person, at: u8, line: &str| {
            let line = ann.next(line);
            let replies = place.ask(at, &line);
            recorded.push(line);
            recorded.extend(replies);
        };
        say(&mut place, &mut ann, at, &format!("JOIN ann {fresh}"));
        for (step, line) in lines.iter().enumerate() {
            if moves && step == lines.len() / 2 {
                at = 2;
                let fresh = nonce(&place.ask(at, "JOIN ann")[0]);
                say(&mut place, &mut ann, at, &format!("JOIN ann {fresh}"));
            }
            say(&mut place, &mut ann, at, line);
        }
        if says_bye {
            say(&mut place, &mut ann, at, "BYE");
        }
        let before = place.digest();
        for attack in &attacks {
            let line = forge(&recorded, attack);
            // From elsewhere, from where she was, and from where she is.
            let from = [3, 1, 2][usize::from(attack.4 % 3)];
            if is_a_guests(&line) {
                continue;
            }
            place.ask(from, &line);
            prop_assert_eq!(&place.digest(), &before, "{} from {}", line, from);
        }
        if !says_bye {
            let pushes = place.seen_by(at, 99, "SEND ann still there?");
            prop_assert_eq!(pushes.len(), 1);
            prop_assert_eq!(ann.pushed(&pushes[0]).1, "MSG carl still there?");
            prop_assert_eq!(place.say(at, &mut ann, "PING"), "OK pong");
        }
    }
}
