//! What one input may cause before others have their turn: bytes to send, actions, and steps of a search.
//!
//! A line of a few bytes may call up a large value, a push to every client, or a look at every key; a datagram
//! or a read of a stream holds many lines.

use super::actions::Actions;
use crate::limits::{TURN_ACTIONS, TURN_STEPS};

/// How far the hub had come when an input began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brake {
    bytes: usize,
    actions: usize,
    steps: u64,
    most_bytes: usize,
}

impl Brake {
    /// Begins an input that may cause so many bytes to be sent.
    pub(super) fn new(out: &Actions, steps: u64, most_bytes: usize) -> Self {
        Self { bytes: out.bytes.len(), actions: out.list.len(), steps, most_bytes }
    }

    /// Whether the input has caused enough, replies that are still being gathered included.
    pub(super) fn holds(&self, out: &Actions, steps: u64, replies: usize) -> bool {
        out.bytes.len().saturating_sub(self.bytes) + replies >= self.most_bytes
            || out.list.len().saturating_sub(self.actions) >= TURN_ACTIONS
            || steps.saturating_sub(self.steps) >= TURN_STEPS
    }
}
