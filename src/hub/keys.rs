//! What the operator gave codes: a secret each, and what who has proved it may do (protocol, section 7).

use core::fmt;
use std::collections::BTreeMap;

use subtle::ConstantTimeEq;

use crate::names::{Code, Pattern};
use crate::wire::{Command, ErrorName, Refusal};

/// A code's secret. Nothing prints it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes, to be handed to an HMAC and to nothing else.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What somebody may set and watch, as patterns of keys; each list at least says so if it is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What may be changed: SET, INC, DEC, DEL.
    pub set: Vec<Box<str>>,
    /// What may be read: GET, KEYS, WATCH.
    pub watch: Vec<Box<str>>,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { set: vec!["*".into()], watch: vec!["*".into()] }
    }
}

impl Allowed {
    fn may_set(&self, key: &str) -> bool {
        Self::any(&self.set, key)
    }

    /// Whether a key, or a pattern read as if it were one, may be watched: its `*` is then matched only by a `*`, so
    /// that nobody watches more than is allowed.
    pub(super) fn may_watch(&self, pattern: &str) -> bool {
        Self::any(&self.watch, pattern)
    }

    fn any(patterns: &[Box<str>], text: &str) -> bool {
        let mut patterns = patterns.iter().filter_map(|pattern| Pattern::parse(pattern.as_bytes()));
        patterns.any(|pattern| pattern.matches(text))
    }
}

/// One code's secret, and what who has proved it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeKey {
    /// The secret.
    pub secret: Secret,
    /// What it may do.
    pub allowed: Allowed,
}

/// All keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The codes that have a secret.
    pub codes: BTreeMap<Box<str>, CodeKey>,
    /// What all others may do; `None`: everything.
    pub others: Option<Allowed>,
}

impl Keys {
    /// Whether there are no keys at all.
    pub(super) fn are_none(&self) -> bool {
        self.codes.is_empty() && self.others.is_none()
    }

    pub(super) fn get(&self, code: &str) -> Option<&CodeKey> {
        self.codes.get(code)
    }

    /// Whether a code has a secret.
    pub(super) fn has(&self, code: Code<'_>) -> bool {
        self.codes.contains_key(code.as_str())
    }

    /// What the client of a code may do, or who has none; `None`: everything.
    pub(super) fn allowed(&self, code: Option<&str>) -> Option<&Allowed> {
        match code.and_then(|code| self.get(code)) {
            Some(key) => Some(&key.allowed),
            None => self.others.as_ref(),
        }
    }

    /// Whether who has proved this code, or none, may do this.
    pub(super) fn permit(&self, code: Option<&str>, command: &Command<'_>) -> Result<(), Refusal> {
        let Some(allowed) = self.allowed(code) else { return Ok(()) };
        match *command {
            Command::Set { key, .. }
            | Command::Inc { key, .. }
            | Command::Dec { key, .. }
            | Command::Del { key }
                if !allowed.may_set(key.as_str()) =>
            {
                Err(MAY_NOT_SET)
            }
            // These two tell what is there.
            Command::Inc { key, .. } | Command::Dec { key, .. } if !allowed.may_watch(key.as_str()) => {
                Err(MAY_NOT_WATCH)
            }
            Command::Get { key } => {
                if allowed.may_watch(key.as_str()) {
                    Ok(())
                } else {
                    Err(MAY_NOT_WATCH)
                }
            }
            Command::Watch { pattern } | Command::Keys { pattern: Some(pattern), .. } => {
                if allowed.may_watch(pattern.as_str()) { Ok(()) } else { Err(MAY_NOT_WATCH) }
            }
            Command::Keys { pattern: None, .. } => {
                if allowed.may_watch("*") {
                    Ok(())
                } else {
                    Err(MAY_NOT_WATCH)
                }
            }
            Command::Set { .. }
            | Command::Del { .. }
            | Command::Inc { .. }
            | Command::Dec { .. }
            | Command::Join { .. }
            | Command::Bye
            | Command::Who { .. }
            | Command::Ping { .. }
            | Command::Send { .. }
            | Command::All { .. }
            | Command::Ask { .. }
            | Command::Answer { .. }
            | Command::Unwatch { .. }
            | Command::Discover
            | Command::Shout { .. }
            | Command::Info
            | Command::Stats
            | Command::Help { .. }
            | Command::Ack { .. } => Ok(()),
        }
    }
}

const MAY_NOT_SET: Refusal =
    Refusal::new(ErrorName::Denied, "this key is not in the list allow_set for you, ask the operator");
const MAY_NOT_WATCH: Refusal =
    Refusal::new(ErrorName::Denied, "that is not within the list allow_watch for you, ask the operator");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_may_be_watched_only_as_far_as_it_is_allowed() {
        let allowed = Allowed { set: Vec::new(), watch: vec!["kitchen/*".into(), "a*b".into()] };
        for pattern in ["kitchen/temp", "kitchen/*", "kitchen/*/x", "a*b", "a*c*b", "ab"] {
            assert!(allowed.may_watch(pattern), "{pattern}");
        }
        for pattern in ["*", "k*", "kitchen*", "kitchen", "*/temp", "a*", "*b"] {
            assert!(!allowed.may_watch(pattern), "{pattern}");
        }
        assert!(!allowed.may_set("kitchen/temp"), "an empty list allows nothing");
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key =
            CodeKey { secret: Secret::new(b"00112233445566778899aabbccddeeff"), allowed: Allowed::default() };
        assert!(!format!("{key:?} {key:#?}").contains("001122"));
    }
}
