//! Ctrl+C, for the commands that have something to finish before they end; and the end of commands they run.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::exit::Failure;
use crate::machine::proc;

/// Becomes readable when the person in front, or the system, asks the program to end.
#[derive(Debug)]
pub(super) struct Interrupt(UnixStream);

impl Interrupt {
    pub(super) fn register() -> Result<Self, Failure> {
        let (heard, told) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal != SIGHUP || !is_hangup_ignored() {
                signal_hook::low_level::pipe::register(signal, told.try_clone()?)?;
            }
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

/// Becomes readable when a child of this process has ended.
#[derive(Debug)]
pub(super) struct ChildEnds(UnixStream);

impl ChildEnds {
    pub(super) fn register() -> Result<Self, Failure> {
        let (heard, told) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, told)?;
        Ok(Self(heard))
    }

    /// Forgets those that were told until now.
    pub(super) fn forget(&self) {
        let mut told = [0; 64];
        while (&self.0).read(&mut told).is_ok_and(|count| count == told.len()) {}
    }
}

impl AsFd for ChildEnds {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether whoever started this program wants it to outlive its terminal, as nohup does.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = proc::figure(&status, "SigIgn").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    ignored.is_some_and(|ignored| ignored & 1 << (SIGHUP - 1) != 0)
}
