//! `who`, `info`, `stats`, and lists that come in several replies.

use serde_json::{Map, Value, json};

use super::Client;
use super::exit::{Exit, Failure};
use super::output::{Output, sanitised};
use super::settings::Settings;

/// The most replies that one list may take: ten thousand names of 64 bytes, ten to a reply, and more.
const REPLIES: usize = 10_000;

pub(super) fn who(settings: &Settings, out: &mut Output) -> Result<(), Failure> {
    list(settings, out, "WHO", "code")
}

/// Asks for a list and prints it, one name a line; ` +` at the end of a reply means that there is more.
pub(super) fn list(settings: &Settings, out: &mut Output, line: &str, name: &str) -> Result<(), Failure> {
    let mut client = Client::open(settings)?;
    let ended = print_list(&mut client, out, line, name);
    client.farewell();
    ended
}

fn print_list(client: &mut Client, out: &mut Output, line: &str, name: &str) -> Result<(), Failure> {
    let mut after = String::new();
    for _ in 0..REPLIES {
        let body = sanitised(&client.ask(format!("{line}{after}").as_bytes())?);
        let (words, more) = match body.strip_suffix('+') {
            Some(words) => (words, true),
            None => (body.as_str(), false),
        };
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if out.json { out.object(&json!({ name: word }))? } else { out.line(word)? }
        }
        let last = words.split(' ').rfind(|word| !word.is_empty());
        let Some(last) = last.filter(|_| more) else { return Ok(()) };
        after = format!(" {last}");
    }
    Err(Failure::new(Exit::Software, "the hub's list does not end"))
}

/// Asks for `name=value` pairs and prints them, one a line.
pub(super) fn pairs(settings: &Settings, out: &mut Output, line: &str) -> Result<(), Failure> {
    let mut client = Client::open(settings)?;
    let answer = client.ask(line.as_bytes());
    client.farewell();
    let body = sanitised(&answer?);
    if !out.json {
        return body.split(' ').filter(|word| !word.is_empty()).try_for_each(|word| out.line(word));
    }
    let pair = |word: &str| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Value::from(value)),
        None => (word.to_owned(), Value::from(true)),
    };
    let pairs: Map<String, Value> = body.split(' ').filter(|word| !word.is_empty()).map(pair).collect();
    out.object(&Value::Object(pairs))
}
