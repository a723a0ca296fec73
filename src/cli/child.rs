//! The command that answers a question: started, fed, read and ended, without ever waiting for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::duration;
use crate::limits::{MESSAGE_BYTES, PUSH_OVERHEAD_BYTES};
use crate::moment::Moment;

/// The longest answer: what a hub takes by default, less what stands around the text on its way.
pub(super) const ANSWER_BYTES: usize = MESSAGE_BYTES - PUSH_OVERHEAD_BYTES;

/// Line ends behind the longest answer, which do not count.
const LINE_ENDS: usize = 2;

/// A command that runs, in a process group of its own; its owner ends it.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// `None` once it has been closed.
    stdout: Option<ChildStdout>,
    output: Vec<u8>,
    deadline: Moment,
    time: Duration,
}

/// How far a command is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Runs,
    /// The answer, or why there is none.
    Ended(Result<Vec<u8>, String>),
    /// It still runs, and why that leads nowhere.
    Hopeless(String),
}

impl Running {
    /// Starts the command, without a shell. The question is its standard input and `PIGEON_QUESTION`, who asks is
    /// `PIGEON_FROM`.
    pub(super) fn start(
        command: &[OsString],
        from: &str,
        question: &[u8],
        now: Moment,
        time: Duration,
    ) -> Result<Self, String> {
        let cannot_start = |error: std::io::Error| format!("cannot start the command: {error}");
        let (program, arguments) = command.split_first().ok_or("there is no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("PIGEON_QUESTION", std::ffi::OsStr::from_bytes(question))
            .env("PIGEON_FROM", from)
            .stdin(input(question).map_err(cannot_start)?)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(cannot_start)?;
        let stdout = child.stdout.take();
        let running = Self { child, stdout, output: Vec::new(), deadline: now + time, time };
        if let Some(stdout) = &running.stdout {
            fcntl(stdout, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|error| cannot_start(error.into()))?;
        }
        Ok(running)
    }

    /// What becomes readable when there is more to look at; its end is told by SIGCHLD.
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.as_ref().map(AsFd::as_fd)
    }

    /// When to look at the latest.
    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    /// Looks how far it is.
    pub(super) fn look(&mut self, now: Moment) -> Progress {
        // Asked before the last read, so that nothing written before the end is missed.
        let ended = self.child.try_wait();
        self.read();
        match ended {
            Ok(Some(status)) => Progress::Ended(judge(status, &self.output)),
            Ok(None) if self.output.len() > ANSWER_BYTES + LINE_ENDS => Progress::Hopeless(too_long()),
            Ok(None) if self.deadline <= now => {
                let time = duration::show(self.time);
                Progress::Hopeless(format!("the command took longer than {time}"))
            }
            Ok(None) => Progress::Runs,
            Err(error) => Progress::Ended(Err(format!("the command was lost: {error}"))),
        }
    }

    /// Kills a command that has not ended, with all that it started. What it yields is to be waited for.
    pub(super) fn kill(self) -> Child {
        // Until the child has been waited for, no other group can have its number.
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        self.child
    }

    fn read(&mut self) {
        let mut chunk = [0; 4096];
        while let Some(stdout) = &mut self.stdout
            && self.output.len() <= ANSWER_BYTES + LINE_ENDS
        {
            match stdout.read(&mut chunk) {
                Ok(count) if count > 0 => {
                    self.output.extend_from_slice(chunk.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => self.stdout = None,
            }
        }
    }
}

/// A file without a name that holds the question: reading it never waits, and nobody has to read it.
fn input(question: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("question", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(question)?;
    file.rewind()?;
    Ok(file)
}

fn judge(status: ExitStatus, output: &[u8]) -> Result<Vec<u8>, String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => {
            let answer = one_line(output);
            if answer.len() > ANSWER_BYTES { Err(too_long()) } else { Ok(answer) }
        }
        (Some(code), _) => Err(format!("command failed: exit status {code}")),
        (None, Some(signal)) => Err(format!("command failed: signal {signal}")),
        (None, None) => Err("command failed".to_owned()),
    }
}

fn too_long() -> String {
    format!("the command's output is longer than {ANSWER_BYTES} bytes")
}

/// The output as one line: without line ends at its end, and with a space for each other one and for each NUL.
fn one_line(output: &[u8]) -> Vec<u8> {
    let end = output.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |last| last + 1);
    let mut line = Vec::with_capacity(end);
    for &b in output.get(..end).unwrap_or_default() {
        match b {
            b'\n' if line.last() == Some(&b'\r') => {
                line.pop();
                line.push(b' ');
            }
            b'\n' | 0 => line.push(b' '),
            b => line.push(b),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_one_line() {
        for (output, line) in [
            (&b""[..], &b""[..]),
            (b"21.5\n", b"21.5"),
            (b"a\r\n\n", b"a"),
            (b"\n", b""),
            (b"a\nb\r\nc\rd\n", b"a b c\rd"),
            (b" a \0b", b" a  b"),
            (b"\xff", b"\xff"),
        ] {
            assert_eq!(one_line(output), line, "{}", output.escape_ascii());
        }
    }

    #[test]
    fn how_a_command_ended_is_told() {
        let status = ExitStatus::from_raw;
        assert_eq!(judge(status(0), b"5\n"), Ok(b"5".to_vec()));
        assert_eq!(judge(status(3 << 8), b"5"), Err("command failed: exit status 3".to_owned()));
        assert_eq!(judge(status(9), b""), Err("command failed: signal 9".to_owned()));
        let longest = vec![b'x'; ANSWER_BYTES];
        assert_eq!(judge(status(0), &[&longest[..], b"\r\n"].concat()), Ok(longest.clone()));
        assert_eq!(judge(status(0), &[&longest[..], b"x"].concat()), Err(too_long()));
    }
}
