//! Ctrl+C, for the commands that have something to finish before they end.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::exit::Failure;

/// Becomes readable when the person in front, or the system, asks the program to end.
#[derive(Debug)]
pub(super) struct Interrupt(UnixStream);

impl Interrupt {
    pub(super) fn register() -> Result<Self, Failure> {
        let (heard, told) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, told.try_clone()?)?;
        }
        Ok(Self(heard))
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
