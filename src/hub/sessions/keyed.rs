//! Sessions whose code has a secret (protocol, section 7).

use core::net::SocketAddr;

use super::super::change::{Change, Spot};
use super::super::directory::Slot;
use super::super::keys::Keys;
use super::super::places::with_scope;
use super::Sessions;
use crate::limits::PROOF_TIME;
use crate::moment::Moment;
use crate::names::{Code, Ticket};
use crate::proof::{Proof, SessionKey, Way};
use crate::wire::Number;

/// Where the lines of a keyed session come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Origin {
    Udp(SocketAddr),
    /// A connection, by what it is called in what is kept.
    Tcp(u64),
}

impl Origin {
    /// An origin as it was kept.
    pub(in super::super) fn of(spot: Spot) -> Self {
        match spot {
            Spot::Tcp { id } => Self::Tcp(id),
            Spot::Udp { to, interface, .. } => Self::Udp(with_scope(to, interface)),
        }
    }
}

/// How a session has joined: its pushes are numbered in one way only, or a number could come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Joining {
    /// Not yet.
    NotYet,
    /// Without a mailbox.
    Plain,
    /// With this mailbox, by its number in what is kept.
    Boxed(u64),
}

/// What makes a session a keyed one.
#[derive(Debug)]
pub(in super::super) struct Keyed {
    /// `None` once the code has no such secret any more: nothing is proved then.
    pub(in super::super) key: Option<SessionKey>,
    /// The code that it is for.
    pub(in super::super) code: Box<str>,
    /// The nonce that it began with.
    pub(in super::super) nonce: Box<str>,
    pub(in super::super) origin: Origin,
    /// The origin as it is kept.
    pub(in super::super) spot: Spot,
    pub(in super::super) joining: Joining,
    /// The nonce of its last JOIN since the start: a copy of that has it too.
    pub(in super::super) joined_by: Box<str>,
    /// The highest number that was proved since the start, and when.
    pub(in super::super) newest: (u64, Moment),
}

/// What a proved line says of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Life {
    /// It is there: this was never heard before.
    New,
    /// It was there a moment ago: this may be a copy.
    Recent,
    /// Nothing: anybody may have recorded this.
    Old,
}

impl Keyed {
    /// What tells, where it is kept, whether a key is the one that this session began with.
    pub(in super::super) fn check(key: &SessionKey, name: &str) -> Proof {
        // No line has the number 0.
        key.prove(Way::Reply, name, 0, b"")
    }
}

impl Sessions {
    /// What makes a session a keyed one.
    pub(in super::super) fn keyed(&self, slot: Slot) -> Option<&Keyed> {
        self.directory.get(slot)?.keyed.as_deref()
    }

    pub(in super::super) fn keyed_mut(&mut self, slot: Slot) -> Option<&mut Keyed> {
        self.directory.get_mut(slot)?.keyed.as_deref_mut()
    }

    /// Makes a session a keyed one, which counts for its code from then on.
    pub(in super::super) fn set_keyed(&mut self, slot: Slot, keyed: Keyed) {
        let Some(session) = self.directory.get_mut(slot) else { return };
        let memory = session.memory();
        *self.memory.of_mut(session.keyed.is_some()) -= memory;
        self.owners.remove(&session.owner());
        session.keyed = Some(keyed.into());
        self.owners.add(&session.owner());
        *self.memory.of_mut(session.keyed.is_some()) += memory;
    }

    /// The name of a session.
    pub(in super::super) fn name(&self, slot: Slot) -> Option<&str> {
        self.directory.name(slot)
    }

    /// A session is kept for another while.
    pub(in super::super) fn touch(&mut self, slot: Slot, now: Moment) {
        if let Some(session) = self.directory.get_mut(slot) {
            session.touched = now;
        }
    }

    /// Notes a proved line; only one that is new keeps its session.
    pub(in super::super) fn hear(&mut self, slot: Slot, number: Number, now: Moment) -> Life {
        let Some(session) = self.directory.get_mut(slot) else { return Life::Old };
        let Some(keyed) = session.keyed.as_deref_mut() else { return Life::Old };
        let (newest, when) = keyed.newest;
        if number.get() > newest.max(session.highest) {
            keyed.newest = (number.get(), now);
            session.touched = now;
            Life::New
        } else if newest > 0 && now.since(when) <= PROOF_TIME {
            Life::Recent
        } else {
            Life::Old
        }
    }

    /// Remembers the nonce of a proved JOIN; whether it is that of the last one too.
    pub(in super::super) fn is_joined_by_again(&mut self, slot: Slot, nonce: Ticket<'_>) -> bool {
        let Some(keyed) = self.keyed_mut(slot) else { return true };
        let before = core::mem::replace(&mut keyed.joined_by, nonce.as_str().into());
        before == keyed.joined_by
    }

    /// Whether a proved JOIN of this number may be a copy of one that was heard before, and is not stale for another reason.
    pub(in super::super) fn may_be_copy(&self, slot: Slot, number: Number) -> bool {
        let Some(session) = self.directory.get(slot) else { return true };
        let newest = session.keyed.as_deref().map_or(0, |keyed| keyed.newest.0);
        let is_stale =
            session.bye || session.superseded || session.place.is_some_and(|(place, _)| number < place);
        number.get() <= newest.max(session.highest) && !is_stale
    }

    /// Whether a JOIN of this number would be the newest of what concerns the client's place, and no copy.
    pub(in super::super) fn is_newest_place(&self, slot: Slot, number: Number) -> bool {
        self.directory.get(slot).is_some_and(|session| {
            session.place.is_none_or(|(place, _)| number > place) && session.record(number).is_none()
        })
    }

    /// The session that was the last to join under a code.
    pub(in super::super) fn claimant(&self, code: Code<'_>) -> Option<Slot> {
        self.claims.find(code.as_str()).and_then(|claim| self.claims.get(claim)).copied()
    }

    /// What makes a session a keyed one, as it is kept.
    pub(in super::super) fn keyed_row(&self, slot: Slot) -> Option<Change<'_>> {
        let session = self.directory.get(slot)?;
        let keyed = session.keyed.as_deref()?;
        Some(Change::Keyed {
            session: session.id,
            code: &keyed.code,
            nonce: &keyed.nonce,
            check: Keyed::check(keyed.key.as_ref()?, self.directory.name(slot)?),
            spot: keyed.spot,
            joined: match keyed.joining {
                Joining::NotYet => None,
                Joining::Plain => Some(0),
                Joining::Boxed(mailbox) => Some(mailbox),
            },
        })
    }

    /// Restores that. Whether the code still has the same secret shows in the session's key.
    pub(in super::super) fn restore_keyed(
        &mut self,
        slot: Slot,
        row: &Change<'_>,
        keys: &Keys,
    ) -> Option<()> {
        let &Change::Keyed { code, nonce, check, spot, joined, .. } = row else { return None };
        let code = Code::parse(code.as_bytes())?.as_str();
        let nonce = Ticket::parse(nonce.as_bytes())?.as_str();
        let name = self.directory.name(slot)?;
        let key = keys.get(code).map(|held| SessionKey::new(held.secret.as_bytes(), name, nonce));
        let key = key.filter(|key| Keyed::check(key, name) == check);
        let joining = match joined {
            None => Joining::NotYet,
            Some(0) => Joining::Plain,
            Some(mailbox) => Joining::Boxed(mailbox),
        };
        let (code, nonce, origin) = (code.into(), nonce.into(), Origin::of(spot));
        let newest = (0, Moment::ZERO);
        self.set_keyed(slot, Keyed { key, code, nonce, origin, spot, joining, joined_by: "".into(), newest });
        Some(())
    }
}
