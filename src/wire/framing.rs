//! Cuts a stream of bytes into lines, whether its peer ends them or not (protocol, sections 1 and 8).

use core::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::End;
use super::line::{self, begins_like_http, ends_like_http, is_http, skip_nuls};
use super::request::Word;
use super::tag::Tag;
use crate::limits::PATIENT_QUIETS;

/// What a stream yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line, with its LF if it had one.
    Line(&'a [u8]),
    /// The start of a request that will never be finished: it is refused.
    Unfinished(&'a [u8]),
    /// A line longer than allowed, all of it dropped.
    TooLong(End),
    /// The first line is an HTTP request: refuse it and read no further.
    Http,
}

/// How long an unfinished line waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// So many times the quiet time, from the last byte.
    Quiets(u32),
    /// Until its line end comes.
    Forever,
}

/// What an unfinished line is, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Text,
    Undecided,
    Command,
    Tagged,
    EndedByNul,
}

impl Class {
    fn of(partial: &[u8]) -> Self {
        let (content, nul) = match memchr::memchr(0, partial) {
            Some(at) => (partial.get(..at).unwrap_or_default(), true),
            None => (partial, false),
        };
        let tagged = Tag::split(content).is_some();
        match (tagged || Word::begins(content), nul) {
            (true, true) => Self::EndedByNul,
            (true, false) if tagged => Self::Tagged,
            (true, false) => Self::Command,
            (false, false) if Word::may_begin(content) || Tag::may_begin(content) => Self::Undecided,
            (false, _) => Self::Text,
        }
    }
}

/// How long this start of a line waits, before and after the stream's first LF.
#[must_use]
pub fn patience(partial: &[u8], seen_lf: bool) -> Patience {
    match (Class::of(partial), seen_lf) {
        (Class::Text | Class::EndedByNul, false) => Patience::Quiets(1),
        (Class::Text | Class::EndedByNul, true) | (Class::Undecided | Class::Command, false) => {
            Patience::Quiets(PATIENT_QUIETS)
        }
        (Class::Undecided | Class::Command, true) | (Class::Tagged, _) => Patience::Forever,
    }
}

/// Bytes at the end of a line that is too long which still tell how it ends: as ` HTTP/1.1` and CR LF do, and then some.
const TAIL_BYTES: usize = 16;

/// What is remembered of a line that is too long.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct TooLong {
    /// Its last bytes so far.
    tail: [u8; TAIL_BYTES],
    /// Whether it is the first line and begins as HTTP does.
    http: bool,
}

impl TooLong {
    fn new(line: &[u8], http: bool) -> Self {
        let mut too_long = Self { tail: [0; TAIL_BYTES], http };
        too_long.goes_on(line);
        too_long
    }

    /// More of the line has come.
    fn goes_on(&mut self, bytes: &[u8]) {
        let bytes = bytes.last_chunk::<TAIL_BYTES>().map_or(bytes, |tail| tail);
        self.tail.rotate_left(bytes.len());
        let before = TAIL_BYTES - bytes.len();
        self.tail.get_mut(before..).unwrap_or_default().copy_from_slice(bytes);
    }
}

/// What a stream has said without any line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Cut {
    /// Nothing.
    #[default]
    No,
    /// Something that could be the start of an HTTP method.
    Something,
    /// What begins as an HTTP request does.
    Http,
}

/// What a stream holds between two pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: no line end has come yet, nor anything else.
    Nothing,
    /// Nothing but the knowledge that its lines end.
    Ended,
    /// The start of a line, or what must be known of those before it.
    Something,
}

/// The state of one stream. An idle stream holds no memory but itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Stream {
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    /// Whether the peer has ever sent a line end: it then always does.
    seen_lf: bool,
    /// What was cut off by a pause before the first LF.
    cut: Cut,
    /// Whether the stream turned out to be HTTP: nothing more of it is read.
    http: bool,
    /// Inside a line that is too long, of which nothing is kept but this.
    too_long: Option<TooLong>,
}

impl Stream {
    /// What it holds.
    #[must_use]
    pub fn rest(&self) -> Rest {
        let has_more = self.cut != Cut::No || self.http || self.too_long.is_some();
        match (has_more || !self.partial.is_empty(), self.seen_lf) {
            (true, _) => Rest::Something,
            (false, true) => Rest::Ended,
            (false, false) => Rest::Nothing,
        }
    }

    /// Its state, for [`Self::read`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// The stream whose state these bytes are; a new one if they are none, or hold a longer line than is allowed.
    #[must_use]
    pub fn read(bytes: &[u8], max_bytes: usize) -> Self {
        let stream: Self = postcard::from_bytes(bytes).unwrap_or_default();
        if content_length(&stream.partial) > max_bytes { Self::default() } else { stream }
    }

    /// Takes bytes as they come and yields every line that they finish, in order, until it is told to stop.
    /// Lines that lie whole in `bytes` are yielded in place. After [`Frame::Http`] nothing more is yielded.
    ///
    /// Returns how many bytes were not taken, because it was told to stop: they are to be fed again.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        max_bytes: usize,
        yield_frame: &mut impl FnMut(Frame<'_>) -> ControlFlow<()>,
    ) -> usize {
        let mut rest = bytes;
        while !self.http {
            let Some(lf) = line::find(b'\n', rest) else {
                self.keep(rest, max_bytes);
                break;
            };
            let (line, tail) = rest.split_at(lf + 1);
            rest = tail;
            if self.finish_line(line, max_bytes, yield_frame).is_break() {
                return rest.len();
            }
        }
        0
    }

    /// Yields one line.
    fn finish_line(
        &mut self,
        line: &[u8],
        max_bytes: usize,
        yield_frame: &mut impl FnMut(Frame<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let line = self.skip_front(line);
        let first = !core::mem::replace(&mut self.seen_lf, true);
        if let Some(mut too_long) = self.too_long.take() {
            too_long.goes_on(line);
            return self.finish_too_long(too_long, first, yield_frame);
        }
        let mut joined = core::mem::take(&mut self.partial);
        let whole = if joined.is_empty() {
            line
        } else {
            joined.extend_from_slice(line);
            joined.as_slice()
        };
        if content_length(whole) > max_bytes {
            let too_long = TooLong::new(whole, first && self.begins_http(whole, max_bytes));
            return self.finish_too_long(too_long, first, yield_frame);
        }
        self.http = first
            && match self.cut {
                Cut::No => is_http(whole),
                Cut::Something => ends_like_http(whole),
                // Programs either end their lines or never do: this is the rest of the request.
                Cut::Http => true,
            };
        yield_frame(if self.http { Frame::Http } else { Frame::Line(whole) })
    }

    /// Yields one line that is too long, whose end has come.
    fn finish_too_long(
        &mut self,
        TooLong { tail, http }: TooLong,
        first: bool,
        yield_frame: &mut impl FnMut(Frame<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.http = http || (first && self.cut == Cut::Something && ends_like_http(&tail));
        yield_frame(if self.http { Frame::Http } else { Frame::TooLong(line::text_end(&tail)) })
    }

    /// Whether a first line that is too long begins as HTTP does, as far as that can be seen without its end: by as much of
    /// it as is kept, however it comes.
    fn begins_http(&self, line: &[u8], max_bytes: usize) -> bool {
        match self.cut {
            Cut::No => begins_like_http(line.get(..=max_bytes).unwrap_or(line)),
            Cut::Something => false,
            Cut::Http => true,
        }
    }

    /// Keeps the start of a line for later, or only the fact that it is too long.
    fn keep(&mut self, rest: &[u8], max_bytes: usize) {
        let rest = self.skip_front(rest);
        if rest.is_empty() {
            return;
        }
        if let Some(too_long) = &mut self.too_long {
            too_long.goes_on(rest);
            return;
        }
        // Two bytes more than allowed tell: one may be the CR of a CR LF.
        let room = (max_bytes + 2).saturating_sub(self.partial.len());
        let (taken, behind) = rest.split_at(room.min(rest.len()));
        self.partial.extend_from_slice(taken);
        if content_length(&self.partial) > max_bytes {
            let partial = core::mem::take(&mut self.partial);
            let mut too_long = TooLong::new(&partial, !self.seen_lf && self.begins_http(&partial, max_bytes));
            too_long.goes_on(behind);
            self.too_long = Some(too_long);
        }
    }

    /// Drops NULs in front of a line: after the first LF they are padding of the record before.
    fn skip_front<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let at_front = self.seen_lf && self.partial.is_empty() && self.too_long.is_none();
        if at_front { skip_nuls(bytes) } else { bytes }
    }

    /// How long what has come waits for a line end, from its last byte; `None` if nothing waits.
    #[must_use]
    pub fn patience(&self) -> Option<Patience> {
        match (self.too_long, self.partial.is_empty(), self.seen_lf) {
            (Some(_), _, false) => Some(Patience::Quiets(PATIENT_QUIETS)),
            (Some(_), _, true) => Some(Patience::Forever),
            (None, true, _) => None,
            (None, false, seen_lf) => Some(patience(&self.partial, seen_lf)),
        }
    }

    /// The pause has lasted: yields what has come as one line.
    pub fn pause(&mut self, yield_frame: &mut impl FnMut(Frame<'_>) -> ControlFlow<()>) {
        if !self.seen_lf && self.cut != Cut::Http {
            let http = begins_like_http(&self.partial) || self.too_long.is_some_and(|line| line.http);
            self.cut = if http { Cut::Http } else { Cut::Something };
        }
        self.yield_rest(false, yield_frame);
    }

    /// The peer has said all it will say: yields the rest.
    pub fn half_close(&mut self, yield_frame: &mut impl FnMut(Frame<'_>) -> ControlFlow<()>) {
        let unfinished = match Class::of(&self.partial) {
            Class::Command => self.seen_lf,
            Class::Tagged => true,
            Class::Text | Class::Undecided | Class::EndedByNul => false,
        };
        self.yield_rest(unfinished, yield_frame);
    }

    fn yield_rest(&mut self, unfinished: bool, yield_frame: &mut impl FnMut(Frame<'_>) -> ControlFlow<()>) {
        let partial = core::mem::take(&mut self.partial);
        let frame = if !self.seen_lf && is_http(&partial) {
            self.http = true;
            Frame::Http
        } else if self.too_long.take().is_some() {
            Frame::TooLong(End::None)
        } else if unfinished {
            Frame::Unfinished(&partial)
        } else if partial.is_empty() {
            return;
        } else {
            Frame::Line(&partial)
        };
        // Nothing is left that it could be told to stop before.
        let _ = yield_frame(frame);
    }
}

/// How long a line is without its end.
fn content_length(line: &[u8]) -> usize {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 24;

    fn run(pieces: &[&[u8]]) -> Vec<String> {
        let mut stream = Stream::default();
        let mut frames = Vec::new();
        let mut note = |frame: Frame<'_>| {
            frames.push(match frame {
                Frame::Line(line) => format!("line {}", line.escape_ascii()),
                Frame::Unfinished(line) => format!("unfinished {}", line.escape_ascii()),
                Frame::TooLong(end) => format!("too long {end:?}"),
                Frame::Http => "http".to_owned(),
            });
            // Stopping after every third frame must make no difference to what is yielded.
            if frames.len().is_multiple_of(3) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        for piece in pieces {
            let mut left = piece.len();
            while left > 0 {
                left = stream.feed(&piece[piece.len() - left..], MAX, &mut note);
            }
        }
        stream.half_close(&mut note);
        frames
    }

    #[test]
    fn patience_is_the_table_of_section_8() {
        use Patience::{Forever, Quiets};
        for (partial, before, after) in [
            (&b"hello"[..], Quiets(1), Quiets(4)),
            (b"SE", Quiets(4), Forever),
            (b"#k3", Quiets(4), Forever),
            (b"#k3.1", Quiets(4), Forever),
            (b"INC", Quiets(4), Forever),
            (b"INC\r", Quiets(4), Forever),
            (b"SET a", Quiets(4), Forever),
            (b"#k3.1 INC", Forever, Forever),
            (b"INC\0\0", Quiets(1), Quiets(4)),
            (b"#k3.1 INC\0", Quiets(1), Quiets(4)),
            (b"hi\0\0", Quiets(1), Quiets(4)),
            (b"SE\0", Quiets(1), Quiets(4)),
        ] {
            assert_eq!(patience(partial, false), before, "{}", partial.escape_ascii());
            assert_eq!(patience(partial, true), after, "{}", partial.escape_ascii());
        }
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        let longest = [&[b'x'; MAX][..], b"\n"].concat();
        let longer = [&[b'x'; MAX + 1][..], b"\n"].concat();
        assert_eq!(run(&[&longest]), [format!("line {}", longest.escape_ascii())]);
        assert_eq!(run(&[&longer, b"a\n"]), ["too long Lf", "line a\\n"]);
        for (x, end) in [(MAX, "line"), (MAX + 1, "too long CrLf"), (MAX + 2, "too long CrLf")] {
            let line = [&vec![b'x'; x][..], b"\r\n"].concat();
            for cut in 0..line.len() {
                assert!(run(&[&line[..cut], &line[cut..]])[0].starts_with(end), "{x} {cut}");
            }
        }
    }

    #[test]
    fn http_is_shown_the_door_however_it_comes() {
        let long = format!("POST /{} HTTP/1.1\r\n", "a".repeat(MAX));
        assert_eq!(run(&[b"GET / HTTP/1.1\r\nSET a 1\n"]), ["http"]);
        assert_eq!(run(&[long.as_bytes(), b"SET a 1\n"]), ["http"]);
        assert_eq!(run(&[b"PING\nGET / HTTP/1.1\r\n"]), ["line PING\\n", "line GET / HTTP/1.1\\r\\n"]);
    }

    #[test]
    fn http_is_shown_the_door_wherever_a_pause_cuts_its_request_line() {
        for target in ["/a".to_owned(), format!("/{}", "a".repeat(200))] {
            let line = format!("POST {target} HTTP/1.1\r\n");
            let request = [line.as_bytes(), b"Host: h\r\n\r\nSET a 1\n"].concat();
            for (cut, step) in (1..line.len()).flat_map(|cut| [(cut, request.len()), (cut, 1)]) {
                let (mut stream, mut lines) = (Stream::default(), Vec::new());
                let mut note = |frame: Frame<'_>| {
                    if let Frame::Line(line) = frame {
                        lines.push(line.to_vec());
                    }
                    ControlFlow::Continue(())
                };
                for piece in request[..cut].chunks(step) {
                    stream.feed(piece, 100, &mut note);
                }
                stream.pause(&mut note);
                for piece in request[cut..].chunks(step) {
                    stream.feed(piece, 100, &mut note);
                }
                // At most the piece before the pause is answered, as text.
                assert!(lines.len() <= 1, "{cut}: {lines:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_frames(
            lines in prop::collection::vec("(INC|#s\\.1 INC|hi|\0{1,3}|GET / HTTP/1\\.1|[a-z\0\r]{0,40})(\n|\r\n|\0\n|)", 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream = lines.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                pieces.push(&stream[from..cut]);
                from = cut;
            }
            prop_assert_eq!(run(&pieces), run(&[&stream]));
        }
    }
}
