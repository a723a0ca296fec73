//! What is wrong with a configuration, and where.

use core::fmt;
use core::ops::Range;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as its reader called it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// What was wrong and what would be right; one line without control characters.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// All that is wrong: at least one finding, by file and place. Printed one a line, without a last line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

/// Puts findings in the order of the files as they are listed, and of their places there.
pub(super) fn sort(findings: &mut [Finding], files: &[(&str, &str)]) {
    let rank = |file: &str| files.iter().position(|(name, _)| *name == file);
    findings.sort_by_key(|finding| (rank(&finding.file), finding.line, finding.column));
}

impl Findings {
    /// `None` if nothing is wrong.
    pub(super) fn new(findings: Vec<Finding>) -> Option<Self> {
        (!findings.is_empty()).then_some(Self(findings))
    }

    /// The findings, never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for Findings {}

/// One file: its name, its text, and where its lines begin.
#[derive(Debug)]
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    headers: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        let mut source = Self { name, text, line_starts: Vec::new(), headers: Vec::new() };
        let mut start = 0;
        for line in text.split('\n') {
            source.line_starts.push(start);
            if line.trim_start().starts_with('[') {
                source.headers.push(start..start + line.len());
            }
            start += line.len() + 1;
        }
        source
    }

    /// The last line before this place that begins as a section's `[header]` does.
    pub(super) fn header_before(&self, place: usize) -> Option<Range<usize>> {
        let after = self.headers.partition_point(|header| header.start < place);
        self.headers.get(after.checked_sub(1)?).cloned()
    }

    /// A finding at the start of a span of bytes.
    pub(super) fn finding(&self, span: &Range<usize>, message: String) -> Finding {
        let line = self.line_starts.partition_point(|&start| start <= span.start);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or_default();
        // A byte order mark is no character that an editor would count.
        let column = before.trim_start_matches('\u{feff}').chars().count() + 1;
        Finding { file: self.name.to_owned(), line, column, message }
    }
}

/// Somebody's text inside a message: quoted, escaped, and cut where it gets long.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = Source::new("f", "ab\nüöx\n");
        let place = |start| {
            let finding = source.finding(&(start..start), String::new());
            (finding.line, finding.column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(2), (1, 3));
        assert_eq!(place(3), (2, 1));
        assert_eq!(place(7), (2, 3));
        assert_eq!(place(9), (3, 1));
    }

    #[test]
    fn findings_print_one_a_line() {
        let source = Source::new("a.toml", "x\ny");
        let both = vec![source.finding(&(0..1), "one".to_owned()), source.finding(&(2..3), "two".to_owned())];
        assert_eq!(Findings::new(both).unwrap().to_string(), "a.toml:1:1: one\na.toml:2:1: two");
        assert_eq!(Findings::new(Vec::new()), None);
    }

    #[test]
    fn quoted_text_is_short_and_without_control_characters() {
        let long = quoted(&"\n\u{1b}é".repeat(100));
        assert!(long.ends_with("\"…") && !long.contains(['\n', '\u{1b}']), "{long}");
        assert_eq!(quoted("ok"), "\"ok\"");
    }
}
