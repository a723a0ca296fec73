//! The outcome of a request as a session remembers it.

/// Recorded replies up to this length need no memory of their own; counters and `sent` are far shorter.
const INLINE_BYTES: usize = 22;

/// A recorded reply, from its `OK` or `ERR` on, without its end.
#[derive(Clone, Debug)]
pub(super) enum Recorded {
    Short(u8, [u8; INLINE_BYTES]),
    Long(Box<[u8]>),
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

    /// Memory of its own, in bytes.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Long(bytes) => bytes.len(),
            Self::Short(..) | Self::Asked(_) => 0,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
            Self::Asked(_) => &[],
        }
    }
}
