//! What waits in a mailbox.

use super::super::change::Content;
use crate::limits::LETTER_OVERHEAD_BYTES;

/// What a letter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Letter {
    /// A push from the client of this code.
    Text { sender: Box<str>, push: Box<[u8]> },
    /// What has become of this key, told when it is sent: it has not been sent yet.
    Key(Box<str>),
    /// What had become of this key when it was first sent.
    Told { key: Box<str>, push: Box<[u8]> },
}

impl Letter {
    /// A letter as it was kept.
    pub(in super::super) fn restore(content: &Content<'_>) -> Self {
        match *content {
            Content::Text { sender, push } => Self::Text { sender: sender.into(), push: push.into() },
            Content::Key { key } => Self::Key(key.into()),
            Content::Told { key, push } => Self::Told { key: key.into(), push: push.into() },
        }
    }

    /// A letter as it is kept.
    pub(in super::super) fn content(&self) -> Content<'_> {
        match self {
            Self::Text { sender, push } => Content::Text { sender, push },
            Self::Key(key) => Content::Key { key },
            Self::Told { key, push } => Content::Told { key, push },
        }
    }

    /// What it takes of the room for letters, in bytes.
    pub(super) fn cost(&self) -> usize {
        LETTER_OVERHEAD_BYTES
            + match self {
                Self::Text { sender: name, push } | Self::Told { key: name, push } => name.len() + push.len(),
                Self::Key(key) => key.len(),
            }
    }
}
