//! The one place where the program reads a clock.

use std::time::Instant;

use crate::moment::Moment;

/// Time since the program asked first; monotonic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell's clock, from which all other time comes"
    )]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Moment {
        Moment::after_start(self.0.elapsed())
    }
}
