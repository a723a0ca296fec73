//! The outcome of a request as a session remembers it.

use super::Verdict;
use crate::wire::{ErrorName, Refusal};

/// Recorded replies up to this length need no memory of their own; counters and `sent` are far shorter.
const INLINE_BYTES: usize = 22;

/// A recorded reply, from its `OK` or `ERR` on, without its end.
#[derive(Clone, Debug)]
pub(super) enum Recorded {
    Short(u8, [u8; INLINE_BYTES]),
    Long(Box<[u8]>),
    /// A refusal, in the hub's own words.
    Refused(ErrorName, &'static str),
    /// A question that is still open, by the hub's number for it.
    Asked(u64),
}

impl Recorded {
    pub(super) fn new(outcome: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (bytes.get_mut(..outcome.len()), u8::try_from(outcome.len())) {
            (Some(short), Ok(length)) => {
                short.copy_from_slice(outcome);
                Self::Short(length, bytes)
            }
            (None, _) | (_, Err(_)) => Self::Long(outcome.into()),
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Refused(refusal.name, refusal.why)
    }

    /// Memory of its own, in bytes.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Long(bytes) => bytes.len(),
            Self::Short(..) | Self::Refused(..) | Self::Asked(_) => 0,
        }
    }

    /// What is to be said again.
    pub(super) fn verdict(&self) -> Verdict<'_> {
        match *self {
            Self::Short(length, ref bytes) => {
                Verdict::Done(bytes.get(..usize::from(length)).unwrap_or_default())
            }
            Self::Long(ref bytes) => Verdict::Done(bytes),
            Self::Refused(name, why) => Verdict::Refused(Refusal::new(name, why)),
            Self::Asked(question) => Verdict::Asked(question),
        }
    }
}
