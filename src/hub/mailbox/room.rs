//! How much may wait, and in how many mailboxes: who has a secret has room that nobody else takes.

use core::net::IpAddr;

use super::super::directory::Slot;
use super::super::keys::Keys;
use super::super::memory::Memory;
use super::super::tally::Tally;
use super::{Letter, Mailboxes};
use crate::limits::MAILBOX_BYTES;
use crate::names::Code;
use crate::wire::{ErrorName, Refusal};

/// Bounds on mailboxes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bounds {
    /// Mailboxes in all, beside those of codes that have a secret.
    pub(in super::super) mailboxes: usize,
    /// Mailboxes that one source address may open.
    pub(in super::super) per_address: usize,
    /// Texts that wait in one mailbox.
    pub(in super::super) texts: usize,
}

impl Mailboxes {
    /// Whether a new mailbox would find room, opened from an address for a code that has a secret or has none.
    pub(in super::super) fn check(&self, opener: (IpAddr, bool), bounds: Bounds) -> Result<(), Refusal> {
        let (source, is_keyed) = opener;
        // Each code with a secret has one, if it wants.
        let is_free = is_keyed
            || (self.openers.total() < bounds.mailboxes && self.openers.get(&source) < bounds.per_address);
        if is_free && self.memory.of(is_keyed) < MAILBOX_BYTES { Ok(()) } else { Err(TOO_MANY) }
    }

    /// Whether a text by this sender, who has a secret or has none, finds room.
    pub(in super::super) fn has_room(
        &self,
        slot: Slot,
        sender: (Code<'_>, bool),
        bounds: Bounds,
    ) -> Result<(), Refusal> {
        let Some(mailbox) = self.get(slot) else { return Err(BOX_FULL) };
        let (code, is_proved) = sender;
        let by_sender = mailbox.per_sender.get(code.as_str()).copied().unwrap_or_default();
        let full = mailbox.texts >= bounds.texts || self.memory.of(is_proved) >= MAILBOX_BYTES;
        // Half of what a client with a secret may find waiting is for others who have one.
        let crowded = mailbox.is_keyed && !is_proved && mailbox.open_texts >= bounds.texts / 2;
        if full || crowded || by_sender >= (bounds.texts / 4).max(1) { Err(BOX_FULL) } else { Ok(()) }
    }

    /// Sees who has a secret now.
    pub(in super::super) fn rekey(&mut self, keys: &Keys) {
        (self.openers, self.memory) = (Tally::new(self.seed), Memory::default());
        for slot in self.directory.slots() {
            let is_keyed = self.directory.name(slot).is_some_and(|code| keys.get(code).is_some());
            let Some(mailbox) = self.directory.get_mut(slot) else { continue };
            (mailbox.is_keyed, mailbox.open_texts) = (is_keyed, 0);
            if !is_keyed {
                self.openers.add(mailbox.opener, usize::MAX);
            }
            for letter in &mut mailbox.letters {
                if let Letter::Text { sender, is_proved, .. } = letter {
                    *is_proved = keys.get(sender).is_some();
                    mailbox.open_texts += usize::from(!*is_proved);
                }
                *self.memory.of_mut(letter.is_proved()) += letter.cost();
            }
        }
    }
}

const TOO_MANY: Refusal = Refusal::new(ErrorName::Full, "there are too many mailboxes (limits.mailboxes)");
const BOX_FULL: Refusal =
    Refusal::new(ErrorName::Full, "the mailbox takes no more until its client has read some");
