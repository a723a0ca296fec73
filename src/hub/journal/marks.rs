//! Which of the replies of the present input rest on what is still to be kept.

use core::ops::Range;

use super::{Journal, Mark};

impl Journal {
    /// Notes that a reply was appended to the replies whose request is to be kept first.
    pub(in super::super) fn mark(&mut self, mark: Mark) {
        if self.holds_all() {
            self.in_replies.push(mark);
        }
    }

    /// Notes that such a reply was appended to the actions' own bytes.
    pub(in super::super) fn mark_sent(&mut self, mark: Mark) {
        // Whether the input is held at all may turn out later.
        if self.keeps {
            self.in_actions.push(mark);
        }
    }

    /// The first `length` bytes of the replies have been handed to the actions, at `range`, or dropped.
    pub(in super::super) fn replies_left(&mut self, length: usize, range: Option<&Range<usize>>) {
        if self.in_replies.is_empty() {
            return;
        }
        let in_actions = &mut self.in_actions;
        self.in_replies.retain_mut(|mark| {
            if mark.start >= length {
                mark.start -= length;
                return true;
            }
            if let Some(range) = range {
                in_actions.push(Mark { start: range.start + mark.start, ..*mark });
            }
            false
        });
    }
}
