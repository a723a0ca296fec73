//! `get`, `set`, `inc`, `dec`, `del`, `keys`.

use serde_json::json;

use super::arguments::Text;
use super::exit::Failure;
use super::output::Output;
use super::settings::Settings;
use super::{Client, facts, input};

pub(super) fn get(settings: &Settings, out: &mut Output, key: &str) -> Result<(), Failure> {
    value(settings, out, &format!("GET {key}"))
}

pub(super) fn count(
    settings: &Settings,
    out: &mut Output,
    word: &str,
    words: &[String],
) -> Result<(), Failure> {
    let mut line = word.to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    value(settings, out, &line)
}

fn value(settings: &Settings, out: &mut Output, line: &str) -> Result<(), Failure> {
    let mut client = Client::open(settings)?;
    let value = client.ask(line.as_bytes());
    client.farewell();
    out.text("value", &value?)
}

pub(super) fn set(settings: &Settings, out: &mut Output, key: &str, text: &Text) -> Result<(), Failure> {
    let mut client = Client::open(settings)?;
    let ended = input::each(text, |text| {
        client.ask(&[b"SET ", key.as_bytes(), b" ", text].concat())?;
        if out.json { out.object(&json!({"set": key})) } else { Ok(()) }
    });
    client.farewell();
    ended
}

pub(super) fn del(settings: &Settings, out: &mut Output, key: &str) -> Result<(), Failure> {
    let mut client = Client::open(settings)?;
    let deleted = client.ask(format!("DEL {key}").as_bytes());
    client.farewell();
    deleted?;
    if out.json { out.object(&json!({"deleted": key})) } else { Ok(()) }
}

pub(super) fn keys(settings: &Settings, out: &mut Output, pattern: Option<&str>) -> Result<(), Failure> {
    facts::list(settings, out, &format!("KEYS {}", pattern.unwrap_or("*")), "key")
}
