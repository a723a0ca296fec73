//! What is printed: plain or as JSON, and never a control character that a stranger chose.

use std::ffi::OsString;
use std::io::{self, IsTerminal, StdoutLock, Write};

use serde_json::{Value, json};

use super::arguments::Color;
use super::exit::Failure;
use crate::courier::Push;

/// Standard output.
#[derive(Debug)]
pub(super) struct Output {
    out: StdoutLock<'static>,
    pub(super) json: bool,
    is_coloured: bool,
}

impl Output {
    pub(super) fn new(json: bool, color: Color) -> Self {
        let out = io::stdout().lock();
        let is_coloured = decide_colour(color, out.is_terminal(), |name| std::env::var_os(name));
        Self { out, json, is_coloured }
    }

    /// Whether a person is watching, who is shown more than the result.
    pub(super) fn is_watched(&self) -> bool {
        self.out.is_terminal() && !self.json
    }

    /// Prints one line of our own words.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Prints one JSON object.
    pub(super) fn object(&mut self, object: &Value) -> Result<(), Failure> {
        let line = escaped(&object.to_string());
        self.line(&line)
    }

    /// Prints a text that came from outside, or an object with it under this name.
    pub(super) fn text(&mut self, name: &str, text: &[u8]) -> Result<(), Failure> {
        if self.json { self.object(&text_object(name, text)) } else { self.line(&sanitised(text)) }
    }

    /// Prints what the hub pushed.
    pub(super) fn push(&mut self, push: &Push<'_>) -> Result<(), Failure> {
        let (name, value, line) = match push {
            Push::Message { from, text } => {
                let line = format!("{}: {}", self.bold(from.as_str()), sanitised(text));
                (("from", from.as_str()), text_object("text", text), line)
            }
            Push::Question { ticket, from, text } => {
                let line = format!("{} asks: {}", self.bold(from.as_str()), sanitised(text));
                let mut question = text_object("question", text);
                if let Value::Object(question) = &mut question {
                    question.insert("ticket".to_owned(), ticket.as_str().into());
                }
                (("from", from.as_str()), question, line)
            }
            Push::Value { key, text } => {
                let line = format!("{} {}", self.bold(key.as_str()), sanitised(text));
                (("key", key.as_str()), text_object("value", text), line)
            }
            Push::Gone { key } => {
                let line = format!("{} is gone", self.bold(key.as_str()));
                (("key", key.as_str()), json!({"gone": true}), line)
            }
            Push::Moved => return Ok(()),
        };
        if !self.json {
            return self.line(&line);
        }
        let mut object = json!({ name.0: name.1 });
        if let (Value::Object(object), Value::Object(value)) = (&mut object, value) {
            object.extend(value);
        }
        self.object(&object)
    }

    /// Redraws one line of progress, which [`Output::line`] does not scroll away; only where a person watches.
    pub(super) fn progress(&mut self, line: &str) -> Result<(), Failure> {
        if self.is_watched() {
            write!(self.out, "\r\x1b[K{line}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn bold(&self, text: &str) -> String {
        if self.is_coloured { format!("\x1b[1;36m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether to colour, as no-color.org has it: a variable that is empty counts as not set.
fn decide_colour(color: Color, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// The text under a name; and its bytes, if they are not UTF-8.
pub(super) fn text_object(name: &str, text: &[u8]) -> Value {
    match str::from_utf8(text) {
        Ok(text) => json!({ name: text }),
        Err(_) => json!({ name: String::from_utf8_lossy(text), "bytes": text }),
    }
}

/// The text without control characters: C0 except the tab, DEL, C1, and what turns the direction of writing.
/// What is not UTF-8 becomes replacement characters.
pub(super) fn sanitised(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|&c| c == '\t' || !is_control(c)).collect()
}

/// Escapes what JSON itself leaves as it is and a terminal would obey. In a JSON document such characters can
/// stand in strings only, so that escaping them anywhere keeps its meaning.
fn escaped(document: &str) -> String {
    use core::fmt::Write as _;
    let mut escaped = String::with_capacity(document.len());
    for c in document.chars() {
        if is_control(c) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn controls_are_stripped_and_text_is_kept() {
        for (text, shown) in [
            (&b"plain\ttext"[..], "plain\ttext"),
            (b"\x1b[31mred\x1b[0m\x07", "[31mred[0m"),
            (b"a\x00b\x7fc\rd\ne", "abcde"),
            ("\u{9b}31mc1".as_bytes(), "31mc1"),
            ("gr\u{fc}n \u{1f426}".as_bytes(), "gr\u{fc}n \u{1f426}"),
            ("a\u{202e}b\u{2066}c".as_bytes(), "abc"),
            (b"\xff\x9b", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(sanitised(text), shown, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_utf_8_keeps_its_bytes_in_json() {
        assert_eq!(text_object("value", b"5").to_string(), r#"{"value":"5"}"#);
        assert_eq!(text_object("value", b"h\xff"), json!({"value": "h\u{fffd}", "bytes": [104, 255]}));
    }

    #[test]
    fn colour_needs_a_terminal_and_nobody_against_it() {
        for (color, is_terminal, set, coloured) in [
            (Color::Auto, true, ("", ""), true),
            (Color::Auto, true, ("TERM", "xterm"), true),
            (Color::Auto, true, ("NO_COLOR", ""), true),
            (Color::Auto, true, ("NO_COLOR", "1"), false),
            (Color::Auto, true, ("TERM", "dumb"), false),
            (Color::Auto, false, ("", ""), false),
            (Color::Always, false, ("NO_COLOR", "1"), true),
            (Color::Never, true, ("", ""), false),
        ] {
            let variable = |name: &str| (name == set.0).then(|| set.1.into());
            assert_eq!(
                decide_colour(color, is_terminal, variable),
                coloured,
                "{color:?} {is_terminal} {set:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn json_holds_no_control_and_means_the_same(text in any::<String>()) {
            let document = escaped(&text_object("text", text.as_bytes()).to_string());
            prop_assert!(!document.chars().any(is_control));
            let read: Value = serde_json::from_str(&document).unwrap();
            prop_assert_eq!(&read["text"], &Value::String(text));
        }

        #[test]
        fn no_bytes_bring_a_control_through(text in any::<Vec<u8>>()) {
            prop_assert!(!sanitised(&text).chars().any(|c| c != '\t' && is_control(c)));
        }
    }
}
