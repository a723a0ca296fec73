//! Programs in the manner of the tutorials that people copy, run unchanged against the daemon.
//!
//! None of them knows anything of pigeond: each is told a host and a port, as it would be told those of the
//! tutorial's own server.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;
#[path = "common/program.rs"]
mod program;

use std::net::{TcpListener, UdpSocket};

use common::Daemon;
use program::{Program, at, compiled, python, run, script, tool};

#[test]
fn a_udp_counter_client_counts() {
    let daemon = Daemon::start();
    let printed = run(python("tests/tutorial/udp_counter.py"), &daemon, &["INC", "INC", "DEC", "INC"]);
    assert_eq!(replies(&printed), ["1", "2", "1", "2"]);
}

#[test]
fn a_udp_counter_client_has_its_text_echoed() {
    let daemon = Daemon::start();
    let printed = run(python("tests/tutorial/udp_counter.py"), &daemon, &["Hello UDP Server", "inc", "INC"]);
    assert_eq!(replies(&printed), ["Hello UDP Server", "inc", "1"]);
}

#[test]
fn a_udp_counter_client_is_told_the_counter_if_the_operator_wants() {
    let daemon = Daemon::with("[text]\nreply = \"counter\"");
    let printed = run(python("tests/tutorial/udp_counter.py"), &daemon, &["what?", "INC", "INC", "what?"]);
    assert_eq!(replies(&printed), ["0", "1", "2", "2"]);
}

#[test]
fn a_menu_client_gets_the_answers_that_the_operator_set() {
    let daemon = Daemon::with("[text]\nanswers = { \"1\" = \"one\", \"list files\" = \"none\" }");
    let printed = run(python("tests/tutorial/udp_counter.py"), &daemon, &["1", "list files", "2"]);
    assert_eq!(replies(&printed), ["one", "none", "2"]);
}

#[test]
fn a_connected_udp_client_is_answered_from_the_address_it_asked() {
    let daemon = Daemon::start();
    let printed = run(python("tests/tutorial/udp_connected.py"), &daemon, &["INC", "Hello", "GET counter"]);
    assert_eq!(printed, "1\nHello\n1");
}

#[test]
fn a_udp_client_that_binds_its_own_port_is_the_same_client_when_it_comes_back() {
    let daemon = Daemon::start();
    let bound = |words: &[&str]| run(python("tests/tutorial/udp_bound.py"), &daemon, words);
    let first = bound(&["0", "hello", "JOIN ann"]);
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[1..], ["hello from the server", "joined ann 1/10 from the server"]);
    let second = bound(&[lines[0], "ALL anyone there?"]);
    assert_eq!(second, format!("{}\n0 from the server", lines[0]));
}

#[test]
fn a_udp_pinger_loses_nothing() {
    let daemon = Daemon::start();
    assert_eq!(run(python("tests/tutorial/udp_pinger.py"), &daemon, &[]), "10 of 10 came back");
}

#[test]
fn a_udp_client_has_its_packed_numbers_echoed() {
    let daemon = Daemon::start();
    assert_eq!(run(python("tests/tutorial/udp_binary.py"), &daemon, &[]), "(7, 513, 21.5)");
}

#[test]
fn a_tcp_client_that_sends_no_line_end_is_answered() {
    let daemon = Daemon::start();
    assert_eq!(run(python("tests/tutorial/tcp_hello.py"), &daemon, &[]), "Received b'Hello'");
}

#[test]
fn a_tcp_client_that_half_closes_gets_all_its_answers_and_the_end() {
    let daemon = Daemon::start();
    let half_close = |words: &[&str]| run(python("tests/tutorial/tcp_half_close.py"), &daemon, words);
    assert_eq!(half_close(&["INC", "INC", "and text"]), "1\n2\nand text");
    assert_eq!(half_close(&["INC"]), "3");
    assert_eq!(half_close(&["Hello"]), "Hello");
}

#[test]
fn a_tcp_client_in_an_input_loop_is_answered_message_by_message() {
    let daemon = Daemon::start();
    let mut client = at(python("tests/tutorial/tcp_input_loop.py"), "127.0.0.1", &daemon, &[]);
    for (typed, reply) in
        [("hi", "hi"), ("INC", "1"), ("S", "S"), ("INC", "2"), ("how are you?", "how are you?")]
    {
        client.enter(typed);
        assert_eq!(client.line(), format!("Received from server: {reply}"));
    }
    client.enter("bye");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_tcp_client_that_prints_lines_gets_lines_that_end_alike() {
    let daemon = Daemon::start();
    let words = ["SET room/temp 21.5", "GET room/temp", "hello there", ""];
    let printed = run(python("tests/tutorial/tcp_println.py"), &daemon, &words);
    assert_eq!(printed, "b'set\\r\\n'\nb'21.5\\r\\n'\nb'hello there\\r\\n'\nb'\\r\\n'");
}

#[test]
fn a_tcp_client_that_waits_for_the_first_word_gets_the_greeting() {
    let daemon = Daemon::with("[text]\ngreeting = \"Thank you for connecting\"");
    assert_eq!(run(python("tests/tutorial/tcp_first_word.py"), &daemon, &[]), "Thank you for connecting\n");
}

#[test]
fn a_tcp_client_may_treat_the_connection_as_a_file() {
    let daemon = Daemon::start();
    let printed =
        run(python("tests/tutorial/tcp_makefile.py"), &daemon, &["INC a 5", "DEC a", "gr\u{fc}\u{df} dich"]);
    assert_eq!(printed, "5\n4\ngr\u{fc}\u{df} dich");
}

#[test]
fn a_socketserver_client_is_answered_over_tcp_and_udp() {
    let daemon = Daemon::start();
    let printed = run(python("tests/tutorial/socketserver_client.py"), &daemon, &["python", "is", "nice"]);
    let exchange = "Sent:     python is nice\nReceived: python is nice\n";
    assert_eq!(printed, format!("{exchange}\n{exchange}"));
}

#[test]
fn asyncio_clients_are_answered_over_tcp_and_udp() {
    let daemon = Daemon::start();
    let exchange = "Send: 'Hello World!'\nReceived: 'Hello World!'";
    assert_eq!(
        run(python("tests/tutorial/asyncio_client.py"), &daemon, &[]),
        format!("{exchange}\n{exchange}")
    );
}

#[test]
fn threads_that_count_at_the_same_time_lose_no_count() {
    let daemon = Daemon::start();
    assert_eq!(run(python("tests/tutorial/threads.py"), &daemon, &[]), "total 800");
}

#[test]
fn clients_of_any_address_family_are_answered() {
    let daemon = Daemon::start();
    for (host, family) in [("::1", "AF_INET6"), ("127.0.0.1", "AF_INET")] {
        let client = at(python("tests/tutorial/any_family.py"), host, &daemon, &[]);
        let printed = format!("{family} SOCK_STREAM Hello, world\n{family} SOCK_DGRAM Hello, world");
        assert_eq!(client.rest(), printed);
    }
}

#[test]
fn a_name_that_has_addresses_of_both_families_is_good_too() {
    let daemon = Daemon::start();
    let client = at(python("tests/tutorial/any_family.py"), "localhost", &daemon, &[]);
    assert_eq!(client.rest().matches("Hello, world").count(), 2);
}

#[test]
fn a_c_client_that_sends_padded_records_over_udp_is_answered_with_strings() {
    let (daemon, directory) = (Daemon::start(), tempfile::tempdir().expect("a directory"));
    let Some(client) = compiled("tests/tutorial/records_udp.c", directory.path()) else { return };
    let printed = run(client, &daemon, &["INC", "INC", "hello"]);
    assert_eq!(printed, "1 (2 bytes)\n2 (2 bytes)\nhello (128 bytes)");
}

#[test]
fn a_c_client_that_sends_padded_records_over_udp_to_ipv6_is_answered() {
    let (daemon, directory) = (Daemon::start(), tempfile::tempdir().expect("a directory"));
    let Some(client) = compiled("tests/tutorial/records_udp.c", directory.path()) else { return };
    assert_eq!(at(client, "::1", &daemon, &["SET a 1", "GET a"]).rest(), "set (4 bytes)\n1 (2 bytes)");
}

#[test]
fn a_c_client_that_sends_padded_lines_over_tcp_is_answered() {
    let (daemon, directory) = (Daemon::start(), tempfile::tempdir().expect("a directory"));
    let Some(client) = compiled("tests/tutorial/records_tcp.c", directory.path()) else { return };
    records_over_tcp(client, &daemon);
}

#[test]
fn a_c_client_that_sends_padded_strings_over_tcp_is_answered() {
    let (daemon, directory) = (Daemon::start(), tempfile::tempdir().expect("a directory"));
    let Some(client) = compiled("tests/tutorial/records_tcp_string.c", directory.path()) else { return };
    records_over_tcp(client, &daemon);
}

fn records_over_tcp(client: std::process::Command, daemon: &Daemon) {
    let mut client = at(client, "127.0.0.1", daemon, &[]);
    for (typed, reply) in [("hello", "hello"), ("INC", "1"), ("how are you", "how are you"), ("INC", "2")] {
        client.enter(typed);
        assert_eq!(client.line(), format!("From Server : {reply}"));
    }
    assert_eq!(client.rest(), "");
}

#[test]
fn ten_udp_clients_join_and_the_eleventh_is_refused_until_one_leaves() {
    ten_join_and_the_eleventh_is_refused("tests/tutorial/udp_chat.py");
}

#[test]
fn ten_tcp_clients_join_and_the_eleventh_is_refused_until_one_leaves() {
    ten_join_and_the_eleventh_is_refused("tests/tutorial/tcp_chat.py");
}

fn ten_join_and_the_eleventh_is_refused(chat: &str) {
    let daemon = Daemon::start();
    let mut clients: Vec<Program> = Vec::new();
    for n in 1..=10 {
        let mut client = at(python(chat), "127.0.0.1", &daemon, &[&format!("client-{n}")]);
        assert_eq!(client.line(), format!("joined client-{n} {n}/10"));
        clients.push(client);
    }
    let mut eleventh = at(python(chat), "127.0.0.1", &daemon, &["client-11"]);
    let refusal = eleventh.line();
    assert!(refusal.starts_with("ERR full ") && refusal.len() <= 100, "{refusal}");
    clients[3].enter("BYE");
    assert_eq!(clients[3].line(), "bye");
    eleventh.enter("JOIN client-11");
    assert_eq!(eleventh.line(), "joined client-11 10/10");
    clients[0].enter("ALL good morning");
    assert_eq!(clients[0].line(), "9");
    assert_eq!(eleventh.line(), "MSG client-1 good morning");
}

#[test]
fn what_one_sends_to_all_the_other_registered_clients_get_over_udp_and_tcp() {
    let daemon = Daemon::start();
    let chat = |file, code| {
        let mut client = at(python(file), "127.0.0.1", &daemon, &[code]);
        assert!(client.line().starts_with(&format!("joined {code} ")));
        client
    };
    let mut ann = chat("tests/tutorial/udp_chat.py", "ann");
    let mut bob = chat("tests/tutorial/udp_chat.py", "bob");
    let mut eve = chat("tests/tutorial/tcp_chat.py", "eve");
    ann.enter("ALL good morning");
    assert_eq!(ann.line(), "2");
    assert_eq!(bob.line(), "MSG ann good morning");
    assert_eq!(eve.line(), "MSG ann good morning");
    eve.enter("SEND bob only you");
    assert_eq!(eve.line(), "sent");
    assert_eq!(bob.line(), "MSG eve only you");
    bob.enter("SEND zoe hi");
    assert!(bob.line().starts_with("ERR no-such-client "));
}

#[test]
fn a_node_dgram_client_is_answered() {
    let Some(client) = script("node", "tests/tutorial/dgram.js") else { return };
    let daemon = Daemon::start();
    let printed = run(client, &daemon, &["Some bytes", "INC", "INC"]);
    let expected = ["Some bytes", "1", "2"].map(|reply| format!("client got: {reply} from 127.0.0.1"));
    assert_eq!(printed, expected.join("\n"));
}

#[test]
fn a_node_net_client_is_answered_with_and_without_a_line_end() {
    let daemon = Daemon::start();
    for (message, reply) in [
        ("world!\r\n", "world!"),
        ("Hello, server! Love, Client.", "Hello, server! Love, Client."),
        ("INC", "1"),
    ] {
        let Some(client) = script("node", "tests/tutorial/net.js") else { return };
        let expected = format!("connected to server!\n{reply}\ndisconnected from server");
        assert_eq!(run(client, &daemon, &[message]), expected);
    }
}

#[test]
fn nc_over_tcp_is_a_client() {
    nc_is_a_client(&[]);
}

#[test]
fn nc_over_udp_is_a_client() {
    nc_is_a_client(&["-u"]);
}

fn nc_is_a_client(options: &[&str]) {
    let Some(mut client) = tool("nc") else { return };
    client.args(options);
    let daemon = Daemon::start();
    let mut client = at(client, "127.0.0.1", &daemon, &[]);
    for (typed, reply) in [("INC", "1"), ("hello", "hello"), ("JOIN ann", "joined ann 1/10"), ("BYE", "bye")]
    {
        client.enter(typed);
        assert_eq!(client.line(), reply);
    }
}

#[test]
fn bash_alone_is_a_client() {
    let Some(client) = script("bash", "tests/tutorial/dev_tcp.sh") else { return };
    let daemon = Daemon::start();
    assert_eq!(run(client, &daemon, &[]), "INC is 1\nINC is 2\nDEC is 1");
}

#[test]
fn ctrl_c_ends_the_daemon_cleanly_and_frees_its_port_at_once() {
    ends_cleanly("INT");
}

#[test]
fn sigterm_ends_the_daemon_cleanly_and_frees_its_port_at_once() {
    ends_cleanly("TERM");
}

fn ends_cleanly(signal: &str) {
    let mut daemon = Daemon::start();
    let mut udp = at(python("tests/tutorial/udp_chat.py"), "127.0.0.1", &daemon, &["ann"]);
    let mut tcp = at(python("tests/tutorial/tcp_chat.py"), "127.0.0.1", &daemon, &["bob"]);
    assert!(udp.line().starts_with("joined ann ") && tcp.line().starts_with("joined bob "));
    daemon.signal(signal);
    assert_eq!(daemon.wait().code(), Some(0));
    daemon.wait_for_log("stopped");
    // The clients are still there; the port is free for UDP, and for TCP, and for the daemon that follows.
    drop(UdpSocket::bind(daemon.address()).expect("the UDP port is free"));
    drop(TcpListener::bind(daemon.address()).expect("the TCP port is free"));
    let listen = format!("[listen]\nbind = [\"127.0.0.1\", \"::1\"]\nport = {}", daemon.port);
    let next = Daemon::with(&listen);
    udp.enter("JOIN ann");
    assert_eq!(udp.line(), "joined ann 1/10");
    assert_eq!(run(python("tests/tutorial/tcp_hello.py"), &next, &[]), "Received b'Hello'");
}

fn replies(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.strip_prefix("Message from Server: ")).collect()
}
