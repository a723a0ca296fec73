//! A network that loses, repeats and reorders.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Stands between one client at a time and the daemon, and treats every datagram badly, both ways.
pub struct Relay {
    /// Where clients find it.
    pub address: SocketAddr,
    ends: Arc<AtomicBool>,
    /// How many datagrams it has dropped.
    pub lost: Arc<AtomicU32>,
    /// How many it has repeated.
    pub repeated: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

/// How often a relay looks whether it should end.
const LOOK: Duration = Duration::from_millis(20);

impl Relay {
    /// Starts a relay that drops and repeats so many of a hundred datagrams, and holds some back.
    pub fn start(daemon: SocketAddr, drops: u8, repeats: u8) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let address = front.local_addr().expect("its address");
        let (ends, lost, repeated) = <(Arc<AtomicBool>, Arc<AtomicU32>, Arc<AtomicU32>)>::default();
        let mut relay = Running {
            front,
            back: UdpSocket::bind("127.0.0.1:0").expect("a UDP socket"),
            daemon,
            client: None,
            held: None,
            dice: fastrand::Rng::with_seed(7),
            drops,
            repeats,
            lost: Arc::clone(&lost),
            repeated: Arc::clone(&repeated),
        };
        let end = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                relay.turn();
            }
        });
        Self { address, ends, lost, repeated, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Running {
    front: UdpSocket,
    back: UdpSocket,
    daemon: SocketAddr,
    client: Option<SocketAddr>,
    /// A datagram that is overtaken by the next.
    held: Option<(bool, Vec<u8>)>,
    dice: fastrand::Rng,
    drops: u8,
    repeats: u8,
    lost: Arc<AtomicU32>,
    repeated: Arc<AtomicU32>,
}

impl Running {
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        for to_daemon in [true, false] {
            let socket = if to_daemon { &self.front } else { &self.back };
            socket.set_read_timeout(Some(LOOK / 10)).expect("a timeout");
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if to_daemon {
                self.client = Some(from);
            }
            self.treat(to_daemon, buffer.get(..length).unwrap_or_default());
        }
    }

    fn treat(&mut self, to_daemon: bool, bytes: &[u8]) {
        let fate = self.dice.u8(..100);
        if fate < self.drops {
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else if fate < self.drops + self.repeats {
            self.repeated.fetch_add(1, Ordering::Relaxed);
            self.pass(to_daemon, bytes);
            self.pass(to_daemon, bytes);
        } else if self.held.is_none() && fate.is_multiple_of(5) {
            self.held = Some((to_daemon, bytes.to_vec()));
            return;
        } else {
            self.pass(to_daemon, bytes);
        }
        if let Some((to_daemon, bytes)) = self.held.take() {
            self.pass(to_daemon, &bytes);
        }
    }

    fn pass(&self, to_daemon: bool, bytes: &[u8]) {
        match (to_daemon, self.client) {
            (true, _) => drop(self.back.send_to(bytes, self.daemon)),
            (false, Some(client)) => drop(self.front.send_to(bytes, client)),
            (false, None) => {}
        }
    }
}
