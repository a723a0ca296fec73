//! Answers that list or describe: WHO, KEYS, INFO, STATS, HELP.

use super::Hub;
use crate::limits::LIST_BYTES;
use crate::moment::Moment;
use crate::names::{Code, Key, Pattern};
use crate::wire::{WORDS, Word};

/// What stands behind a list that goes on.
const MORE: &[u8] = b" +";

/// Room for names in a list: the rest is for [`MORE`] and the longest line end.
const NAMES_BYTES: usize = LIST_BYTES - MORE.len() - b"\r\n".len();

impl Hub {
    pub(super) fn list_codes(&self, after: Option<Code<'_>>, body: &mut Vec<u8>) {
        list(self.clients.after(after.map(Code::as_str)), body);
    }

    /// Lists the keys that match: only those are looked at that begin as the pattern does.
    pub(super) fn list_keys(
        &mut self,
        pattern: Option<Pattern<'_>>,
        after: Option<Key<'_>>,
        body: &mut Vec<u8>,
    ) {
        let prefix = pattern.as_ref().map_or("", Pattern::literal_prefix);
        let steps = &mut self.steps;
        let keys = self.values.beginning_with(prefix, after.map(Key::as_str)).map(|(_, key)| key);
        let keys = keys.inspect(|_| *steps += 1);
        list(keys.filter(|key| pattern.is_none_or(|pattern| pattern.matches(key))), body);
    }

    /// What hub this is.
    pub(super) fn info(&self, now: Moment, body: &mut Vec<u8>) {
        let settings = &self.settings;
        let line = format!(
            "name={} version={} port={} clients={}/{} up={}",
            settings.name,
            settings.version,
            settings.port,
            self.clients.len(),
            settings.places(),
            now.since(self.started).as_secs(),
        );
        body.extend_from_slice(line.as_bytes());
    }

    /// Figures since the start.
    pub(super) fn stats(&self, now: Moment, body: &mut Vec<u8>) {
        let counters = &self.counters;
        for (index, (name, figure)) in [
            ("up", now.since(self.started).as_secs()),
            ("clients", self.clients.len() as u64),
            ("tcp", self.streams.len() as u64),
            ("sessions", self.sessions.len() as u64),
            ("values", self.values.len() as u64),
            ("value_bytes", self.values.bytes() as u64),
            ("mailboxes", self.mailboxes.len() as u64),
            ("letters", self.mailboxes.letters() as u64),
            ("questions", self.asks.len() as u64),
            ("datagrams", counters.datagrams),
            ("connections", counters.connections),
            ("requests", counters.requests),
            ("texts", counters.texts),
            ("pushes", counters.pushes),
            ("errors", counters.errors),
            ("texts_dropped", counters.texts_dropped),
            ("over_budget", counters.over_budget),
            ("strangers", counters.strangers),
            ("rate_dropped", counters.rate_dropped),
            ("dropped", counters.dropped),
            ("broadcasts", counters.broadcasts),
            ("kept", counters.kept),
            ("commits", counters.commits),
            ("disk_errors", counters.disk_errors),
            ("written", counters.written),
            ("set_aside", counters.set_aside),
        ]
        .into_iter()
        .enumerate()
        {
            if index > 0 {
                body.push(b' ');
            }
            body.extend_from_slice(name.as_bytes());
            body.push(b'=');
            body.extend_from_slice(itoa::Buffer::new().format(figure).as_bytes());
        }
    }
}

/// Appends what PING is answered.
pub(super) fn ping(text: &[u8], body: &mut Vec<u8>) {
    body.extend_from_slice(b"pong");
    if !text.is_empty() {
        body.push(b' ');
        body.extend_from_slice(text);
    }
}

/// Explains one command, or lists them all.
pub(super) fn help(topic: Option<Word>, body: &mut Vec<u8>) {
    if let Some(word) = topic {
        body.extend_from_slice(word.syntax().as_bytes());
        body.extend_from_slice(b": ");
        body.extend_from_slice(word.help().as_bytes());
        return;
    }
    for (index, word) in WORDS.iter().enumerate() {
        if index > 0 {
            body.extend_from_slice(b" | ");
        }
        body.extend_from_slice(word.syntax().as_bytes());
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>, body: &mut Vec<u8>) {
    let start = body.len();
    for name in names {
        let space = usize::from(body.len() > start);
        if body.len() - start + space + name.len() > NAMES_BYTES {
            body.extend_from_slice(MORE);
            return;
        }
        if space > 0 {
            body.push(b' ');
        }
        body.extend_from_slice(name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stays_within_its_bound_and_says_when_it_goes_on() {
        let names: Vec<String> = (0..400).map(|n| format!("{n:03}")).collect();
        let mut body = b"before".to_vec();
        list(names.iter().map(String::as_str), &mut body);
        assert!(body.len() <= 6 + LIST_BYTES - 2 && body.ends_with(b" +"));
        // 249 names of three digits and the spaces between them are 995 bytes; one more would be 999.
        assert_eq!(memchr::memchr_iter(b' ', &body).count(), 249);
        let mut all = Vec::new();
        list(names.iter().take(249).map(String::as_str), &mut all);
        assert!(all.ends_with(b"248"));
    }

    #[test]
    fn help_stays_within_its_bound() {
        let mut body = Vec::new();
        help(None, &mut body);
        assert!(body.len() <= LIST_BYTES - 2, "{}", body.len());
    }
}
