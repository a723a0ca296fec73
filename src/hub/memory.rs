//! Memory that something takes, apart for codes that have a secret: nobody else uses up theirs.

/// Bytes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    open: usize,
    keyed: usize,
}

impl Memory {
    /// What is taken for those who have a secret, or for all others.
    pub(super) fn of(&self, is_keyed: bool) -> usize {
        if is_keyed { self.keyed } else { self.open }
    }

    pub(super) fn of_mut(&mut self, is_keyed: bool) -> &mut usize {
        if is_keyed { &mut self.keyed } else { &mut self.open }
    }
}
