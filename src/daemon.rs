//! The daemon: the shells around the hub, one for each thing that it must not know.
//!
//! One thread runs everything. Each socket and each connection has a small task that waits for the kernel,
//! hands what came to the hub, and does what the hub says; `core::Core` is what they share.

mod bind;
mod broadcast;
mod core;
mod descriptors;
mod drops;
mod ears;
mod files;
mod handover;
mod interfaces;
mod journal;
mod keeper;
mod neighbours;
mod options;
mod run;
mod state;
mod store;
mod streams;
mod systemd;
mod tails;
mod tcp;
mod udp;
mod udp_send;

pub use options::{FLAGS, Flag};
pub use run::main;
