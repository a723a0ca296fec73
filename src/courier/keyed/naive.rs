//! A hub that is nothing but section 7, written down without a thought for speed.

use std::collections::BTreeMap;

use core::time::Duration;

use super::{SessionKey, Way, digits, hmac};
use crate::moment::Moment;
use crate::names::Mac;
use crate::wire::Tag;

pub(super) const SECRET: &[u8] = b"00112233445566778899aabbccddeeff";

/// A hub of one code. A peer is a number.
#[derive(Default)]
pub(super) struct Hub {
    pub(super) sessions: BTreeMap<String, Known>,
    /// How often each request was done.
    pub(super) effects: BTreeMap<String, u32>,
    pushes: u64,
}

pub(super) struct Known {
    key: SessionKey,
    peer: u64,
    replies: BTreeMap<u64, (String, String)>,
}

impl Hub {
    fn nonce(now: Moment, peer: u64) -> String {
        let minute = now.since_start().as_secs() / 60;
        let hash = hmac(b"the hub's own", &[format!("{peer} {minute}").as_bytes()]);
        String::from_utf8(digits(&hash).to_vec()).unwrap()
    }

    fn is_fresh(now: Moment, peer: u64, nonce: &str) -> bool {
        let before = Moment::ZERO + now.since(Moment::ZERO + Duration::from_mins(1));
        nonce == Self::nonce(now, peer) || nonce == Self::nonce(before, peer)
    }

    /// The reply.
    pub(super) fn handle(&mut self, now: Moment, peer: u64, line: &str) -> String {
        let line = line.strip_suffix('\n').unwrap();
        let (tag, request) = Tag::split(line.as_bytes()).unwrap();
        let (session, number) = (tag.session.as_str(), tag.number.get());
        let request = str::from_utf8(request).unwrap();
        let challenge = format!("#{session}.{number} ERR prove {}\n", Self::nonce(now, peer));
        let words: Vec<&str> = request.split(' ').collect();
        let last = *words.last().unwrap();
        let has_nonce = words[0] == "JOIN" && Self::is_fresh(now, peer, last);
        if !self.sessions.contains_key(session) && number == 1 && has_nonce {
            let key = SessionKey::new(SECRET, session, last);
            if tag.mac.is_some_and(|mac| {
                key.is_proved(Way::Request, session, 1, request.as_bytes(), mac.as_bytes())
            }) {
                self.sessions.insert(session.to_owned(), Known { key, peer, replies: BTreeMap::new() });
            }
        }
        let Some(known) = self.sessions.get_mut(session) else { return challenge };
        let proved = |mac: Mac<'_>| {
            known.key.is_proved(Way::Request, session, number, request.as_bytes(), mac.as_bytes())
        };
        let is_newest = known.replies.range(number..).all(|(_, (line, _))| !line.starts_with("JOIN"));
        if !tag.mac.is_some_and(proved) || (known.peer != peer && !(has_nonce && is_newest)) {
            return challenge;
        }
        known.peer = peer;
        if words[0] == "ACK" {
            return String::new();
        }
        let (first, reply) = known.replies.entry(number).or_insert_with(|| {
            *self.effects.entry(request.to_owned()).or_default() += 1;
            (request.to_owned(), format!("OK {request}"))
        });
        let reply = if first == request { reply.clone() } else { "ERR reused".to_owned() };
        let mac = known.key.prove(Way::Reply, session, number, reply.as_bytes());
        format!("#{session}.{number}.{} {reply}\n", str::from_utf8(&mac).unwrap())
    }

    pub(super) fn push(&mut self, session: &str) -> Option<String> {
        self.pushes += 1;
        let line = format!("MSG bob {}", self.pushes);
        let mac = self.sessions.get(session)?.key.prove(Way::Push, session, self.pushes, line.as_bytes());
        Some(format!("@{}.{} {line}\n", self.pushes, str::from_utf8(&mac).unwrap()))
    }
}
