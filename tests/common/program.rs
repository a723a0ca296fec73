//! Programs that people have written for a plain socket, run as they are.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

use crate::common::{Daemon, PATIENCE};

/// A program that is running, with a hand on its keyboard and an eye on its screen.
pub struct Program {
    child: Child,
    screen: Receiver<String>,
    name: String,
}

impl Program {
    /// Starts this command line.
    pub fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = child.stdout.take().expect("its standard output");
        let (send, screen) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let _ = send.try_send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { child, screen, name }
    }

    /// Types a line.
    pub fn enter(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("its standard input");
        // In one piece: what is typed arrives as a line, and so it leaves in one datagram.
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .unwrap_or_else(|error| panic!("{} does not read: {error}", self.name));
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        match self.screen.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("{} prints nothing and does not end", self.name),
            Err(RecvTimeoutError::Disconnected) => panic!("{} ended too early", self.name),
        }
    }

    /// All that it still prints until it ends, which it must do well; nothing more is typed.
    pub fn rest(mut self) -> String {
        drop(self.child.stdin.take());
        let mut lines = Vec::new();
        loop {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("{} does not end: {lines:#?}", self.name),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{} ended with {status}: {lines:#?}", self.name);
        lines.join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python script, by its path from the project's root. Python 3 must be there.
pub fn python(script: &str) -> Command {
    let missing = "these tests run Python programs: install Python 3 so that `python3` starts";
    assert!(installed("python3"), "{missing}");
    let mut command = Command::new("python3");
    command.arg("-u").arg(in_project(script));
    command
}

/// A script for an interpreter that may be absent; then `None`, and a note.
pub fn script(interpreter: &str, script: &str) -> Option<Command> {
    let mut command = tool(interpreter)?;
    command.arg(in_project(script));
    Some(command)
}

/// A tool that may be absent; then `None`, and a note.
#[expect(clippy::print_stdout, reason = "the note belongs to the test's own output")]
pub fn tool(name: &str) -> Option<Command> {
    if installed(name) {
        return Some(Command::new(name));
    }
    println!("skipped: there is no `{name}` on this machine");
    None
}

/// A C program, compiled into this directory; `None` and a note if there is no compiler.
pub fn compiled(source: &str, directory: &Path) -> Option<Command> {
    let mut compiler = tool("cc")?;
    let program = directory.join("program");
    let status = compiler.arg("-o").arg(&program).arg(in_project(source)).status();
    assert!(status.expect("the compiler runs").success(), "{source} does not compile");
    Some(Command::new(program))
}

/// What a program prints that is told the daemon's address, its port and these words.
pub fn run(command: Command, daemon: &Daemon, words: &[&str]) -> String {
    at(command, "127.0.0.1", daemon, words).rest()
}

/// A program that is told this address of the daemon, its port and these words.
pub fn at(mut command: Command, host: &str, daemon: &Daemon, words: &[&str]) -> Program {
    command.arg(host).arg(daemon.port.to_string()).args(words);
    Program::start(command)
}

fn installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

fn in_project(path: impl AsRef<OsStr>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path.as_ref())
}
