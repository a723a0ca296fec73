//! The configuration as a whole: the shipped file, findings and their places, several files, printing.

mod values;

use core::num::NonZeroU32;
use core::time::Duration;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::hub::{Networks, TextReply};

const FILE: &str = "pigeond.toml";

fn good(toml: &str) -> Config {
    Config::parse(toml, FILE).unwrap_or_else(|findings| panic!("{toml}\n{findings}"))
}

/// Every finding's line, column and message.
fn wrong(toml: &str) -> Vec<(usize, usize, String)> {
    let findings = Config::parse(toml, FILE).expect_err(toml);
    assert!(!findings.as_slice().is_empty());
    findings.as_slice().iter().map(|found| (found.line, found.column, found.message.clone())).collect()
}

/// The only finding, at this place, with this in its message.
fn wrong_at(toml: &str, line: usize, column: usize, part: &str) {
    match wrong(toml).as_slice() {
        [(l, c, message)] if (*l, *c) == (line, column) && message.contains(part) => {}
        other => panic!("{toml}\nis not wrong only at {line}:{column} with {part}: {other:?}"),
    }
}

#[test]
fn the_shipped_file_sets_every_setting_to_its_default() {
    assert_eq!(good(DEFAULT_TOML), Config::default());
    assert_eq!(good(""), Config::default());
    let shipped: toml::Table = DEFAULT_TOML.parse().unwrap();
    let printed: toml::Table = Config::default().to_toml().parse().unwrap();
    assert_eq!(shipped, printed);
}

#[test]
fn the_shipped_file_says_a_word_on_every_setting() {
    let mut above = "";
    let mut settings = 0;
    for line in DEFAULT_TOML.lines() {
        if line
            .split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        {
            assert!(above.starts_with("# "), "{line}");
            settings += 1;
        }
        assert!(line.len() <= 100, "{line}");
        above = line;
    }
    let printed: toml::Table = Config::default().to_toml().parse().unwrap();
    assert_eq!(
        settings,
        printed.values().filter_map(toml::Value::as_table).map(toml::Table::len).sum::<usize>()
    );
}

#[test]
fn the_shipped_file_shows_the_directory() {
    let set = DEFAULT_TOML.replace("# directory", "directory");
    let config = good(&set);
    assert_eq!(config.state.directory, Directory::At(PathBuf::from("/var/lib/pigeond")));
    assert_eq!(Config { state: State::default(), ..config }, Config::default());
}

#[test]
fn every_setting_acts() {
    assert!(!DEFAULT_TOML.contains("later version"));
}

#[test]
fn all_findings_are_told_at_once_each_at_its_place() {
    let toml = "[clients]\nlimit = 0\nidel = \"5m\"\n\n[text]\n  reply = 5\nx = = 5\n[lisen]\nport = 1\n[log]\nlevel = \"é\" \n";
    let findings: Vec<_> = wrong(toml).into_iter().map(|(line, column, _)| (line, column)).collect();
    assert_eq!(findings, [(2, 9), (3, 1), (6, 11), (7, 1), (7, 5), (8, 2), (11, 9)]);
    let printed = Config::parse(toml, FILE).unwrap_err().to_string();
    let second = "pigeond.toml:3:1: unknown setting \"idel\" in [clients]; did you mean `idle`?";
    assert_eq!(printed.lines().nth(1), Some(second));
    assert_eq!(printed.lines().count(), 7);
}

#[test]
fn unknown_names_are_told_with_what_was_meant() {
    wrong_at("[text]\nquiet-ms = 5", 2, 1, "did you mean `quiet_ms`?");
    wrong_at("[text]\nidle = \"5m\"", 2, 1, "unknown setting \"idle\" in [text]; it belongs in [clients]");
    wrong_at("[log]\nwhatever = 5", 2, 1, "unknown setting \"whatever\" in [log]; its settings are level");
    wrong_at(
        "[loging]\nlevel = \"info\"",
        1,
        2,
        "unknown section or setting \"loging\"; the sections are access, ",
    );
    wrong_at("[limit]\nvalues = 5", 1, 2, "it belongs in [clients]");
    wrong_at("port = 5", 1, 1, "it belongs in [broadcast] or [listen]");
    wrong_at("listen = 5", 1, 1, "`listen` is the number 5; it must be a section");
    wrong_at("[[listen]]\nport = 5", 1, 3, "`listen` is a list; it must be a section");
}

#[test]
fn what_is_not_toml_is_told_without_findings_that_only_follow_from_it() {
    wrong_at("[clients]\nlimit = 5 5", 2, 9, "not valid TOML: ");
    wrong_at("[clients]\nlimit = 5\nlimit = 6", 3, 1, "not valid TOML: duplicate key");
    wrong_at("[clients\nlimit = 5\nidle = \"1m\"\n[log]", 1, 9, "not valid TOML: ");
    wrong_at("[clients]\né = 5", 2, 1, "not valid TOML: ");
    wrong_at("[access]\nrequired = true\n[more\nkeys_file = \"/k\"", 3, 6, "not valid TOML: ");
    wrong_at("[access]\nrequired = true\nkeys_file = /etc/keys", 3, 13, "not valid TOML: ");
    wrong_at("[clients]\nlimit = 99999999999999999999999", 2, 9, "from 1 to 100000");
}

#[test]
fn a_later_file_wins_setting_by_setting_and_replaces_lists_and_tables_whole() {
    let main = "[clients]\nlimit = 20\nidle = \"1m\"\n[text.answers]\na = \"1\"\nb = \"2\"\n[listen]\nbind = [\"10.0.0.1\", \"::1\"]";
    let local = "[clients]\nlimit = 30\n[text.answers]\nb = \"3\"\n[listen]\nbind = [\"10.0.0.2\"]";
    let config = Config::parse_all(&[("main", main), ("local", local)]).unwrap();
    assert_eq!((config.clients.limit, config.clients.idle), (30, Duration::from_mins(1)));
    let answers: Vec<_> = config.text.answers.iter().map(|(k, v)| format!("{k}{v}")).collect();
    assert_eq!(answers, ["b3"]);
    assert_eq!(config.listen.bind, ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn findings_in_several_files_name_theirs_and_relations_hold_for_the_outcome() {
    let main = "limits.sessions = 5000";
    let printed =
        |second: &str| Config::parse_all(&[("z", main), ("a", second)]).map_err(|found| found.to_string());
    assert_eq!(printed("limits.sessions_per_address = 5000").unwrap().limits.sessions, 5000);
    assert!(printed("limits.sessions_per_address = 5001").unwrap_err().starts_with("a:1:31: "));
    assert!(printed("log.level = \"info\"").unwrap_err().starts_with("z:1:19: "));
    let both =
        Config::parse_all(&[("z", "clients.limit = 0"), ("a", "clients.limit = 5\nx = 1")]).unwrap_err();
    let places: Vec<_> = both.as_slice().iter().map(|found| (found.file.as_str(), found.line)).collect();
    assert_eq!(places, [("z", 1), ("a", 2)]);
}

#[test]
fn odd_spellings_of_toml_are_read() {
    assert_eq!(good("\u{feff}clients.limit = 1_000").clients.limit, 1000);
    assert_eq!(good("clients = { limit = 0x10 }\r\n").clients.limit, 16);
    assert_eq!(good("[\"clients\"]\n'limit' = +5").clients.limit, 5);
    wrong_at("\u{feff}clients.limit = 0", 1, 17, "from 1 to 100000");
}

/// Settings that differ from the defaults wherever a value may be printed otherwise than it is kept.
fn some_config() -> impl Strategy<Value = Config> {
    let text = "[^\r\n\0]{0,20}";
    let listen = (0..=3000_u16, prop::collection::btree_set(3001..=u16::MAX, 0..5), any::<bool>());
    let texts = (
        text,
        text,
        prop::collection::btree_map("[a-z #\"'.=\u{80}-\u{10ffff}]{0,9}", text, 0..5),
        5..=5000_u64,
    );
    let times = (1000..=604_800_000_u64, prop::option::of(1000..=86_400_000_u64), 0..3_u32);
    let access = (
        prop::option::of(prop::collection::vec((any::<u32>(), 0..=32_u8), 1..5)),
        prop::option::of(prop::sample::subsequence(crate::wire::WORDS, 0..5)),
        prop::option::of("/[ -~é]{0,20}"),
        any::<bool>(),
    );
    (listen, texts, times, access).prop_map(
        |((port, extra, udp), (reply, greeting, answers, quiet), times, access)| {
            let mut config = Config::default();
            config.listen = Listen { port, extra_ports: extra.into_iter().collect(), udp, ..config.listen };
            let reply = match reply.len() % 3 {
                0 => TextReply::Echo,
                1 => TextReply::Counter,
                _ => TextReply::Fixed(reply),
            };
            config.text = Text { reply, quiet: Duration::from_millis(quiet), greeting, answers };
            config.clients.idle = Duration::from_millis(times.0);
            config.limits.guest_idle = times.1.map(Duration::from_millis);
            config.broadcast.announce_every = times.1.map(Duration::from_millis);
            config.access.requests_per_second = NonZeroU32::new(times.2);
            config.access.burst = NonZeroU32::new(times.2 / 2);
            let (networks, guests, path, required) = access;
            config.access.networks = networks.map_or(Networks::Local, |list| {
                let network =
                    |(address, bits): (u32, u8)| ipnet::Ipv4Net::new(address.into(), bits).unwrap().trunc();
                Networks::List(list.into_iter().map(|one| network(one).into()).collect())
            });
            config.access.guests = guests.map_or(Guests::All, Guests::Only);
            config.access.required = required && path.is_some();
            config.state.directory =
                path.clone().map_or(Directory::Memory, |path| Directory::At(path.into()));
            config.access.keys_file = path.map(PathBuf::from);
            config.state.sync = if required { Sync::Full } else { Sync::Normal };
            config
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(config in some_config()) {
        let toml = config.to_toml();
        prop_assert_eq!(Config::parse(&toml, FILE), Ok(config), "{}", toml);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}|[\\[\\]{}\"'=.,#a-c0-9\n\r\t \u{0}é-]{0,200}") {
        if let Err(findings) = Config::parse(&text, FILE) {
            prop_assert!(!findings.as_slice().is_empty());
        }
    }

    #[test]
    fn no_change_to_the_shipped_file_makes_it_panic(
        edits in prop::collection::vec((0..DEFAULT_TOML.len(), 0..9_usize, "[\\[\\]{}\"'=.,#a-c0-9\n é-]{0,4}"), 1..8),
    ) {
        let mut text: Vec<char> = DEFAULT_TOML.chars().collect();
        for (at, cut, put) in edits {
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(findings) = Config::parse(&text, FILE) {
            for found in findings.as_slice() {
                let line = text.split('\n').nth(found.line - 1);
                prop_assert!(line.is_some_and(|line| found.column <= line.chars().count() + 1), "{}", found);
                prop_assert!(!found.message.contains(char::is_control), "{}", found);
            }
        }
    }
}
