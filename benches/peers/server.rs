//! The servers that are compared, and how each is started.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, Processors, tied};

/// Tries for a server to be there, and the pause between them: five seconds in all.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(5);

/// The hub's program.
pub const PIGEOND: &str = env!("CARGO_BIN_EXE_pigeond");

/// A server to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// recvmmsg and sendmmsg, nothing else: the yardstick for UDP.
    FloorMany,
    /// recvfrom and sendto, nothing else.
    Floor,
    /// recvfrom, and sendmmsg to all others.
    FloorFanOut,
    /// This hub.
    Pigeond,
    /// This hub, with `sync = "full"`.
    PigeondFull,
    /// The tutorials' counter.
    Python,
    /// memcached over UDP and TCP, one thread.
    Memcached,
    /// redis, nothing kept.
    Redis,
    /// redis, with what it keeps on disk once a second.
    RedisEverySecond,
    /// redis, with what it keeps on disk before it answers.
    RedisAlways,
    /// nats-server, as it is installed.
    Nats,
    /// mosquitto, which sends what it has at once.
    Mosquitto,
}

impl Kind {
    /// Every server, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::FloorMany,
        Self::Floor,
        Self::FloorFanOut,
        Self::Pigeond,
        Self::PigeondFull,
        Self::Python,
        Self::Memcached,
        Self::Redis,
        Self::RedisEverySecond,
        Self::RedisAlways,
        Self::Nats,
        Self::Mosquitto,
    ];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FloorMany => "floor-mm",
            Self::Floor => "floor",
            Self::FloorFanOut => "floor-fan",
            Self::Pigeond => "pigeond",
            Self::PigeondFull => "pigeond-full",
            Self::Python => "python",
            Self::Memcached => "memcached",
            Self::Redis => "redis",
            Self::RedisEverySecond => "redis-1s",
            Self::RedisAlways => "redis-always",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
        }
    }

    /// The program to be started, if it is not built here.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::FloorMany | Self::Floor | Self::FloorFanOut | Self::Pigeond | Self::PigeondFull => None,
            Self::Python => Some("python3"),
            Self::Memcached => Some("memcached"),
            Self::Redis | Self::RedisEverySecond | Self::RedisAlways => Some("redis-server"),
            Self::Nats => Some("nats-server"),
            Self::Mosquitto => Some("mosquitto"),
        }
    }

    /// Whether it can be started here.
    pub fn is_installed(self) -> bool {
        self.program().is_none_or(|program| find(program).is_some())
    }

    /// The line that adds one to a counter over TCP.
    pub fn increment(self) -> &'static [u8] {
        match self {
            Self::Memcached => b"incr c 1\r\n",
            Self::Redis | Self::RedisEverySecond | Self::RedisAlways => b"*2\r\n$4\r\nINCR\r\n$1\r\nc\r\n",
            Self::FloorMany
            | Self::Floor
            | Self::FloorFanOut
            | Self::Pigeond
            | Self::PigeondFull
            | Self::Python
            | Self::Nats
            | Self::Mosquitto => b"INC c\n",
        }
    }

    /// Whether it understands tags.
    pub fn is_hub(self) -> bool {
        matches!(self, Self::Pigeond | Self::PigeondFull)
    }

    /// Starts it, and waits until it answers. The hub gets further settings, if any.
    pub fn start(self, processors: Processors, settings: &str) -> Server {
        match self {
            Self::FloorMany => Server::floor(processors, "--floor-mm"),
            Self::Floor => Server::floor(processors, "--floor"),
            Self::FloorFanOut => Server::floor(processors, "--floor-fan"),
            Self::Pigeond => Server::pigeond(processors, settings),
            Self::PigeondFull => Server::pigeond(processors, &format!("sync = \"full\"\n{settings}")),
            Self::Python => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/counter.py");
                Server::that_tells_its_port(processors, self.command().arg(script))
            }
            Self::Memcached => Server::memcached(processors, self.command()),
            Self::Redis => Server::redis(processors, self.command(), &["no"]),
            Self::RedisEverySecond => {
                Server::redis(processors, self.command(), &["yes", "--appendfsync", "everysec"])
            }
            Self::RedisAlways => {
                Server::redis(processors, self.command(), &["yes", "--appendfsync", "always"])
            }
            Self::Nats => Server::nats(processors, self.command()),
            Self::Mosquitto => Server::mosquitto(processors, self.command()),
        }
    }

    fn command(self) -> Command {
        tied(self.program().and_then(find).expect("only what is installed is started"))
    }
}

/// Where a program is. Not everybody's path has the folder that Debian installs servers to.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|program| program.is_file())
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
        let mut command = pigeond(tied(PIGEOND), directory.path(), settings);
        command.stderr(File::create(&log).expect("a file for the log"));
        let process = processors.spawn(&mut command);
        let port = wait_for("pigeond's port", || port_in_log(&log));
        Self { process, address: loopback(port), _directory: Some(directory) }
    }

    /// Starts this program again, in a role of its own.
    fn floor(processors: Processors, role: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        Self::that_tells_its_port(processors, tied(program).arg(role))
    }

    fn that_tells_its_port(processors: Processors, command: &mut Command) -> Self {
        let mut process = processors.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let mut line = String::new();
        let stdout = process.0.stdout.take().expect("its standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line with its port");
        let port = line.trim().parse().expect("a port");
        Self { process, address: loopback(port), _directory: None }
    }

    fn memcached(processors: Processors, mut command: Command) -> Self {
        let address = loopback(free_port());
        let port = address.port().to_string();
        // A process that changes its user forgets to end with another: it stays root if it is.
        command.args(["-t", "1", "-l", "127.0.0.1", "-u", "root", "-U", &port, "-p", &port]);
        command.stderr(Stdio::null());
        let process = processors.spawn(&mut command);
        let mut stream = connect(address);
        stream.write_all(b"set c 0 0 1\r\n0\r\n").expect("memcached takes a value");
        let mut reply = [0; 8];
        stream.read_exact(&mut reply).expect("memcached answers");
        assert_eq!(&reply, b"STORED\r\n", "memcached keeps a value");
        Self { process, address, _directory: None }
    }

    fn redis(processors: Processors, mut command: Command, keeps: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = loopback(free_port());
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

    fn nats(processors: Processors, mut command: Command) -> Self {
        let address = loopback(free_port());
        command.args(["-a", "127.0.0.1", "-p", &address.port().to_string()]).stderr(Stdio::null());
        let process = processors.spawn(&mut command);
        drop(connect(address));
        Self { process, address, _directory: None }
    }

    fn mosquitto(processors: Processors, mut command: Command) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = loopback(free_port());
        let file = directory.path().join("mosquitto.conf");
        let port = address.port();
        // Who it is stays as it is, as with memcached.
        let text = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nlog_type none\n"
        );
        fs::write(&file, text).expect("the configuration is written");
        command.arg("-c").arg(file).stderr(Stdio::null());
        let process = processors.spawn(&mut command);
        drop(connect(address));
        Self { process, address, _directory: Some(directory) }
    }
}

/// This hub by this command, with all its files in one directory, on a port that the system picks.
pub fn pigeond(mut command: Command, directory: &Path, settings: &str) -> Command {
    let file = directory.join("pigeond.toml");
    let text = format!(
        "[listen]\nbind = [\"0.0.0.0\", \"::\"]\nport = 0\n[state]\ndirectory = \"{}\"\n{settings}",
        directory.display(),
    );
    fs::write(&file, text).expect("the configuration is written");
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
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        // memcached takes the same one for UDP.
        UdpSocket::bind(address).ok().map(|_| address.port())
    };
    (0..TRIES).find_map(|_| free()).expect("a port that is free")
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
