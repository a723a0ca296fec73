//! A network between clients and the daemon that loses, repeats and reorders, both ways.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Datagrams that are lost, and that arrive twice, of a hundred.
const DROPS: u8 = 20;
const REPEATS: u8 = 10;

/// Datagrams that are held back so that later ones overtake them, of a hundred, and how many at once.
const HOLDS: u8 = 20;
const HELD: usize = 4;

/// What is held back waits no longer than that for another datagram.
const PATIENCE: Duration = Duration::from_millis(5);

/// How often a relay that has nothing to do looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// A relay for any number of clients; each is known to the daemon by a port of its own, which it keeps.
pub struct Relay {
    /// Where the clients send to.
    pub address: SocketAddr,
    counts: Arc<Counts>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What became of the datagrams.
#[derive(Default)]
struct Counts {
    passed: AtomicU64,
    dropped: AtomicU64,
    repeated: AtomicU64,
}

impl Relay {
    pub fn start(daemon: SocketAddr, seed: u64) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = front.local_addr().unwrap();
        let (counts, ends) = <(Arc<Counts>, Arc<AtomicBool>)>::default();
        let (counted, ended) = (Arc::clone(&counts), Arc::clone(&ends));
        let thread = std::thread::spawn(move || to_daemon(&front, daemon, seed, &counted, &ended));
        Self { address, counts, ends, thread: Some(thread) }
    }

    /// How many datagrams were passed on at least once, dropped, and repeated.
    pub fn counts(&self) -> [u64; 3] {
        let Counts { passed, dropped, repeated } = &*self.counts;
        [passed, dropped, repeated].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads what the clients send until the relay ends.
fn to_daemon(front: &UdpSocket, daemon: SocketAddr, seed: u64, counts: &Arc<Counts>, ends: &Arc<AtomicBool>) {
    let mut fate = Fate::new(seed, Arc::clone(counts));
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut threads = Vec::new();
    let mut buffer = [0; 16_384];
    while !ends.load(Ordering::Relaxed) {
        front.set_read_timeout(Some(fate.patience())).unwrap();
        let Ok((length, client)) = front.recv_from(&mut buffer) else {
            fate.release_all();
            continue;
        };
        let seed = seed + 1 + backs.len() as u64;
        let back = backs.entry(client).or_insert_with(|| {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            let (from, front) = (Arc::clone(&back), Arc::new(front.try_clone().unwrap()));
            let (fate, ends) = (Fate::new(seed, Arc::clone(counts)), Arc::clone(ends));
            threads.push(std::thread::spawn(move || to_client(&from, &front, client, fate, &ends)));
            back
        });
        fate.treat(back, daemon, &buffer[..length]);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Reads what the daemon sends to one client.
fn to_client(
    back: &UdpSocket,
    front: &Arc<UdpSocket>,
    client: SocketAddr,
    mut fate: Fate,
    ends: &AtomicBool,
) {
    let mut buffer = [0; 16_384];
    while !ends.load(Ordering::Relaxed) {
        back.set_read_timeout(Some(fate.patience())).unwrap();
        match back.recv(&mut buffer) {
            Ok(length) => fate.treat(front, client, &buffer[..length]),
            Err(_) => fate.release_all(),
        }
    }
}

/// Decides what becomes of each datagram.
struct Fate {
    dice: fastrand::Rng,
    held: Vec<(Arc<UdpSocket>, SocketAddr, Vec<u8>)>,
    counts: Arc<Counts>,
}

impl Fate {
    fn new(seed: u64, counts: Arc<Counts>) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed), held: Vec::new(), counts }
    }

    fn treat(&mut self, by: &Arc<UdpSocket>, to: SocketAddr, bytes: &[u8]) {
        let roll = self.dice.u8(..100);
        if roll < DROPS {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.counts.passed.fetch_add(1, Ordering::Relaxed);
        if roll < DROPS + REPEATS {
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
            pass(by, to, bytes);
        }
        if self.dice.u8(..100) < HOLDS && self.held.len() < HELD {
            self.held.push((Arc::clone(by), to, bytes.to_vec()));
            return;
        }
        pass(by, to, bytes);
        if !self.held.is_empty() && self.dice.bool() {
            let (by, to, bytes) = self.held.swap_remove(self.dice.usize(..self.held.len()));
            pass(&by, to, &bytes);
        }
    }

    /// How long to wait for the next datagram.
    fn patience(&self) -> Duration {
        if self.held.is_empty() { LOOK } else { PATIENCE }
    }

    fn release_all(&mut self) {
        for (by, to, bytes) in self.held.drain(..) {
            pass(&by, to, &bytes);
        }
    }
}

/// While the daemon is dead nobody takes it, which is one more loss.
fn pass(by: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    let _ = by.send_to(bytes, to);
}
