//! The one optional token in front of a command that makes it exactly-once (protocol, section 4).

use crate::limits::{MAC_DIGITS, NUMBER_DIGITS, SESSION_BYTES};
use crate::names::{Mac, Session, is_session_byte};

/// A request's number in its session: 1 and up, below 2^63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

impl Number {
    /// The number that opens a session.
    pub const FIRST: Self = Self(1);

    /// Checks that the number lies in 1 to 2^63 - 1.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (1..1 << 63).contains(&number).then_some(Self(number))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// Reads decimal digits without a leading zero.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() > NUMBER_DIGITS || digits.first() == Some(&b'0') {
            return None;
        }
        // Nineteen digits always fit into a u64, so the sum cannot overflow.
        let sum = digits
            .iter()
            .try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')));
        sum.and_then(Self::new)
    }
}

/// `#session.number` or `#session.number.mac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Which client this is, for as long as it runs.
    pub session: Session<'a>,
    /// Which of its requests.
    pub number: Number,
    /// The proof, where the operator gave codes a secret.
    pub mac: Option<Mac<'a>>,
}

impl<'a> Tag<'a> {
    /// Splits a well-formed tag and the space behind it from a line; the rest begins at the next word.
    #[must_use]
    #[inline]
    pub fn split(line: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (session, rest) = split_at(line.strip_prefix(b"#")?, b'.')?;
        let (number, rest) = split_at(rest, b' ')?;
        let (number, mac) = match split_at(number, b'.') {
            Some((number, mac)) => (number, Some(Mac::parse(mac)?)),
            None => (number, None),
        };
        let (session, number) = (Session::parse(session)?, Number::parse(number)?);
        Some((Self { session, number, mac }, rest.trim_ascii_start_spaces()))
    }

    /// Whether more bytes could make this start of a line begin with a tag and a space.
    #[must_use]
    pub fn may_begin(line: &[u8]) -> bool {
        let Some(token) = line.strip_prefix(b"#") else { return line.is_empty() };
        let mut parts = token.splitn(3, |&b| b == b'.');
        let session = parts.next().unwrap_or_default();
        let (number, mac) = (parts.next(), parts.next());
        let session_ok = match number {
            Some(_) => Session::parse(session).is_some(),
            None => session.is_empty() || Session::parse(session).is_some(),
        };
        let number_ok = match (number, mac) {
            (Some(number), Some(_)) => Number::parse(number).is_some(),
            (Some(number), None) => number.is_empty() || Number::parse(number).is_some(),
            (None, _) => true,
        };
        let mac_ok = mac.is_none_or(|mac| {
            mac.len() <= MAC_DIGITS && mac.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
        debug_assert!(session.iter().all(|&b| is_session_byte(b)) || !session_ok);
        session_ok && number_ok && mac_ok
    }

    /// Appends the tag as it stands in front of a reply.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'#');
        out.extend_from_slice(self.session.as_bytes());
        out.push(b'.');
        out.extend_from_slice(itoa::Buffer::new().format(self.number.get()).as_bytes());
    }
}

/// No part of a tag is longer: neither its session nor all behind that.
const PART_BYTES: usize = NUMBER_DIGITS + 1 + MAC_DIGITS;
const _: () = assert!(SESSION_BYTES <= PART_BYTES);

/// What stands before the first such byte, which is not far, and what behind it.
fn split_at(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let near = bytes.get(..=PART_BYTES).unwrap_or(bytes);
    let at = near.iter().position(|&other| other == byte)?;
    let (before, rest) = bytes.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

/// Space, and only the space, separates words: a tab belongs to the word it stands in.
pub(super) trait TrimSpaces {
    /// Drops the spaces in front.
    fn trim_ascii_start_spaces(&self) -> &Self;
    /// Drops the spaces behind.
    fn trim_ascii_end_spaces(&self) -> &Self;
}

impl TrimSpaces for [u8] {
    fn trim_ascii_start_spaces(&self) -> &Self {
        let spaces = self.iter().take_while(|&&b| b == b' ').count();
        self.get(spaces..).unwrap_or_default()
    }

    fn trim_ascii_end_spaces(&self) -> &Self {
        let spaces = self.iter().rev().take_while(|&&b| b == b' ').count();
        self.get(..self.len() - spaces).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_ends_below_two_to_the_63rd_and_has_no_leading_zero() {
        assert_eq!(Number::parse(b"9223372036854775807").map(Number::get), Some(i64::MAX as u64));
        for bad in [&b"9223372036854775808"[..], b"0", b"01", b"", b"1a", b"-1", b"10000000000000000000"] {
            assert_eq!(Number::parse(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn what_is_nearly_a_tag_is_none() {
        for bad in
            ["#s.1", "#s.1.", "#s.1.abc INC", "#.1 INC", "#s INC", "s.1 INC", "#s.1.0123456789abcdef.x INC"]
        {
            assert_eq!(Tag::split(bad.as_bytes()), None, "{bad}");
        }
        let (tag, rest) = Tag::split(b"#s-_9.12.0123456789abcdef   INC a").unwrap();
        assert_eq!((tag.session.as_str(), tag.number.get(), rest), ("s-_9", 12, &b"INC a"[..]));
    }

    proptest! {
        #[test]
        fn a_tag_survives_writing_and_reading(session in "[A-Za-z0-9_-]{1,16}", number in 1..i64::MAX as u64) {
            let tag = Tag { session: Session::parse(session.as_bytes()).unwrap(), number: Number::new(number).unwrap(), mac: None };
            let mut line = Vec::new();
            tag.write(&mut line);
            line.push(b' ');
            prop_assert_eq!(Tag::split(&line), Some((tag, &b""[..])));
        }

        #[test]
        fn every_start_of_a_tag_may_become_one(line in "#[a-z_-]{1,16}\\.[1-9][0-9]{0,5}(\\.[0-9a-f]{16})? ") {
            prop_assert!(Tag::split(line.as_bytes()).is_some());
            for cut in 0..line.len() {
                prop_assert!(Tag::may_begin(&line.as_bytes()[..cut]));
            }
        }

        #[test]
        fn what_may_not_become_a_tag_never_does(start in "[#a0.f ]{0,6}", more in "[a0.f1 ]{0,24}") {
            let whole = format!("{start}{more}");
            if !start.contains(' ') && Tag::split(whole.as_bytes()).is_some() {
                prop_assert!(Tag::may_begin(start.as_bytes()));
            }
        }
    }
}
