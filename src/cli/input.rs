//! Texts from the command line, and lines from the standard input.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use super::arguments::Text;
use super::exit::{Exit, Failure};
use crate::limits::UDP_PAYLOAD_BYTES;

/// The longest line that is read: no hub takes a longer one.
const LINE_BYTES: usize = UDP_PAYLOAD_BYTES;

/// Does something with the text from the command line, or with each line of the standard input if it is `-`.
/// Ends with the first failure.
pub(super) fn each(text: &Text, mut act: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    if let [only] = text.words.as_slice()
        && only == "-"
    {
        let mut lines = Lines::of_stdin()?;
        while let Some(line) = lines.next_awaited()? {
            act(&line)?;
        }
        return Ok(());
    }
    let text = text.words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>().join(&b' ');
    if text.contains(&b'\n') {
        return Err(Failure::new(
            Exit::Data,
            "a text may hold no line feed: a message is one line (with - each line is a message of its own)",
        ));
    }
    act(&text)
}

/// The standard input, cut into lines without their ends. Unbuffered, so that `poll` tells whether more has come.
#[derive(Debug)]
pub(super) struct Lines {
    source: File,
    /// What has come and was not yielded; at most [`LINE_BYTES`] and one read.
    kept: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub(super) fn of_stdin() -> Result<Self, Failure> {
        let source = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Self { source, kept: Vec::new(), ended: false })
    }

    /// Reads once, which waits only if nothing has come.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        let mut chunk = [0; 8192];
        let count = match self.source.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.ended |= count == 0;
        self.kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if self.kept.len() > LINE_BYTES && !self.kept.contains(&b'\n') {
            let why = format!("a line of the input is longer than {LINE_BYTES} bytes");
            return Err(Failure::new(Exit::Data, why));
        }
        Ok(())
    }

    /// The next whole line of what has been read. At the end of the input its last line needs no end.
    pub(super) fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line: Vec<u8> = match memchr::memchr(b'\n', &self.kept) {
            Some(lf) => self.kept.drain(..=lf).collect(),
            None if self.ended && !self.kept.is_empty() => core::mem::take(&mut self.kept),
            None => return None,
        };
        for end in [b'\n', b'\r'] {
            if line.last() == Some(&end) {
                line.pop();
            }
        }
        Some(line)
    }

    /// The next line, awaited; `None` at the end of the input.
    pub(super) fn next_awaited(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            match self.next_line() {
                None if !self.ended => self.read()?,
                line => return Ok(line),
            }
        }
    }

    /// Whether everything has been read and yielded.
    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.kept.is_empty()
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn lines(bytes: &[u8]) -> Lines {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(bytes).unwrap();
        source.rewind().unwrap();
        Lines { source, kept: Vec::new(), ended: false }
    }

    #[test]
    fn lines_end_in_lf_or_crlf_and_the_last_needs_no_end() {
        let mut lines = lines(b"a\n\r\nb c\r\nlast");
        let mut all = Vec::new();
        while let Some(line) = lines.next_awaited().unwrap() {
            all.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(all, ["a", "", "b c", "last"]);
        assert!(lines.has_ended());
    }

    #[test]
    fn a_line_without_bound_is_refused() {
        let failure = lines(&vec![b'x'; 2 * LINE_BYTES]).next_awaited().unwrap_err();
        assert_eq!(failure.exit, Exit::Data);
    }
}
