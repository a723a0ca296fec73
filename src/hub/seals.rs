//! How the replies and pushes of keyed sessions are sealed (protocol, section 7).

use core::ops::Range;

use super::Hub;
use super::actions::{Action, Actions, Target};
use super::directory::Slot;
use crate::moment::Moment;
use crate::proof::{Proof, SessionKey, Way};
use crate::wire::{End, Reply, Tag, push};

impl Hub {
    /// The seal of a reply that is complete but for it.
    pub(super) fn seal(reply: &Reply, tag: &Tag<'_>, key: &SessionKey, replies: &mut [u8]) {
        let (name, number) = (tag.session.as_str(), tag.number.get());
        reply.seal(replies, |outcome| key.prove(Way::Reply, name, number, outcome));
    }

    /// The seal of a reply by which nothing could be saved, which may have to take the place of another.
    pub(super) fn disk_seal(name: &str, number: u64, key: &SessionKey) -> Proof {
        let mut refusal = Vec::new();
        Reply::begin(&mut refusal, None).complete(&mut refusal, Err(super::journal::DISK));
        key.prove(Way::Reply, name, number, &refusal)
    }

    /// The key and the name of a session.
    pub(super) fn session_key(&self, session: Slot) -> Option<(SessionKey, &str)> {
        Some((self.sessions.keyed(session)?.key.clone()?, self.sessions.name(session)?))
    }

    /// The seal of a push from a mailbox: `Ok(None)` if its client has no key, an error if it has lost it.
    pub(super) fn mail_seal(&self, place: Slot, number: u64, push: &[u8]) -> Result<Option<Proof>, Lost> {
        let Some(session) = self.clients.get(place).and_then(|client| client.session) else {
            return Ok(None);
        };
        let (key, name) = self.session_key(session).ok_or(Lost)?;
        Ok(Some(key.prove(Way::Push, name, number, push)))
    }

    /// Sends a push, which stands in the bytes, to the client of a session: numbered and sealed.
    pub(super) fn push_sealed(
        &mut self,
        now: Moment,
        (session, target, end): (Slot, Target, End),
        body: Range<usize>,
        out: &mut Actions,
    ) -> bool {
        let number = self.push_number(now);
        let Some((key, name)) = self.session_key(session) else { return false };
        let proof = key.prove(Way::Push, name, number, out.slice(&body));
        let start = out.bytes.len();
        push::seal(&mut out.bytes, number, &proof);
        out.bytes.extend_from_within(body);
        out.bytes.extend_from_slice(end.as_bytes());
        let range = start..out.bytes.len();
        self.count_sealed(now, target, range.len());
        out.list.push(Action::Send { target, range, push: true });
        true
    }

    /// Counts a sealed push. It goes where somebody has proved to be, so that no budget holds it up, which others could
    /// spend by forging that address.
    pub(super) fn count_sealed(&mut self, now: Moment, target: Target, bytes: usize) {
        self.counters.pushes += 1;
        if let Target::Udp { to, .. } = target {
            self.access.prove(now, to.ip());
            self.may_send(now, to, bytes);
        }
    }

    /// A number that no push to the same session ever had, nor will have. Those of a run begin with a number that is
    /// kept before the first of them leaves, so that none comes again after a crash.
    fn push_number(&mut self, now: Moment) -> u64 {
        let journal = &mut self.journal;
        let (number, batch) = self.keyring.number(|| {
            // Each batch says which number comes next; there must be one.
            journal.will_change(now);
            (journal.new_id(), journal.batch())
        });
        if !journal.is_committed(batch) {
            journal.hold_pushes();
        }
        number
    }
}

/// A client's key is no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost;
