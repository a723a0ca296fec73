//! Ctrl+C, for the commands that have something to finish before they end.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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

    /// Waits until the file is readable or the program is asked to end; `true` if it is.
    pub(super) fn comes_before(&self, file: BorrowedFd<'_>) -> Result<bool, Failure> {
        let mut both = [self.as_fd(), file].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        loop {
            match poll(&mut both, PollTimeout::NONE) {
                Ok(_) => return Ok(both.iter().map(|fd| fd.any().unwrap_or(false)).next().unwrap_or(false)),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
        }
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
