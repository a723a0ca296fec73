//! What waits in a mailbox.

use super::super::change::Content;
use super::super::keys::Keys;
use crate::limits::LETTER_OVERHEAD_BYTES;

/// What a letter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Letter {
    /// A push from the client of this code, and whether that has a secret.
    Text { sender: Box<str>, is_proved: bool, push: Box<[u8]> },
    /// What has become of this key, told when it is sent: it has not been sent yet.
    Key(Box<str>),
    /// What had become of this key when it was first sent.
    Told { key: Box<str>, push: Box<[u8]> },
}

impl Letter {
    /// A letter as it was kept, where these are the codes with a secret.
    pub(in super::super) fn restore(content: &Content<'_>, keys: &Keys) -> Self {
        match *content {
            Content::Text { sender, push } => {
                let is_proved = keys.get(sender).is_some();
                Self::Text { sender: sender.into(), is_proved, push: push.into() }
            }
            Content::Key { key } => Self::Key(key.into()),
            Content::Told { key, push } => Self::Told { key: key.into(), push: push.into() },
        }
    }

    /// A letter as it is kept.
    pub(in super::super) fn content(&self) -> Content<'_> {
        match self {
            Self::Text { sender, push, .. } => Content::Text { sender, push },
            Self::Key(key) => Content::Key { key },
            Self::Told { key, push } => Content::Told { key, push },
        }
    }

    /// Whether it takes its room from that of those who have a secret. What is told of keys never does: anybody may change
    /// them.
    pub(in super::super) fn is_proved(&self) -> bool {
        matches!(self, Self::Text { is_proved: true, .. })
    }

    /// What it takes of the room for letters, in bytes.
    pub(super) fn cost(&self) -> usize {
        LETTER_OVERHEAD_BYTES
            + match self {
                Self::Text { sender: name, push, .. } | Self::Told { key: name, push } => {
                    name.len() + push.len()
                }
                Self::Key(key) => key.len(),
            }
    }
}
