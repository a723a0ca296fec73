//! Every fixed bound of the protocol and the hub, each with its reason.
//!
//! What an operator may change stands in the configuration; its defaults and permitted ranges stand here,
//! so that a bound has one name everywhere. Relations between bounds are checked when this compiles.

use core::time::Duration;

/// The port pigeond listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 10125;

/// Longest code, key or pattern, in bytes: room for a path of words, small enough to keep inline anywhere.
pub const NAME_BYTES: usize = 64;

/// Longest session name, in bytes: 16 of 64 possible characters carry 96 bits, beyond guessing.
pub const SESSION_BYTES: usize = 16;

/// Digits of a number in a tag or of a counter: `i64::MAX` has 19.
pub const NUMBER_DIGITS: usize = 19;

/// Hex digits of the proof in a tag: 64 bits, beyond guessing at network speed.
pub const MAC_DIGITS: usize = 16;

/// Shortest and longest ticket, nonce or box name, in bytes.
pub const TICKET_BYTES: core::ops::RangeInclusive<usize> = 4..=16;

/// Longest command word of HELP, in bytes; `UNWATCH` and `DISCOVER` fit with room to spare.
pub const WORD_BYTES: usize = 16;

/// Most lines that one datagram may hold: bounds the work that one packet can ask for.
pub const DATAGRAM_LINES: usize = 256;

/// Replies to one datagram share a datagram up to this size: an Ethernet frame less IPv6 and tunnel headers.
pub const REPLY_DATAGRAM_BYTES: usize = 1400;

/// The largest UDP payload over IPv4: 65,535 less the IP and UDP headers.
pub const UDP_PAYLOAD_BYTES: usize = 65_507;

/// The largest UDP payload over any network, without jumbograms.
pub const UDP_DATAGRAM_BYTES: usize = 65_535;

/// Default longest datagram or TCP line, in bytes, and what an operator may set.
pub const MESSAGE_BYTES: usize = 8192;
/// Permitted range of `limits.max_message_bytes`: one Ethernet frame fits at least; one UDP payload at most,
/// less the room that a push or an answer adds in front of the text.
pub const MESSAGE_BYTES_RANGE: core::ops::RangeInclusive<usize> =
    1500..=(UDP_PAYLOAD_BYTES - PUSH_OVERHEAD_BYTES);

/// What a push or a tagged reply can add to a text it carries: number, mac, word, ticket, code and end.
pub const PUSH_OVERHEAD_BYTES: usize = 160;

/// Longest untagged reply that the hub words itself, in bytes (protocol, section 1).
pub const REPLY_BYTES: usize = 100;

/// Longest untagged list or help, in bytes (protocol, section 1).
pub const LIST_BYTES: usize = 1000;

/// Numbers a session remembers: a client may have 32 under way, and twice that leaves room for late copies.
pub const SESSION_WINDOW: u64 = 64;

/// Requests of one session that a client has under way at most (protocol, section 4).
pub const COURIER_UNDER_WAY: usize = 32;

/// Requests that a client's courier holds back until their turn: 32 windows, then whoever asks must wait.
pub const COURIER_QUEUE: usize = 1024;

/// Copies of a JOIN with its proof that a courier sends before it opens the session anew under another name: some are
/// lost, some have come with a nonce that somebody made up.
pub const COURIER_TRIES: u32 = 6;

/// Pushes that a client's inbox takes ahead of the one it waits for, and hands out before the first of them is done
/// with: what a hub has in flight at most (protocol, section 6).
pub const INBOX_AHEAD: usize = 32;

/// Bytes of pushes that came before their turn; what does not fit comes again.
pub const INBOX_BYTES: usize = 1024 * 1024;

/// How long a session is remembered after its own BYE: longer than any copy lives in a network.
pub const SESSION_LINGER: Duration = Duration::from_mins(1);

/// So long after a proved line that was never heard before a copy of one shows that its address is still a client's:
/// what somebody recorded shows nothing later.
pub const PROOF_TIME: Duration = Duration::from_mins(1);

/// How long a nonce is given out; it is taken for one period more, so that who asked at the end of one has time.
pub const NONCE_PERIOD: Duration = Duration::from_mins(1);

/// How long a keyed session is remembered at least, after its last line or its own BYE: longer than the nonce that it
/// began with is taken, or its lines could be played again from the start.
pub const KEYED_LINGER: Duration = Duration::from_mins(3);

/// Pushes to keyed places that share a number from what is kept: the next million costs one more commit.
pub const PUSHES_PER_RUN: u64 = 1 << 20;

/// Most moves of one code from peer to peer in one [`MOVES_PERIOD`]: two peers cannot fight over a code for long.
pub const MOVES: u32 = 10;
/// The period of [`MOVES`].
pub const MOVES_PERIOD: Duration = Duration::from_mins(1);

/// How much more than three times what it sent a UDP address may be sent in one second, in bytes.
pub const AMPLIFICATION_BYTES: u64 = 256 * 1024;
/// How many times what came from an address may go back to it beside [`AMPLIFICATION_BYTES`].
pub const AMPLIFICATION_FACTOR: u64 = 3;

/// Replies and pushes that one read of a stream may cause, in bytes: once there is more, the rest of what was read
/// waits until they are sent, so that a kilobyte of `GET` cannot call up a gigabyte of values.
pub const STREAM_TURN_BYTES: usize = 64 * 1024;

/// Replies and pushes that one datagram may cause, in bytes: its further lines get `ERR busy`.
pub const DATAGRAM_TURN_BYTES: usize = 256 * 1024;

/// Messages to send that one datagram or read may cause: three to each of ten thousand clients.
pub const TURN_ACTIONS: usize = 32 * 1024;

/// Keys that the searches of one datagram or read may look at: a few milliseconds of work.
pub const TURN_STEPS: u64 = 10_000;

/// Changes that nobody waits for are saved after this time, together.
pub const SAVE_TIME: Duration = Duration::from_secs(1);

/// After a failed commit the next attempt comes after this time: space may have been made.
pub const RETRY_TIME: Duration = Duration::from_secs(1);

/// Changes that may gather while a commit runs, in bytes: a slow disk then stops what would change more.
pub const GATHERED_BYTES: usize = 4 << 20;

/// Replies and pushes that may wait for a commit, in bytes; beyond, nothing is changed that would add to them.
pub const HELD_BYTES: usize = 8 << 20;

/// Acknowledged pushes in flight to one client at most, once it has acknowledged one (protocol, section 6).
pub const DELIVERY_WINDOW: u64 = 32;

/// Pushes that are sent again at once after a loss: a small receiver holds six datagrams.
pub const DELIVERY_BURST: u64 = 4;

/// How long the first acknowledgement is waited for over UDP; each further one twice as long, up to
/// [`DELIVERY_LONGEST_PAUSE`].
pub const DELIVERY_FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long an acknowledgement is waited for at most.
pub const DELIVERY_LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How often a push is sent again over UDP before the client's place is lost.
pub const DELIVERY_TRIES: u32 = 8;

/// How long a mailbox is kept for a client that does not come.
pub const MAILBOX_IDLE: Duration = Duration::from_hours(7 * 24);

/// Letters in all mailboxes of those who have a secret together, and in those of all others, in bytes: beyond, no text and
/// no mailbox is added there.
pub const MAILBOX_BYTES: usize = 32 << 20;

/// What a letter costs beside its text, in bytes, against [`MAILBOX_BYTES`].
pub const LETTER_OVERHEAD_BYTES: usize = 64;

/// How long hubs can have run on one state in all: a state that says more is damaged, and no sum of times with it ends
/// at the end of time.
pub const UPTIME: Duration = Duration::from_hours(100 * 365 * 24);

/// Sessions, mailboxes and places that all hubs on one state can have numbered, and letters that one mailbox can: over a
/// thousand a second in all of [`UPTIME`].
pub const IDS: u64 = 1 << 42;

/// Memory for the replies that sessions remember, in bytes, for those who have a secret and for all others: beyond,
/// nothing is done that would need more of it.
pub const RECORDED_BYTES: usize = 32 << 20;

/// Questions that may be open in all of those who have no secret, and as many again of those who have: each waits for its
/// answer for seconds.
pub const QUESTIONS: usize = 4096;
/// Questions that one source address may have open, or one code that has a secret.
pub const QUESTIONS_PER_OWNER: usize = 256;

/// Messages to send, events and the like that room is kept for between inputs.
pub const KEPT_ACTIONS: usize = 1024;

/// Memory that the hub keeps for replies between inputs, in bytes; what a rare input needed beyond is given back.
pub const KEPT_BYTES: usize = 256 * 1024;

/// The part of an IPv6 address from outside the local networks that tells one source from another: everybody there has a
/// network of this prefix at least, and sends from any address in it.
pub const SOURCE_PREFIX: u32 = 64;

/// Source addresses that are remembered, in a table of fixed size; a newcomer to a full row of it takes the place of
/// another. At 100 bytes each, a flood from forged addresses takes 2 MiB.
pub const SOURCES: usize = 16_384;
/// Places in one row of the table of sources: enough that a thousand hosts never push out each other.
pub const SOURCE_ROW: usize = 8;

/// What an operator may grant each source address, in requests a second; 0 stands for no limit. The upper end is more
/// than any machine answers.
pub const REQUESTS_PER_SECOND: core::ops::RangeInclusive<u32> = 0..=10_000_000;

/// While the kernel drops datagrams, what each source may ask is halved, this long after the last time: a full turn
/// of the hub lies between.
pub const PRESSURE_TIME: Duration = Duration::from_millis(1);
/// Requests a second that are always left to each source: more than a program with a pause in its loop asks.
pub const PRESSURE_RATE: u32 = 200;
/// How often what each source may ask grows again, by its 64th part: it doubles in four and a half seconds.
pub const PRESSURE_GROWTH_TIME: Duration = Duration::from_millis(100);
/// The part by which it grows.
pub const PRESSURE_GROWTH: u32 = 64;
/// As many sources' shares are left to all that are not known together, while there is pressure.
pub const NEWCOMERS_SHARE: u32 = 8;
/// After so many turns in a row with more datagrams than a turn takes there is a crowd: a thousand, and no pause.
pub const CROWDED_TURNS: u32 = 8;
/// A crowd is over when there was no such turn for this long.
pub const CROWD_TIME: Duration = Duration::from_millis(20);
/// Datagrams a second that all who are not known have together while there is a crowd.
pub const NEWCOMERS_RATE: u32 = 2000;
/// As many of them may come at once.
pub const NEWCOMERS_BURST: u32 = 200;

/// JOINs a second of codes with a secret that are looked at from an address that has asked too often: its client is let in
/// though somebody forges its address.
pub const JOINS_PER_SECOND: u32 = 1000;

/// Of so many same plain texts from one peer, without a pause between them, the last is not answered: any loop with
/// another server ends.
pub const LOOP_TEXTS: u32 = 1000;
/// After such a pause the count begins anew: a loop that turns more slowly costs next to nothing, and a program that says
/// the same now and then, and waits for each answer, has every one.
pub const LOOP_PAUSE: Duration = Duration::from_millis(100);
/// Texts, each with its peer, that are watched for loops.
pub const LOOPS: usize = 1024;

/// A connection that has never completed a line must make room for another after this time, if there is none left.
pub const SILENT_TIME: Duration = Duration::from_secs(10);

/// A connection that takes nothing of what is to be written to it for so long is closed.
pub const UNREAD_TIME: Duration = Duration::from_mins(1);

/// Connections that are kept for a moment after their end, so that their peers can read the last reply; further ones
/// are closed at once.
pub const LINGERING: usize = 256;

/// Quiet multiples (protocol, section 8): plain text before the first LF waits one quiet time, all else four.
pub const PATIENT_QUIETS: u32 = 4;

/// Most sockets of one kind (UDP or TCP): bind addresses times ports.
pub const SOCKETS: usize = 64;

/// Most sockets that hear questions to everybody for those that listen on single addresses: two for each of these
/// where each address is on one network.
pub const EARS: usize = 2 * SOCKETS;

/// Longest name that the hub tells of itself, in bytes: INFO and HERE stay within [`REPLY_BYTES`].
pub const HUB_NAME_BYTES: usize = 24;

/// Longest text of a SHOUT, in bytes: it is one datagram that no network cuts.
pub const SHOUT_BYTES: usize = REPLY_DATAGRAM_BYTES;

/// How often one client may SHOUT, once it has used up [`SHOUT_BURST`]: everybody on the LAN must hear it.
pub const SHOUT_EVERY: Duration = Duration::from_secs(1);
/// How often one client may SHOUT in a row.
pub const SHOUT_BURST: u32 = 5;

/// How often all clients together may SHOUT, once they have used up [`SHOUTS_AT_ONCE`].
pub const SHOUT_EVERY_IN_ALL: Duration = Duration::from_millis(100);
/// How often all clients together may SHOUT in a row.
pub const SHOUTS_AT_ONCE: u32 = 10;

/// Least time between two announcements, however often the network changes.
pub const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);

/// How long the end may take, from the signal on: what has arrived is answered, and clients read their last
/// replies. The exit is then well within a second.
pub const MAX_STOP_TIME: Duration = Duration::from_millis(600);

/// The part of [`MAX_STOP_TIME`] in which what has arrived is answered.
pub const MAX_DRAIN_TIME: Duration = Duration::from_millis(300);

const _: () = assert!(SOURCES.is_multiple_of(32 * SOURCE_ROW));
const _: () = assert!(SESSION_WINDOW >= 2 * COURIER_UNDER_WAY as u64, "twice what may be under way");
const _: () = assert!(KEYED_LINGER.as_secs() > 2 * NONCE_PERIOD.as_secs(), "no nonce outlives its session");
const _: () = assert!(UPTIME.as_secs() * 1000 < IDS);
const _: () = assert!(IDS * PUSHES_PER_RUN < 1 << 63, "a push has a number of its protocol's range");
const _: () = assert!(REPLY_BYTES < LIST_BYTES && LIST_BYTES < REPLY_DATAGRAM_BYTES);
const _: () =
    assert!(MESSAGE_BYTES >= *MESSAGE_BYTES_RANGE.start() && MESSAGE_BYTES <= *MESSAGE_BYTES_RANGE.end());
const _: () = assert!(
    PUSH_OVERHEAD_BYTES >= "#.  OK  \r\n".len() + SESSION_BYTES + NUMBER_DIGITS + MAC_DIGITS + NAME_BYTES
);
const _: () =
    assert!(PUSH_OVERHEAD_BYTES >= "@. ASK   \r\n".len() + NUMBER_DIGITS + MAC_DIGITS + 16 + NAME_BYTES);
