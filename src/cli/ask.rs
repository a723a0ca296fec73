//! `ask`: a question to one client, and its answer.

use super::arguments::Text;
use super::exit::{Exit, Failure};
use super::listen::own_or_random_code;
use super::output::Output;
use super::settings::Settings;
use super::{Client, input};

/// What an answer begins with that is none.
pub(super) const ERROR: &[u8] = b"ERR ";

pub(super) fn ask(settings: &Settings, out: &mut Output, code: &str, text: &Text) -> Result<(), Failure> {
    let mut client = Client::join(settings, &own_or_random_code(settings, "ask")?)?;
    client.set_timeout(settings.ask_timeout);
    let ended = input::each(text, |text| {
        let answer = client.ask_as_member(&[b"ASK ", code.as_bytes(), b" ", text].concat())?;
        match answer.strip_prefix(ERROR) {
            Some(why) => {
                let why = format!("{code} answers: {}", String::from_utf8_lossy(why));
                Err(Failure::new(Exit::Software, why))
            }
            None => out.text("answer", &answer),
        }
    });
    client.farewell();
    ended
}
