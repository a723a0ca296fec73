//! How a client ends.

use std::time::Duration;

use super::{Client, Happening};

/// How long a client that leaves waits for its goodbye to be answered.
pub(in crate::cli) const GOODBYE: Duration = Duration::from_secs(1);

impl Client {
    /// Ends the session without waiting, so that the hub may soon forget it. A place that the
    /// client has is given up, so this is also for who failed.
    pub(in crate::cli) fn farewell(mut self) {
        let now = self.clock.now();
        if self.courier.is_open() && self.courier.request(b"BYE", now + GOODBYE).is_ok() {
            let _ = self.transmit(now);
        }
    }

    /// Gives up place and mailbox, and waits a second at most for the hub to say that it knows.
    pub(in crate::cli) fn leave(self) {
        self.end_with(b"BYE");
    }

    /// Ends without a goodbye, so that mail waits at the hub for the next program that joins under this code.
    pub(in crate::cli) fn leave_mailbox(self) {
        // Its answer tells that the last acknowledgement, too, has most likely arrived.
        self.end_with(b"PING");
    }

    fn end_with(mut self, line: &[u8]) {
        self.place.give_up();
        if self.courier.is_spent() {
            return;
        }
        let until = self.clock.now() + GOODBYE;
        let Ok(bye) = self.courier.request(line, until) else { return };
        while let Ok(happening) = self.await_next(Some(until), &[]) {
            match happening {
                Happening::Finished(id, _) if id == bye => return,
                Happening::Time => return,
                Happening::Finished(..) | Happening::Pushed(_) | Happening::Ready(_) => {}
            }
        }
    }
}
