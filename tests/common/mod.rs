//! A real daemon for a test: started on a port that the system picks, ended when the test is done with it.

#![allow(dead_code, reason = "each test uses a part of this")]

pub mod relay;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

/// How long a test waits for something that must come before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running `pigeond`.
pub struct Daemon {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
    directory: TempDir,
    /// The port it listens on.
    pub port: u16,
}

impl Daemon {
    /// Starts one with built-in defaults on loopback, IPv4 and IPv6.
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts one with these settings; `[listen]` is set already unless they set it.
    pub fn with(settings: &str) -> Self {
        let mut daemon = Self::spawn(settings);
        daemon.wait_for_port();
        daemon
    }

    /// Starts one without waiting for it.
    pub fn spawn(settings: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("pigeond.toml");
        std::fs::write(&file, Self::whole(settings)).expect("the configuration is written");
        let (child, log) = Self::launch(&directory);
        Self { child, log, seen: Vec::new(), directory, port: 0 }
    }

    /// Kills it, as `kill -9` does; what it logged, since its start or the last kill.
    pub fn kill(&mut self) -> Vec<String> {
        self.child.kill().expect("it is killed");
        self.end()
    }

    /// Waits for its end; what it logged, since its start or the last end.
    pub fn end(&mut self) -> Vec<String> {
        self.child.wait().expect("it ends");
        self.seen.extend(self.log.iter());
        std::mem::take(&mut self.seen)
    }

    /// Starts it anew, once it has ended: with the same files, and on the port that it had.
    pub fn restart(&mut self) {
        let file = self.config_file();
        let settings = std::fs::read_to_string(&file).expect("its configuration");
        let settings = settings.replace("port = 0", &format!("port = {}", self.port));
        std::fs::write(&file, settings).expect("the configuration is written");
        (self.child, self.log) = Self::launch(&self.directory);
        self.wait_for_port();
    }

    /// The program, by the emulator that `PIGEON_TEST_RUNNER` names where it was built for another machine.
    fn program() -> Command {
        let program = env!("CARGO_BIN_EXE_pigeond");
        let runner = std::env::var("PIGEON_TEST_RUNNER").unwrap_or_default();
        let mut words = runner.split_whitespace();
        let Some(emulator) = words.next() else { return Command::new(program) };
        let mut command = Command::new(emulator);
        command.args(words).arg(program);
        command
    }

    fn launch(directory: &TempDir) -> (Child, Receiver<String>) {
        let mut child = Self::program()
            .arg("--config")
            .arg(directory.path().join("pigeond.toml"))
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("STATE_DIRECTORY")
            .env("XDG_STATE_HOME", directory.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pigeond starts");
        let stderr = child.stderr.take().expect("its standard error");
        let (send, log) = sync_channel(100_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = send.try_send(line);
            }
        });
        (child, log)
    }

    fn whole(settings: &str) -> String {
        if settings.contains("[listen]") {
            settings.to_owned()
        } else {
            format!("[listen]\nbind = [\"127.0.0.1\", \"::1\"]\nport = 0\n{settings}")
        }
    }

    /// Waits until it listens, and notes where.
    pub fn wait_for_port(&mut self) {
        let line = self.wait_for_log("listening on port ");
        let port = line.split("listening on port ").nth(1).and_then(|rest| rest.split_whitespace().next());
        self.port = port.and_then(|port| port.parse().ok()).expect("a port");
    }

    /// Waits for a line in the log, and returns it.
    pub fn wait_for_log(&mut self, part: &str) -> String {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error) => panic!("no {part:?} in the log ({error}): {:#?}", self.seen),
            }
        }
    }

    /// How many lines of the log have this part, once it has ended.
    pub fn count_log(&mut self, part: &str) -> usize {
        let rest = std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok());
        self.seen.extend(rest);
        self.seen.iter().filter(|line| line.contains(part)).count()
    }

    /// Where it listens on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        self.at(Ipv4Addr::LOCALHOST.into())
    }

    /// Where it listens on another address.
    pub fn at(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, self.port)
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("pigeond.toml")
    }

    /// Replaces its configuration, which it reads anew on SIGHUP.
    pub fn write_config(&self, settings: &str) {
        std::fs::write(self.config_file(), Self::whole(settings)).expect("the configuration is written");
    }

    /// Sends it a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Memory in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// A UDP socket on loopback that talks to it.
    pub fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        socket.connect(self.address()).expect("it connects");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket
    }

    /// A TCP connection to it.
    pub fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        stream
    }
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "the log of the daemon explains why its test failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log: Vec<String> = self.seen.drain(..).chain(self.log.try_iter()).collect();
            eprintln!("pigeond on port {} said: {log:#?}", self.port);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks over UDP and returns the reply.
pub fn ask(socket: &UdpSocket, request: &[u8]) -> Vec<u8> {
    socket.send(request).expect("it is sent");
    receive(socket)
}

/// The next datagram.
pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a reply");
    buffer.truncate(length);
    buffer
}

/// Calls again as long as a signal comes between: a wait that is bounded in time is not taken up again by the kernel.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Asks over TCP and returns the reply, whose length is known.
pub fn ask_tcp(stream: &mut TcpStream, request: &[u8], length: usize) -> Vec<u8> {
    stream.write_all(request).expect("it is sent");
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).expect("a reply");
    reply
}
