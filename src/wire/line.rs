//! Lines, their ends, and how a datagram is taken apart (protocol, sections 1 and 8).

use super::request::Request;
use crate::limits::DATAGRAM_LINES;

/// How a line ended; the reply ends in the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// With its datagram, or by a pause.
    #[default]
    None,
    /// LF.
    Lf,
    /// CR LF.
    CrLf,
    /// A CR at the very end of a datagram.
    Cr,
    /// A NUL, as C programs pad their records with.
    Nul,
}

impl End {
    /// The bytes to end the reply with.
    #[must_use]
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Cr => b"\r",
            Self::Nul => b"\0",
        }
    }

    /// The end that these bytes are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        [Self::None, Self::Lf, Self::CrLf, Self::Cr, Self::Nul]
            .into_iter()
            .find(|end| end.as_bytes() == bytes)
    }

    /// Splits the end from a line that is given without its LF.
    pub(super) fn split(line: &[u8], lf: bool) -> (&[u8], Self) {
        match (line.strip_suffix(b"\r"), lf) {
            (Some(line), true) => (line, Self::CrLf),
            (Some(line), false) => (line, Self::Cr),
            (None, true) => (line, Self::Lf),
            (None, false) => (line, Self::None),
        }
    }
}

/// One line, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A line whose first word is a command, or that begins with a tag.
    Request(Request<'a>),
    /// Anything else, its end included.
    Text(&'a [u8]),
}

/// What a datagram holds.
#[derive(Clone, Debug)]
pub enum Datagram<'a> {
    /// More bytes or lines than allowed: no part of it is obeyed.
    TooLong(End),
    /// The whole of it is one plain text.
    Text(&'a [u8]),
    /// Its first line is a request: it is taken apart.
    Lines(Lines<'a>),
}

/// Takes a datagram apart, of which at most `max_bytes` bytes and 256 lines are allowed.
#[must_use]
pub fn datagram(bytes: &[u8], max_bytes: usize) -> Datagram<'_> {
    if bytes.len() > max_bytes {
        return Datagram::TooLong(text_end(bytes));
    }
    let mut rest = bytes;
    let first = Message::take(&mut rest);
    if let Message::Text(_) = first {
        return Datagram::Text(bytes);
    }
    let lines = Lines { first: Some(first), rest };
    if lines.are_too_many() { Datagram::TooLong(text_end(bytes)) } else { Datagram::Lines(lines) }
}

/// The lines of a datagram, in order.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    /// The first line, which was read to see what the datagram is.
    first: Option<Message<'a>>,
    rest: &'a [u8],
}

impl Lines<'_> {
    /// Padding after a NUL may hold any number of LFs, so lines are counted as they would be read; the plain
    /// count of LFs, which can only be higher, spares nearly every datagram that.
    fn are_too_many(&self) -> bool {
        self.rest.len() >= DATAGRAM_LINES
            && memchr::memchr_iter(b'\n', self.rest).count() + 1 >= DATAGRAM_LINES
            && self.clone().count() > DATAGRAM_LINES
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Message<'a>;

    #[inline]
    fn next(&mut self) -> Option<Message<'a>> {
        if self.first.is_some() {
            return self.first.take();
        }
        self.rest = skip_nuls(self.rest);
        if self.rest.is_empty() { None } else { Some(Message::take(&mut self.rest)) }
    }
}

impl<'a> Message<'a> {
    /// Reads one line, which ends in LF or not at all.
    #[must_use]
    #[inline]
    pub fn read(line: &'a [u8]) -> Self {
        Request::read(line).map_or(Self::Text(line), Self::Request)
    }

    /// Reads the first line of a datagram, and leaves the rest; what follows a request's NUL is padding and is dropped.
    #[inline]
    fn take(bytes: &mut &'a [u8]) -> Self {
        let length = find(b'\n', bytes).map_or(bytes.len(), |lf| lf + 1);
        let (line, rest) = bytes.split_at(length);
        let message = Self::read(line);
        let padded = matches!(message, Self::Request(Request { end: End::Nul, .. }));
        *bytes = if padded { &[] } else { rest };
        message
    }
}

/// Bytes that are looked at one by one first: a search for more at a time takes as long to begin.
const NEAR_BYTES: usize = 16;

/// Where a byte first stands. Most words, and many lines, are a few bytes long.
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let Some((near, far)) = bytes.split_at_checked(NEAR_BYTES) else {
        return bytes.iter().position(|&other| other == byte);
    };
    near.iter().position(|&other| other == byte).or_else(|| Some(NEAR_BYTES + memchr::memchr(byte, far)?))
}

/// Drops the NULs in front of a line: what is left of a padded record before it.
pub(super) fn skip_nuls(bytes: &[u8]) -> &[u8] {
    let nuls = bytes.iter().take_while(|&&b| b == 0).count();
    bytes.get(nuls..).unwrap_or_default()
}

/// How a plain text ends, for a reply that is not its echo: padding of NULs counts as one NUL.
#[must_use]
pub fn text_end(text: &[u8]) -> End {
    match text {
        [.., b'\r', b'\n'] => End::CrLf,
        [.., b'\n'] => End::Lf,
        [.., b'\r'] => End::Cr,
        [.., b'\0'] => End::Nul,
        [..] => End::None,
    }
}

/// Whether a line is an HTTP request line: a method, a target, a version. No web page may command the hub.
#[must_use]
pub fn is_http(line: &[u8]) -> bool {
    begins_like_http(line) && ends_like_http(line)
}

/// Whether a line begins as an HTTP request line does: a method of three capitals or more, and a target.
/// `GET /a` does too, and is a command of ours: this alone decides nothing but for lines too long to read.
#[must_use]
pub fn begins_like_http(line: &[u8]) -> bool {
    let method = line.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let Some(target) = line.get(method..).and_then(|rest| rest.strip_prefix(b" ")) else { return false };
    method >= 3 && [&b"/"[..], b"* ", b"http:", b"https:"].iter().any(|start| target.starts_with(start))
}

/// Whether a line ends with a space and an HTTP version, before its CR or LF: what is left of a request line
/// that the network cut in two.
#[must_use]
pub fn ends_like_http(line: &[u8]) -> bool {
    let version = line.trim_ascii_end().rsplit(|&b| b == b' ').next().unwrap_or_default();
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, rest @ ..]
        if major.is_ascii_digit() && matches!(rest, [] | [b'.', _]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<&[u8]> {
        match datagram(bytes, 8192) {
            Datagram::Lines(lines) => lines
                .map(|message| match message {
                    Message::Request(request) => request.line,
                    Message::Text(text) => text,
                })
                .collect(),
            Datagram::Text(text) => vec![text],
            Datagram::TooLong(_) => vec![b"too long"],
        }
    }

    #[test]
    fn only_a_request_in_front_takes_a_datagram_apart() {
        assert_eq!(texts(b"hi\nINC\n"), [b"hi\nINC\n"]);
        assert_eq!(texts(b"INC\nhi\n\nDEC"), [&b"INC"[..], b"hi\n", b"\n", b"DEC"]);
    }

    #[test]
    fn padding_is_not_read_and_its_lines_do_not_count() {
        assert_eq!(texts(b"INC\0junk\nDEL counter\n"), [b"INC"]);
        assert_eq!(texts(b"INC\n\0\0\0"), [b"INC"]);
        assert_eq!(texts(&[b"INC\0", &[b'\n'; 400][..]].concat()), [b"INC"]);
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        assert_eq!(texts(&b"INC\n".repeat(256)).len(), 256);
        assert_eq!(texts(&b"INC\n".repeat(257)), [b"too long"]);
        assert_eq!(texts(&[&b"INC\n".repeat(256)[..], b"INC"].concat()), [b"too long"]);
        assert_eq!(texts(&vec![b'x'; 8192]).len(), 1);
        assert_eq!(texts(&vec![b'x'; 8193]), [b"too long"]);
    }

    #[test]
    fn http_is_recognised_and_nothing_else() {
        for http in ["GET / HTTP/1.1\r\n", "POST /a HTTP/1.0", "OPTIONS * HTTP/1.1", "GET http://h/ HTTP/2\n"]
        {
            assert!(is_http(http.as_bytes()), "{http}");
        }
        for other in ["GET /a", "SET /a HTTP is old", "I like HTTP/1.1", "ALL HTTP/1.1", "", "GO / HTTP/1.1"]
        {
            assert!(!is_http(other.as_bytes()), "{other}");
        }
    }
}
