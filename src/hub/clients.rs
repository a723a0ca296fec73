//! The clients: who is joined under which code, and where (protocol, section 3).

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::actions::{Peer, Target};
use super::air::Bucket;
use super::directory::{Directory, Slot};
use crate::limits::{MOVES, MOVES_PERIOD};
use crate::moment::Moment;
use crate::names::Code;
use crate::wire::{End, ErrorName, Refusal};

/// One place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// The place's number in what is kept.
    pub(super) id: u64,
    /// Where pushes go.
    pub(super) target: Target,
    /// How pushes end.
    pub(super) end: End,
    /// Its mailbox, if it asked for acknowledged delivery.
    pub(super) mailbox: Option<Slot>,
    /// The keyed session that joined last, if the code has a secret: only its lines act here.
    pub(super) session: Option<Slot>,
    /// When its last datagram came.
    pub(super) heard: Moment,
    /// When it is to be asked whether it is idle.
    pub(super) due: Option<Moment>,
    /// What it has shouted.
    pub(super) shouts: Bucket,
    /// How often the code moved since `moves_since`.
    moves: u32,
    moves_since: Moment,
}

/// What became of a JOIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// A new place.
    New(Slot),
    /// The peer had this place already.
    Same(Slot),
    /// The code was held elsewhere, there.
    Moved(Slot, Target, End),
}

/// All places. A peer has one at most, and so has a code.
#[derive(Debug)]
pub(super) struct Clients {
    directory: Directory<Client>,
    by_peer: HashTable<Slot>,
    /// How many places serve a keyed session.
    keyed: usize,
    hasher: FixedState,
}

impl Clients {
    pub(super) fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { directory: Directory::new(seed), by_peer: HashTable::new(), keyed: 0, hasher }
    }

    pub(super) fn len(&self) -> usize {
        self.directory.len()
    }

    pub(super) fn find(&self, code: Code<'_>) -> Option<Slot> {
        self.directory.find(code.as_str())
    }

    /// The place of a peer.
    pub(super) fn at(&self, peer: Peer) -> Option<Slot> {
        if self.by_peer.is_empty() {
            return None;
        }
        let is_there = |slot: &Slot| self.get(*slot).is_some_and(|client| client.target.peer() == peer);
        self.by_peer.find(self.hasher.hash_one(peer), is_there).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Client> {
        self.directory.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.directory.get_mut(slot)
    }

    pub(super) fn code(&self, slot: Slot) -> Option<Code<'_>> {
        Code::parse(self.directory.name(slot)?.as_bytes())
    }

    /// Codes in their order, behind `after`.
    pub(super) fn after<'a>(&'a self, after: Option<&str>) -> impl Iterator<Item = &'a str> {
        self.directory.after(after).map(|(_, code, _)| code)
    }

    /// All places, in an order that is the same in every run.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Client)> {
        self.directory.iter()
    }

    /// Lets a place serve a keyed session, or none.
    pub(super) fn give_to(&mut self, slot: Slot, session: Option<Slot>) {
        let Some(client) = self.directory.get_mut(slot) else { return };
        self.keyed -= usize::from(client.session.is_some());
        client.session = session;
        self.keyed += usize::from(client.session.is_some());
    }

    /// Whether a JOIN of this code by this peer would be refused: `full` if so many places are taken by others that serve no
    /// keyed session, `busy` if the code has moved too often.
    pub(super) fn check(&self, now: Moment, code: Code<'_>, peer: Peer, limit: usize) -> Result<(), Refusal> {
        let Some(holder) = self.find(code).and_then(|slot| self.get(slot)) else {
            let gives_up_one = self.at(peer).is_some();
            return if self.len() - self.keyed < limit || gives_up_one { Ok(()) } else { Err(FULL) };
        };
        let fresh = now.since(holder.moves_since) >= MOVES_PERIOD;
        if holder.target.peer() == peer || fresh || holder.moves < MOVES {
            Ok(())
        } else {
            Err(MOVED_TOO_OFTEN)
        }
    }

    /// Gives the code to the target, which must have no other code; newest wins.
    pub(super) fn join(&mut self, now: Moment, code: Code<'_>, target: Target, end: End) -> Joined {
        let peer = target.peer();
        let Some(slot) = self.find(code) else {
            let client = Client {
                id: 0,
                target,
                end,
                mailbox: None,
                session: None,
                heard: now,
                due: None,
                shouts: Bucket::default(),
                moves: 0,
                moves_since: now,
            };
            let (slot, _) = self.directory.insert(code.as_str(), client);
            self.index(peer, slot);
            return Joined::New(slot);
        };
        let Some(client) = self.directory.get_mut(slot) else { return Joined::Same(slot) };
        let (old_target, old_end) = (client.target, client.end);
        (client.target, client.end, client.heard) = (target, end, now);
        if old_target.peer() == peer {
            return Joined::Same(slot);
        }
        if now.since(client.moves_since) >= MOVES_PERIOD {
            (client.moves, client.moves_since) = (0, now);
        }
        client.moves += 1;
        self.unindex(old_target.peer(), slot);
        self.index(peer, slot);
        Joined::Moved(slot, old_target, old_end)
    }

    /// Takes a place away.
    pub(super) fn leave(&mut self, slot: Slot) -> Option<(Box<str>, Client)> {
        let peer = self.get(slot)?.target.peer();
        self.unindex(peer, slot);
        let left = self.directory.remove(slot);
        self.keyed -= usize::from(left.as_ref().is_some_and(|(_, client)| client.session.is_some()));
        left
    }

    fn index(&mut self, peer: Peer, slot: Slot) {
        let (directory, hasher) = (&self.directory, &self.hasher);
        let rehash =
            |slot: &Slot| directory.get(*slot).map_or(0, |client| hasher.hash_one(client.target.peer()));
        self.by_peer.insert_unique(hasher.hash_one(peer), slot, rehash);
    }

    fn unindex(&mut self, peer: Peer, slot: Slot) {
        if let Ok(found) = self.by_peer.find_entry(self.hasher.hash_one(peer), |&other| other == slot) {
            found.remove();
        }
    }
}

const FULL: Refusal = Refusal::new(ErrorName::Full, "all places are taken (clients.limit), try later");
const MOVED_TOO_OFTEN: Refusal =
    Refusal::new(ErrorName::Busy, "this code has moved ten times within a minute, try later");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::actions::Conn;
    use core::time::Duration;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const LIMIT: usize = 3;

    /// What the hub does for a JOIN, without its pushes.
    fn join(clients: &mut Clients, now: Moment, code: &str, conn: u32) -> Result<Joined, Refusal> {
        let code = Code::parse(code.as_bytes()).unwrap();
        let target = Target::Tcp(Conn(conn));
        clients.check(now, code, target.peer(), LIMIT)?;
        if let Some(other) = clients.at(target.peer())
            && clients.code(other) != Some(code)
        {
            clients.leave(other);
        }
        Ok(clients.join(now, code, target, End::Lf))
    }

    #[test]
    fn a_code_moves_ten_times_a_minute_and_no_more() {
        let mut clients = Clients::new(1);
        join(&mut clients, Moment::ZERO, "ann", 0).unwrap();
        for conn in 1..=MOVES {
            join(&mut clients, Moment::ZERO, "ann", conn).unwrap();
        }
        assert_eq!(join(&mut clients, Moment::ZERO, "ann", 99), Err(MOVED_TOO_OFTEN));
        assert!(join(&mut clients, Moment::ZERO, "ann", MOVES).is_ok(), "the holder itself may repeat");
        assert!(join(&mut clients, Moment::ZERO + Duration::from_mins(1), "ann", 99).is_ok());
    }

    proptest! {
        #[test]
        fn equals_two_maps(steps in prop::collection::vec((any::<bool>(), "[a-e]", 0..5_u32), 0..60)) {
            let mut clients = Clients::new(1);
            let mut model: BTreeMap<String, u32> = BTreeMap::new();
            for (at, (joins, code, conn)) in steps.into_iter().enumerate() {
                let now = Moment::ZERO + Duration::from_mins(at as u64);
                if joins {
                    let fits = model.contains_key(&code) || model.values().any(|&c| c == conn) || model.len() < LIMIT;
                    prop_assert_eq!(join(&mut clients, now, &code, conn).is_ok(), fits);
                    if fits {
                        model.retain(|_, &mut c| c != conn);
                        model.insert(code, conn);
                    }
                } else {
                    let slot = clients.at(Peer::Tcp(Conn(conn)));
                    let left = slot.and_then(|slot| clients.leave(slot));
                    let expected = model.iter().find(|&(_, &c)| c == conn).map(|(code, _)| code.clone());
                    prop_assert_eq!(left.map(|(code, _)| code.into_string()), expected);
                    model.retain(|_, &mut c| c != conn);
                }
                for conn in 0..5 {
                    let code = clients.at(Peer::Tcp(Conn(conn))).and_then(|slot| clients.code(slot)).map(|c| c.to_string());
                    prop_assert_eq!(code, model.iter().find(|&(_, &c)| c == conn).map(|(code, _)| code.clone()));
                }
                let listed: Vec<_> = clients.after(None).map(str::to_owned).collect();
                prop_assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>());
            }
        }
    }
}
