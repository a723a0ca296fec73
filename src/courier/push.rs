//! What the hub tells a joined client unasked (protocol, sections 3 and 8).

use crate::names::{Code, Key, Mac, Ticket};
use crate::wire::Number;

/// A push, read from its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push<'a> {
    /// Another client sent a text.
    Message {
        /// Who sent it.
        from: Code<'a>,
        /// Any bytes but LF and NUL; need not be UTF-8.
        text: &'a [u8],
    },
    /// Another client asks, and waits for `ANSWER ticket text`.
    Question {
        /// What the answer is to be sent under.
        ticket: Ticket<'a>,
        /// Who asks.
        from: Code<'a>,
        /// Any bytes but LF and NUL; need not be UTF-8.
        text: &'a [u8],
    },
    /// A watched key has this value now.
    Value {
        /// The key.
        key: Key<'a>,
        /// Any bytes but LF and NUL; need not be UTF-8.
        text: &'a [u8],
    },
    /// A watched key was deleted.
    Gone {
        /// The key.
        key: Key<'a>,
    },
    /// The same code has joined from elsewhere: this place is lost.
    Moved,
}

impl<'a> Push<'a> {
    /// Reads a line without its end; `None` if it is no push.
    #[must_use]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (word, rest) = split(line);
        match word {
            b"MSG" => {
                let (from, text) = split(rest?);
                Some(Self::Message { from: Code::parse(from)?, text: text? })
            }
            b"ASK" => {
                let (ticket, rest) = split(rest?);
                let (from, text) = split(rest?);
                let (ticket, from) = (Ticket::parse(ticket)?, Code::parse(from)?);
                Some(Self::Question { ticket, from, text: text? })
            }
            b"VAL" => {
                let (key, text) = split(rest?);
                Some(Self::Value { key: Key::parse(key)?, text: text? })
            }
            b"GONE" => Some(Self::Gone { key: Key::parse(rest?)? }),
            b"BYE" if rest == Some(b"moved") => Some(Self::Moved),
            _ => None,
        }
    }

    /// Reads a line without its end that may carry a number, and a proof, which is not looked at (`@5 MSG ann hi`);
    /// `None` if it is no push.
    #[must_use]
    pub fn read_numbered(line: &'a [u8]) -> Option<(Option<Number>, Self)> {
        if !line.starts_with(b"@") {
            return Some((None, Self::read(line)?));
        }
        let (number, _, bare) = Self::split_number(line)?;
        let push = Self::read(bare)?;
        // That one concerns the place and not the mailbox.
        (push != Self::Moved).then_some((Some(number), push))
    }

    /// Splits the number, and the proof if there is one, from a push.
    pub(super) fn split_number(line: &'a [u8]) -> Option<(Number, Option<Mac<'a>>, &'a [u8])> {
        let (token, bare) = split(line.strip_prefix(b"@")?);
        let mut parts = token.splitn(2, |&b| b == b'.');
        let number = Number::parse(parts.next()?)?;
        let mac = match parts.next() {
            Some(mac) => Some(Mac::parse(mac)?),
            None => None,
        };
        Some((number, mac, bare?))
    }
}

/// The first word, and what stands behind its one space if there is one.
fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b' ', line).and_then(|at| line.split_at_checked(at)) {
        Some((word, rest)) => (word, rest.get(1..)),
        None => (line, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::push;

    #[test]
    fn what_the_hub_writes_is_read_back() {
        let ann = Code::parse(b"ann").unwrap();
        let key = Key::parse(b"a/b").unwrap();
        let mut line = Vec::new();
        push::message(&mut line, ann, b"  two spaces \xff");
        assert_eq!(Push::read(&line), Some(Push::Message { from: ann, text: b"  two spaces \xff" }));
        line.clear();
        push::value(&mut line, "a/b", b"");
        assert_eq!(Push::read(&line), Some(Push::Value { key, text: b"" }));
        line.clear();
        push::gone(&mut line, "a/b");
        assert_eq!(Push::read(&line), Some(Push::Gone { key }));
        line.clear();
        push::moved(&mut line);
        assert_eq!(Push::read(&line), Some(Push::Moved));
    }

    #[test]
    fn a_question_and_a_number_in_front_are_read() {
        let (ticket, from) = (Ticket::parse(b"t0k3n").unwrap(), Code::parse(b"ann").unwrap());
        for text in [&b" how  warm?"[..], b""] {
            let line = [b"@7 ASK t0k3n ann ", text].concat();
            let question = Push::Question { ticket, from, text };
            assert_eq!(Push::read_numbered(&line), Some((Number::new(7), question)));
        }
        let gone = Push::Gone { key: Key::parse(b"a").unwrap() };
        assert_eq!(Push::read_numbered(b"GONE a"), Some((None, gone)));
        for bad in [
            "@ MSG a b",
            "@0 MSG a b",
            "@01 MSG a b",
            "@1",
            "@1 ",
            "@1 BYE moved",
            "@1 @2 GONE a",
            "@x GONE a",
        ] {
            assert_eq!(Push::read_numbered(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_nearly_a_push_is_none() {
        for bad in [
            "MSG",
            "MSG ann",
            "MSG caf\u{e9} x",
            "VAL 5 x",
            "VAL a",
            "ASK abcd ann",
            "ASK abc ann x",
            "ASK abcd",
            "GONE",
            "GONE a b",
            "BYE",
            "bye moved",
            "",
        ] {
            assert_eq!(Push::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
