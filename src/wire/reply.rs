//! What the hub says: replies, errors and pushes (protocol, sections 3, 6 and 8).

use super::line::End;
use super::request::Fault;
use super::tag::Tag;
use crate::limits::MAC_DIGITS;
use crate::names::Code;

/// The stable word of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the protocol's own")]
pub enum ErrorName {
    Usage,
    Unknown,
    TooLong,
    NotANumber,
    Overflow,
    NoSuchKey,
    NoSuchClient,
    NoSuchTicket,
    JoinFirst,
    Full,
    Timeout,
    Denied,
    Prove,
    Stale,
    Unopened,
    Reused,
    Busy,
    Stopping,
    Disk,
}

impl ErrorName {
    /// The word as it stands on the line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Unknown => "unknown",
            Self::TooLong => "too-long",
            Self::NotANumber => "not-a-number",
            Self::Overflow => "overflow",
            Self::NoSuchKey => "no-such-key",
            Self::NoSuchClient => "no-such-client",
            Self::NoSuchTicket => "no-such-ticket",
            Self::JoinFirst => "join-first",
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Prove => "prove",
            Self::Stale => "stale",
            Self::Unopened => "unopened",
            Self::Reused => "reused",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Disk => "disk",
        }
    }

    /// Every name, in the order of the protocol's list.
    const ALL: &[Self] = &[
        Self::Usage,
        Self::Unknown,
        Self::TooLong,
        Self::NotANumber,
        Self::Overflow,
        Self::NoSuchKey,
        Self::NoSuchClient,
        Self::NoSuchTicket,
        Self::JoinFirst,
        Self::Full,
        Self::Timeout,
        Self::Denied,
        Self::Prove,
        Self::Stale,
        Self::Unopened,
        Self::Reused,
        Self::Busy,
        Self::Stopping,
        Self::Disk,
    ];

    /// Reads a word; `None` if it is none that this program knows.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str().as_bytes() == word)
    }

    /// Whether this is no answer at all: the same line should be sent again.
    #[must_use]
    pub fn is_no_answer(self) -> bool {
        matches!(self, Self::Busy | Self::Stopping | Self::Disk)
    }
}

/// Why a request is refused, with a sentence for whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable word.
    pub name: ErrorName,
    /// What was wrong and what would be right; short enough for [`crate::limits::REPLY_BYTES`].
    pub why: &'static str,
}

impl Refusal {
    /// A refusal with its explanation.
    #[must_use]
    pub const fn new(name: ErrorName, why: &'static str) -> Self {
        Self { name, why }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Usage(word) | Fault::Unfinished(word) => Self::new(ErrorName::Usage, word.syntax()),
            Fault::Unknown => Self::new(ErrorName::Unknown, "no command behind the tag, try HELP"),
            Fault::NotANumber => Self::new(ErrorName::NotANumber, "n is a whole number from -2^63 to 2^63-1"),
        }
    }
}

/// Room for a mac in a tag, until it is known.
pub const NO_MAC: &[u8] = b".0000000000000000";

/// A reply being written: begun with its tag, then its body appended, then finished.
#[derive(Debug)]
pub struct Reply {
    start: usize,
    body: usize,
    tagged: bool,
}

impl Reply {
    /// Begins a reply at the end of `out`; the body may be appended to `out` right after.
    #[must_use]
    #[inline]
    pub fn begin(out: &mut Vec<u8>, tag: Option<&Tag<'_>>) -> Self {
        let start = out.len();
        if let Some(tag) = tag {
            tag.write(out);
            out.extend_from_slice(b" OK ");
        }
        Self { start, body: out.len(), tagged: tag.is_some() }
    }

    /// Begins a reply under a tag that has room for its mac: [`Self::seal`] fills it in.
    #[must_use]
    pub fn begin_sealed(out: &mut Vec<u8>, tag: &Tag<'_>) -> Self {
        let start = out.len();
        tag.write(out);
        out.extend_from_slice(NO_MAC);
        out.extend_from_slice(b" OK ");
        Self { start, body: out.len(), tagged: true }
    }

    /// Puts the proof of its outcome into a reply that is complete, without its end, and stands last in `out`.
    pub fn seal(&self, out: &mut [u8], prove: impl FnOnce(&[u8]) -> [u8; MAC_DIGITS]) {
        let proof = prove(out.get(self.outcome_start()..).unwrap_or_default());
        let end = self.tag().end;
        if let Some(room) = end.checked_sub(proof.len()).and_then(|start| out.get_mut(start..end)) {
            room.copy_from_slice(&proof);
        }
    }

    /// Begins a reply under a tag that is already written out.
    #[must_use]
    pub fn begin_with(out: &mut Vec<u8>, tag: Option<&[u8]>) -> Self {
        let start = out.len();
        if let Some(tag) = tag {
            out.extend_from_slice(tag);
            out.extend_from_slice(b" OK ");
        }
        Self { start, body: out.len(), tagged: tag.is_some() }
    }

    /// Where the tag stands; empty if there is none.
    #[must_use]
    pub fn tag(&self) -> core::ops::Range<usize> {
        let end = if self.tagged { self.body - b" OK ".len() } else { self.start };
        self.start..end
    }

    /// Takes the reply back: there is none yet.
    pub fn withdraw(&self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }

    /// Completes the reply and ends it.
    pub fn finish(&self, out: &mut Vec<u8>, outcome: Result<(), Refusal>, end: End) {
        self.complete(out, outcome);
        out.extend_from_slice(end.as_bytes());
    }

    /// Completes the reply with what was appended since it began, or with the refusal in its place; its end
    /// is still to come.
    pub fn complete(&self, out: &mut Vec<u8>, outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) if self.tagged && out.len() == self.body => out.truncate(self.body - 1),
            Ok(()) => {}
            Err(refusal) => {
                out.truncate(self.outcome_start());
                out.extend_from_slice(b"ERR ");
                out.extend_from_slice(refusal.name.as_str().as_bytes());
                if !refusal.why.is_empty() {
                    out.push(b' ');
                    out.extend_from_slice(refusal.why.as_bytes());
                }
            }
        }
    }

    /// The tagged reply's outcome, from its `OK` or `ERR` on.
    #[must_use]
    pub fn outcome<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        out.get(self.outcome_start()..).unwrap_or_default()
    }

    /// Completes a tagged reply with an outcome that was recorded.
    pub fn replay(&self, out: &mut Vec<u8>, outcome: &[u8]) {
        out.truncate(self.outcome_start());
        out.extend_from_slice(outcome);
    }

    fn outcome_start(&self) -> usize {
        if self.tagged { self.body - b"OK ".len() } else { self.start }
    }
}

/// The pushes, each appended to `out` without its end.
pub mod push {
    use super::Code;

    /// `MSG from text`
    pub fn message(out: &mut Vec<u8>, from: Code<'_>, text: &[u8]) {
        words(out, &[b"MSG", from.as_bytes(), text]);
    }

    /// `ASK ticket from text`
    pub fn question(out: &mut Vec<u8>, ticket: &str, from: Code<'_>, text: &[u8]) {
        words(out, &[b"ASK", ticket.as_bytes(), from.as_bytes(), text]);
    }

    /// `@n` in front of another push
    pub fn numbered(out: &mut Vec<u8>, number: u64, push: &[u8]) {
        out.push(b'@');
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.push(b' ');
        out.extend_from_slice(push);
    }

    /// `@n.mac` and a space, to stand in front of another push
    pub fn seal(out: &mut Vec<u8>, number: u64, mac: &[u8]) {
        out.push(b'@');
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.push(b'.');
        out.extend_from_slice(mac);
        out.push(b' ');
    }

    /// `VAL key text`
    pub fn value(out: &mut Vec<u8>, key: &str, text: &[u8]) {
        words(out, &[b"VAL", key.as_bytes(), text]);
    }

    /// `GONE key`
    pub fn gone(out: &mut Vec<u8>, key: &str) {
        words(out, &[b"GONE", key.as_bytes()]);
    }

    /// `BYE moved`
    pub fn moved(out: &mut Vec<u8>) {
        out.extend_from_slice(b"BYE moved");
    }

    fn words(out: &mut Vec<u8>, words: &[&[u8]]) {
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::REPLY_BYTES;
    use crate::wire::WORDS;

    fn reply(line: &[u8], body: &[u8], outcome: Result<(), Refusal>) -> String {
        let mut out = b"before ".to_vec();
        let tag = Tag::split(line).map(|(tag, _)| tag);
        let reply = Reply::begin(&mut out, tag.as_ref());
        out.extend_from_slice(body);
        reply.finish(&mut out, outcome, End::Lf);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bodies_and_refusals_with_and_without_a_tag() {
        let refusal = Err(Refusal::new(ErrorName::Busy, "later"));
        assert_eq!(reply(b"", b"5", Ok(())), "before 5\n");
        assert_eq!(reply(b"", b"half", refusal), "before ERR busy later\n");
        assert_eq!(reply(b"#s.7 ", b"5", Ok(())), "before #s.7 OK 5\n");
        assert_eq!(reply(b"#s.7 ", b"", Ok(())), "before #s.7 OK\n");
        assert_eq!(reply(b"#s.7 ", b"half", refusal), "before #s.7 ERR busy later\n");
    }

    #[test]
    fn refusals_of_usage_stay_within_their_bound() {
        for &word in WORDS {
            assert!(reply(b"", b"", Err(Fault::Usage(word).into())).len() <= REPLY_BYTES);
        }
    }
}
