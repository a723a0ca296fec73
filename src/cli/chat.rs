//! `chat`: what is typed goes to everyone, what others send is shown.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::client::{Client, Happening};
use super::exit::{Exit, Failure, complain};
use super::input::Lines;
use super::messages::print_reached;
use super::output::Output;
use super::settings::Settings;
use super::signals::Interrupt;
use crate::courier::{Id, Outcome};
use crate::names::Code;
use crate::wire::ErrorName;

/// Messages that may wait for their answers before more input is read.
const UNDER_WAY: usize = 256;

/// What a typed line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Typed<'a> {
    Nothing,
    Bye,
    All(&'a [u8]),
    One(&'a str, &'a [u8]),
    Wrong,
}

/// Joins under the code from the settings, or the one that is typed first, and then follows both sides.
pub(super) fn chat(settings: &Settings, out: &mut Output) -> Result<(), Failure> {
    let interrupt = Interrupt::register()?;
    let mut input = Lines::of_stdin()?;
    let Some(code) = ask_code(settings, &mut input, &interrupt)? else { return Ok(()) };
    let client = Client::join_mailbox(settings, &code, &interrupt)?;
    prompt(&format!("joined as {code}; a line goes to everyone, @CODE TEXT to one, BYE ends\n"));
    let mut chat = Chat { client, input, sent: HashMap::new() };
    let ended = chat.follow(out, &interrupt);
    chat.client.leave();
    ended
}

struct Chat {
    client: Client,
    input: Lines,
    /// The requests under way, and whether they have been sent a second time after the place was lost.
    sent: HashMap<Id, (Vec<u8>, bool)>,
}

impl Chat {
    fn follow(&mut self, out: &mut Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let mut over = false;
        loop {
            while !over && self.sent.len() < UNDER_WAY {
                let Some(line) = self.input.next_line() else { break };
                over = self.typed(&line);
            }
            over |= self.input.has_ended();
            if over && self.sent.is_empty() {
                return Ok(());
            }
            let mut files: Vec<BorrowedFd<'_>> = vec![interrupt.as_fd()];
            if !over && self.sent.len() < UNDER_WAY {
                files.push(self.input.as_fd());
            }
            match self.client.next(None, &files)? {
                Happening::Ready(0) => return Ok(()),
                Happening::Ready(_) => self.input.read()?,
                Happening::Finished(id, outcome) => self.answered(out, id, outcome)?,
                Happening::Pushed(parcel) => parcel.push().map_or(Ok(()), |push| out.push(&push))?,
                Happening::Time => {}
            }
        }
    }

    /// Obeys a typed line; `true` if it was the last.
    fn typed(&mut self, line: &[u8]) -> bool {
        let request = match read_typed(line) {
            Typed::Nothing => return false,
            Typed::Bye => return true,
            Typed::Wrong => {
                complain("write @CODE TEXT or /to CODE TEXT to send to one client");
                return false;
            }
            Typed::All(text) => [b"ALL ", text].concat(),
            Typed::One(code, text) => [b"SEND ", code.as_bytes(), b" ", text].concat(),
        };
        self.request(request, false);
        false
    }

    fn request(&mut self, line: Vec<u8>, again: bool) {
        match self.client.request(&line) {
            Ok(id) => drop(self.sent.insert(id, (line, again))),
            Err(failure) => failure.report(),
        }
    }

    fn answered(&mut self, out: &mut Output, id: Id, outcome: Outcome) -> Result<(), Failure> {
        let Some((line, again)) = self.sent.remove(&id) else { return Ok(()) };
        match self.client.judge(&line, outcome) {
            Ok(reached) if line.starts_with(b"ALL ") => print_reached(out, &reached),
            Ok(reply) => out.text("reply", &reply),
            Err(failure) if failure.exit == Exit::NoHub => Err(failure),
            Err(failure) if failure.name == Some(ErrorName::JoinFirst) && !again => {
                self.client.regain_place()?;
                self.request(line, true);
                Ok(())
            }
            Err(failure) => {
                failure.report();
                Ok(())
            }
        }
    }
}

fn read_typed(line: &[u8]) -> Typed<'_> {
    let to_one = line.strip_prefix(b"@").or_else(|| line.strip_prefix(b"/to "));
    match (line, to_one) {
        (b"", _) => Typed::Nothing,
        (b"BYE", _) => Typed::Bye,
        (b"/to", _) => Typed::Wrong,
        (_, None) => Typed::All(line),
        (_, Some(rest)) => {
            let mut words = rest.splitn(2, |&b| b == b' ');
            let code = words.next().and_then(Code::parse);
            match (code, words.next()) {
                (Some(code), Some(text)) if !text.is_empty() => Typed::One(code.as_str(), text),
                (Some(_) | None, Some(_) | None) => Typed::Wrong,
            }
        }
    }
}

/// The code to join under; `None` if the chat is to end before one is typed.
fn ask_code(
    settings: &Settings,
    input: &mut Lines,
    interrupt: &Interrupt,
) -> Result<Option<String>, Failure> {
    if let Some(code) = &settings.code {
        return Ok(Some(code.clone()));
    }
    prompt("client code: ");
    loop {
        let Some(line) = input.next_line() else {
            if input.has_ended() || interrupt.comes_before(input.as_fd())? {
                return Ok(None);
            }
            input.read()?;
            continue;
        };
        match Code::parse(line.trim_ascii()) {
            Some(code) if code.as_str() == "BYE" => return Ok(None),
            Some(code) => return Ok(Some(code.as_str().to_owned())),
            None => complain("a code is 1 to 64 letters, digits and . _ / -"),
        }
        prompt("client code: ");
    }
}

/// Tells the person in front what to type, if there is one.
fn prompt(text: &str) {
    if io::stdin().is_terminal() {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_goes_where_it_says() {
        for (line, typed) in [
            ("", Typed::Nothing),
            ("BYE", Typed::Bye),
            ("BYE all", Typed::All(b"BYE all")),
            ("INC", Typed::All(b"INC")),
            ("@bob  hi", Typed::One("bob", b" hi")),
            ("/to bob hi you", Typed::One("bob", b"hi you")),
            ("/topic", Typed::All(b"/topic")),
            ("@bob", Typed::Wrong),
            ("@ bob", Typed::Wrong),
            ("/to", Typed::Wrong),
            ("/to bob", Typed::Wrong),
        ] {
            assert_eq!(read_typed(line.as_bytes()), typed, "{line}");
        }
    }
}
