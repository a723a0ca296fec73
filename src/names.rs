//! A type for each name that the protocol knows. Each is checked once, where it is read, and then trusted.

use core::fmt;

use crate::limits::{MAC_DIGITS, NAME_BYTES, SESSION_BYTES, TICKET_BYTES};

/// Declares a checked, borrowed name with its grammar in the documentation and its test as a function.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(&'a str);

        impl<'a> $name<'a> {
            /// Reads the name; `None` if these bytes are not one.
            #[must_use]
            pub fn parse(bytes: &'a [u8]) -> Option<Self> {
                let check: fn(&[u8]) -> bool = $check;
                if check(bytes) { str::from_utf8(bytes).ok().map(Self) } else { None }
            }

            /// The name as text; always ASCII.
            #[must_use]
            pub fn as_str(self) -> &'a str {
                self.0
            }

            /// The name as bytes, in the order that lists are sorted by.
            #[must_use]
            pub fn as_bytes(self) -> &'a [u8] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    };
}

name! {
    /// A client's code: 1 to 64 of letters, digits and `. _ / -`.
    Code, |bytes| is_name(bytes)
}
name! {
    /// A value's key: as a code, but not a whole number, which `INC 5` would take for an amount.
    Key, |bytes| is_name(bytes) && !is_whole_number(bytes)
}
name! {
    /// A pattern over keys: as a code, and `*` stands for any run of characters, `/` too.
    Pattern, |bytes| (1..=NAME_BYTES).contains(&bytes.len()) && bytes.iter().all(|&b| is_name_byte(b) || b == b'*')
}
name! {
    /// A session's name in a tag: 1 to 16 of letters, digits, `_` and `-`.
    Session, |bytes| (1..=SESSION_BYTES).contains(&bytes.len()) && bytes.iter().all(|&b| is_session_byte(b))
}
name! {
    /// A ticket, nonce or box name: 4 to 16 letters and digits.
    Ticket, |bytes| TICKET_BYTES.contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_alphanumeric)
}
name! {
    /// The proof in a tag: 16 lower-case hex digits.
    Mac, |bytes| bytes.len() == MAC_DIGITS && bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Key<'static> {
    /// The key of the tutorials' shared counter: what INC and DEC count without a key.
    pub const COUNTER: Self = Self("counter");
}

impl Pattern<'_> {
    /// Whether the key matches: `*` stands for any run of characters, the empty one too.
    ///
    /// Takes at most pattern × key steps (both at most 64): on a mismatch only the last `*` is tried longer,
    /// which is enough because an earlier one could never reach further.
    #[must_use]
    pub fn matches(self, key: &str) -> bool {
        let (mut pattern, mut key) = (self.as_bytes(), key.as_bytes());
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), key.split_first()) {
                (Some((b'*', rest)), _) => {
                    retry = Some((rest, key));
                    pattern = rest;
                }
                (Some((p, pattern_rest)), Some((k, key_rest))) if p == k => {
                    pattern = pattern_rest;
                    key = key_rest;
                }
                (None, None) => return true,
                (Some(_) | None, Some(_)) | (Some(_), None) => {
                    let Some((after_star, from)) = retry else { return false };
                    let Some((_, from)) = from.split_first() else { return false };
                    retry = Some((after_star, from));
                    pattern = after_star;
                    key = from;
                }
            }
        }
    }

    /// The part before the first `*`: every matching key begins with it.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }
}

/// Whether these bytes look like a whole number of any size: an optional `-` and digits.
#[must_use]
pub fn is_whole_number(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Whether this byte may stand in a session's name.
#[must_use]
pub fn is_session_byte(byte: u8) -> bool {
    // Looked up rather than compared: every tagged line has up to sixteen.
    #[expect(clippy::indexing_slicing, reason = "done once, when this compiles, and checked then")]
    const IS: [bool; 256] = {
        let mut is = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            is[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            byte += 1;
        }
        is
    };
    IS.get(usize::from(byte)).copied().unwrap_or_default()
}

fn is_name(bytes: &[u8]) -> bool {
    (1..=NAME_BYTES).contains(&bytes.len()) && bytes.iter().all(|&b| is_name_byte(b))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_end_at_their_bounds() {
        assert!(Code::parse(&[b'a'; NAME_BYTES]).is_some());
        assert!(Code::parse(&[b'a'; NAME_BYTES + 1]).is_none());
        assert!(Code::parse(b"").is_none());
        assert!(Code::parse(b"caf\xc3\xa9").is_none());
        assert!(Session::parse(&[b'a'; SESSION_BYTES]).is_some());
        assert!(Session::parse(&[b'a'; SESSION_BYTES + 1]).is_none());
        assert!(Ticket::parse(b"abc").is_none() && Ticket::parse(b"abcd").is_some());
        assert!(Mac::parse(b"0123456789abcdef").is_some() && Mac::parse(b"0123456789ABCDEF").is_none());
    }

    #[test]
    fn a_key_is_no_whole_number_but_a_code_may_be() {
        assert!(Code::parse(b"42").is_some());
        assert!(Key::parse(b"42").is_none() && Key::parse(b"-42").is_none());
        assert!(Key::parse(b"4.2").is_some() && Key::parse(b"-").is_some());
    }

    /// The definition of a glob, written down without a thought for speed.
    fn naive(pattern: &[u8], key: &[u8]) -> bool {
        match pattern.split_first() {
            None => key.is_empty(),
            Some((b'*', rest)) => (0..=key.len()).any(|skip| naive(rest, &key[skip..])),
            Some((p, rest)) => key.split_first().is_some_and(|(k, key)| k == p && naive(rest, key)),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_their_definition_says(pattern in "[ab*]{1,8}", key in "[ab]{1,10}") {
            let parsed = Pattern::parse(pattern.as_bytes()).unwrap();
            prop_assert_eq!(parsed.matches(&key), naive(pattern.as_bytes(), key.as_bytes()));
            prop_assert!(!parsed.matches(&key) || key.starts_with(parsed.literal_prefix()));
        }
    }
}
