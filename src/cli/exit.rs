//! How the program ends: one number for each reason (those of sysexits.h), and a sentence for people.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::wire::ErrorName;

/// The reason that the exit code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Ok,
    /// A check of `doctor` failed.
    Trouble,
    /// The command line is wrong.
    Usage,
    /// The hub refuses the data, or it cannot be sent.
    Data,
    /// No hub is there.
    NoHub,
    /// Something that should not happen.
    Software,
    /// No answer in time.
    Timeout,
    /// The hub does not allow it.
    Denied,
    /// The configuration file is wrong.
    Config,
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Trouble => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoHub => 69,
            Self::Software => 70,
            Self::Timeout => 75,
            Self::Denied => 77,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<ErrorName> for Exit {
    fn from(name: ErrorName) -> Self {
        match name {
            ErrorName::Usage | ErrorName::Unknown => Self::Usage,
            ErrorName::TooLong
            | ErrorName::NotANumber
            | ErrorName::Overflow
            | ErrorName::NoSuchKey
            | ErrorName::NoSuchClient
            | ErrorName::NoSuchTicket => Self::Data,
            ErrorName::JoinFirst | ErrorName::Full | ErrorName::Denied | ErrorName::Prove => Self::Denied,
            ErrorName::Timeout
            | ErrorName::Stale
            | ErrorName::Unopened
            | ErrorName::Busy
            | ErrorName::Stopping
            | ErrorName::Disk => Self::Timeout,
            ErrorName::Reused => Self::Software,
        }
    }
}

/// Why the program ends, or why one of its requests came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// What was wrong and what would be right; empty if there is nobody to tell.
    pub(super) message: String,
    /// The hub's word, if it was the hub that refused.
    pub(super) name: Option<ErrorName>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), name: None }
    }

    /// The hub refuses for good. A word that is newer than this program counts as a refusal of the data.
    pub(super) fn refused(name: &str, why: &str) -> Self {
        let known = ErrorName::parse(name.as_bytes());
        let message = match (known, why) {
            (Some(ErrorName::Unopened), _) => {
                "the hub does not know this session any more (it was restarted, or this program was idle for \
                 long); whether the request was done is unknown"
                    .to_owned()
            }
            (Some(ErrorName::Prove), _) => {
                "prove: this code has a secret at the hub; give it with --key-file FILE, \
                 PIGEON_KEY_FILE or PIGEON_KEY"
                    .to_owned()
            }
            (_, "") => name.to_owned(),
            (_, why) => format!("{name}: {why}"),
        };
        Self { exit: known.map_or(Exit::Data, Exit::from), message, name: known }
    }

    /// Tells the person in front, unless there is nothing to tell.
    pub(super) fn report(&self) {
        if !self.message.is_empty() {
            complain(&self.message);
        }
    }
}

/// What cannot be written to standard output. A reader that has gone away is how `head` ends a pipe.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Ok, "")
        } else {
            Self::new(Exit::Software, format!("cannot read or write: {error}"))
        }
    }
}

/// Writes one line to standard error; whether anybody can read it is not our trouble.
pub(super) fn complain(message: &str) {
    let message = super::output::sanitised(message.as_bytes());
    let _ = writeln!(io::stderr().lock(), "pigeon: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_hub_has_its_exit_code() {
        for (name, code) in [
            ("usage", 64),
            ("no-such-key", 65),
            ("not-a-number", 65),
            ("overflow", 65),
            ("no-such-client", 65),
            ("too-long", 65),
            ("timeout", 75),
            ("unopened", 75),
            ("denied", 77),
            ("join-first", 77),
            ("full", 77),
            ("prove", 77),
            ("reused", 70),
            ("from-the-future", 65),
        ] {
            assert_eq!(Failure::refused(name, "").exit.code(), code, "{name}");
        }
    }

    #[test]
    fn a_broken_pipe_is_success_without_a_word() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit.code(), failure.message.as_str()), (0, ""));
    }
}
