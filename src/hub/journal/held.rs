//! How much is held for each connection: who has much waiting is not read from.

use super::super::actions::{Action, Conn};

/// How much is held for one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct HeldFor {
    /// Replies, and what must stay behind them, in bytes.
    replies: usize,
    /// Pushes, in bytes.
    pushes: usize,
}

/// How much is held for each, by its number.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<HeldFor>);

impl Held {
    /// Whether nothing is held for anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts what is held for a connection.
    pub(super) fn count(&mut self, held: &Action) {
        let Some(conn) = held.conn() else { return };
        let index = conn.0 as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, HeldFor::default());
        }
        let Some(sum) = self.0.get_mut(index) else { return };
        match held {
            Action::Send { push: true, range, .. } => sum.pushes += range.len(),
            // One of nothing, which lets a connection go on, keeps its order too.
            Action::Send { range, .. } => sum.replies += range.len().max(1),
            Action::Close(_)
            | Action::Await { .. }
            | Action::Answer { .. }
            | Action::Hold { .. }
            | Action::Broadcast { .. }
            | Action::Nothing => sum.replies += 1,
        }
    }

    /// Takes away what is held for a connection; whether there was something.
    pub(super) fn forget(&mut self, conn: Conn) -> bool {
        let held = self.0.get_mut(conn.0 as usize).map(core::mem::take);
        held.is_some_and(|held| held != HeldFor::default())
    }

    /// Whether more than so many bytes are held for a connection, replies among them.
    pub(super) fn exceeds(&self, conn: Conn, most_bytes: usize) -> bool {
        self.get(conn).is_some_and(|held| held.replies > 0 && held.replies + held.pushes > most_bytes)
    }

    /// Whether replies are held for a connection.
    pub(super) fn has_replies(&self, conn: Conn) -> bool {
        self.get(conn).is_some_and(|held| held.replies > 0)
    }

    fn get(&self, conn: Conn) -> Option<&HeldFor> {
        self.0.get(conn.0 as usize)
    }
}
