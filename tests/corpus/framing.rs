//! However the network cuts a stream, the same lines come out of it; only a pause may end one, and never a request
//! that could still go on.
//!
//! An input is one byte that chooses the longest line and how often the reader stops, then what comes: the bytes
//! `CUT` and `PAUSE` stand for themselves only.

use core::ops::ControlFlow;

use pigeond::wire::{End, Frame, Message, Patience, Stream, is_http};

/// Here the network cuts.
const CUT: u8 = 0xfe;

/// Here nothing comes for as long as the start of a line waits.
const PAUSE: u8 = 0xfd;

/// The longest method that is looked for in front of an HTTP request line.
const METHOD_BYTES: usize = 8;

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Yielded {
    Line(Vec<u8>),
    Unfinished(Vec<u8>),
    TooLong(End),
    Http,
}

/// How one run reads.
#[derive(Clone, Copy)]
struct Reader {
    max_bytes: usize,
    /// After so many frames the reader stops, and is given the rest again; 0: never.
    stops: usize,
    /// Whether the stream is kept as bytes and read back at each cut.
    is_kept: bool,
}

/// A stream that is fed, and what it has yielded.
struct Run {
    reader: Reader,
    stream: Stream,
    yielded: Vec<Yielded>,
}

/// Checks one input; panics if something is wrong.
pub fn check(bytes: &[u8]) {
    let Some((&first, script)) = bytes.split_first() else { return };
    let reader = Reader {
        max_bytes: [24, 40, 100, 8192][usize::from(first % 4)],
        stops: usize::from(first / 4 % 4),
        is_kept: first & 0x10 != 0,
    };
    let spans: Vec<&[u8]> = script.split(|&b| b == PAUSE).collect();
    let mut run = Run { reader, stream: Stream::default(), yielded: Vec::new() };
    // What comes between two pauses that the stream notices, and so belongs together.
    let mut together = vec![Vec::new()];
    for (index, span) in spans.iter().enumerate() {
        if index > 0 && run.pause() {
            together.push(Vec::new());
        }
        for piece in span.split(|&b| b == CUT) {
            run.feed(piece);
            together.last_mut().expect("there is one").extend_from_slice(piece);
        }
    }
    run.half_close();
    same_if_uncut(&run, &together);
    http_is_shown_the_door(&run, &together.concat());
    frames_are_right(&run, &together.concat());
}

/// The same without a cut, and with a cut behind each byte, comes out the same.
fn same_if_uncut(run: &Run, together: &[Vec<u8>]) {
    for length in [usize::MAX, 1] {
        let reader = Reader { stops: 0, is_kept: false, ..run.reader };
        let mut other = Run { reader, stream: Stream::default(), yielded: Vec::new() };
        for (index, span) in together.iter().enumerate() {
            assert!(
                index == 0 || other.pause(),
                "a pause is noticed or not, however the bytes before it came"
            );
            span.chunks(length.min(span.len().max(1))).for_each(|piece| other.feed(piece));
        }
        other.half_close();
        assert_eq!(other.yielded, run.yielded, "in pieces of {length}");
    }
}

/// A first line that is an HTTP request line is never followed by anything that is read, wherever it was cut and however
/// long it is.
fn http_is_shown_the_door(run: &Run, content: &[u8]) {
    let Some(first) = content.split_inclusive(|&b| b == b'\n').next().filter(|line| line.ends_with(b"\n"))
    else {
        return;
    };
    // No method is longer than the shortest of lines that may be too long.
    let method = first.iter().take_while(|b| b.is_ascii_uppercase()).count();
    if is_http(first) && method <= METHOD_BYTES {
        let ended = |frame: &Yielded| matches!(frame, Yielded::Line(line) if line.ends_with(b"\n"));
        assert_eq!(run.yielded.last(), Some(&Yielded::Http), "{}", first.escape_ascii());
        assert!(!run.yielded.iter().any(ended), "{}", first.escape_ascii());
    }
}

fn frames_are_right(run: &Run, content: &[u8]) {
    let mut rest = Some(content);
    let mut seen_lf = false;
    for (index, frame) in run.yielded.iter().enumerate() {
        let bytes = match frame {
            Yielded::Line(line) => {
                assert!(line_is_right(line, seen_lf), "{}", line.escape_ascii());
                line
            }
            Yielded::Unfinished(line) => {
                assert!(matches!(Message::read(line), Message::Request(request) if request.end != End::Nul));
                line
            }
            Yielded::TooLong(end) => {
                seen_lf |= matches!(end, End::Lf | End::CrLf);
                rest = None;
                continue;
            }
            Yielded::Http => {
                assert_eq!(index + 1, run.yielded.len(), "nothing behind HTTP is read");
                return;
            }
        };
        assert!(!bytes.is_empty() && memchr(bytes) >= bytes.len() - 1);
        let bare = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        assert!(bare.strip_suffix(b"\r").unwrap_or(bare).len() <= run.reader.max_bytes);
        rest = rest.map(|rest| {
            let rest = if seen_lf { without_nuls(rest) } else { rest };
            rest.strip_prefix(&bytes[..]).expect("each byte once, in order")
        });
        seen_lf |= bytes.ends_with(b"\n");
    }
    let left = rest.map(|rest| if seen_lf { without_nuls(rest) } else { rest });
    assert!(left.is_none_or(<[u8]>::is_empty), "everything that was said is yielded");
}

/// A line without an end is a request only where a pause may end one (protocol, section 8).
fn line_is_right(line: &[u8], seen_lf: bool) -> bool {
    match Message::read(line) {
        Message::Request(request) if !line.ends_with(b"\n") => {
            request.end == End::Nul || (!seen_lf && request.tag.is_none())
        }
        Message::Request(_) | Message::Text(_) => true,
    }
}

/// Where the first LF is; behind the end if there is none.
fn memchr(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len())
}

fn without_nuls(bytes: &[u8]) -> &[u8] {
    let nuls = bytes.iter().take_while(|&&b| b == 0).count();
    &bytes[nuls..]
}

impl Run {
    fn feed(&mut self, bytes: &[u8]) {
        let Self { reader, stream, yielded } = self;
        if reader.is_kept {
            *stream = Stream::read(&stream.to_bytes(), reader.max_bytes);
        }
        let mut left = bytes.len();
        loop {
            let before = left;
            left = stream.feed(&bytes[bytes.len() - left..], reader.max_bytes, &mut note(*reader, yielded));
            assert!(left < before || left == 0, "each turn takes something");
            if left == 0 {
                break;
            }
        }
    }

    /// Whether the pause was noticed.
    fn pause(&mut self) -> bool {
        let ends = matches!(self.stream.patience(), Some(Patience::Quiets(_)));
        if ends {
            self.stream.pause(&mut note(self.reader, &mut self.yielded));
            assert!(self.stream.patience().is_none(), "nothing is left to wait for");
        }
        ends
    }

    fn half_close(&mut self) {
        self.stream.half_close(&mut note(self.reader, &mut self.yielded));
    }
}

fn note(reader: Reader, yielded: &mut Vec<Yielded>) -> impl FnMut(Frame<'_>) -> ControlFlow<()> {
    move |frame| {
        yielded.push(match frame {
            Frame::Line(line) => Yielded::Line(line.to_vec()),
            Frame::Unfinished(line) => Yielded::Unfinished(line.to_vec()),
            Frame::TooLong(end) => Yielded::TooLong(end),
            Frame::Http => Yielded::Http,
        });
        let stops = reader.stops > 0 && yielded.len().is_multiple_of(reader.stops);
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
