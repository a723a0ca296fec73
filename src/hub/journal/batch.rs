//! One batch: changes that become true together, and what may leave once they are kept.

use core::net::SocketAddr;
use core::ops::Range;

use super::super::actions::{Action, Actions, Target};
use crate::limits::{KEPT_ACTIONS, KEPT_BYTES};
use crate::proof::Proof;
use crate::wire::{End, ErrorName, Refusal};

/// Where in the bytes to be sent a reply lies that must not leave before its batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Mark {
    /// Where it begins, with its tag if it has one.
    pub(in super::super) start: usize,
    /// How long the tag is; 0 if there is none.
    pub(in super::super) tag: usize,
    /// How long the reply is, its end included.
    pub(in super::super) length: usize,
    /// Its end.
    pub(in super::super) end: End,
    /// What the tag is sealed with if the reply is replaced, where it ends in a seal.
    pub(in super::super) seal: Option<Proof>,
}

/// Changes, and what may leave once they are kept.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<u8>,
    /// Whether somebody waits for it.
    pub(super) awaited: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) list: Vec<Action>,
    pub(super) marks: Vec<Mark>,
    pub(super) pushes: usize,
}

impl Batch {
    /// Lets go what was held.
    pub(super) fn release(&mut self, out: &mut Actions) {
        if out.list.is_empty() && out.bytes.is_empty() {
            core::mem::swap(&mut out.list, &mut self.list);
            core::mem::swap(&mut out.bytes, &mut self.bytes);
        } else {
            let base = out.bytes.len();
            out.bytes.extend_from_slice(&self.bytes);
            for mut action in self.list.drain(..) {
                action.shift(|at| at + base);
                out.list.push(action);
            }
        }
        self.clear();
    }

    /// Forgets all, but keeps the memory, up to a bound.
    pub(super) fn clear(&mut self) {
        self.changes.clear();
        self.changes.shrink_to(KEPT_BYTES);
        self.awaited = false;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.list.clear();
        self.list.shrink_to(KEPT_ACTIONS);
        self.marks.clear();
        self.marks.shrink_to(KEPT_ACTIONS);
        self.pushes = 0;
    }
}

/// Sends a held reply with those parts replaced by the word that they are not kept which rest on its batch.
pub(super) fn refuse(
    batch: &Batch,
    action: Action,
    may_send: &mut impl FnMut(SocketAddr, usize) -> bool,
    out: &mut Actions,
) {
    let counted = match &action {
        Action::Send { range, .. } | Action::Answer { range, .. } => range.clone(),
        Action::Close(_)
        | Action::Await { .. }
        | Action::Hold { .. }
        | Action::Broadcast { .. }
        | Action::Nothing => {
            out.list.push(action);
            return;
        }
    };
    let first = batch.marks.partition_point(|mark| mark.start < counted.start);
    let inside = batch.marks.get(first..).unwrap_or_default().iter();
    let slice = |range: Range<usize>| batch.bytes.get(range).unwrap_or_default();
    let (start, mut at) = (out.bytes.len(), counted.start);
    for mark in inside.take_while(|mark| mark.start < counted.end) {
        out.bytes.extend_from_slice(slice(at..mark.start + mark.tag));
        if let Some(seal) = mark.seal {
            out.bytes.truncate(out.bytes.len() - seal.len());
            out.bytes.extend_from_slice(&seal);
        }
        out.bytes.extend_from_slice(if mark.tag > 0 { b" ERR " } else { b"ERR " });
        out.bytes.extend_from_slice(DISK.name.as_str().as_bytes());
        out.bytes.push(b' ');
        out.bytes.extend_from_slice(DISK.why.as_bytes());
        out.bytes.extend_from_slice(mark.end.as_bytes());
        at = mark.start + mark.length;
    }
    out.bytes.extend_from_slice(slice(at..counted.end));
    let range = start..out.bytes.len();
    if let Action::Send { target: Target::Udp { to, .. }, .. } = &action {
        let more = range.len().saturating_sub(counted.len());
        if more > 0 && !may_send(*to, more) {
            out.bytes.truncate(start);
            return;
        }
    }
    out.list.push(match action {
        Action::Send { target, push, .. } => Action::Send { target, range, push },
        Action::Answer { conn, question, .. } => Action::Answer { conn, question, range },
        other @ (Action::Close(_)
        | Action::Await { .. }
        | Action::Hold { .. }
        | Action::Broadcast { .. }
        | Action::Nothing) => other,
    });
}

pub(in super::super) const DISK: Refusal =
    Refusal::new(ErrorName::Disk, "nothing can be saved now, send the same line again");
