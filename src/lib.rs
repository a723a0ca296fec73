//! pigeond: a small hub that any plain UDP or TCP socket can talk to, with no library.
//!
//! A pure core that knows no socket, clock, file or thread, and thin shells that do. Read the rooms in this
//! order; each may use only those above it:
//!
//! 1. [`limits`], [`moment`], [`names`]: every bound, time as data, a type for each name
//! 2. [`wire`]: the protocol, bytes in and typed messages out; [`proof`]: that a line comes from who knows a secret
//! 3. [`hub`]: the stores, and one dispatch from request to action
//! 4. [`courier`]: the client's half, as pure as the hub
//! 5. [`config`]: TOML in, checked settings out
//! 6. `machine`: what both shells ask of the system; [`daemon`] and [`cli`]: the shells, with sockets, clocks and processes
//!
//! What is absent below the shells, and stays absent: clocks, sockets, the environment, `unsafe`, locks,
//! unbounded queues, and iteration over hash maps (so that every run can be repeated).

pub mod cli;
pub mod config;
pub mod courier;
pub mod daemon;
pub mod hub;
pub mod limits;
mod machine;
pub mod moment;
pub mod names;
pub mod proof;
pub mod wire;
