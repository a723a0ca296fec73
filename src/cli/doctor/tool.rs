//! Runs a program of the system's, for a bounded time and a bounded output.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use crate::cli::clock::Clock;
use crate::cli::signals::ChildEnds;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most that is read of its output: a firewall of a thousand rules is less.
const OUTPUT_BYTES: usize = 1 << 20;

/// Where administrators' programs are, which is not in everybody's path.
const ADMIN_PATHS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// There is no such program.
    Missing,
    /// It did not end in time, or could not be started.
    Stuck,
    /// It ended: whether it says that all went well, and its standard output.
    Ended(bool, String),
}

/// Runs it with nothing on its standard input.
pub(super) fn run(name: &str, arguments: &[&str]) -> Ran {
    run_for(name, arguments, PATIENCE)
}

fn run_for(name: &str, arguments: &[&str], time: Duration) -> Ran {
    let Some(path) = find(name) else { return Ran::Missing };
    let Ok(ends) = ChildEnds::register() else { return Ran::Stuck };
    let child = Command::new(path)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return Ran::Stuck };
    let ended = follow(&mut child, &ends, time);
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended.map_or(Ran::Stuck, |(success, output)| Ran::Ended(success, output))
}

/// Reads until the program has ended and has nothing more to say; `None` once the time is over.
fn follow(child: &mut Child, ends: &ChildEnds, time: Duration) -> Option<(bool, String)> {
    let clock = Clock::start();
    let mut stdout = child.stdout.take()?;
    let mut output = Vec::new();
    let mut is_open = true;
    loop {
        let left = time.checked_sub(clock.now().since_start())?;
        let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).saturating_add(1);
        // A program whose output has ended is waited for; one that has ended may have left output.
        if is_open {
            if poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], millis).ok()? > 0 {
                let mut part = [0; 4096];
                let count = match stdout.read(&mut part) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => return None,
                };
                is_open = count > 0;
                output.extend_from_slice(part.get(..count)?);
                if output.len() > OUTPUT_BYTES {
                    return None;
                }
            }
            continue;
        }
        ends.forget();
        if let Some(status) = child.try_wait().ok()? {
            return Some((status.success(), String::from_utf8_lossy(&output).into_owned()));
        }
        let _ = poll(&mut [PollFd::new(ends.as_fd(), PollFlags::POLLIN)], millis);
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let all: Vec<PathBuf> =
        std::env::split_paths(&path).chain(ADMIN_PATHS.iter().map(PathBuf::from)).collect();
    all.iter().map(|folder: &PathBuf| Path::new(folder).join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_read_and_how_it_ended() {
        assert_eq!(run("sh", &["-c", "echo hello; exit 3"]), Ran::Ended(false, "hello\n".to_owned()));
        assert_eq!(run("sh", &["-c", "echo $LC_ALL"]), Ran::Ended(true, "C\n".to_owned()));
        assert_eq!(run("no-such-program-here", &[]), Ran::Missing);
    }

    #[test]
    fn a_program_that_does_not_end_or_never_stops_talking_is_ended() {
        let short = Duration::from_millis(50);
        assert_eq!(run_for("sleep", &["600"], short), Ran::Stuck);
        assert_eq!(run_for("sh", &["-c", "exec >&-; exec sleep 600"], short), Ran::Stuck);
        assert_eq!(run("sh", &["-c", "while :; do echo yes; done"]), Ran::Stuck);
    }
}
