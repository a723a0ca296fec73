//! A network that loses, repeats and reorders: what `pigeon` counts through it is exact all the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::atomic::Ordering;

use common::relay::Relay;
use common::{Daemon, ask};

#[test]
fn pigeon_inc_counts_exactly_through_a_network_that_drops_30_and_repeats_20_percent() {
    let daemon = Daemon::start();
    let relay = Relay::start(daemon.address(), 30, 20);
    let hub = relay.address.to_string();
    let times = 15;
    for n in 1..=times {
        let run = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pigeon"))
            .args(["--hub", &hub, "--timeout", "60s", "inc"])
            .env_remove("PIGEON_HUB")
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .assert()
            .success();
        assert_eq!(String::from_utf8_lossy(&run.get_output().stdout), format!("{n}\n"));
    }
    assert_eq!(ask(&daemon.udp(), b"GET counter"), times.to_string().as_bytes());
    assert!(relay.lost.load(Ordering::Relaxed) > 0 && relay.repeated.load(Ordering::Relaxed) > 0);
}
