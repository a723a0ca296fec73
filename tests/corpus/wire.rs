//! What is read prints as something that reads the same; and however a request is cut, its start is known for one.

use pigeond::courier::Push;
use pigeond::limits::{DATAGRAM_LINES, MESSAGE_BYTES};
use pigeond::names::{Code, Key, Pattern};
use pigeond::wire::{
    Command, Datagram, End, ErrorName, Frame, Message, Number, Patience, Reply, Request, Stream, Tag,
    datagram, patience, push,
};

/// Starts of one line that are looked at.
const CUTS: usize = 128;

/// Checks one input; panics if something is wrong.
pub fn check(bytes: &[u8]) {
    match datagram(bytes, MESSAGE_BYTES) {
        Datagram::TooLong(_) => {
            assert!(bytes.len() > MESSAGE_BYTES || bytes.split(|&b| b == b'\n').count() > DATAGRAM_LINES);
        }
        Datagram::Text(text) => {
            assert_eq!(text, bytes);
            assert!(matches!(Message::read(first_line(bytes)), Message::Text(_)));
        }
        Datagram::Lines(lines) => {
            let messages: Vec<Message<'_>> = lines.collect();
            assert!(messages.len() <= DATAGRAM_LINES);
            assert!(matches!(messages.first(), Some(Message::Request(_))));
            for message in &messages {
                read(message);
            }
        }
    }
    for line in bytes.split_inclusive(|&b| b == b'\n').take(DATAGRAM_LINES) {
        read(&Message::read(line));
        told(line.strip_suffix(b"\n").unwrap_or(line));
        answered(line);
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.split_inclusive(|&b| b == b'\n').next().unwrap_or_default()
}

fn read(message: &Message<'_>) {
    match message {
        Message::Request(request) => {
            same_when_put_together_again(request);
            same_when_printed(request);
            starts_are_requests(request);
            one_line_of_a_stream(request);
        }
        // What is no request stays none without its end, which is no part of what it says.
        Message::Text(text) if !text.contains(&0) => {
            let bare = text.strip_suffix(b"\n").unwrap_or(text);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            assert!(bare.ends_with(b"\r") || matches!(Message::read(bare), Message::Text(_)));
        }
        Message::Text(_) => {}
    }
}

/// A tag as a client writes it, its proof included.
fn put_tag(tag: Option<&Tag<'_>>, line: &mut Vec<u8>) {
    let Some(tag) = tag else { return };
    tag.write(line);
    if let Some(mac) = tag.mac {
        line.push(b'.');
        line.extend_from_slice(mac.as_bytes());
    }
    line.push(b' ');
}

/// An end as it is written: a CR in front of a NUL belongs to the end too.
fn put_end(end: End, line: &mut Vec<u8>) {
    line.extend_from_slice(if end == End::Nul { b"\r\0" } else { end.as_bytes() });
}

fn same_when_put_together_again(request: &Request<'_>) {
    let mut line = Vec::new();
    put_tag(request.tag.as_ref(), &mut line);
    line.extend_from_slice(request.line);
    put_end(request.end, &mut line);
    assert_eq!(Message::read(&line), Message::Request(*request), "{}", line.escape_ascii());
}

fn same_when_printed(request: &Request<'_>) {
    let Ok(command) = &request.command else { return };
    let printed = print(command);
    let mut line = Vec::new();
    put_tag(request.tag.as_ref(), &mut line);
    line.extend_from_slice(&printed);
    put_end(request.end, &mut line);
    let Message::Request(again) = Message::read(&line) else { panic!("no request: {}", line.escape_ascii()) };
    let text = line.escape_ascii();
    assert_eq!((again.tag, again.command, again.end), (request.tag, request.command, request.end), "{text}");
    assert_eq!(again.line, printed, "{text}");
    assert_eq!(again.kind(), request.kind(), "{text}");
    assert!(again.unfinished().command.is_err(), "{text}");
}

/// A command as it is written, with no more spaces than it needs.
fn print(command: &Command<'_>) -> Vec<u8> {
    let int = |n: i64| n.to_string().into_bytes();
    let mut words: Vec<Vec<u8>> = vec![command.word().as_str().into()];
    match *command {
        Command::Join { code, ack, nonce } => {
            words.push(code.as_bytes().into());
            words.extend(ack.then(|| b"ack".to_vec()));
            words.extend(nonce.map(|nonce| nonce.as_bytes().to_vec()));
        }
        Command::Who { after } => words.extend(after.map(|after| after.as_bytes().to_vec())),
        Command::Ping { text: b"" } | Command::Bye | Command::Discover | Command::Info | Command::Stats => {}
        Command::Ping { text } | Command::All { text } | Command::Shout { text } => words.push(text.into()),
        Command::Send { code, text } | Command::Ask { code, text } => {
            words.extend([code.as_bytes().to_vec(), text.to_vec()]);
        }
        Command::Answer { ticket, text } => words.extend([ticket.as_bytes().to_vec(), text.to_vec()]),
        Command::Get { key } | Command::Del { key } => words.push(key.as_bytes().into()),
        Command::Set { key, text } => words.extend([key.as_bytes().to_vec(), text.to_vec()]),
        Command::Inc { key, by } | Command::Dec { key, by } => {
            words.extend([key.as_bytes().to_vec(), int(by)]);
        }
        Command::Keys { pattern, after } => {
            words.extend(pattern.map(|pattern| pattern.as_bytes().to_vec()));
            words.extend(after.map(|after| after.as_bytes().to_vec()));
        }
        Command::Watch { pattern } | Command::Unwatch { pattern } => words.push(pattern.as_bytes().into()),
        Command::Help { topic } => words.extend(topic.map(|topic| topic.as_str().into())),
        Command::Ack { number } => {
            words.push(number.map_or_else(|| b"x".to_vec(), |number| number.get().to_string().into_bytes()));
        }
    }
    words.join(&b' ')
}

/// Once a stream's peer has ended a line, no start of a request is ever taken for something whole.
fn starts_are_requests(request: &Request<'_>) {
    if request.end == End::Nul {
        return;
    }
    let mut line = Vec::new();
    put_tag(request.tag.as_ref(), &mut line);
    let tag = line.len();
    line.extend_from_slice(request.line);
    for cut in (1..=line.len()).take(CUTS) {
        let start = line.get(..cut).unwrap_or_default();
        assert_eq!(patience(start, true), Patience::Forever, "{}", start.escape_ascii());
        assert!(patience(start, false) != Patience::Quiets(1), "{}", start.escape_ascii());
        if request.tag.is_some() && cut >= tag {
            assert_eq!(patience(start, false), Patience::Forever, "{}", start.escape_ascii());
        }
    }
}

/// On a stream the request is one line, and the bytes behind it are no part of that.
fn one_line_of_a_stream(request: &Request<'_>) {
    let mut line = Vec::new();
    put_tag(request.tag.as_ref(), &mut line);
    line.extend_from_slice(request.line);
    line.extend_from_slice(b"\r\n");
    let (mut stream, mut frames) = (Stream::default(), Vec::new());
    let both = [&line[..], b"PING\n"].concat();
    stream.feed(&both, MESSAGE_BYTES, &mut |frame: Frame<'_>| {
        frames.push(match frame {
            Frame::Line(line) => line.to_vec(),
            Frame::TooLong(_) | Frame::Http | Frame::Unfinished(_) => Vec::new(),
        });
        core::ops::ControlFlow::Continue(())
    });
    match &frames[..] {
        [first, second] => assert!(*first == line && second == b"PING\n"),
        [http] => assert!(http.is_empty() && pigeond::wire::is_http(&line), "{}", line.escape_ascii()),
        _ => panic!("{} frames from {}", frames.len(), both.escape_ascii()),
    }
}

/// What the hub tells a client, as the client reads it.
fn told(line: &[u8]) {
    let Some((number, read)) = Push::read_numbered(line) else { return };
    let mut bare = Vec::new();
    match read {
        Push::Message { from, text } => push::message(&mut bare, from, text),
        Push::Question { ticket, from, text } => push::question(&mut bare, ticket.as_str(), from, text),
        Push::Value { key, text } => push::value(&mut bare, key.as_str(), text),
        Push::Gone { key } => push::gone(&mut bare, key.as_str()),
        Push::Moved => push::moved(&mut bare),
    }
    let mut whole = Vec::new();
    match number {
        Some(number) => push::numbered(&mut whole, number.get(), &bare),
        None => whole.extend_from_slice(&bare),
    }
    assert_eq!(whole, line, "{}", line.escape_ascii());
    assert!(Push::read(line).is_none() || number.is_none());
}

/// Names, and replies: what a client sees of what it asked.
fn answered(line: &[u8]) {
    for word in line.split(|&b| b == b' ').take(8) {
        if let Some(pattern) = Pattern::parse(word) {
            assert!(pattern.matches(pattern.as_str()), "{pattern}");
            assert!(pattern.as_str().starts_with(pattern.literal_prefix()));
        }
        if let (Some(code), Some(pattern)) = (Code::parse(word), Pattern::parse(word)) {
            assert!(code.as_str() == pattern.as_str() && pattern.literal_prefix() == code.as_str());
        }
        assert!(Key::parse(word).is_none() || Code::parse(word).is_some());
        if let Some(number) = Number::parse(word) {
            assert_eq!(number.get().to_string().as_bytes(), word);
        }
        if let Some(name) = ErrorName::parse(word) {
            assert_eq!(name.as_str().as_bytes(), word);
        }
    }
    if let Some((tag, rest)) = Tag::split(line) {
        let mut out = Vec::new();
        let reply = Reply::begin(&mut out, Some(&tag));
        out.extend_from_slice(rest);
        reply.complete(&mut out, Ok(()));
        let (again, outcome) = Tag::split(&out).expect("a reply under the same tag");
        assert_eq!((again.session, again.number), (tag.session, tag.number));
        assert_eq!(outcome, reply.outcome(&out));
        assert!(outcome.strip_prefix(b"OK").is_some_and(|body| body.is_empty() || body[1..] == *rest));
    }
}
