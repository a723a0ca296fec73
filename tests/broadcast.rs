//! The real daemon's announcements and shouts. They go to loopback here; tests/network sends them over whole networks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::{Daemon, PATIENCE, ask, uninterrupted};

/// Somebody on the LAN, and the settings that let a hub be heard there.
fn listener() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let settings = format!(
        "[broadcast]\naddress = \"127.0.0.1\"\nport = {port}\nname = \"attic\"\nshout = true\nannounce_every = "
    );
    (socket, settings)
}

fn hear(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 2000];
    let (length, from) = uninterrupted(|| socket.recv_from(&mut buffer)).expect("a broadcast");
    (String::from_utf8_lossy(&buffer[..length]).into_owned(), from)
}

#[test]
fn a_hub_announces_itself_at_once_and_again_and_as_new_settings_say() {
    let (lan, settings) = listener();
    let mut hub = Daemon::with(&(settings.clone() + "\"1s\""));
    let here = |name: &str| format!("HERE {name} {} {} 0/10", env!("CARGO_PKG_VERSION"), hub.port);
    let (attic, cellar) = (here("attic"), here("cellar"));
    for _ in 0..2 {
        let (line, from) = hear(&lan);
        assert_eq!(
            (line.as_str(), from.ip(), from.port() == hub.port),
            (attic.as_str(), hub.address().ip(), false)
        );
    }
    hub.write_config(&(settings.replace("attic", "cellar") + "\"1s\""));
    hub.signal("HUP");
    hub.wait_for_log("the configuration was reloaded");
    while hear(&lan).0 != cellar {}
}

#[test]
fn whoever_answers_a_shout_talks_to_nobody() {
    let (lan, settings) = listener();
    let hub = Daemon::with(&(settings + "\"0\""));
    let client = hub.udp();
    assert_eq!(ask(&client, b"JOIN ann"), b"joined ann 1/10");
    assert_eq!(ask(&client, b"#abcdefgh.1 SHOUT hello"), b"#abcdefgh.1 OK shouted");
    let (text, deaf) = hear(&lan);
    assert_eq!(text, "hello");
    for line in [&b"PING"[..], b"INC", b"hello"] {
        lan.send_to(line, deaf).unwrap();
    }
    // What comes next is the next shout: no answer came before it.
    assert_eq!(ask(&client, b"SHOUT again"), b"shouted");
    assert_eq!(hear(&lan), ("again".to_owned(), deaf));
    let stats = String::from_utf8(ask(&client, b"STATS")).unwrap();
    assert!(stats.contains(" datagrams=4 ") && stats.contains(" texts=0 "), "{stats}");
}
