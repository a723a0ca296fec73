//! What is measured once in a run: how soon the hub is ready, and the memory that its clients take.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::load::{Load, float, median};
use crate::load_udp::{Request, Udp};
use crate::process::{Process, Processors};
use crate::server::{self, Server};

/// Starts that are timed.
const STARTS: usize = 20;

/// Clients that join before memory is first looked at, and those that join after.
const FIRST_CLIENTS: u32 = 100;
const CLIENTS: u32 = 10_000;

/// How long the hub may take to be ready or to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Median time from the start of the program to READY, in microseconds.
pub fn time_to_ready(processors: Processors) -> f64 {
    median((0..STARTS).map(|_| one_start(processors).as_secs_f64() * 1e6).collect())
}

fn one_start(processors: Processors) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket to be told on");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command = server::pigeond(directory.path(), "");
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

/// What the hub's memory was with a hundred clients, and with ten thousand more.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// With [`FIRST_CLIENTS`], in KiB: what is made on first use is there.
    pub before_kib: u64,
    /// With [`CLIENTS`] more, in KiB.
    pub after_kib: u64,
}

impl Places {
    /// Joins that many, each from an address of its own.
    pub fn measure(processors: Processors) -> Self {
        let settings = format!("[clients]\nlimit = {}\n", FIRST_CLIENTS + CLIENTS);
        let hub = Server::pigeond(processors, &settings);
        join(&hub, 0, FIRST_CLIENTS);
        let before_kib = hub.process.resident_kib();
        join(&hub, FIRST_CLIENTS, CLIENTS);
        Self { before_kib, after_kib: hub.process.resident_kib() }
    }

    /// Bytes a client.
    pub fn bytes_a_client(self) -> f64 {
        float(self.after_kib.saturating_sub(self.before_kib)) * 1024.0 / f64::from(CLIENTS)
    }
}

/// How long requests are counted for the wear they cause; where they come slowly longer than the hub waits before it folds
/// what it has kept.
const WEAR_TIME: Duration = Duration::from_secs(5);
const SLOW_WEAR_TIME: Duration = Duration::from_secs(35);
/// The pause between those that come slowly.
const SLOWLY: Duration = Duration::from_millis(100);

/// Bytes written to the disk for each kept request, as the hub's own STATS tell: at ten a second, and as fast as 4
/// sockets with 32 under way make them.
pub fn wear(processors: Processors) -> (f64, f64) {
    let slow = worn(processors, |hub| {
        let socket = distinct_socket(0, hub.address);
        let start = Instant::now();
        for number in 1.. {
            if start.elapsed() >= SLOW_WEAR_TIME {
                break;
            }
            socket.send(format!("#slow-one.{number} INC").as_bytes()).expect("a request can be sent");
            socket.recv(&mut [0; 200]).expect("a reply");
            std::thread::sleep(SLOWLY);
        }
    });
    let fast = worn(processors, |hub| {
        let mut load = Udp::new(hub.address, (4, 32), Request::Tagged, 1);
        let start = Instant::now();
        while start.elapsed() < WEAR_TIME {
            load.step();
        }
    });
    (slow, fast)
}

fn worn(processors: Processors, load: impl FnOnce(&Server)) -> f64 {
    let hub = Server::pigeond(processors, "");
    // What a new file costs is not counted.
    let kept_once = |name: &str| {
        let socket = distinct_socket(1, hub.address);
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
        let socket = distinct_socket(index, hub.address);
        let code = format!("client-{index}");
        socket.send(format!("JOIN {code}").as_bytes()).expect("a request can be sent");
        let mut reply = [0; 200];
        let length = socket.recv(&mut reply).expect("a reply");
        let reply = String::from_utf8_lossy(&reply[..length]);
        assert!(reply.starts_with(&format!("joined {code} ")), "{reply:?}");
    }
}

/// A socket on 127.1.x.y. The hub answers nobody on loopback whose port is its own.
fn distinct_socket(index: u32, hub: SocketAddr) -> UdpSocket {
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + index);
    let bind = || UdpSocket::bind((address, 0)).expect("a UDP socket on loopback");
    let mut socket = bind();
    if socket.local_addr().expect("a bound socket has an address").port() == hub.port() {
        // The second is bound while the first still has that port.
        socket = bind();
    }
    socket.connect(hub).expect("it connects");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Memory of a process that has just been started, in KiB.
pub fn idle_kib(process: &Process) -> u64 {
    // What is done after the first word to us is done by then.
    std::thread::sleep(Duration::from_millis(20));
    process.resident_kib()
}
