//! `pigeon` as a process.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Hub;

/// `pigeon` with nothing from this machine's environment.
pub fn pigeon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pigeon"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

impl Hub {
    /// `pigeon` with the hub's address, and nothing from this machine's environment.
    pub fn pigeon(&self, arguments: &[&str]) -> Command {
        let mut command = pigeon(arguments);
        command.env("PIGEON_HUB", self.address.to_string());
        command
    }
}

/// Runs to the end: exit code, standard output, standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs to the end with this on standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> (i32, String, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What Ctrl+C does.
pub fn interrupt(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
}

/// The JSON document of one line.
pub fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
