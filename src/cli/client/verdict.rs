//! What the outcome of a request means for the person in front.

use super::Client;
use crate::cli::duration;
use crate::cli::exit::{Exit, Failure};
use crate::cli::link::no_hub;
use crate::courier::Outcome;
use crate::wire::{ErrorName, Kind, Word};

impl Client {
    /// What a request's outcome means for whoever asked.
    pub(in crate::cli) fn judge(&self, line: &[u8], outcome: Outcome) -> Result<Vec<u8>, Failure> {
        match outcome {
            Outcome::Done(body) => Ok(body),
            Outcome::Refused { name, why } => Err(Failure::refused(&name, &why)),
            Outcome::GivenUp { sent, excuse } => Err(self.given_up(line, sent, excuse)),
        }
    }

    fn given_up(&self, line: &[u8], sent: bool, excuse: Option<ErrorName>) -> Failure {
        let hub = &self.settings.hub;
        if self.link.refused && !self.link.heard {
            return no_hub(hub);
        }
        let time = duration::show(self.settings.timeout);
        let what = match excuse {
            Some(ErrorName::Prove) if line.starts_with(b"JOIN ") => {
                let why = format!("{hub} does not take the secret that was given as that of this code");
                return Failure { name: excuse, ..Failure::new(Exit::Denied, why) };
            }
            Some(ErrorName::TooLong) => return Failure::refused("too-long", "the hub takes no line so long"),
            Some(name) => format!("the hub at {hub} said `{}` for all of {time}", name.as_str()),
            None if self.link.heard => match self.courier.unproved() {
                Some(reply) => {
                    let reply = String::from_utf8_lossy(reply);
                    format!("no proved answer from {hub} within {time}, only: {reply}")
                }
                None => format!("no answer from {hub} within {time}"),
            },
            None => {
                format!(
                    "no answer from {hub} within {time}; is pigeond running there, and does every firewall let it answer?"
                )
            }
        };
        let word = line.split(|&b| b == b' ').next().and_then(Word::parse);
        let changes = word.is_some_and(|word| word.kind() == Kind::Change);
        let fate = match (changes, sent) {
            (true, true) => "; whether the request was done is unknown",
            (true, false) => "; the request was not sent",
            (false, _) => "",
        };
        Failure::new(Exit::Timeout, format!("{what}{fate}"))
    }
}

/// Says what can be done where a code's mailbox is in the way of who only sends.
pub(super) fn explain_denied(code: &str, mut failure: Failure) -> Failure {
    if failure.name == Some(ErrorName::Denied) && failure.message.contains("has a mailbox") {
        let refusal = failure.message;
        failure.message = format!(
            "{refusal}; while {code} has a mailbox (pigeon listen, watch, chat or answer --as {code} runs, or was \
             killed and left mail waiting) send under another code; `pigeon listen --as {code}` fetches what waits and \
             deletes the mailbox at Ctrl+C"
        );
    }
    failure
}
