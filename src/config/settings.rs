//! The settings as plain data, their defaults, and how they are printed.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::Serialize;

use super::print;
use crate::hub::{Keys, Networks, TextReply};
use crate::limits::{DEFAULT_PORT, MESSAGE_BYTES};
use crate::wire::Word;

/// `[listen]`: where the hub listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listen {
    /// The addresses, at least one, none twice; times the ports at most
    /// [`SOCKETS_CONFIGURED`](super::ranges::SOCKETS_CONFIGURED).
    pub bind: Vec<IpAddr>,
    /// The port; 0 lets the system pick one.
    pub port: u16,
    /// Further ports, none of them 0, none twice.
    pub extra_ports: Vec<u16>,
    /// Whether to listen on UDP; UDP or TCP is always on.
    pub udp: bool,
    /// Whether to listen on TCP.
    pub tcp: bool,
}

/// `[clients]`: who may join and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clients {
    /// Most joined clients.
    pub limit: usize,
    /// How long a UDP client keeps its place without a datagram.
    #[serde(serialize_with = "print::duration")]
    pub idle: Duration,
    /// Most messages that wait in one mailbox.
    pub mailbox: usize,
}

/// `[text]`: what plain text is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The answer to plain text.
    pub reply: TextReply,
    /// The pause that ends a TCP text without line end (`quiet_ms`).
    #[serde(rename = "quiet_ms", serialize_with = "print::millis")]
    pub quiet: Duration,
    /// What a TCP client is sent when it connects; empty: nothing.
    pub greeting: String,
    /// Messages with an answer of their own, without line ends.
    pub answers: BTreeMap<String, String>,
}

/// `[limits]`: what keeps one client from taking everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Longest datagram or TCP line, in bytes.
    pub max_message_bytes: usize,
    /// Most TCP connections in all.
    pub tcp_connections: usize,
    /// Most TCP connections from one address.
    pub tcp_connections_per_address: usize,
    /// Most plain texts over UDP that are answered per source address and second.
    pub text_per_second: u32,
    /// When a TCP connection that has begun its first line and not completed it is closed; `None`: never.
    #[serde(serialize_with = "print::duration_or_never")]
    pub first_line: Option<Duration>,
    /// When a TCP connection that is silent and has not joined is closed; `None`: never.
    #[serde(serialize_with = "print::duration_or_never")]
    pub guest_idle: Option<Duration>,
    /// A TCP client with more bytes of pushes unread than that is closed.
    pub unread_bytes: usize,
    /// Most values.
    pub values: usize,
    /// Most bytes of all keys and values together.
    pub value_bytes: usize,
    /// Most values that one source address may bring into being.
    pub per_client_values: usize,
    /// Most patterns that one client may watch.
    pub watches_per_client: usize,
    /// Most sessions remembered.
    pub sessions: usize,
    /// Most sessions remembered from one source address; at most `sessions`.
    pub sessions_per_address: usize,
    /// How long a silent session is remembered.
    #[serde(serialize_with = "print::duration")]
    pub session_idle: Duration,
    /// How long an ASK waits for its ANSWER.
    #[serde(serialize_with = "print::duration")]
    pub ask_timeout: Duration,
    /// Most mailboxes.
    pub mailboxes: usize,
    /// Most mailboxes made from one source address.
    pub mailboxes_per_address: usize,
}

/// `[broadcast]`: how the hub is found on the LAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broadcast {
    /// Whether DISCOVER is answered when it was broadcast.
    pub discovery: bool,
    /// How often the hub announces itself; `None`: never.
    #[serde(serialize_with = "print::duration_or_never")]
    pub announce_every: Option<Duration>,
    /// Where announcements go; `None`: each interface's own broadcast address.
    #[serde(serialize_with = "print::address_or_auto")]
    pub address: Option<Ipv4Addr>,
    /// The port that announcements go to.
    pub port: u16,
    /// Whether clients may SHOUT.
    pub shout: bool,
    /// What the hub calls itself, of a code's characters; empty: the host's name.
    pub name: String,
}

/// `[state]`: what outlives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Where the state file is kept.
    #[serde(skip_serializing_if = "Directory::is_automatic")]
    pub directory: Directory,
    /// When a commit counts as kept.
    pub sync: Sync,
}

/// Where the state file is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Not set: where systemd says, else the user's own place for state.
    Automatic,
    /// Nowhere: all is kept in memory and ends with the process.
    Memory,
    /// In this directory, an absolute path.
    At(PathBuf),
}

/// When a commit counts as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Once the system has it: it survives a crash of the hub, not always a power cut.
    Normal,
    /// Once the disk has it: it survives a power cut too.
    Full,
}

/// `[access]`: who may ask what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Who is answered.
    pub networks: Networks,
    /// What clients that have not joined may do.
    pub guests: Guests,
    /// Most requests per source address and second; `None`: no limit.
    #[serde(serialize_with = "print::count_or_zero")]
    pub requests_per_second: Option<NonZeroU32>,
    /// Most of them at once; `None`: as many as in a second.
    #[serde(serialize_with = "print::count_or_zero")]
    pub burst: Option<NonZeroU32>,
    /// The file with the clients' keys, an absolute path.
    #[serde(serialize_with = "print::path_or_empty")]
    pub keys_file: Option<PathBuf>,
    /// Whether every client needs a key; then there is a `keys_file`, or the daemon knows another.
    pub required: bool,
    /// What that file says. It is no setting, and never printed.
    #[serde(skip)]
    pub keys: Keys,
}

/// What clients that have not joined may do, beside JOIN, BYE, HELP and DISCOVER, which they always may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guests {
    /// All that needs no place.
    All,
    /// Only these commands, none twice.
    Only(Vec<Word>),
}

/// `[log]`: what is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The least important kind of event that is logged.
    pub level: Level,
}

/// How important an event is, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is broken.
    Error,
    /// The hub's own trouble.
    Warn,
    /// A client comes or goes.
    Info,
    /// A peer's mistake.
    Debug,
    /// Every packet.
    Trace,
}

impl Default for Listen {
    fn default() -> Self {
        let bind = vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        Self { bind, port: DEFAULT_PORT, extra_ports: Vec::new(), udp: true, tcp: true }
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self { limit: 10, idle: Duration::from_mins(5), mailbox: 100 }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self {
            reply: TextReply::Echo,
            quiet: Duration::from_millis(50),
            greeting: String::new(),
            answers: BTreeMap::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let hour = Duration::from_hours(1);
        Self {
            max_message_bytes: MESSAGE_BYTES,
            tcp_connections: 1000,
            tcp_connections_per_address: 250,
            text_per_second: 200,
            first_line: Some(Duration::from_mins(1)),
            guest_idle: Some(hour),
            unread_bytes: 262_144,
            values: 10_000,
            value_bytes: 16 * 1024 * 1024,
            per_client_values: 10_000,
            watches_per_client: 64,
            sessions: 32_768,
            sessions_per_address: 8192,
            session_idle: hour,
            ask_timeout: Duration::from_secs(10),
            mailboxes: 1000,
            mailboxes_per_address: 250,
        }
    }
}

impl Default for Broadcast {
    fn default() -> Self {
        Self {
            discovery: true,
            announce_every: Some(Duration::from_secs(30)),
            address: None,
            port: DEFAULT_PORT,
            shout: false,
            name: String::new(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { directory: Directory::Automatic, sync: Sync::Normal }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            networks: Networks::Local,
            guests: Guests::All,
            requests_per_second: NonZeroU32::new(50_000),
            burst: None,
            keys_file: None,
            required: false,
            keys: Keys::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info }
    }
}
