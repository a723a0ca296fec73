//! Commands: their words, grammar and arguments (protocol, sections 3 and 8).

use super::line::{End, find};
use super::tag::{Number, Tag, TrimSpaces};
use crate::limits::WORD_BYTES;
use crate::names::{Code, Key, Pattern, Ticket, is_whole_number};

/// A request line, parsed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The tag in front, if there is one.
    pub tag: Option<Tag<'a>>,
    /// The command, or what is wrong with it.
    pub command: Result<Command<'a>, Fault>,
    /// The line behind the tag, without its end: two requests are the same if these bytes are.
    pub line: &'a [u8],
    /// How the line ended.
    pub end: End,
}

impl<'a> Request<'a> {
    /// Reads a line, which ends in LF or not at all; `None` if it is plain text.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        if !line.first().is_some_and(|&b| b == b'#' || b.is_ascii_uppercase()) {
            return None;
        }
        let (content, end) = match find(0, line) {
            Some(nul) => (End::split(line.get(..nul)?, false).0, End::Nul),
            None => match line.strip_suffix(b"\n") {
                Some(line) => End::split(line, true),
                None => End::split(line, false),
            },
        };
        if let Some((tag, line)) = Tag::split(content) {
            let command = Word::of(line).ok_or(Fault::Unknown).and_then(|(word, args)| word.read(args));
            return Some(Self { tag: Some(tag), command, line, end });
        }
        let (word, args) = Word::of(content)?;
        Some(Self { tag: None, command: word.read(args), line: content, end })
    }

    /// The same request with another outcome of reading it: a line that was never finished is not obeyed.
    #[must_use]
    pub fn unfinished(self) -> Self {
        let command = match self.command {
            Ok(command) => Err(Fault::Unfinished(command.word())),
            Err(Fault::Usage(word)) => Err(Fault::Unfinished(word)),
            Err(fault @ (Fault::Unfinished(_) | Fault::Unknown | Fault::NotANumber)) => Err(fault),
        };
        Self { command, ..self }
    }

    /// What the request is as far as a tag's promise goes. One that was read but is wrong counts as what it
    /// wanted to be, so that the error is its answer for good; one that never ended may still come whole.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.command {
            Ok(command) => command.word().kind(),
            Err(Fault::Usage(word)) => word.kind(),
            Err(Fault::NotANumber) => Kind::Change,
            Err(Fault::Unknown | Fault::Unfinished(_)) => Kind::Read,
        }
    }

    /// Whether it is an ACK, which is never answered.
    #[must_use]
    pub fn is_ack(&self) -> bool {
        matches!(self.command, Ok(Command::Ack { .. }) | Err(Fault::Unfinished(Word::Ack)))
    }
}

/// What is wrong with a line whose first word is a command, or that begins with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command's arguments are not of its form.
    Usage(Word),
    /// The line never ended.
    Unfinished(Word),
    /// No command behind the tag.
    Unknown,
    /// What stands where a whole number in i64 should.
    NotANumber,
}

/// What a command does, as far as a tag's promise goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Done anew each time.
    Read,
    /// For where the request came from: done anew, but not once a later one is done.
    Place,
    /// Changes something: done at most once under one tag.
    Change,
}

/// A command with its arguments, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named as in the protocol's table of commands")]
pub enum Command<'a> {
    /// Register under a code.
    Join { code: Code<'a>, ack: bool, nonce: Option<Ticket<'a>> },
    /// Give up place, watches and mailbox.
    Bye,
    /// Who is joined.
    Who { after: Option<Code<'a>> },
    /// Answered with pong and the text.
    Ping { text: &'a [u8] },
    /// A message to one client.
    Send { code: Code<'a>, text: &'a [u8] },
    /// A message to every other client.
    All { text: &'a [u8] },
    /// A question to one client.
    Ask { code: Code<'a>, text: &'a [u8] },
    /// The answer to a question.
    Answer { ticket: Ticket<'a>, text: &'a [u8] },
    /// A value.
    Get { key: Key<'a> },
    /// Set a value.
    Set { key: Key<'a>, text: &'a [u8] },
    /// Count up.
    Inc { key: Key<'a>, by: i64 },
    /// Count down.
    Dec { key: Key<'a>, by: i64 },
    /// Delete a value.
    Del { key: Key<'a> },
    /// Which keys there are.
    Keys { pattern: Option<Pattern<'a>>, after: Option<Key<'a>> },
    /// Push each change from now on.
    Watch { pattern: Pattern<'a> },
    /// No longer.
    Unwatch { pattern: Pattern<'a> },
    /// Is there a hub?
    Discover,
    /// Broadcast a text to the LAN.
    Shout { text: &'a [u8] },
    /// What hub this is.
    Info,
    /// Its figures.
    Stats,
    /// What commands there are.
    Help { topic: Option<Word> },
    /// Pushes up to this number have arrived; `None` if it is not a number. Never answered.
    Ack { number: Option<Number> },
}

impl Command<'_> {
    /// The command's word.
    #[must_use]
    pub fn word(&self) -> Word {
        match self {
            Self::Join { .. } => Word::Join,
            Self::Bye => Word::Bye,
            Self::Who { .. } => Word::Who,
            Self::Ping { .. } => Word::Ping,
            Self::Send { .. } => Word::Send,
            Self::All { .. } => Word::All,
            Self::Ask { .. } => Word::Ask,
            Self::Answer { .. } => Word::Answer,
            Self::Get { .. } => Word::Get,
            Self::Set { .. } => Word::Set,
            Self::Inc { .. } => Word::Inc,
            Self::Dec { .. } => Word::Dec,
            Self::Del { .. } => Word::Del,
            Self::Keys { .. } => Word::Keys,
            Self::Watch { .. } => Word::Watch,
            Self::Unwatch { .. } => Word::Unwatch,
            Self::Discover => Word::Discover,
            Self::Shout { .. } => Word::Shout,
            Self::Info => Word::Info,
            Self::Stats => Word::Stats,
            Self::Help { .. } => Word::Help,
            Self::Ack { .. } => Word::Ack,
        }
    }
}

/// Declares the command words with their syntax, kind and one line of help, so that all four stay together.
macro_rules! words {
    ($($word:ident $name:literal $kind:ident $syntax:literal $help:literal;)*) => {
        /// The first word of a command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the words are the protocol's own")]
        pub enum Word { $($word),* }

        /// Every command word, in the order of the protocol's table.
        pub const WORDS: &[Word] = &[$(Word::$word),*];

        impl Word {
            /// Reads a whole word.
            #[must_use]
            pub fn parse(bytes: &[u8]) -> Option<Self> {
                match bytes {
                    $($name => Some(Self::$word),)*
                    _ => None,
                }
            }

            /// The word as it stands on the line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                let bytes: &[u8] = match self { $(Self::$word => $name),* };
                str::from_utf8(bytes).unwrap_or_default()
            }

            /// What a tag promises for it.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$word => Kind::$kind),* }
            }

            /// The word with its arguments.
            #[must_use]
            pub fn syntax(self) -> &'static str {
                match self { $(Self::$word => $syntax),* }
            }

            /// What it does, in a few words.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$word => $help),* }
            }
        }
    };
}

words! {
    Join b"JOIN" Place "JOIN code [ack]" "register under a client code";
    Bye b"BYE" Place "BYE" "give up place, watches and mailbox";
    Who b"WHO" Read "WHO [after]" "list the codes that are joined";
    Ping b"PING" Read "PING [text]" "answer pong and the text";
    Send b"SEND" Change "SEND code text" "send a text to one client";
    All b"ALL" Change "ALL text" "send a text to every other client";
    Ask b"ASK" Change "ASK code text" "ask one client and wait for its answer";
    Answer b"ANSWER" Change "ANSWER ticket text" "answer a question";
    Get b"GET" Read "GET key" "read a value";
    Set b"SET" Change "SET key text" "set a value";
    Inc b"INC" Change "INC [key] [n]" "count up, by 1 if n is left out";
    Dec b"DEC" Change "DEC [key] [n]" "count down, by 1 if n is left out";
    Del b"DEL" Change "DEL key" "delete a value";
    Keys b"KEYS" Read "KEYS [pattern] [after]" "list keys; * stands for any run";
    Watch b"WATCH" Place "WATCH pattern" "push each change of a matching value";
    Unwatch b"UNWATCH" Place "UNWATCH pattern" "stop pushing";
    Discover b"DISCOVER" Read "DISCOVER" "find a hub";
    Shout b"SHOUT" Change "SHOUT text" "broadcast a text to the LAN";
    Info b"INFO" Read "INFO" "say what hub this is";
    Stats b"STATS" Read "STATS" "show the hub's figures";
    Help b"HELP" Read "HELP [command]" "explain a command";
    Ack b"ACK" Read "ACK n" "confirm pushes up to n; never answered";
}

impl Word {
    /// Splits the first word off a line if it is a command.
    fn of(line: &[u8]) -> Option<(Self, Args<'_>)> {
        let length = find(b' ', line).unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(length)?;
        Self::parse(word).map(|word| (word, Args(rest)))
    }

    /// Whether more bytes could make this start of a line begin with a command word.
    #[must_use]
    pub fn may_begin(line: &[u8]) -> bool {
        line.len() <= WORD_BYTES && WORDS.iter().any(|word| word.as_str().as_bytes().starts_with(line))
    }

    /// Whether a line's first word, complete or at the line's present end, is a command.
    #[must_use]
    pub fn begins(line: &[u8]) -> bool {
        Self::of(line.strip_suffix(b"\r").unwrap_or(line)).is_some()
    }

    fn read(self, mut args: Args<'_>) -> Result<Command<'_>, Fault> {
        if self == Self::Inc {
            return args.amount(self).map(|(key, by)| Command::Inc { key, by });
        }
        if self == Self::Dec {
            return args.amount(self).map(|(key, by)| Command::Dec { key, by });
        }
        self.read_words(&mut args).filter(|_| args.is_empty()).ok_or(Fault::Usage(self))
    }

    fn read_words<'a>(self, args: &mut Args<'a>) -> Option<Command<'a>> {
        Some(match self {
            // Their arguments tell a wrong number from a wrong form: see `amount`.
            Self::Inc | Self::Dec => return None,
            Self::Join => args.join()?,
            Self::Bye => Command::Bye,
            Self::Who => Command::Who { after: args.optional(Code::parse)? },
            Self::Ping => Command::Ping { text: args.text().unwrap_or_default() },
            Self::Send => Command::Send { code: Code::parse(args.word()?)?, text: args.text()? },
            Self::All => Command::All { text: args.text()? },
            Self::Ask => Command::Ask { code: Code::parse(args.word()?)?, text: args.text()? },
            Self::Answer => Command::Answer { ticket: Ticket::parse(args.word()?)?, text: args.text()? },
            Self::Get => Command::Get { key: Key::parse(args.word()?)? },
            Self::Set => Command::Set { key: Key::parse(args.word()?)?, text: args.text()? },
            Self::Del => Command::Del { key: Key::parse(args.word()?)? },
            Self::Keys => {
                Command::Keys { pattern: args.optional(Pattern::parse)?, after: args.optional(Key::parse)? }
            }
            Self::Watch => Command::Watch { pattern: Pattern::parse(args.word()?)? },
            Self::Unwatch => Command::Unwatch { pattern: Pattern::parse(args.word()?)? },
            Self::Discover => Command::Discover,
            Self::Shout => Command::Shout { text: args.text()? },
            Self::Info => Command::Info,
            Self::Stats => Command::Stats,
            Self::Help => Command::Help { topic: args.optional(Self::parse)? },
            Self::Ack => Command::Ack { number: args.rest_as_number() },
        })
    }
}

/// What stands behind a command word, its separating spaces included.
#[derive(Clone, Copy, Debug)]
struct Args<'a>(&'a [u8]);

impl<'a> Args<'a> {
    /// The next word, or `None` at the end of the line.
    #[inline]
    fn word(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.trim_ascii_start_spaces();
        let (word, rest) = rest.split_at(find(b' ', rest).unwrap_or(rest.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// The next word as a name, if there is a next word; `None` if it is not such a name.
    #[expect(clippy::option_option, reason = "the outer says wrong, the inner says absent")]
    fn optional<T>(&mut self, parse: impl Fn(&'a [u8]) -> Option<T>) -> Option<Option<T>> {
        self.word().map_or(Some(None), |word| parse(word).map(Some))
    }

    /// All that stands behind exactly one space, spaces included; `None` if there is no space.
    fn text(&mut self) -> Option<&'a [u8]> {
        let text = self.0.strip_prefix(b" ")?;
        self.0 = &[];
        Some(text)
    }

    fn is_empty(&self) -> bool {
        self.0.trim_ascii_start_spaces().is_empty()
    }

    fn join(&mut self) -> Option<Command<'a>> {
        let code = Code::parse(self.word()?)?;
        let mut next = self.word();
        let ack = next == Some(b"ack");
        if ack {
            next = self.word();
        }
        let nonce = match next {
            Some(word) => Some(Ticket::parse(word)?),
            None => None,
        };
        Some(Command::Join { code, ack, nonce })
    }

    fn rest_as_number(&mut self) -> Option<Number> {
        let number = Number::parse(self.0.trim_ascii_start_spaces().trim_ascii_end_spaces());
        self.0 = &[];
        number
    }

    /// `[key] [n]`: a lone whole number is n.
    fn amount(&mut self, word: Word) -> Result<(Key<'a>, i64), Fault> {
        if self.0.is_empty() {
            return Ok((Key::COUNTER, 1));
        }
        let (first, second) = (self.word(), self.word());
        if !self.is_empty() {
            return Err(Fault::Usage(word));
        }
        match (first, second) {
            (None, _) => Ok((Key::COUNTER, 1)),
            (Some(n), None) if is_whole_number(n) => Ok((Key::COUNTER, whole_number(n)?)),
            (Some(key), None) => Ok((Key::parse(key).ok_or(Fault::Usage(word))?, 1)),
            (Some(key), Some(n)) => Ok((Key::parse(key).ok_or(Fault::Usage(word))?, whole_number(n)?)),
        }
    }
}

fn whole_number(word: &[u8]) -> Result<i64, Fault> {
    let digits = if is_whole_number(word) { str::from_utf8(word).ok() } else { None };
    digits.and_then(|digits| digits.parse().ok()).ok_or(Fault::NotANumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command<'_>, Fault> {
        Request::read(line.as_bytes()).expect("a request").command
    }

    #[test]
    fn text_starts_after_exactly_one_space() {
        assert_eq!(command("SET k  a "), Ok(Command::Set { key: Key::parse(b"k").unwrap(), text: b" a " }));
        assert_eq!(command("SET   k "), Ok(Command::Set { key: Key::parse(b"k").unwrap(), text: b"" }));
        assert_eq!(command("SET k"), Err(Fault::Usage(Word::Set)));
        assert_eq!(command("PING"), Ok(Command::Ping { text: b"" }));
    }

    #[test]
    fn amounts() {
        let key = |key: &'static str| Key::parse(key.as_bytes()).unwrap();
        assert_eq!(command("INC"), Ok(Command::Inc { key: Key::COUNTER, by: 1 }));
        assert_eq!(command("DEC -2 "), Ok(Command::Dec { key: Key::COUNTER, by: -2 }));
        assert_eq!(command("INC a 007"), Ok(Command::Inc { key: key("a"), by: 7 }));
        assert_eq!(command("INC a -9223372036854775808"), Ok(Command::Inc { key: key("a"), by: i64::MIN }));
        assert_eq!(command("INC a 9223372036854775808"), Err(Fault::NotANumber));
        assert_eq!(command("INC 99999999999999999999"), Err(Fault::NotANumber));
        assert_eq!(command("INC a +1"), Err(Fault::NotANumber));
        assert_eq!(command("INC 5 5"), Err(Fault::Usage(Word::Inc)));
        assert_eq!(command("INC a 1 2"), Err(Fault::Usage(Word::Inc)));
    }

    #[test]
    fn joins() {
        let code = Code::parse(b"ann").unwrap();
        let nonce = Ticket::parse(b"abcd");
        assert_eq!(command("JOIN ann"), Ok(Command::Join { code, ack: false, nonce: None }));
        assert_eq!(command("JOIN ann ack abcd"), Ok(Command::Join { code, ack: true, nonce }));
        assert_eq!(command("JOIN ann abcd"), Ok(Command::Join { code, ack: false, nonce }));
        for bad in ["JOIN", "JOIN ann ac", "JOIN ann ack abcd x", "JOIN ann\tb", "JOIN caf\u{e9}"] {
            assert_eq!(command(bad), Err(Fault::Usage(Word::Join)), "{bad}");
        }
    }

    #[test]
    fn every_word_is_read_and_has_help_that_begins_with_it() {
        for &word in WORDS {
            assert_eq!(Word::parse(word.as_str().as_bytes()), Some(word));
            assert!(word.syntax().starts_with(word.as_str()));
            assert!(word.as_str().len() <= WORD_BYTES);
            assert!(Word::may_begin(&word.as_str().as_bytes()[..2]));
        }
        assert!(!Word::may_begin(b"INX") && !Word::begins(b"INCX") && Word::begins(b"INC\r"));
    }

    #[test]
    fn wrong_arguments_are_usage_and_never_text() {
        for bad in [
            "GET",
            "GET 5",
            "GET a b",
            "BYE now",
            "WATCH",
            "WATCH a b",
            "HELP me",
            "WHO a b",
            "ALL",
            "SEND bob",
        ] {
            assert!(matches!(command(bad), Err(Fault::Usage(_))), "{bad}");
        }
        assert_eq!(command("ACK x y"), Ok(Command::Ack { number: None }));
    }
}
