//! Each kind of value: what is taken, and what is refused, where and why.

use core::num::NonZeroU32;

use super::super::{Directory, Guests, Level};
use super::{good, wrong, wrong_at};
use crate::hub::{Networks, TextReply};
use crate::wire::Word;

#[test]
fn whole_numbers_end_at_their_bounds() {
    for (section, key, least, most) in [
        ("listen", "port", 0, 65_535),
        ("clients", "limit", 1, 100_000),
        ("clients", "mailbox", 1, 10_000),
        ("text", "quiet_ms", 5, 5000),
        ("limits", "max_message_bytes", 1500, 65_347),
        ("limits", "tcp_connections", 1, 100_000),
        ("limits", "tcp_connections_per_address", 1, 100_000),
        ("limits", "text_per_second", 1, 1_000_000),
        ("limits", "unread_bytes", 16_384, 16_777_216),
        ("limits", "values", 1, 1_000_000),
        ("limits", "value_bytes", 4096, 1_073_741_824),
        ("limits", "per_client_values", 1, 1_000_000),
        ("limits", "watches_per_client", 1, 10_000),
        ("limits", "sessions_per_address", 1, 32_768),
        ("limits", "mailboxes", 1, 1_000_000),
        ("limits", "mailboxes_per_address", 1, 1_000_000),
        ("broadcast", "port", 1, 65_535),
        ("access", "requests_per_second", 0, 10_000_000),
        ("access", "burst", 0, 10_000_000),
    ] {
        let set = |number: i64| format!("[{section}]\n{key} = {number}\n");
        assert!(good(&set(least)).to_toml().contains(&format!("\n{key} = {least}\n")), "{key}");
        assert!(good(&set(most)).to_toml().contains(&format!("\n{key} = {most}\n")), "{key}");
        let column = key.len() + 4;
        wrong_at(
            &set(least - 1),
            2,
            column,
            &format!("`{section}.{key}` is the number {}; it must be ", least - 1),
        );
        wrong_at(
            &set(most + 1),
            2,
            column,
            &format!(
                "`{section}.{key}` is {}",
                if key == "sessions_per_address" {
                    "32769; it must be at most `limits.sessions`, which is 32768".to_owned()
                } else {
                    format!("the number {}; it must be a whole number from {least} to {most}", most + 1)
                }
            ),
        );
    }
    wrong_at("[limits]\nsessions_per_address = 1\nsessions = 1000001", 3, 12, "from 1 to 1000000");
    assert_eq!(good("[limits]\nsessions_per_address = 1\nsessions = 1").limits.sessions, 1);
}

#[test]
fn durations_end_at_their_bounds() {
    for (section, key, least, below, most, above) in [
        ("clients", "idle", "1s", "999ms", "7d", "604801s"),
        ("limits", "guest_idle", "1s", "999ms", "7d", "604801s"),
        ("limits", "session_idle", "1m", "59s", "7d", "604801s"),
        ("limits", "ask_timeout", "100ms", "99ms", "10m", "601s"),
        ("broadcast", "announce_every", "1s", "999ms", "1d", "86401s"),
    ] {
        let set = |duration: &str| format!("[{section}]\n{key} = \"{duration}\"");
        for fits in [least, most] {
            assert!(good(&set(fits)).to_toml().contains(&format!("\n{key} = \"{fits}\"\n")), "{key}");
        }
        for wrong in [below, above, "5", "5 parsecs", ""] {
            let message = format!(
                "`{section}.{key}` is {wrong:?}; it must be a duration from \"{least}\" to \"{most}\" such as \"300ms\""
            );
            wrong_at(&set(wrong), 2, key.len() + 4, &message);
        }
        wrong_at(
            &format!("[{section}]\n{key} = 5"),
            2,
            key.len() + 4,
            "is the number 5; it must be a duration",
        );
    }
}

#[test]
fn zero_means_never_only_where_that_makes_sense() {
    assert_eq!(good("limits.guest_idle = \"0\"").limits.guest_idle, None);
    assert_eq!(good("broadcast.announce_every = \"0s\"").broadcast.announce_every, None);
    assert_eq!(good("access.requests_per_second = 0").access.requests_per_second, None);
    assert_eq!(good("").access.requests_per_second, NonZeroU32::new(50_000));
    assert_eq!((good("").access.burst, good("access.burst = 9").access.burst), (None, NonZeroU32::new(9)));
    assert_eq!(good("access.requests_per_second = 1").access.requests_per_second, NonZeroU32::new(1));
    wrong_at("clients.idle = \"0\"", 1, 16, "from \"1s\" to \"7d\"");
    wrong_at("limits.guest_idle = \"x\"", 1, 21, "or \"0\" for never");
}

#[test]
fn addresses_and_ports_are_checked() {
    assert_eq!(good("[listen]\nbind = [\"::1\", \"127.0.0.1\"]").listen.bind.len(), 2);
    wrong_at("[listen]\nbind = []", 2, 8, "is an empty list; it must be a list of at least one IP address");
    wrong_at("[listen]\nbind = \"::\"", 2, 8, "is \"::\"; it must be a list of at least one IP address");
    wrong_at(
        "[listen]\nbind = [\"::\", \"localhost\"]",
        2,
        15,
        "holds \"localhost\"; each entry must be an IP",
    );
    wrong_at("[listen]\nbind = [\"1.2.3.4:5\"]", 2, 9, "without port");
    wrong_at("[listen]\nbind = [\"::1\", \"0::1\"]", 2, 16, "names ::1 and ::1: once is enough");
    wrong_at("[listen]\nbind = [\"10.0.0.1\", \"0.0.0.0\"]", 2, 21, "one holds the other");
    assert_eq!(good("[listen]\nport = 0\nextra_ports = [1, 65535]").listen.extra_ports, [1, 65_535]);
    wrong_at("[listen]\nextra_ports = [7, 0]", 2, 19, "each entry must be a port from 1 to 65535");
    wrong_at("[listen]\nextra_ports = [7, 7]", 2, 19, "names 7 twice");
    wrong_at("[listen]\nport = 7\nextra_ports = [7]", 3, 15, "which is `listen.port`");
    wrong_at("[listen]\nextra_ports = [10125]", 2, 15, "which is `listen.port`");
}

#[test]
fn sockets_are_bounded() {
    let ports = |n: u16| format!("[listen]\nextra_ports = {:?}", (1..=n).collect::<Vec<_>>());
    assert_eq!(good(&ports(15)).listen.extra_ports.len(), 15);
    wrong_at(&ports(16), 2, 15, "2 addresses, with 17 ports each that makes 34; at most 32");
}

#[test]
fn one_transport_stays_on() {
    assert!(!good("listen.udp = false").listen.udp);
    assert!(!good("listen.tcp = false").listen.tcp);
    wrong_at("[listen]\nudp = false\ntcp = false", 3, 7, "at least one must be true");
    wrong_at("listen.udp = \"yes\"", 1, 14, "is \"yes\"; it must be true or false");
}

#[test]
fn texts_are_one_line_of_bounded_length() {
    assert_eq!(good("text.reply = \"counter\"").text.reply, TextReply::Counter);
    assert_eq!(good("text.reply = \"\"").text.reply, TextReply::Fixed(String::new()));
    let set = |key: &str, n: usize| format!("[text]\n{key} = \"{}\"", "é".repeat(n / 2));
    assert_eq!(good(&set("reply", 1000)).text.reply, TextReply::Fixed("é".repeat(500)));
    assert_eq!(good(&set("greeting", 1000)).text.greeting.len(), 1000);
    wrong_at(&set("reply", 1002), 2, 9, "`text.reply` is 1002 bytes long; it must be at most 1000");
    wrong_at(&set("greeting", 1002), 2, 12, "is 1002 bytes long");
    wrong_at("text.greeting = \"a\\nb\"", 1, 17, "holds a CR, LF or NUL");
    wrong_at("text.reply = \"a\\u0000\"", 1, 14, "holds a CR, LF or NUL");
    wrong_at("text.reply = 5", 1, 14, "is the number 5; it must be a text in quotes");
}

#[test]
fn answers_are_for_plain_text_only() {
    let config = good("[text.answers]\nhello = \"hi there\"\n\"\" = \"empty\"\nget = \"no command\"");
    assert_eq!(config.text.answers.get("hello").map(String::as_str), Some("hi there"));
    assert_eq!(config.text.answers.len(), 3);
    let message = "has the message \"PING me\", which is a command";
    wrong_at("[text.answers]\na = \"b\"\n\"PING me\" = \"x\"", 3, 1, message);
    wrong_at("[text.answers]\n\"#s.1 hello\" = \"x\"", 2, 1, "which is a command");
    wrong_at("[text.answers]\n\"a\\r\" = \"x\"", 2, 1, "holds a CR, LF or NUL");
    wrong_at("[text.answers]\na = \"x\\n\"", 2, 5, "has for \"a\" an answer that holds a CR, LF or NUL");
    wrong_at("[text.answers]\na = true", 2, 5, "has for \"a\" true; an answer must be a text");
    wrong_at("text.answers = \"a\"", 1, 16, "must be a table of messages and answers");
    let many = |n: usize| (0..n).fold("[text.answers]\n".to_owned(), |all, i| format!("{all}{i} = \"\"\n"));
    assert_eq!(good(&many(1000)).text.answers.len(), 1000);
    assert!(
        wrong(&many(1001))
            .iter()
            .any(|(_, _, message)| message.contains("has 1001 entries; it may have 1000"))
    );
}

#[test]
fn names_addresses_and_paths_are_checked() {
    assert_eq!(good("broadcast.name = \"office/hub.1-2_3456789xy\"").broadcast.name.len(), 24);
    wrong_at("broadcast.name = \"office/hub.1-2_3456789xyz\"", 1, 18, "at most 24 letters, digits");
    wrong_at("broadcast.name = \"my hub\"", 1, 18, "at most 24 letters, digits");
    assert_eq!(good("broadcast.address = \"10.0.0.255\"").broadcast.address, Some([10, 0, 0, 255].into()));
    wrong_at("broadcast.address = \"ff02::1\"", 1, 21, "\"auto\" or an IPv4 address");
    assert_eq!(good("state.directory = \"\"").state.directory, Directory::Memory);
    wrong_at("state.directory = \"var\"", 1, 19, "an absolute path in quotes, which begins with /");
    wrong_at("access.keys_file = \"~/keys\"", 1, 20, "an absolute path");
    wrong_at("state.sync = \"FULL\"", 1, 14, "is \"FULL\"; it must be one of \"normal\", \"full\"");
    assert_eq!(good("log.level = \"trace\"").log.level, Level::Trace);
    wrong_at("log.level = \"loud\"", 1, 13, "one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"");
}

#[test]
fn networks_and_guests_are_checked() {
    let networks = good("access.networks = [\"10.0.0.0/8\", \"::1\", \"1.2.3.4\"]").access.networks;
    let expected = ["10.0.0.0/8", "::1/128", "1.2.3.4/32"].map(|network| network.parse().unwrap());
    assert_eq!(networks, Networks::List(expected.to_vec()));
    wrong_at("access.networks = \"10.0.0.0/8\"", 1, 19, "it must be \"local\" or a list");
    wrong_at("access.networks = []", 1, 19, "nobody would be answered");
    wrong_at(
        "access.networks = [\"local\", \"::/0\"]",
        1,
        20,
        "holds \"local\"; each entry must be a network",
    );
    let advice = "write 10.0.0.0/8 for all of it or 10.0.0.5 for that host alone";
    wrong_at("access.networks = [\"10.0.0.5/8\"]", 1, 20, advice);
    let many = |n: usize| format!("access.networks = {:?}", vec!["::1"; n]);
    assert!(matches!(good(&many(256)).access.networks, Networks::List(list) if list.len() == 256));
    wrong_at(&many(257), 1, 19, "names 257 networks; it may name 256");

    let guests = good("access.guests = [\"PING\", \"GET\"]").access.guests;
    assert_eq!(guests, Guests::Only(vec![Word::Ping, Word::Get]));
    assert_eq!(good("access.guests = []").access.guests, Guests::Only(Vec::new()));
    wrong_at("access.guests = [\"get\"]", 1, 18, "names \"get\", which is no command; did you mean `GET`?");
    wrong_at("access.guests = [\"GET\", \"GET\"]", 1, 25, "names GET twice");
    wrong_at("access.guests = \"none\"", 1, 17, "it must be \"all\" or a list of commands");
}

#[test]
fn relations_between_settings_are_checked_once_all_is_read() {
    let limits = "[limits]\nmax_message_bytes = 10000\nunread_bytes = ";
    assert_eq!(good(&format!("{limits}20000")).limits.unread_bytes, 20_000);
    wrong_at(&format!("{limits}19999"), 3, 16, "at least 2 times `limits.max_message_bytes`, here 20000");
    wrong_at("limits.sessions = 5", 1, 19, "`limits.sessions_per_address` is 8192; it must be at most");
    wrong_at("access.required = true", 1, 19, "no `access.keys_file`, and nothing in /etc/pigeond/keys");
    assert!(good("[access]\nrequired = true\nkeys_file = \"/etc/keys\"").access.required);
    // What could not be read is not held against the rest.
    wrong_at("[access]\nrequired = true\nkeys_file = \"keys\"", 3, 13, "an absolute path");
}
