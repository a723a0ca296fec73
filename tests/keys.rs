//! Keys: what a recorded, forged or stolen line can do against a client whose code has a secret (protocol, section 7).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

#[path = "keys/attacks.rs"]
mod attacks;
#[path = "keys/daemon.rs"]
mod daemon;
#[path = "keys/kept.rs"]
mod kept;
#[path = "keys/person.rs"]
mod person;
#[path = "keys/random.rs"]
mod random;
#[path = "keys/room.rs"]
mod room;
#[path = "keys/rules.rs"]
mod rules;
#[path = "keys/shared.rs"]
mod shared;

mod common;
mod world;
