//! What the hub replies, read from its line.

use super::Outcome;

/// Reads what stands behind the tag of a reply; `None` if it is no reply.
pub(super) fn read_reply(reply: &[u8]) -> Option<Outcome> {
    if is_word(reply, b"OK") {
        let body = reply.get(b"OK ".len()..).unwrap_or_default();
        return Some(Outcome::Done(body.to_vec()));
    }
    let error = reply.strip_prefix(b"ERR ")?;
    let mut words = error.splitn(2, |&b| b == b' ');
    let mut text = || String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    Some(Outcome::Refused { name: text(), why: text() })
}

/// Whether the line is these words, or begins with them and a space.
pub(super) fn is_word(line: &[u8], words: &[u8]) -> bool {
    line.strip_prefix(words).is_some_and(|rest| rest.first().is_none_or(|&b| b == b' '))
}
