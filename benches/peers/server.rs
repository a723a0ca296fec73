//! The servers that are compared, and how each is started.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, Processors};

/// Tries for a server to be there, and the pause between them: five seconds in all.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(5);

/// A server to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// recvmmsg and sendmmsg, nothing else: the yardstick for UDP.
    FloorMany,
    /// recvfrom and sendto, nothing else.
    Floor,
    /// This hub.
    Pigeond,
    /// This hub, with `sync = "full"`.
    PigeondFull,
    /// The tutorials' counter.
    Python,
    /// memcached over TCP, one thread.
    Memcached,
    /// redis, nothing kept.
    Redis,
    /// redis, with what it keeps on disk once a second.
    RedisEverySecond,
    /// redis, with what it keeps on disk before it answers.
    RedisAlways,
}

impl Kind {
    /// Every server, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::FloorMany,
        Self::Floor,
        Self::Pigeond,
        Self::PigeondFull,
        Self::Python,
        Self::Memcached,
        Self::Redis,
        Self::RedisEverySecond,
        Self::RedisAlways,
    ];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FloorMany => "floor-mm",
            Self::Floor => "floor",
            Self::Pigeond => "pigeond",
            Self::PigeondFull => "pigeond-full",
            Self::Python => "python",
            Self::Memcached => "memcached",
            Self::Redis => "redis",
            Self::RedisEverySecond => "redis-1s",
            Self::RedisAlways => "redis-always",
        }
    }

    /// The program that must be on the path, if it is not built here.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Self::FloorMany | Self::Floor | Self::Pigeond | Self::PigeondFull => None,
            Self::Python => Some("python3"),
            Self::Memcached => Some("memcached"),
            Self::Redis | Self::RedisEverySecond | Self::RedisAlways => Some("redis-server"),
        }
    }

    /// Whether it can be started here.
    pub fn is_installed(self) -> bool {
        let Some(program) = self.program() else { return true };
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    }

    /// The line that adds one to a counter over TCP.
    pub fn increment(self) -> &'static [u8] {
        match self {
            Self::Memcached => b"incr c 1\r\n",
            Self::Redis | Self::RedisEverySecond | Self::RedisAlways => b"*2\r\n$4\r\nINCR\r\n$1\r\nc\r\n",
            Self::Pigeond | Self::PigeondFull | Self::FloorMany | Self::Floor | Self::Python => b"INC c\n",
        }
    }

    /// Whether it understands tags.
    pub fn is_hub(self) -> bool {
        matches!(self, Self::Pigeond | Self::PigeondFull)
    }

    /// Starts it, and waits until it answers.
    pub fn start(self, processors: Processors) -> Server {
        match self {
            Self::FloorMany => Server::that_tells_its_port(processors, &mut this_program("--floor-mm")),
            Self::Floor => Server::that_tells_its_port(processors, &mut this_program("--floor")),
            Self::Pigeond => Server::pigeond(processors, ""),
            Self::PigeondFull => Server::pigeond(processors, "sync = \"full\"\n"),
            Self::Python => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/counter.py");
                Server::that_tells_its_port(processors, Command::new("python3").arg(script))
            }
            Self::Memcached => Server::memcached(processors),
            Self::Redis => Server::redis(processors, &["no"]),
            Self::RedisEverySecond => Server::redis(processors, &["yes", "--appendfsync", "everysec"]),
            Self::RedisAlways => Server::redis(processors, &["yes", "--appendfsync", "always"]),
        }
    }
}

/// This program again, in a role of its own.
fn this_program(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg(role);
    command
}

/// A running server; it ends, and its files go, when it is dropped.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it listens on loopback.
    pub address: SocketAddr,
    _directory: Option<TempDir>,
}

impl Server {
    /// Starts this hub as it is installed, on every address, with further settings if any.
    pub fn pigeond(processors: Processors, settings: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("log");
        let mut command = pigeond(directory.path(), settings);
        command.stderr(File::create(&log).expect("a file for the log"));
        let process = processors.spawn(&mut command);
        let port = wait_for("pigeond's port", || port_in_log(&log));
        Self { process, address: loopback(port), _directory: Some(directory) }
    }

    fn that_tells_its_port(processors: Processors, command: &mut Command) -> Self {
        let mut process = processors.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let mut line = String::new();
        let stdout = process.0.stdout.take().expect("its standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line with its port");
        let port = line.trim().parse().expect("a port");
        Self { process, address: loopback(port), _directory: None }
    }

    fn memcached(processors: Processors) -> Self {
        let address = loopback(free_port());
        let mut command = Command::new("memcached");
        command.args(["-t", "1", "-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-p"]);
        command.arg(address.port().to_string()).stderr(Stdio::null());
        let process = processors.spawn(&mut command);
        let mut stream = connect(address);
        stream.write_all(b"set c 0 0 1\r\n0\r\n").expect("memcached takes a value");
        let mut reply = [0; 8];
        stream.read_exact(&mut reply).expect("memcached answers");
        assert_eq!(&reply, b"STORED\r\n", "memcached keeps a value");
        Self { process, address, _directory: None }
    }

    fn redis(processors: Processors, keeps: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = loopback(free_port());
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly"]).args(keeps);
        command
            .arg("--port")
            .arg(address.port().to_string())
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null());
        let process = processors.spawn(&mut command);
        drop(connect(address));
        Self { process, address, _directory: Some(directory) }
    }
}

/// This hub, with all its files in one directory, on a port that the system picks.
pub fn pigeond(directory: &Path, settings: &str) -> Command {
    let file = directory.join("pigeond.toml");
    let text = format!(
        "[listen]\nbind = [\"0.0.0.0\", \"::\"]\nport = 0\n[state]\ndirectory = \"{}\"\n{settings}",
        directory.display(),
    );
    fs::write(&file, text).expect("the configuration is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pigeond"));
    command.arg("--config").arg(file).env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command
}

fn port_in_log(log: &PathBuf) -> Option<u16> {
    let text = fs::read_to_string(log).ok()?;
    let (rest, _) = text.split_once("listening on port ")?.1.split_once([' ', '\n'])?;
    rest.parse().ok()
}

/// A connection to a server that has just been started.
fn connect(address: SocketAddr) -> TcpStream {
    wait_for("a connection", || TcpStream::connect(address).ok())
}

fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    (0..TRIES)
        .find_map(|_| {
            look().or_else(|| {
                sleep(PAUSE);
                None
            })
        })
        .unwrap_or_else(|| panic!("{what} does not come"))
}

/// A port that was free a moment ago, for servers that cannot tell which one they got.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
