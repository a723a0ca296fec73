//! What is measured once in a run: how soon the hub is ready, the memory that its clients take, what it writes to the
//! disk, and what it takes of it.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{Load, float, median};
use crate::load_places::{PATIENCE, client_socket, joined};
use crate::load_udp::{Request, Udp};
use crate::process::{Process, Processors};
use crate::server::{self, PIGEOND, Server};

/// Starts that are timed.
const STARTS: usize = 20;

/// Clients that join before memory is first looked at, and as many that join after.
const CLIENTS: u32 = 10_000;

/// One of these figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Once {
    /// Bytes of memory a joined client.
    ClientBytes,
    /// Bytes written to the disk a kept request, at ten a second.
    SlowWear,
    /// The same, as fast as 4 sockets with 32 under way make them.
    FastWear,
    /// Time from the start of the program to READY, in microseconds.
    ReadyMicros,
    /// Bytes of both programs.
    ProgramBytes,
}

impl Once {
    /// All, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::ClientBytes, Self::SlowWear, Self::FastWear, Self::ReadyMicros, Self::ProgramBytes];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientBytes => "memory a client, bytes",
            Self::SlowWear => "written a kept request at 10 a second, bytes",
            Self::FastWear => "written a kept request at 4 x 32, bytes",
            Self::ReadyMicros => "start to READY, us",
            Self::ProgramBytes => "both programs, bytes",
        }
    }

    /// Measures it.
    pub fn measure(self, processors: Processors) -> f64 {
        match self {
            Self::ClientBytes => client_bytes(processors),
            Self::SlowWear => worn(processors, wear_slowly),
            Self::FastWear => worn(processors, wear_fast),
            Self::ReadyMicros => time_to_ready(processors),
            Self::ProgramBytes => float(program_bytes()),
        }
    }
}

/// Median time from the start of the program to READY, in microseconds.
fn time_to_ready(processors: Processors) -> f64 {
    median((0..STARTS).map(|_| one_start(processors).as_secs_f64() * 1e6).collect())
}

fn one_start(processors: Processors) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket to be told on");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command = server::pigeond(Command::new(PIGEOND), directory.path(), "");
    command.env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
    let start = Instant::now();
    let process = processors.spawn(&mut command);
    let mut message = [0; 4096];
    let is_ready = |message: &[u8]| message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
    // Before that it hands over its sockets.
    while !socket.recv(&mut message).is_ok_and(|length| is_ready(&message[..length])) {
        assert!(start.elapsed() < PATIENCE, "not ready");
    }
    let elapsed = start.elapsed();
    drop(process);
    elapsed
}

/// Bytes of memory a joined client: what ten thousand of them add to ten thousand. The first have filled what has a bound
/// of its own, however many come: SQLite's cache, and buffers.
fn client_bytes(processors: Processors) -> f64 {
    let settings = format!("[clients]\nlimit = {}\n", 2 * CLIENTS);
    let hub = Server::pigeond(processors, &settings);
    join(&hub, 0, CLIENTS);
    let before_kib = hub.process.resident_kib();
    join(&hub, CLIENTS, CLIENTS);
    float(hub.process.resident_kib().saturating_sub(before_kib)) * 1024.0 / f64::from(CLIENTS)
}

/// How long requests are counted for the wear they cause; where they come slowly longer than the hub waits before it folds
/// what it has kept.
const WEAR_TIME: Duration = Duration::from_secs(5);
const SLOW_WEAR_TIME: Duration = Duration::from_secs(35);
/// The pause between those that come slowly.
const SLOWLY: Duration = Duration::from_millis(100);

fn wear_slowly(hub: &Server) {
    let socket = client_socket(0, hub.address);
    let start = Instant::now();
    for number in 1.. {
        if start.elapsed() >= SLOW_WEAR_TIME {
            break;
        }
        socket.send(format!("#slow-one.{number} INC").as_bytes()).expect("a request can be sent");
        socket.recv(&mut [0; 200]).expect("a reply");
        std::thread::sleep(SLOWLY);
    }
}

fn wear_fast(hub: &Server) {
    let mut load = Udp::new(hub.address, (4, 32), Request::Tagged, 1);
    let start = Instant::now();
    while start.elapsed() < WEAR_TIME {
        load.step();
    }
}

/// Bytes written to the disk for each kept request, as the hub's own STATS tell.
fn worn(processors: Processors, load: fn(&Server)) -> f64 {
    let hub = Server::pigeond(processors, "");
    // What a new file costs is not counted.
    let kept_once = |name: &str| {
        let socket = client_socket(1, hub.address);
        socket.send(format!("#{name}.1 INC").as_bytes()).expect("a request can be sent");
        socket.recv(&mut [0; 200]).expect("a reply");
        // The hub asks the system some time after a commit.
        std::thread::sleep(Duration::from_millis(300));
        socket.send(format!("#{name}.2 INC").as_bytes()).expect("a request can be sent");
        socket.recv(&mut [0; 200]).expect("a reply");
        (figure(&socket, "kept"), figure(&socket, "written"))
    };
    let (kept, written) = kept_once("before");
    load(&hub);
    let (kept_after, written_after) = kept_once("after");
    float(written_after - written) / float(kept_after - kept)
}

/// One figure of STATS.
fn figure(socket: &UdpSocket, name: &str) -> u64 {
    socket.send(b"STATS").expect("a request can be sent");
    let mut reply = [0; 1200];
    let length = socket.recv(&mut reply).expect("a reply");
    let line = String::from_utf8_lossy(&reply[..length]).into_owned();
    let mut figures = line.split_whitespace().filter_map(|pair| pair.split_once('='));
    let (_, figure) = figures.find(|(key, _)| *key == name).expect("a figure of that name");
    figure.parse().expect("a number")
}

/// A place outlives its socket, so that each is opened and closed in turn.
fn join(hub: &Server, first: u32, count: u32) {
    for index in first..first + count {
        drop(joined(hub.address, index, &format!("client-{index}")));
    }
}

/// Memory of a process that has just been started, in KiB.
pub fn idle_kib(process: &Process) -> u64 {
    // What is done after the first word to us is done by then.
    std::thread::sleep(Duration::from_millis(20));
    process.resident_kib()
}

/// Bytes of both programs, as the release profile strips them.
fn program_bytes() -> u64 {
    let bytes = |path| std::fs::metadata(path).expect("both programs are built").len();
    bytes(PIGEOND) + bytes(env!("CARGO_BIN_EXE_pigeon"))
}
