//! What an operator may set each number to, with the reason for either end.

use core::ops::RangeInclusive;
use core::time::Duration;

use crate::limits::{LIST_BYTES, MESSAGE_BYTES, MESSAGE_BYTES_RANGE, SOCKETS};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(168);

/// A port to name to others; 0 is none.
pub const PORT: RangeInclusive<u16> = 1..=u16::MAX;
/// The main port: 0 lets the system pick one.
pub const PORT_OR_ANY: RangeInclusive<u16> = 0..=u16::MAX;
/// Most bind addresses times ports: during a reload the old and the new sockets are open at the same time.
pub const SOCKETS_CONFIGURED: usize = SOCKETS / 2;

/// Joined clients: a hub for nobody is a mistake; at 1 KiB each the upper end takes 100 MiB.
pub const CLIENTS: RangeInclusive<usize> = 1..=100_000;
/// When a silent client's place is free again: below a second every client would flap.
pub const CLIENT_IDLE: RangeInclusive<Duration> = SECOND..=WEEK;
/// Messages that wait for one client.
pub const MAILBOX: RangeInclusive<usize> = 1..=10_000;

/// Milliseconds of quiet that end a TCP text: below 5 a text falls apart on any network; after 5 s nobody waits.
pub const QUIET_MS: RangeInclusive<u64> = 5..=5000;
/// Longest configured text (reply, greeting, answer), in bytes: it fits one datagram on any network.
pub const TEXT_BYTES: usize = LIST_BYTES;
/// Most entries of `text.answers`: a table for a hub, not a database.
pub const ANSWERS: usize = 1000;

/// TCP connections, in all or from one address: the upper end needs as many descriptors from the system.
pub const TCP_CONNECTIONS: RangeInclusive<usize> = 1..=100_000;
/// Plain texts answered per address and second: the upper end is more than one core answers.
pub const TEXT_PER_SECOND: RangeInclusive<u32> = 1..=1_000_000;
/// How long a TCP connection may take for its first line: who types it needs some seconds.
pub const FIRST_LINE: RangeInclusive<Duration> = SECOND..=DAY;
/// When a silent TCP guest is closed.
pub const GUEST_IDLE: RangeInclusive<Duration> = SECOND..=WEEK;
/// Unread bytes of one TCP client: room for a pipe's worth at least; 64 such clients take 1 GiB at most.
pub const UNREAD_BYTES: RangeInclusive<usize> = 16_384..=16 * 1024 * 1024;
/// How many longest messages [`UNREAD_BYTES`] must hold: one may be on its way while the next is pushed.
pub const UNREAD_MESSAGES: usize = 2;
/// Values in all, or brought into being by one address: keys and bookkeeping of the upper end take some 200 MiB.
pub const VALUES: RangeInclusive<usize> = 1..=1_000_000;
/// Bytes of all keys and values together: a page at least; the upper end fits a 32-bit address space.
pub const VALUE_BYTES: RangeInclusive<usize> = 4096..=1024 * 1024 * 1024;
/// Patterns that one client watches: each change is held against all of them.
pub const WATCHES: RangeInclusive<usize> = 1..=10_000;
/// Sessions remembered, in all or from one address.
pub const SESSIONS: RangeInclusive<usize> = 1..=1_000_000;
/// How long a silent session is remembered: shorter than a minute, a slow resend would find it gone.
pub const SESSION_IDLE: RangeInclusive<Duration> = MINUTE..=WEEK;
/// How long an ASK waits for its ANSWER: one slow round trip at least, and less than a client's patience.
pub const ASK_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);
/// Mailboxes, in all or made from one address.
pub const MAILBOXES: RangeInclusive<usize> = 1..=1_000_000;

/// How often the hub announces itself: once a second is chatter enough, and a day is as good as never.
pub const ANNOUNCE_EVERY: RangeInclusive<Duration> = SECOND..=DAY;

/// Most entries of `access.networks`: each datagram is held against all of them.
pub const NETWORKS: usize = 256;

/// Hexadecimal digits of a code's secret: 16 bytes are beyond guessing; more than a block of the hash adds nothing.
pub const SECRET_DIGITS: RangeInclusive<usize> = 32..=128;
/// Most codes with a secret: a file that somebody keeps by hand, not a database.
pub const KEYS: usize = 10_000;
/// Most patterns in each list of what a code may set or watch: each request is held against all of them.
pub const ALLOWED: usize = 256;

const _: () = assert!(*UNREAD_BYTES.end() >= UNREAD_MESSAGES * *MESSAGE_BYTES_RANGE.end());
const _: () = assert!(*UNREAD_BYTES.start() >= UNREAD_MESSAGES * MESSAGE_BYTES);
const _: () = assert!(TEXT_BYTES <= *MESSAGE_BYTES_RANGE.start(), "an answered message can be received");
const _: () = assert!(SOCKETS_CONFIGURED >= 2, "IPv4 and IPv6");
